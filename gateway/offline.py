"""Operators' commands without a running gateway. In: settings, a query or order. Out: its answer.

Takes the lock a gateway would take, so the two can not meet; an order takes effect at the next start.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final

from gateway import ledger, wiring
from gateway.configuration import Configurations
from gateway.errors import OrderRefused
from gateway.journal.segments import SegmentJournal
from gateway.operations import Operations
from gateway.sections import Settings
from gateway.state.database import StateDatabase
from gateway.state.lock import DirectoryLock
from gateway.system_clock import SystemClock

NEEDS_A_GATEWAY: Final = frozenset({"figures.read", "gateway.reload"})


async def ask(settings: Settings, name: str, arguments: dict[str, Any]) -> Any:
    """The answer from the files of the data directory; OrderRefused when there is none."""
    directory = settings.gateway.data_dir
    state_file = directory / "state.db"
    if not state_file.is_file():
        raise OrderRefused(f"{directory} holds no gateway's data; start one with 'citylight run'")
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        stack.enter_context(DirectoryLock(directory))
        database = await StateDatabase.open(state_file)
        stack.push_async_callback(database.close)
        start = await ledger.read_start(database)
        journal = SegmentJournal(directory / "journal", wiring.journal(settings), floor=start.floor)
        stack.push_async_callback(journal.close)
        configurations = Configurations(ledger.configuration_loader(state_file), start.timeline)
        store = wiring.store(settings, configurations.current, clock)
        stack.push_async_callback(store.close)
        recipients = wiring.recipients(settings)
        operations = Operations(
            database,
            journal,
            store,
            recipients,
            lambda: configurations.current,
            clock,
        )
        return await operations.handlers()[name](**arguments)
