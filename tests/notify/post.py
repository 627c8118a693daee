"""What the tests of notify share: alarms, clocks, recipients, and the outbox of state.db behind the seam."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from gateway.alarms import Alarm, AlarmState
from gateway.fleet import Area, Asset, Cabinet, Feeder, Fleet
from gateway.model import Severity
from gateway.notify import dispatch
from gateway.notify.courier import Backlog
from gateway.notify.dispatch import Occasion, OutboxRow
from gateway.notify.places import Places
from gateway.notify.recipient import Recipient
from gateway.state import outbox
from gateway.state.database import StateDatabase
from gateway.state.outbox import DueRow

NOW_NS = 1_795_161_600_000_000_000
WAIT_S = 20.0

RAISED = Alarm(
    id="514c474929d1c255d1579b0e",
    type="lampFailure",
    asset="LP1",
    device="lamp-1",
    area="hoa-phu",
    feeder="F1",
    severity=Severity.MINOR,
    state=AlarmState.UNACKNOWLEDGED,
    onset_ns=NOW_NS,
    raised_ns=NOW_NS + 900_000_000_000,
    cleared_ns=None,
    value=1.0,
    limit=20.0,
    text_vi="Đèn không sáng tại LP1",
    text_en="Lamp failure at LP1",
    transition=1,
    event="raised",
)
ACKNOWLEDGED = replace(RAISED, state=AlarmState.ACKNOWLEDGED, transition=2, event="acknowledged", by="An")
CLEARED = replace(
    ACKNOWLEDGED,
    state=AlarmState.NORMAL,
    transition=3,
    event="cleared",
    cleared_ns=NOW_NS + 3_600_000_000_000,
)


CITY = Fleet(
    areas=(Area("city", "Thành phố mới"), Area("hoa-phu", "Phường Hoà Phú", "city")),
    cabinets=(Cabinet("CB1", "hoa-phu", 11.05, 106.68),),
    feeders=(Feeder("F1", "CB1", group_switched=True),),
    programmes=(),
    assets=(
        Asset("CB1", "cabinet", "hoa-phu", 11.05, 106.68, cabinet="CB1"),
        *(
            Asset(
                f"LP{n}",
                "light_point",
                "hoa-phu",
                11.05 + n / 1e4,
                106.68,
                cabinet="CB1",
                feeder="F1",
                pole_sequence=n,
            )
            for n in range(1, 41)
        ),
    ),
    devices=(),
    assignments=(),
)
PLACES = Places(CITY)


def rows_for(alarm: Alarm, recipients: Sequence[Recipient]) -> list[OutboxRow]:
    """Rows of the test city, made at ``NOW_NS``."""
    return dispatch.rows_for(alarm, recipients, Occasion(NOW_NS, PLACES))


class SteppedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def wall_ns(self) -> int:
        return self.now_ns

    elapsed_ns = monotonic_ns = wall_ns


class RunningClock(SteppedClock):
    """Moves on by ten seconds at each look, so that postponed rows fall due."""

    def wall_ns(self) -> int:
        self.now_ns += 10_000_000_000
        return self.now_ns


class SqliteOutbox:
    """The seam of the courier over gateway.state.outbox; ``changed`` is set after every outcome."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database
        self.changed = asyncio.Event()

    async def add(self, rows: Sequence[OutboxRow]) -> None:
        await self._database.transact(lambda c: outbox.add(c, rows, created_ns=NOW_NS))

    async def due(self, recipient: str, *, now_ns: int, limit: int) -> Sequence[DueRow]:
        return await self._database.transact(lambda c: outbox.due(c, recipient, now_ns=now_ns, limit=limit))

    async def delivered(self, ids: Sequence[int], *, at_ns: int) -> None:
        await self._database.transact(lambda c: outbox.delivered(c, ids, at_ns=at_ns))
        self.changed.set()

    async def postponed(self, row: int, *, next_attempt_ns: int) -> None:
        await self._database.transact(lambda c: outbox.postponed(c, row, next_attempt_ns=next_attempt_ns))
        self.changed.set()

    async def failed(self, row: int, *, reason: str) -> None:
        await self._database.transact(lambda c: outbox.failed(c, row, reason=reason))
        self.changed.set()

    async def backlog(self, recipient: str) -> Backlog:
        found = await self._database.transact(lambda c: outbox.backlog(c, recipient))
        return Backlog(found.pending, found.oldest_ns)

    async def emptied(self, recipient: str) -> None:
        """Wait until nothing is pending."""
        async with asyncio.timeout(WAIT_S):
            while True:
                self.changed.clear()
                if not (await self.backlog(recipient)).pending:
                    return
                await self.changed.wait()


def mqtt_recipient(**changes: object) -> Recipient:
    return replace(Recipient(name="ioc", kind="mqtt", source="urn:citylight:test"), **changes)


def webhook_recipient(**changes: object) -> Recipient:
    return replace(Recipient(name="hook", kind="webhook", source="urn:citylight:test"), **changes)


@contextlib.asynccontextmanager
async def running(*jobs: Callable[[], object]) -> AsyncIterator[None]:
    """Run coroutines in the background; cancelled at the end, their failures raised."""
    tasks = [asyncio.ensure_future(job()) for job in jobs]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
