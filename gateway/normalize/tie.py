"""Two readings of a device in one nanosecond: the later is moved to the next free one.

In: device rows and times in journal order. Out: times no two of which are equal for a device, as far as its
latest ``RING`` distinct times reach. A function of the order alone, however it is cut into batches.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import Bools, Int32s, Int64s

RING: Final = 8
_NEVER: Final = -(2**62)


class TieBreak:
    """Per device a ring of the latest time spans [start, start + taken); the next one goes behind."""

    def __init__(self, devices: int) -> None:
        self._start = np.full((devices, RING), _NEVER, dtype=np.int64)
        self._taken = np.zeros((devices, RING), dtype=np.int32)
        self._next = np.zeros(devices, dtype=np.int8)
        self._latest = np.full(devices, _NEVER, dtype=np.int64)  # no span of the device reaches beyond

    def rearranged(self, before: Int32s) -> TieBreak:
        """What is known, for other rows: ``before`` int32[devices] is the row each had here, -1 for none."""
        ties = TieBreak(len(before))
        known = before >= 0
        ties._start[known] = self._start[before[known]]
        ties._taken[known] = self._taken[before[known]]
        ties._next[known] = self._next[before[known]]
        ties._latest[known] = self._latest[before[known]]
        return ties

    def distinct(self, device: Int32s, time_ns: Int64s) -> Int64s:
        """int64[n]: the times to store, in the order given."""
        in_order = np.sort(device)
        twice = in_order[1:][in_order[1:] == in_order[:-1]]
        back = time_ns < self._latest[device]
        if not len(twice) and not back.any():
            self._enter(device, time_ns)
            return time_ns
        # A device that comes once, and later than all before, has no tie: what is left is looked at closely.
        close = np.isin(device, np.concatenate((twice, device[back])))
        self._enter(device[~close], time_ns[~close])
        moved = time_ns.copy()
        moved[close] = self._looked_at(device[close], time_ns[close])
        return moved

    def _enter(self, device: Int32s, time_ns: Int64s) -> None:
        """Readings of devices that are all different, each later than all its device had before."""
        slot = self._next[device]
        self._start[device, slot], self._taken[device, slot] = time_ns, 1
        self._latest[device] = time_ns + 1
        self._next[device] = (slot + 1) % RING

    def _looked_at(self, device: Int32s, time_ns: Int64s) -> Int64s:
        n = len(device)
        order = np.lexsort((time_ns, device))
        d, t = device[order], time_ns[order]
        tied = np.zeros(n, dtype=np.bool_)
        tied[order[1:]] = (d[1:] == d[:-1]) & (t[1:] == t[:-1])
        after_ns = time_ns[:, None] - self._start[device]
        tied |= ((after_ns >= 0) & (after_ns < self._taken[device])).any(axis=1)
        if not tied.any():
            self._take(device, time_ns)
            return time_ns
        # Exact, reading by reading, but only for the devices that have a tie in this batch.
        among = np.isin(device, device[tied])
        self._take(device[~among], time_ns[~among])
        moved = time_ns.copy()
        for position in np.flatnonzero(among).tolist():
            moved[position] = self._one(int(device[position]), int(time_ns[position]))
        return moved

    def _take(self, device: Int32s, time_ns: Int64s) -> None:
        """Enter readings without ties: of each device the latest RING in journal order."""
        order = np.argsort(device, kind="stable")
        d, t = device[order], time_ns[order]
        n = len(d)
        if n == 0:
            return
        starts = np.ones(n, dtype=np.bool_)
        starts[1:] = d[1:] != d[:-1]
        first = np.flatnonzero(starts)
        counts = np.diff(first, append=n)
        rank = np.arange(n) - np.repeat(first, counts)
        late: Bools = rank >= np.repeat(counts, counts) - RING
        slot = (self._next[d] + rank) % RING
        self._start[d[late], slot[late]] = t[late]
        self._taken[d[late], slot[late]] = 1
        np.maximum.at(self._latest, d, t + 1)
        self._next[d[first]] = (self._next[d[first]] + counts) % RING

    def _one(self, row: int, time_ns: int) -> int:
        starts = self._start[row].tolist()
        ends = [start + taken for start, taken in zip(starts, self._taken[row].tolist(), strict=True)]
        for slot in range(RING):
            if starts[slot] <= time_ns < ends[slot]:
                free = ends[slot]
                while (other := _span_at(starts, ends, free)) >= 0:
                    free = ends[other]
                self._taken[row, slot] = free + 1 - starts[slot]
                self._latest[row] = max(int(self._latest[row]), free + 1)
                return int(free)
        slot = int(self._next[row])
        self._start[row, slot], self._taken[row, slot] = time_ns, 1
        self._latest[row] = max(int(self._latest[row]), time_ns + 1)
        self._next[row] = (slot + 1) % RING
        return time_ns


def _span_at(starts: list[int], ends: list[int], time_ns: int) -> int:
    """The slot whose span holds ``time_ns``, else -1."""
    for slot in range(RING):
        if starts[slot] <= time_ns < ends[slot]:
            return slot
    return -1
