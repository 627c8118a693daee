"""A reception on trial: real broker on one side, a journal in memory that can be held, failed and read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from servers import Mosquitto

from gateway.errors import JournalError
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.mqtt import Mqtt5Reception
from gateway.ingest.mqtt311 import Mqtt311Reception
from gateway.ingest.options import IngestOptions
from gateway.ingest.packets import parse_block
from gateway.ingest.reception import Reception
from gateway.model import Arrival, SessionEvent

WAIT_S_MAX = 30.0


class WallClock:
    def wall_ns(self) -> int:
        return time.time_ns()

    def elapsed_ns(self) -> int:
        return time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class Trial:
    """One reception and what it made durable; ``open`` lets commits pass, ``broken`` fails them."""

    def __init__(self, options: IngestOptions, **contact: Any) -> None:
        self.arrivals: list[Arrival] = []
        self.waiting: list[Arrival] = []
        self.events: list[SessionEvent] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self._changed = asyncio.Condition()
        clock = WallClock()
        now = Moment(clock.wall_ns(), clock.monotonic_ns())
        known = {"epoch": 1, "session_expected": False, "contact_age_s": None, **contact}
        kind = {"5": Mqtt5Reception, "3.1.1": Mqtt311Reception}[options.protocol]
        self.reception: Reception = kind(
            options, contact=Contact(now=now, **known), clock=clock, commit=self._commit, event=self._event
        )
        self.task = asyncio.create_task(self.reception.run())

    async def _commit(self, arrival: Arrival) -> None:
        self.waiting.append(arrival)
        await self._notify()
        await self.open.wait()
        self.waiting.remove(arrival)
        if self.broken:
            raise JournalError("the disk is full")
        self.arrivals.append(arrival)
        await self._notify()

    async def _event(self, event: SessionEvent) -> None:
        if self.broken:
            raise JournalError("the disk is full")
        self.events.append(event)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def messages(self) -> list[tuple[str, bytes, bool]]:
        """(topic, payload, DUP) of everything durable, in order."""
        found = []
        for arrival in self.arrivals:
            block = parse_block(arrival, 0)
            assert len(block.topics) == arrival.count
            found += list(zip(block.topics, block.payloads, block.duplicate.tolist(), strict=True))
        return found

    @property
    def count(self) -> int:
        return sum(arrival.count for arrival in self.arrivals)

    def happened(self, event: str) -> list[SessionEvent]:
        return [one for one in self.events if one.event == event]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that commits, events or acknowledgements bring about."""
        async with asyncio.timeout(WAIT_S_MAX), self._changed:
            while not condition():
                assert not self.task.done(), self.task
                try:
                    async with asyncio.timeout(0.02):  # figures change without a notification
                        await self._changed.wait()
                except TimeoutError:
                    pass

    async def online(self) -> None:
        await self.until(lambda: self.reception.figures().state == "online")

    async def stop(self) -> None:
        self.open.set()
        self.reception.stop()
        async with asyncio.timeout(WAIT_S_MAX):
            await self.task

    async def kill(self) -> None:
        """As a crash would: nothing more is said to the broker or made durable."""
        self.task.cancel()
        await asyncio.wait({self.task})


@pytest.fixture
async def receive(mosquitto: Mosquitto) -> AsyncIterator[Callable[..., Trial]]:
    """Start a reception at ``mosquitto``; keyword arguments are options, ``contact`` those of ``Contact``."""
    trials: list[Trial] = []

    def start(*, contact: dict[str, Any] | None = None, **options: Any) -> Trial:
        given = {
            "host": mosquitto.host,
            "port": mosquitto.port,
            "topics": ("city/#",),
            "reconnect_min_s": 0.02,
            "reconnect_max_s": 0.2,
            **options,
        }
        trials.append(Trial(IngestOptions(**given), **(contact or {})))
        return trials[-1]

    yield start
    for trial in trials:
        await trial.kill()
