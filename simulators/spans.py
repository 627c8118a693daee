"""Which faults a sample falls into. In: faults, asset rows, times. Out: hit or not, since when, how much.

Made for thousands of faults: only those of the row are looked at. Faults of a row do not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.fault import Fault


class Hit(NamedTuple):
    """Faults that began before samples: ``position`` of the sample, the fault's window and size."""

    position: Int64s
    from_ns: Int64s
    to_ns: Int64s
    by: Float64s


class Spans:
    """The windows of ``faults`` by asset row, ``rows`` of them; ``on_place``: by the row of their place."""

    def __init__(self, faults: Iterable[Fault], rows: int, *, on_place: bool = False) -> None:
        entries = sorted(
            (row, fault.from_ns, fault.to_ns, fault.by)
            for fault in faults
            for row in ([fault.place] if on_place else fault.assets.tolist())
        )
        row, self._from_ns, self._to_ns = (
            np.array([entry[k] for entry in entries], dtype=np.int64) for k in range(3)
        )
        self._by = np.array([entry[3] for entry in entries], dtype=np.float64)
        self._first = np.searchsorted(row, np.arange(rows))
        self._count = np.bincount(row, minlength=rows) if len(row) else np.zeros(rows, dtype=np.int64)
        self._begin_ns = int(self._from_ns.min()) if entries else None

    def begun(self, rows: Int32s, time_ns: Int64s) -> Iterator[Hit]:
        """The windows that began at or before the samples, each row's first ones first."""
        if self._begin_ns is None or not len(rows) or int(time_ns.max()) < self._begin_ns:
            return
        count = self._count[rows]
        for nth in range(int(count.max())):
            position = np.flatnonzero(count > nth)
            at = self._first[rows[position]] + nth
            begun = self._from_ns[at] <= time_ns[position]
            if not begun.any():
                return
            at, position = at[begun], position[begun]
            yield Hit(position, self._from_ns[at], self._to_ns[at], self._by[at])

    def within(self, rows: Int32s, time_ns: Int64s) -> Iterator[Hit]:
        """The windows that the samples lie in."""
        for hit in self.begun(rows, time_ns):
            inside = time_ns[hit.position] < hit.to_ns
            if inside.any():
                yield Hit(hit.position[inside], hit.from_ns[inside], hit.to_ns[inside], hit.by[inside])

    def size(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """``by`` of the fault a sample lies in, 0 where there is none; float64[n]."""
        size = np.zeros(len(rows))
        for hit in self.within(rows, time_ns):
            size[hit.position] = hit.by
        return size

    def hits(self, rows: Int32s, time_ns: Int64s) -> Bools:
        """bool[n]: the sample lies in one."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for hit in self.within(rows, time_ns):
            found[hit.position] = True
        return found
