"""Counts of time in which a report was due. In: listening time, circuits with power. Out: a count per circle.

A circle is the devices that share profile and circuit, and therefore one count. Never knows a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.alarm.rule import SECOND_NS
from gateway.model import Bools, Int64s

STRETCHES_MAX: Final = 64
STRETCH_DRIFT_NS_MAX: Final = 60 * SECOND_NS
_LONG_NS: Final = 2**61


@dataclass(slots=True)
class Circle:
    """``stretches`` are (counted_ns, wall_ns) at which counting resumed: they turn a count into an instant.

    ``circuit`` is BENCH for what always has power. ``energised_ns`` of a circuit that is not ``switched``
    begins long ago: that it has just been switched on is not to be supposed.
    """

    key: str
    circuit: int
    switched: bool
    interval_ns: int
    counted_ns: int = 0
    energised_ns: int = -1
    stretches: list[tuple[int, int]] = field(default_factory=list)


class Circles:
    """Circles as columns."""

    def __init__(self, circles: Sequence[Circle], settle_ns: int) -> None:
        self._circles = tuple(circles)
        self._settle_ns = settle_ns
        self._stretches = [list(circle.stretches) for circle in circles]
        self._circuit = np.array([circle.circuit for circle in circles], dtype=np.int32)
        self._settled_ns = np.array([settle_ns + c.interval_ns for c in circles], dtype=np.int64)
        began = [_LONG_NS if c.energised_ns < 0 and not c.switched else c.energised_ns for c in circles]
        self._energised_ns: Int64s = np.maximum(np.array(began, dtype=np.int64), 0)
        self.counted_ns: Int64s = np.array([circle.counted_ns for circle in circles], dtype=np.int64)
        # Wall time at count 0, of the last stretch: as long as it holds, no new stretch has begun.
        self._origin_ns: Int64s = np.zeros(len(circles), dtype=np.int64)
        for number in range(len(circles)):
            self._note_origin(number)

    def __len__(self) -> int:
        return len(self._circles)

    def kept(self) -> list[Circle]:
        """The circles with their counts, for a snapshot."""
        return [
            Circle(c.key, c.circuit, c.switched, c.interval_ns, int(count), int(energised), list(stretches))
            for c, count, energised, stretches in zip(
                self._circles, self.counted_ns, self._energised_ns, self._stretches, strict=True
            )
        ]

    def restore(self, kept: Iterable[Circle]) -> None:
        """Take up the counts of circles of the same key."""
        known = {circle.key: circle for circle in kept}
        for number, circle in enumerate(self._circles):
            if circle.key in known:
                before = known[circle.key]
                self.counted_ns[number], self._energised_ns[number] = before.counted_ns, before.energised_ns
                self._stretches[number] = list(before.stretches)
                self._note_origin(number)

    def drawn_anew(self, circles: Sequence[Circle]) -> Circles:
        """``circles`` with the counts of those that were here."""
        new = Circles(circles, self._settle_ns)
        new.restore(self.kept())
        return new

    def advance(self, elapsed_ns: int, wall_ns: int, powered: Bools) -> None:
        """``elapsed_ns`` passed up to ``wall_ns``; ``powered`` bool[circuits]."""
        on = np.append(powered, True)[self._circuit]  # BENCH, -1, is the last
        before = np.where(on, self._energised_ns, 0)
        after = np.where(on, before + elapsed_ns, 0)
        counted = np.where(on, after - np.maximum(before, np.minimum(self._settled_ns, after)), 0)
        self._energised_ns = np.minimum(after, _LONG_NS)
        begun = wall_ns - counted - self.counted_ns
        fresh = (counted > 0) & (np.abs(begun - self._origin_ns) > STRETCH_DRIFT_NS_MAX)
        for number in np.flatnonzero(fresh).tolist():
            stretch = int(self.counted_ns[number]), int(wall_ns - counted[number])
            self._stretches[number].append(stretch)
            del self._stretches[number][:-STRETCHES_MAX]
            self._note_origin(number)
        self.counted_ns = self.counted_ns + counted

    def wall_at(self, number: int, counted_ns: int) -> int:
        """The instant at which a circle's count stood at ``counted_ns``, or the oldest one known."""
        for start, wall_ns in reversed(self._stretches[number]):
            if counted_ns >= start:
                return wall_ns + counted_ns - start
        return self._stretches[number][0][1]

    def _note_origin(self, number: int) -> None:
        if self._stretches[number]:
            count, wall_ns = self._stretches[number][-1]
            self._origin_ns[number] = wall_ns - count
