"""``citylight run``. In: a configuration file. Out: a gateway until SIGTERM or SIGINT.

Only bad configuration ends the start; a broker or store that is away does not.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway import failpoints, foreman, logs, settings
from gateway.app import Gateway, running
from gateway.foreman import Foreman
from gateway.sections import Settings
from gateway.supervisor import Supervisor
from gateway.system_clock import SystemClock

log = logging.getLogger("citylight")

WATCH_S = 1.0


def run(options: argparse.Namespace) -> int:
    """Runs until told to stop; 1 if a part of the gateway failed."""
    chosen = settings.read(options.config)
    failpoints.arm(settings.failpoint())
    logs.set_up(chosen.logging.level, chosen.logging.format)
    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(_serve(chosen))


async def _serve(chosen: Settings) -> int:
    supervisor = Supervisor(*settings.service_environment())
    stop = stop_on_signals()
    start = running if chosen.gateway.workers == 1 else foreman.running
    async with start(chosen, SystemClock()) as gateway:
        supervisor.ready("running")
        log.info("%s runs; figures on %s/metrics", chosen.gateway.name, gateway.http.url)
        watching = asyncio.create_task(_watch(gateway, supervisor))
        with settled():
            await until(stop, gateway)
        supervisor.stopping()
        watching.cancel()
        if gateway.failure.done():
            log.error("a part of the gateway failed", exc_info=gateway.failure.exception())
            return 1
        log.info("stopping")
    return 0


@contextmanager
def settled() -> Iterator[None]:
    """The collector does not walk what a start made: it would stop everything, and find nothing."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def until(stop: asyncio.Event, gateway: Gateway | Foreman) -> None:
    """Return when ``stop`` is set, or a part of the gateway has failed."""
    gateway.failure.add_done_callback(lambda _: stop.set())
    await stop.wait()


async def _watch(gateway: Gateway | Foreman, supervisor: Supervisor) -> None:
    """Say what keeps the gateway from being ready, once a change; keep systemd's watchdog quiet."""
    said: tuple[str, ...] | None = None
    await asyncio.sleep(WATCH_S)  # what is away for longer than a start takes is worth a word
    while True:
        reasons = gateway.not_ready()
        if _subjects(reasons) != _subjects(said or ()) or said is None:
            (log.warning if reasons else log.info)(
                "%s", "; ".join(reasons) or "ready: broker and store answer"
            )
            supervisor.status("; ".join(reasons) or "ready")
            said = reasons
        supervisor.alive()
        await asyncio.sleep(min(WATCH_S, supervisor.watchdog_s or WATCH_S))


def _subjects(reasons: Iterable[str]) -> set[str]:
    """What is away, without the words that change from try to try."""
    return {reason.partition(":")[0] for reason in reasons}


def event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one: it is not made for every platform."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def stop_on_signals() -> asyncio.Event:
    """Set by SIGINT or SIGTERM; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    return stop
