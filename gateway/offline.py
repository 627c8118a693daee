"""Operators' commands without a running gateway. In: settings, a query or order. Out: its answer.

Takes the lock a gateway would take, so the two can not meet; an order takes effect at the next start.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import Any, Final

from gateway import wiring
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.misplaced import misplaced
from gateway.configuration import interpret
from gateway.data_directory import STATE_FILE, DataDirectory
from gateway.errors import OrderRefused
from gateway.followers import unpack_snapshot
from gateway.operations import Handler, Operations
from gateway.sections import Settings
from gateway.state.lock import DirectoryLock
from gateway.switchboard import Switchboard
from gateway.system_clock import SystemClock

NEEDS_A_GATEWAY: Final = frozenset({"figures.read"})


def _engine(files: DataDirectory) -> AlarmEngine:
    """The alarms as the last process left them."""
    position, content = files.start.snapshot or (files.journal.first, b"")
    configuration = files.configurations.at(position)
    engine = configuration.engine()
    if content:
        engine.restore(unpack_snapshot(content)[1])
    return engine


async def ask(settings: Settings, name: str, arguments: dict[str, Any]) -> Any:
    """The answer from the files of the data directory; OrderRefused when there is none."""
    if settings.gateway.workers > 1:
        return await _ask_workers(settings, name, arguments)
    directory = settings.gateway.data_dir
    if not (directory / STATE_FILE).is_file():
        raise OrderRefused(f"{directory} holds no gateway's data; start one with 'citylight run'")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        files = DataDirectory(settings, clock)
        await files.open(stack)
        store = wiring.store(settings, files.configurations.current, clock)
        stack.push_async_callback(store.close)
        configurations = files.configurations
        teller = wiring.teller(settings, lambda: configurations.current.fleet)
        operations = Operations(
            files.database, files.journal, store, teller, lambda: configurations.current, clock
        )

        async def explain(*, asset: str) -> list[dict[str, Any]]:
            return _engine(files).explain(asset, clock.wall_ns())

        async def list_misplaced() -> list[dict[str, Any]]:
            return misplaced(_engine(files))

        async def unheard() -> list[dict[str, Any]]:
            return _engine(files).unheard()

        async def windows() -> list[dict[str, Any]]:
            return _engine(files).quiet.documents()

        own: dict[str, Handler] = {
            "gateway.reload": files.reload,
            "gateway.backup": partial(files.back_up, store=store, trimming=nullcontext()),
            "rules.explain": explain,
            "rules.misplaced": list_misplaced,
            "rules.radio": unheard,
            "maintenance.list": windows,
        }
        handlers = operations.handlers() | own
        return await handlers[name](**arguments)


async def _ask_workers(settings: Settings, name: str, arguments: dict[str, Any]) -> Any:
    """The same from the files of several workers."""

    async def ask_one(worker: int, name: str, arguments: dict[str, Any]) -> Any:
        return await ask(wiring.for_worker(settings, worker), name, arguments)

    switchboard = Switchboard(
        ask_one,
        settings.gateway.workers,
        shared=settings.store.kind != "embedded",
        configuration=lambda: interpret(wiring.sources(settings).pack(), ""),
        clock=SystemClock(),
    )
    handler = switchboard.handlers().get(name)
    if handler is None or name == "quarantine.replay":
        raise OrderRefused(f"{name} needs a running gateway where workers > 1; start it with 'citylight run'")
    with DirectoryLock(settings.gateway.data_dir):
        return await handler(**arguments)
