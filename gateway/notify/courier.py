"""Carries outbox rows to one recipient. In: rows that are due. Out: deliveries, and what became of each row.

Keeps the order of the outbox, waits longer after each failure, and says only once that a recipient is away
or back. Never drops a row: it is delivered, refused for good with a reason, or still due. A kill repeats
``UNNOTED_MAX`` deliveries at most.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import DeliveryError
from gateway.failpoints import Failpoint, passing

log = logging.getLogger("citylight.notify")

ROWS_MAX: Final = 100
FAILURES_IN_A_ROW_MAX: Final = 2
"""One row may be at fault; after two in a row it is the recipient, and the rest of the round is spared."""
DOUBLINGS_MAX: Final = 32
UNNOTED_MAX: Final = 10
"""Deliveries noted in one transaction: each waits for the disk, and the next alarm would wait for it."""
UNNOTED_S_MAX: Final = 0.1
"""A slow recipient's do not wait for more of them."""
POLL_S: Final = 5.0
"""Rows are announced by ``wake``; this often it looks by itself, for rows that were postponed."""


class Row(Protocol):
    """A row of the outbox that is due."""

    @property
    def id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def retain(self) -> bool: ...
    @property
    def attempts(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one recipient; ``oldest_ns`` is None when nothing does."""

    pending: int
    oldest_ns: int | None


class Outbox(Protocol):
    """The durable queue; times are wall-clock ns."""

    async def due(self, recipient: str, *, now_ns: int, limit: int) -> Sequence[Row]:
        """Rows to try now, in order; of each alarm only the first that is pending."""
        ...

    async def delivered(self, ids: Sequence[int], *, at_ns: int) -> None: ...

    async def postponed(self, row: int, *, next_attempt_ns: int) -> None: ...

    async def failed(self, row: int, *, reason: str) -> None: ...

    async def backlog(self, recipient: str) -> Backlog: ...


class Carrier(Protocol):
    """One way to a recipient. ``error`` says what keeps it from delivering anything, empty if nothing."""

    @property
    def error(self) -> str: ...

    async def deliver(self, row: Row) -> None:
        """Return when the recipient has taken the row; DeliveryError says whether to try again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CourierOptions:
    """Back-off in real seconds: doubled after each failure, between half and the whole of it at random."""

    retry_s_min: float = 1.0
    retry_s_max: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_s_min <= self.retry_s_max:
            raise ValueError("retry_s_min must be positive and at most retry_s_max")


@dataclass(frozen=True, slots=True)
class CourierFigures:
    """``error`` is empty while the recipient takes what it is given."""

    pending: int
    oldest_age_s: float
    delivered: int
    failed: int
    error: str


class Courier:
    """One per recipient; ``run`` until cancelled."""

    def __init__(
        self, recipient: str, outbox: Outbox, carrier: Carrier, clock: Clock, options: CourierOptions
    ) -> None:
        self.recipient = recipient
        self._outbox = outbox
        self._carrier = carrier
        self._clock = clock
        self._options = options
        self._woken = asyncio.Event()
        self._unnoted: list[int] = []  # bounded: by UNNOTED_MAX
        self._unnoted_ns = 0
        self._failures = 0  # in a row
        self._pause_s = 0.0
        self._delivered = 0
        self._failed = 0
        self._error = ""

    def wake(self) -> None:
        """New rows were committed."""
        self._woken.set()

    async def figures(self) -> CourierFigures:
        backlog = await self._outbox.backlog(self.recipient)
        oldest_ns, error = backlog.oldest_ns, self._error or self._carrier.error
        age_s = 0.0 if oldest_ns is None else max(0.0, (self._clock.wall_ns() - oldest_ns) / 1e9)
        return CourierFigures(backlog.pending, age_s, self._delivered, self._failed, error)

    async def run(self) -> None:
        """Deliver rows as they fall due, for ever."""
        try:
            while True:
                self._woken.clear()
                rows = await self._outbox.due(self.recipient, now_ns=self._clock.wall_ns(), limit=ROWS_MAX)
                in_a_row = 0
                for row in rows:
                    in_a_row = 0 if await self._carry(row) else in_a_row + 1
                    if in_a_row == FAILURES_IN_A_ROW_MAX:
                        break
                await self._note()
                if self._failures:
                    await asyncio.sleep(self._pause_s)
                elif not rows:
                    await self._wait()
        except asyncio.CancelledError:
            await self._note()
            raise

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _carry(self, row: Row) -> bool:
        """Whether the recipient answered for this row, be it by refusing it for good."""
        try:
            await self._carrier.deliver(row)
        except DeliveryError as error:
            if error.retryable:
                await self._postpone(row, error)
                return False
            self._failed += 1
            log.error("%s refused %s for good: %s", self.recipient, row.key, error)
            await self._outbox.failed(row.id, reason=str(error))
            return True
        passing(Failpoint.DELIVERED)
        self._delivered += 1
        self._failures = 0
        if self._error:
            log.info("%s takes alarms again", self.recipient)
            self._error = ""
        now_ns = self._clock.monotonic_ns()
        self._unnoted_ns = self._unnoted_ns if self._unnoted else now_ns
        self._unnoted.append(row.id)
        if len(self._unnoted) == UNNOTED_MAX or now_ns - self._unnoted_ns > UNNOTED_S_MAX * 1e9:
            await self._note()
        return True

    async def _note(self) -> None:
        """Write down what was delivered."""
        if self._unnoted:
            await self._outbox.delivered(tuple(self._unnoted), at_ns=self._clock.wall_ns())
            self._unnoted.clear()

    async def _postpone(self, row: Row, error: DeliveryError) -> None:
        if not self._error:
            log.warning("%s does not take alarms: %s", self.recipient, error)
        self._error = str(error)
        self._failures += 1
        asked_s = min(error.retry_after_s or 0.0, self._options.retry_s_max)
        self._pause_s = max(asked_s, self._backoff_s(self._failures))
        wait_s = max(asked_s, self._backoff_s(row.attempts + 1))
        now_ns = self._clock.wall_ns()
        await self._outbox.postponed(row.id, next_attempt_ns=now_ns + round(wait_s * 1e9))

    def _backoff_s(self, failures: int) -> float:
        doublings = min(failures - 1, DOUBLINGS_MAX)
        longest = min(self._options.retry_s_max, self._options.retry_s_min * 2.0**doublings)
        return longest * random.uniform(0.5, 1.0)
