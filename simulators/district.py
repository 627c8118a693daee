"""The light plans of a whole city. In: the fleet, the sky. Out: the plan of each asset, as far as asked.

Assets with the same programme and the same kind of feeder share one plan, so there are a handful.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from gateway.fleet import Fleet, Programme
from gateway.model import Bools, Int32s, Int64s
from simulators.astronomy import DAY_NS, Sky
from simulators.light_plan import LightPlan, light_plan

_NONE = Programme("")  # cabinets and sensors: never looked at as lamps


class Plans:
    """Plan per asset row; ``cover`` extends them before a later time is asked for."""

    def __init__(self, fleet: Fleet, sky: Sky, start_ns: int) -> None:
        self._sky = sky
        self._first = sky.local_day(start_ns) - timedelta(days=2)
        programmes = fleet.programme_by_id
        switched = fleet.group_switched
        keys = [(a.programme, bool(s)) for a, s in zip(fleet.assets, switched, strict=True)]
        self._keys = sorted(set(keys))
        number = {key: n for n, key in enumerate(self._keys)}
        self._plan_of = np.array([number[key] for key in keys], dtype=np.int32)
        self._programmes = [programmes.get(name, _NONE) for name, _ in self._keys]
        self._plans: list[LightPlan] = []
        self._until_ns = 0
        self.cover(start_ns)

    def cover(self, until_ns: int) -> None:
        """Extend all plans so that they hold until ``until_ns``; what was before stays as it was."""
        if until_ns < self._until_ns:
            return
        days = (self._sky.local_day(until_ns) - self._first).days
        nights = days + 8
        self._plans = [
            light_plan(programme, switched, self._sky, self._first, nights)
            for programme, (_, switched) in zip(self._programmes, self._keys, strict=True)
        ]
        self._until_ns = until_ns + 6 * DAY_NS

    def of(self, rows: Int32s) -> Iterator[tuple[LightPlan, Int64s]]:
        """Each plan with the positions in ``rows`` it serves."""
        plan_of = self._plan_of[rows]
        for number, plan in enumerate(self._plans):
            at = np.flatnonzero(plan_of == number)
            if len(at):
                yield plan, at

    def at(self, row: int) -> LightPlan:
        return self._plans[int(self._plan_of[row])]

    def supplied(self, rows: Int32s, time_ns: Int64s) -> Bools:
        """bool[n]: the asset has power then."""
        supplied = np.zeros(len(rows), dtype=np.bool_)
        for plan, at in self.of(rows):
            supplied[at] = plan.supply.at(time_ns[at]) > 0
        return supplied
