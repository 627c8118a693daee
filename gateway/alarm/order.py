"""Which readings are new, and in which order a device's readings are taken. In: columns. Out: rows.

Never keeps state; the latest judged time per device comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from gateway.model import Bools, Int32s, Int64s, ReadingBatch

Scalar = TypeVar("Scalar", np.int64, np.float64)


TWIN_NS: Final = 1_000_000
"""A reading that came twice is stored a few nanoseconds apart; two samples of one millisecond are one."""


def live_in_order(batch: ReadingBatch, latest_ns: Int64s) -> tuple[Int64s, bool]:
    """Rows that are neither replayed nor late, int64, ascending; and whether no device is known to repeat.

    Late: by its device's clock not after every earlier time of that clock, in ``latest_ns`` [devices] or the
    batch. Two clocks can not be compared, so a reading at its receive time is never late and makes none late:
    otherwise one hour of a wrong clock of ours would silence a device until that time has really come.
    """
    if _plainly_live(batch, latest_ns):
        return np.arange(len(batch)), True
    rows = np.flatnonzero(~batch.replayed)
    own = np.flatnonzero(batch.time_from_device[rows])
    device, time_ms = batch.device[rows[own]], batch.time_ns[rows[own]] // TWIN_NS
    newer: Bools = time_ms > latest_ns[device] // TWIN_NS
    order = np.argsort(device, kind="stable")
    by_device = device[order]
    again = by_device[1:] == by_device[:-1]
    repeats = bool(again.any())
    if repeats:
        newer[order] &= _above_all_before(time_ms[order], np.concatenate(([False], again)))
    alone = not repeats and len(own) == len(rows)
    if alone and newer.all():
        return rows, alone
    live = np.ones(len(rows), dtype=np.bool_)
    live[own] = newer
    return rows[live], alone


def _plainly_live(batch: ReadingBatch, latest_ns: Int64s) -> bool:
    """Whether each reading is of another device, by its clock and after its last one: mostly so."""
    if np.count_nonzero(batch.replayed) or np.count_nonzero(batch.time_from_device) < len(batch):
        return False
    if np.count_nonzero(batch.time_ns >= latest_ns[batch.device] + TWIN_NS) < len(batch):
        return False
    return all_different(batch.device)


def all_different(device: Int32s) -> bool:
    """Whether no device repeats."""
    ordered = np.sort(device)
    return not np.count_nonzero(ordered[1:] == ordered[:-1])


def _above_all_before(time_ns: Int64s, again: Bools) -> Bools:
    """Whether each time is above all before it in its segment; ``again`` is False where a segment starts."""
    rank = np.unique(time_ns, return_inverse=True)[1]
    segment = np.cumsum(~again)
    key = segment * (len(time_ns) + 1) + rank  # any key of a segment is above every key of the one before
    above = np.ones(len(key), dtype=np.bool_)
    above[1:] = key[1:] > np.maximum.accumulate(key)[:-1]
    return above


def exchange(
    memory: npt.NDArray[Scalar], row: Int32s, now: npt.NDArray[Scalar], *, distinct: bool = False
) -> npt.NDArray[Scalar]:
    """What each reading's ``row`` of ``memory`` last held before it; ``now`` takes its place, in order."""
    before = memory.take(row, axis=0)
    if distinct:
        memory[row] = now
        return before
    order = np.argsort(row, kind="stable")
    by_row = row[order]
    again = np.flatnonzero(by_row[1:] == by_row[:-1])
    before[order[again + 1]] = now[order[again]]
    last = np.ones(len(row), dtype=np.bool_)
    last[order[again]] = False
    memory[row[last]] = now[last]
    return before


def occurrences(device: Int32s) -> Iterator[Int64s]:
    """Positions of the first reading of each device, then of the second, ...; each round ascending."""
    if all_different(device):
        yield np.arange(len(device))
        return
    order = np.argsort(device, kind="stable")
    by_device = device[order]
    start = np.concatenate(([True], by_device[1:] != by_device[:-1]))
    position = np.arange(len(order))
    number = np.empty(len(order), dtype=np.int64)
    number[order] = position - np.maximum.accumulate(np.where(start, position, 0))
    by_round = np.argsort(number, kind="stable")
    yield from np.split(by_round, np.cumsum(np.bincount(number))[:-1])
