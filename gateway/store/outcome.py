"""What every store promises. In: nothing. Out: the outcome of a write and the Protocol the spine talks to.

Never does IO; ``influx`` and ``embedded`` fulfil it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.fleet import Fleet
from gateway.model import Counts, ReadingBatch, Reject

Value = float | int | bool | str
Sample = tuple[int, Value]
"""(time in ns UTC, value): enums as their label."""


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """How a write ended. With ``pause`` set nothing counts as taken: hand in the same batches again.

    ``stored`` readings are in the store, ``rejects`` (stage "store", payload = the line, detail = the
    server's words) never will be. ``pause`` says why the cursor must stay, ``retry_after_s`` for how long.
    ``thrown_away`` rows were dropped by the server although it answered "written" (VictoriaMetrics, since
    the last look); ``collisions`` readings share device and millisecond with another one there.
    """

    stored: int = 0
    rejects: tuple[Reject, ...] = ()
    pause: str | None = None
    retry_after_s: float | None = None
    thrown_away: int = 0
    collisions: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a store that owns its cursor stands: next journal sequence, readings stored, counts so far."""

    cursor: int
    stored: int
    counts: Counts


class Store(Protocol):
    """A place for readings. ``owns_cursor``: the cursor moves in the same transaction as the readings."""

    owns_cursor: bool

    async def position(self) -> Position | None:
        """Where to go on reading; None when the store owns no cursor (it is in state.db then)."""
        ...

    async def probe(self) -> None:
        """Prove once that what is written can be read back with its time. Raises StoreError."""
        ...

    async def write(
        self, batches: Sequence[ReadingBatch], *, fleet: Fleet, cursor: int, counts: Counts
    ) -> WriteOutcome:
        """Store ``batches``, whose device rows are ``fleet``'s.

        ``cursor`` is the next journal sequence after them, ``counts`` the totals up to there.
        """
        ...

    async def history(
        self, device: str, field: str, start_ns: int, end_ns: int, every_s: float | None = None
    ) -> list[Sample]:
        """Samples of one field in [start, end) by time. Raises StoreError.

        With ``every_s``: one per window that holds any, at the window's start (windows are multiples of
        ``every_s`` since 1970): the mean of a float or integer field, the last value of any other.
        """
        ...

    async def health(self) -> str | None:
        """None when well, else one line that says what is wrong."""
        ...

    async def close(self) -> None: ...
