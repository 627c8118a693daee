"""The light plans of a whole city. In: the fleet, the sky. Out: the plan of each asset, as far as asked.

Assets with the same programme, the same kind of feeder and the same faults of supply share one plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from gateway.fleet import Fleet, Programme
from gateway.model import Bools, Int32s, Int64s
from simulators.astronomy import DAY_NS, Sky
from simulators.fault import DARKENING, LIGHTING, Fault
from simulators.light_plan import LightPlan, Windows, light_plan

_NONE = Programme("")  # cabinets and sensors: never looked at as lamps


_Key = tuple[str, bool, Windows, Windows]


class Plans:
    """Plan per asset row, with faults of supply; ``cover`` extends them before a later time is asked for."""

    def __init__(self, fleet: Fleet, sky: Sky, start_ns: int, faults: Sequence[Fault] = ()) -> None:
        self._sky = sky
        self._first = sky.local_day(start_ns) - timedelta(days=2)
        self._programmes = fleet.programme_by_id
        dark = _windows(faults, DARKENING)
        live = _windows(faults, LIGHTING)
        keys: list[_Key] = [
            (asset.programme, bool(switched), tuple(dark.get(row, ())), tuple(live.get(row, ())))
            for row, (asset, switched) in enumerate(zip(fleet.assets, fleet.group_switched, strict=True))
        ]
        undisturbed: list[_Key] = [(programme, switched, (), ()) for programme, switched, _, _ in keys]
        self._keys = sorted({*keys, *undisturbed})
        number = {key: n for n, key in enumerate(self._keys)}
        self._plan_of = np.array([number[key] for key in keys], dtype=np.int32)
        self._nominal_of = np.array([number[key] for key in undisturbed], dtype=np.int32)
        self._plans: list[LightPlan] = []
        self._until_ns = 0
        self.cover(start_ns)

    def __len__(self) -> int:
        """How many assets there are."""
        return len(self._plan_of)

    def cover(self, until_ns: int) -> None:
        """Extend all plans so that they hold until ``until_ns``; what was before stays as it was."""
        if until_ns < self._until_ns:
            return
        days = (self._sky.local_day(until_ns) - self._first).days
        nights = days + 8
        self._plans = [
            light_plan(
                self._programmes.get(name, _NONE), switched, self._sky, self._first, nights, dark, live
            )
            for name, switched, dark, live in self._keys
        ]
        self._until_ns = until_ns + 6 * DAY_NS

    def of(self, rows: Int32s) -> Iterator[tuple[LightPlan, Int64s]]:
        """Each plan with the positions in ``rows`` it serves."""
        plan_of = self._plan_of[rows]
        order = np.argsort(plan_of, kind="stable")
        ends = np.flatnonzero(np.diff(plan_of[order], append=-1))
        start = 0
        for end in (ends + 1).tolist():
            yield self._plans[plan_of[order[start]]], order[start:end]
            start = end

    def at(self, row: int) -> LightPlan:
        return self._plans[int(self._plan_of[row])]

    def nominal(self, row: int) -> LightPlan:
        """What was meant to be, without faults."""
        return self._plans[int(self._nominal_of[row])]

    def supplied(self, rows: Int32s, time_ns: Int64s) -> Bools:
        """bool[n]: the asset has power then."""
        supplied = np.zeros(len(rows), dtype=np.bool_)
        for plan, at in self.of(rows):
            supplied[at] = plan.supply.at(time_ns[at]) > 0
        return supplied

    def powered_ns(self, rows: Int32s, time_ns: Int64s) -> Int64s:
        """When the asset's power last came; int64[n]."""
        powered = np.empty(len(rows), dtype=np.int64)
        for plan, at in self.of(rows):
            powered[at] = plan.supply.risen_ns(time_ns[at])
        return powered


def _windows(faults: Sequence[Fault], kinds: frozenset[str]) -> dict[int, list[tuple[int, int]]]:
    windows: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for fault in sorted(faults, key=lambda fault: fault.from_ns):
        if fault.kind in kinds:
            for row in fault.assets.tolist():
                windows[row].append((fault.from_ns, fault.to_ns))
    return dict(windows)
