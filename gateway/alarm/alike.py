"""Lamps that fail alike. In: what lamps have shown of themselves. Out: groups in which one cause does it.

Several lamps of one phase that cycle have a joint or contactor in common, many of one type that are off the
same way an entry of the inventory (field notes 3). A function of the memories and the rules' state alone.
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
TOO_HIGH, TOO_LOW = "lampPowerTooHigh", "lampPowerTooLow"
CLEAR_SHARE: Final = 0.5  # of the share that raises: fewer, and the type is in order

Found = tuple[str, Group, Int32s]
"""Type of alarm, the group, rows of the devices concerned."""


class Alike:
    """Looked at as often as other groups; costs a few comparisons while nothing is wrong."""

    def __init__(self, fleet: Fleet, circuits: Circuits, evaluator: Evaluator, options: AlarmOptions) -> None:
        self._circuits, self._evaluator, self._options = circuits, evaluator, options
        numbers = {kind.id: number for number, kind in enumerate(fleet.luminaire_types)}
        of = [numbers.get(asset.luminaire_type, BENCH) for asset in fleet.assets]
        self._type_of: Int32s = np.array([*of, BENCH], dtype=np.int32)  # the last is that of the bench
        self._types = len(numbers)
        self._circuit_of: Int32s = np.append(circuits.of_asset, np.int32(BENCH))
        self._rated_w = np.append(fleet.rated_power_w, 0.0)

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
        return np.concatenate([np.empty(0, dtype=np.int32), *found])

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
        if not self._types or not self._evaluator.memories:
            return
        known, high, low, device, of = self._power()
        for number in range(self._types):
            own = of == number
            way = max((high & own, low & own), key=np.count_nonzero)
            count, all_known = np.count_nonzero(way), np.count_nonzero(known & own)
            if count >= self._options.members_min and count >= share * all_known:
                yield number, device[way]

    def _power(self) -> tuple[Bools, Bools, Bools, Int32s, Int32s]:
        """(known, too high, too low, device, type) of each lamp, against its type or against itself."""
        columns: list[tuple[Bools, Bools, Bools, Int32s, Int32s]] = []
        tolerance = self._options.learned_tolerance
        for name, memory in sorted(self._evaluator.memories.items()):
            off = np.nan_to_num(memory.factor, nan=1.0) - 1.0
            told = np.abs(off) * self._rated_w[memory.asset] >= self._options.meter_guard_w
            high = self._raised(name, TOO_HIGH) | (told & (off > tolerance))
            low = self._raised(name, TOO_LOW) | (told & (off < -tolerance))
            of = self._type_of[memory.asset]
            columns.append((~np.isnan(memory.factor), high, low, memory.devices, of))
        known, high, low, device, of = (np.concatenate(column) for column in zip(*columns, strict=True))
        return known, high, low, device, of

    def _raised(self, profile: str, kind: str) -> Bools:
        rules = self._evaluator.tables[profile].rules
        own = [column for column, rule in enumerate(rules) if rule.type == kind]
        raised: Bools = np.any(self._evaluator.states[profile].raised[:, own], axis=1)
        return raised
