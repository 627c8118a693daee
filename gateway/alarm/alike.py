"""Lamps that fail alike. In: what lamps have shown of themselves. Out: groups in which one cause does it.

Several lamps of one phase that cycle have a joint or contactor in common, many of one type that are off the
same way an entry of the inventory (field notes 3). A function of the memories alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from gateway.alarm.circuits import Circuits
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.group import TYPE, Group
from gateway.alarm.lamp_memory import LampMemory
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Int32s, Int64s

CYCLING: Final = "cyclingFailure"
INVALID_TYPE: Final = "invalidLampType"
ALIKE: Final = frozenset({CYCLING, INVALID_TYPE})
CLEAR_SHARE: Final = 0.5  # of the share that raises: fewer, and the type is in order

_NOBODY: Final = np.empty(0, dtype=np.int32)
Found = tuple[str, Group, Int32s]
"""Type of alarm, the group, rows of the devices concerned."""


class Alike:
    """Looked at as often as other groups; costs a few comparisons while nothing is wrong."""

    def __init__(self, fleet: Fleet, circuits: Circuits, evaluator: Evaluator, options: AlarmOptions) -> None:
        self._circuits, self._evaluator, self._options = circuits, evaluator, options
        numbers = {kind.id: number for number, kind in enumerate(fleet.luminaire_types)}
        kind = fleet.asset_table.words("luminaire_type")
        of = kind.spread((numbers.get(name, BENCH) for name in kind.words), np.int32)
        self._type_of: Int32s = np.append(of, np.int32(BENCH))  # the last is that of the bench
        self._types = len(numbers)
        self._circuit_of: Int32s = np.append(circuits.of_asset, np.int32(BENCH))
        self._concluded: tuple[int, ...] = ()
        self._off: list[tuple[int, Int32s]] = []

    def look(self) -> Iterator[Found]:
        """What many have in common now."""
        rows = self._cycling()
        if len(rows) >= self._options.members_min:
            circuit = self._circuit(rows)
            count = np.bincount(circuit[circuit != BENCH], minlength=len(self._circuits))
            for group in self._rolled_up(count >= self._options.members_min):
                yield CYCLING, group, rows[np.isin(circuit, group.circuits)]
        for number, rows in self._off_types(self._options.type_share):
            yield INVALID_TYPE, Group(TYPE, number, ()), rows

    def is_over(self, kind: str, group: Group) -> bool:
        """Whether too few of the group are left."""
        if kind == INVALID_TYPE:
            share = CLEAR_SHARE * self._options.type_share
            return all(number != group.number for number, _ in self._off_types(share))
        left = int(np.count_nonzero(np.isin(self._circuit(self._cycling()), group.circuits)))
        return left < self._options.members_min

    def _memories(self) -> Iterator[LampMemory]:
        for name in sorted(self._evaluator.memories):
            yield self._evaluator.memories[name]

    def _circuit(self, rows: Int32s) -> Int32s:
        """Where devices hung when conclusions were drawn."""
        where = np.full(len(self._evaluator.local), BENCH, dtype=np.int32)
        for memory in self._memories():
            where[memory.devices] = memory.asset
        return self._circuit_of[where[rows]]

    def _cycling(self) -> Int32s:
        found = [memory.devices[memory.cycling] for memory in self._memories() if len(memory.cycling)]
        return np.concatenate([_NOBODY, *found])

    def _rolled_up(self, hit: Bools) -> Iterator[Group]:
        """Circuits, or their feeder where all of it is."""
        c = self._circuits
        for feeder in sorted(c.of_feeders(np.flatnonzero(hit).tolist())):
            own: Int64s = np.flatnonzero(c.feeder == feeder)
            if len(own) > 1 and hit[own].all():
                yield Group("feeder", feeder, tuple(own.tolist()))
            else:
                yield from (Group("circuit", n, (n,)) for n in own[hit[own]].tolist())

    def _off_types(self, share: float) -> Iterator[tuple[int, Int32s]]:
        """(type, devices) of which at least ``share`` of those that are known are off the same way."""
        if not self._types:
            return
        concluded = tuple(memory.concluded for memory in self._evaluator.memories.values())
        if concluded != self._concluded:
            self._concluded, self._off = concluded, [self._one_type(n) for n in range(self._types)]
        for number, (known, devices) in enumerate(self._off):
            if len(devices) >= max(self._options.members_min, share * known):
                yield number, devices

    def _one_type(self, number: int) -> tuple[int, Int32s]:
        """How many lamps of a type are known, and the devices of those that are off the commoner way."""
        known, off = 0, {1: [_NOBODY], -1: [_NOBODY]}
        for memory in self._memories():
            own = self._type_of[memory.asset] == number
            known += int(np.count_nonzero(own & ~np.isnan(memory.factor)))
            for way, rows in off.items():
                rows.append(memory.devices[own & (memory.off == way)])
        high, low = (np.concatenate(rows) for rows in off.values())
        return known, high if len(high) >= len(low) else low
