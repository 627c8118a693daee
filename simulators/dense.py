"""Many of every fault at once. In: the city, how many of each kind, a span, a seed. Out: faults.

A stage is one cabinet from one noon to the next: it plays at most one fault of a group by night and one by
day, and faults of single lamps only where no group fault plays. None overlap; each lamp is used once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np

from gateway.fleet import Fleet
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Sky
from simulators.dense_sensors import gauges, sensor_faults
from simulators.fault import CABINET, DIMMED, FEEDER, KINDS, LAMP, SENSOR, Fault, Targets
from simulators.scenario import Dense

DIMMED_BELOW = 90.0
OVER_VOLTAGE_V = 60.0  # above every limit also where the evening's grid is low


@dataclass(frozen=True, slots=True)
class Act:
    """From when a kind plays, in hours after ``dusk`` (else dawn) give or take a half, and for how long.

    ``after_nights``: not before so many nights, in which a lamp can show what is normal for it.
    """

    dusk: bool
    after_h: float
    lasts_h: float
    after_nights: int = 0


NIGHT, DAY, FOREIGN = Act(True, 3.0, 6.5), Act(False, 1.5, 2.0), Act(True, 1.5, 6.0)
ACTS = {
    "contactor_open": Act(True, -1.0, 5.0),
    "supply_loss": Act(True, 3.5, 3.0),
    "feeder_trip": Act(True, 3.5, 5.0),
    "phase_loss": Act(True, 3.5, 5.0),
    "dip": Act(True, 4.0, 45.0 / 3600.0),
    "dimming_stuck": Act(True, 2.0, 8.5, after_nights=1),
    "cycling": Act(True, 1.5, 72.0),
    "day_burner": Act(False, 1.5, 5.0),
    "overload": FOREIGN,
    "tap": FOREIGN,
    "crossed_phases": FOREIGN,
    "manual": Act(False, 1.5, 4.0),
    "maintenance": Act(False, 1.5, 1.4),
    "contactor_welded": Act(False, 1.5, 3.0),
    "noon_storm": Act(False, 8.6, 2.0),
    "swap": Act(False, 2.0, 0.75),
    "wrong_clock": Act(True, 3.0, 2.0),
}
"""What is not named plays NIGHT on lamps, DAY elsewhere."""


def dense(fleet: Fleet, settings: Dense, sky: Sky, seed: int, from_ns: int, days: int) -> list[Fault]:
    """As many of each kind as fit, at most ``per_kind``; the truth says how many there are."""
    if not settings.per_kind:
        return []
    stages = _Stages(fleet, sky, Random(f"{seed}/dense"), from_ns, days)
    names = settings.kinds or tuple(KINDS)
    groups = [name for name in names if KINDS[name].on in (CABINET, FEEDER)]
    faults = [fault for name in groups for fault in stages.groups(name, settings.per_kind)]
    for name in (name for name in names if KINDS[name].on not in (CABINET, FEEDER, SENSOR)):
        faults += stages.singles(name, settings.per_kind)
    leaks = [fault for fault in faults if fault.kind in ("leakage", "live_pole")]
    last_ns, own = from_ns + days * DAY_NS, Random(f"{seed}/sensors")
    faults += sensor_faults(fleet, names, settings.per_kind, stages.nights, last_ns, own, leaks)
    return sorted(faults, key=lambda fault: (fault.from_ns, fault.kind, fault.assets.tolist()))


class _Stages:
    def __init__(self, fleet: Fleet, sky: Sky, random: Random, from_ns: int, days: int) -> None:
        self._fleet, self._random, self._targets = fleet, random, Targets(fleet)
        first = sky.local_day(from_ns)
        nights = [sky.night(sky.local_day(from_ns + day * DAY_NS)) for day in range(max(days, 1))]
        assert sky.night(first) == nights[0]
        self.nights = nights
        self._gauges = gauges(fleet)
        self._last_ns = from_ns + days * DAY_NS
        lamps: dict[str, list[int]] = {}
        feeders: dict[str, list[str]] = {}
        for row, asset in enumerate(fleet.assets):
            if asset.kind == LAMP:
                lamps.setdefault(asset.cabinet, []).append(row)
                if asset.feeder not in feeders.setdefault(asset.cabinet, []):
                    feeders[asset.cabinet].append(asset.feeder)
        self._lamps, self._feeders = lamps, feeders
        self._free = {dusk: self._shuffled(dusk) for dusk in (True, False)}
        self._taken: set[tuple[bool, str, int]] = set()
        self._used: set[int] = set()

    def _shuffled(self, dusk: bool) -> list[tuple[str, int]]:
        stages = [
            (cabinet, day)
            for cabinet in sorted(self._lamps)
            for day in range(len(self.nights))
            if self._window(Act(dusk, 4.0, 6.0), day)[1] < self._last_ns
        ]
        self._random.shuffle(stages)
        return stages

    def groups(self, kind: str, count: int) -> Iterator[Fault]:
        """Faults of a cabinet or of one of its feeders, each on a stage of its own."""
        act = ACTS.get(kind, DAY)
        free, kept = self._free[act.dusk], []
        while free and count:
            cabinet, day = free.pop()
            start_ns, end_ns = self._window(act, day)
            on_feeder = KINDS[kind].on == FEEDER
            target = self._random.choice(self._feeders[cabinet]) if on_feeder else cabinet
            phase = self._random.choice("ABC") if kind == "phase_loss" else ""
            if kind == "live_pole" and not self._has_gauge(cabinet):
                kept.append((cabinet, day))
                continue
            try:
                fault = self._targets.fault(kind, target, start_ns, end_ns, phase=phase)
            except ValueError:  # no switched feeder here, or no lamp on that phase
                kept.append((cabinet, day))
                continue
            self._taken.add((act.dusk, cabinet, day))
            count -= 1
            yield fault
        self._free[act.dusk] = kept + free

    def _has_gauge(self, cabinet: str) -> bool:
        """Whether water can be measured at one of its poles that no other leak was drawn for."""
        free = self._gauges.get(cabinet, [])
        return bool(free and free.pop() is not None)

    def singles(self, kind: str, count: int) -> Iterator[Fault]:
        """Faults of single lamps."""
        act = ACTS.get(kind, NIGHT)
        if kind == "noon_storm":
            yield from self._storm(act)
            return
        rows = [row for row, asset in enumerate(self._fleet.assets) if self._fits(kind, row)]
        self._random.shuffle(rows)
        for row in rows:
            days = list(range(len(self.nights)))
            self._random.shuffle(days)
            day = next((day for day in days if self._plays(act, row, day)), None)
            if not count:
                return
            if row in self._used or day is None:
                continue
            self._used.add(row)
            count -= 1
            size = KINDS[kind].by
            if kind == "head_failure":
                size = 1.0 / self._fleet.assets[row].heads
            if kind == "over_voltage":
                size = OVER_VOLTAGE_V
            yield Fault(kind, np.array([row], dtype=np.int32), *self._window(act, day), size)

    def _fits(self, kind: str, row: int) -> bool:
        asset = self._fleet.assets[row]
        switched = bool(self._fleet.group_switched[row])
        if asset.kind != LAMP or self._fleet.programme_by_id[asset.programme].switch == "photocell":
            return False  # photocells have their storm
        if kind == "head_failure":
            return asset.heads > 1
        if kind == "day_burner":
            return not switched
        if KINDS[kind].shows == DIMMED:
            steps = self._fleet.programme_by_id[asset.programme].steps
            return any(0 < level < DIMMED_BELOW for _, level in steps)
        return not any(level <= 0 for _, level in self._fleet.programme_by_id[asset.programme].steps)

    def _plays(self, act: Act, row: int, day: int) -> bool:
        if act.after_nights > day:
            return False
        cabinet = self._fleet.assets[row].cabinet
        span = range(day, day + 1 + int(act.lasts_h // 24))
        whole_days = act.lasts_h >= 24
        parts = (True, False) if whole_days else (act.dusk,)
        busy = any((dusk, cabinet, d) in self._taken for d in span for dusk in parts)
        return not busy and self._window(act, day)[1] + 2 * HOUR_NS < self._last_ns

    def _storm(self, act: Act) -> Iterator[Fault]:
        """One dark afternoon for all photocells that have power by day."""
        programmes = self._fleet.programme_by_id
        rows = [
            row
            for row, asset in enumerate(self._fleet.assets)
            if asset.kind == LAMP
            and programmes[asset.programme].switch == "photocell"
            and not self._fleet.group_switched[row]
        ]
        if rows:
            start_ns, end_ns = self._window(act, 0)
            yield Fault("noon_storm", np.array(rows, dtype=np.int32), start_ns, end_ns, 1.0)

    def _window(self, act: Act, day: int) -> tuple[int, int]:
        dusk_ns, dawn_ns = self.nights[day]
        jitter_ns = self._random.randint(-30 * 60, 30 * 60) * SECOND_NS
        if act.lasts_h * HOUR_NS < MINUTE_NS:
            jitter_ns = self._random.randint(-60, 60) * MINUTE_NS
        start_ns = (dusk_ns if act.dusk else dawn_ns) + int(act.after_h * HOUR_NS) + jitter_ns
        return start_ns, start_ns + int(act.lasts_h * HOUR_NS)
