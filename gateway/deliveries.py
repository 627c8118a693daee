"""The couriers, one a recipient. In: settings, the outbox. Out: alarms on their way, and figures of each.

Carries what the outbox holds, also from before a restart. Never writes an alarm.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from gateway import ledger, wiring
from gateway.alarms import Alarm
from gateway.clock import Clock
from gateway.fleet import Fleet
from gateway.metrics import RecipientFigures
from gateway.notify.courier import Carrier, Courier, CourierOptions
from gateway.sections import Settings
from gateway.state import alarms, database, quarantine
from gateway.state.database import StateDatabase

LOOK_S = 0.5
ROUND_S = 5.0
"""What falls due by the clock (escalations, digests, morning lists) is looked for so often."""
Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Deliveries:
    """``wake`` when the outbox has new rows; ``figures`` and the rest are at most ``LOOK_S`` old."""

    def __init__(
        self, settings: Settings, database: StateDatabase, clock: Clock, fleet: Callable[[], Fleet]
    ) -> None:
        self.teller = wiring.teller(settings, fleet)
        self.figures: dict[str, RecipientFigures] = {}
        self.quarantined: dict[str, int] = {}
        self.severities: dict[str, int] = {}
        self.state: dict[str, int] = {}
        self._settings = settings
        self._database = database
        self._clock = clock
        self._couriers: dict[str, Courier] = {}

    async def open(
        self, stack: AsyncExitStack, spawn: Spawn, url: str, vitals: Callable[[], Mapping[str, Any]]
    ) -> list[asyncio.Task[None]]:
        """Start every courier; ``url`` is the devices' broker, ``vitals`` what the heartbeat says."""
        carriers: dict[str, Carrier] = {}
        for name, hook in wiring.webhooks(self._settings, self._clock).items():
            carriers[name] = await stack.enter_async_context(hook)
        tasks = []
        for recipient in self.teller.recipients:
            if recipient.kind == "mqtt":
                publisher = wiring.publisher(
                    self._settings,
                    url,
                    recipient=recipient,
                    active=self._active,
                    vitals=vitals,
                    clock=self._clock,
                    around=self.teller.around,
                )
                carriers[recipient.name] = publisher
                tasks.append(spawn(publisher.run()))
        box = ledger.SqliteOutbox(self._database)
        for name, carrier in carriers.items():
            self._couriers[name] = Courier(name, box, carrier, self._clock, CourierOptions())
        tasks += [spawn(courier.run()) for courier in self._couriers.values()]
        return [*tasks, spawn(self._look()), spawn(self._rounds())]

    def wake(self) -> None:
        """The outbox has new rows."""
        for courier in self._couriers.values():
            courier.wake()

    async def _rounds(self) -> None:
        while True:
            if await self._database.transact(partial(self.teller.round, now_ns=self._clock.wall_ns())):
                self.wake()
            await asyncio.sleep(ROUND_S)

    async def _active(self) -> list[Alarm]:
        standing = await self._database.transact(alarms.active)
        return [alarm for alarm in standing if not alarm.quiet]

    async def _look(self) -> None:
        """What figures are made of but only state.db knows."""
        while True:
            dropped = await self._database.transact(self.teller.dropped)
            for name, courier in self._couriers.items():
                own = await courier.figures()
                self.figures[name] = RecipientFigures(
                    own.pending, own.delivered, own.failed, own.error, dropped[name]
                )
            self.quarantined = await self._database.transact(quarantine.counts)
            self.state = await self._database.transact(_state)
            self.severities = dict(Counter(alarm.severity.value for alarm in await self._active()))
            await asyncio.sleep(LOOK_S)


def _state(connection: sqlite3.Connection) -> dict[str, int]:
    return {
        "bytes": database.bytes_used(connection),
        "quarantine_bytes": quarantine.bytes_used(connection),
        "quarantine_overflow": quarantine.overflow(connection),
    }
