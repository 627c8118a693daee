"""All luminaires of the city as arrays. In: which lamps, when, faults. Out: what their controllers measure.

Every value is a function of (lamp, time): counters are integrals of the light plan with the faults' windows
cut out or added. ``n`` is the number of samples asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.astronomy import HOUR_NS, SECOND_NS, Sky
from simulators.district import Plans
from simulators.fault import Fault
from simulators.gear import Gear
from simulators.grid import Grid
from simulators.light_plan import load_at
from simulators.noise import Noise
from simulators.scenario import Electrical, Scenario
from simulators.spans import Hit, Spans

_STANDBY, _SPREAD, _METER, _DROP, _AGE, _READ, _FLAG, _KEPT, _CONSTANT, _LOW, _TEST = range(
    110, 121
)  # channels of noise
_PF_LEVEL, _PF = (0.0, 10.0, 50.0, 100.0), (0.36, 0.62, 0.88, 0.96)
_STANDBY_VA = 3.2  # apparent power of a dark driver
_LOW_LOAD = 0.2  # below this share of full load a meter is as bad as it can be
_LIFE_H = 60_000.0  # over which a constant-light driver goes from 80 to 100 %
_TEST_LEVELS = (100.0, 50.0, 5.0, 100.0, 0.0)
_TEST_STEP_NS = 30 * SECOND_NS

LOADS: Mapping[str, tuple[float, float, float]] = {
    "lamp_failure": (-1.0, 0.0, 0.0),
    "head_failure": (-1.0, 0.0, 0.0),
    "power_low": (-1.0, 0.0, 0.0),
    "power_high": (1.0, 0.0, 0.0),
    "dimming_stuck": (-1.0, 1.0, 0.0),
    "day_burner": (0.0, -1.0, 1.0),
    "noon_storm": (0.0, -1.0, 1.0),
    "gear_failure": (-1.0, 0.0, 0.0),
    "relay_open": (-1.0, 0.0, 0.0),
    "relay_welded": (0.0, -1.0, 1.0),
    "led_string": (-1.0, 0.0, 0.0),
    "thermal_shutdown": (-1.0, 0.0, 0.0),
    "derating": (-1.0, 0.0, 0.0),
}
"""What a fault of size 1 adds to the load, in parts of (load, lit, supply); integrals follow the same law."""


class Luminaires:
    """``rows`` are asset rows of the fleet; what stands in rows that are no lamp is never used."""

    NAMES = (
        "dimming_level",
        "supply_voltage",
        "supply_current",
        "active_power",
        "power_factor",
        "active_energy",
        "frequency",
        "lamp_operating_hours",
        "switch_on_counter",
        "controller_temperature",
        "gear_temperature",
        "lamp_failure",
        *Gear.NAMES,
    )

    def __init__(
        self,
        fleet: Fleet,
        plans: Plans,
        grid: Grid,
        sky: Sky,
        noise: Noise,
        faults: Sequence[Fault],
        practice: Scenario | None = None,
    ) -> None:
        self._plans, self._grid, self._sky, self._noise = plans, grid, sky, noise
        electrical = Electrical(0.0, 0.01, 0.01, 0.0, 0.0) if practice is None else practice.electrical
        self._electrical = electrical
        rows = np.arange(len(fleet.assets))
        self._standby_w = noise.between(0.8, 1.5, _STANDBY, rows)
        self._age_h = noise.between(500.0, 15_000.0, _AGE, rows)
        constant = noise.uniform(_CONSTANT, rows) < electrical.constant_light_share
        share = np.where(constant, 0.8 + 0.2 * self._age_h / _LIFE_H, 1.0)
        self._rated_w = fleet.rated_power_w * noise.between(0.95, 1.05, _SPREAD, rows) * share
        self._gain = noise.between(-1.0, 1.0, _METER, rows)
        self._kept_h = noise.between(0.0, electrical.rollback_h_max, _KEPT, rows)
        tests = 0.0 if practice is None else practice.dusk.self_test_share
        self._tests: Bools = noise.uniform(_TEST, rows) < tests
        cabinets = {cabinet.id: row for row, cabinet in enumerate(fleet.cabinets)}
        self.cabinet = np.array([cabinets.get(a.cabinet, -1) for a in fleet.assets], dtype=np.int64)
        self.phase = np.array([max("ABC".find(a.phase or "A"), 0) for a in fleet.assets], dtype=np.int64)
        self._drop_v = _line_position(fleet) * noise.between(2.0, 8.0, _DROP, self.cabinet)
        self._spans = {
            kind: Spans([fault for fault in faults if fault.kind == kind], len(rows))
            for kind in {fault.kind for fault in faults}
        }
        self._gear = Gear(fleet, noise, self._spans)

    def power_w(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """True active power, 0 without supply; float64[n]."""
        supply, load, lit = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        for plan, at in self._plans.of(rows):
            supply[at] = plan.supply.at(time_ns[at])
            load[at] = plan.load.at(time_ns[at])
            lit[at] = plan.lit.at(time_ns[at])
        added = np.zeros(len(rows))
        for kind, (of_load, of_lit, of_supply) in LOADS.items():
            if kind in self._spans:
                size = self._spans[kind].size(rows, time_ns)
                added += size * (of_load * load + of_lit * lit + of_supply * supply)
        load = np.maximum(load + added, 0.0)
        return supply * self._standby_w[rows] + load * (self._rated_w - self._standby_w)[rows]

    def energy_wh(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """The integral of ``power_w``, from a counter reading that fits the lamp's age; float64[n]."""
        supply_h, load_h, _ = self._integrals(rows, time_ns)
        for kind, parts in LOADS.items():
            if kind in self._spans:
                for hit in self._spans[kind].begun(rows, time_ns):
                    load_h[hit.position] += self._added_h(parts, hit, rows, time_ns)
        lamp_w = (self._rated_w - self._standby_w)[rows]
        return (
            self._rated_w[rows] * self._age_h[rows] * 0.8 + self._standby_w[rows] * supply_h + lamp_w * load_h
        )

    def sample(self, rows: Int32s, time_ns: Int64s) -> dict[str, Float64s]:
        """Each of NAMES to float64[n] as a controller with its own meter would report."""
        level, lit_h, starts, cut_h = (np.zeros(len(rows)) for _ in range(4))
        for plan, at in self._plans.of(rows):
            level[at] = plan.level.at(time_ns[at])
            lit_h[at] = plan.lit.integral_h(time_ns[at])
            starts[at] = plan.lit.rises(time_ns[at]) + 2 * self._tests[rows[at]] * plan.supply.rises(
                time_ns[at]
            )
            cut_h[at] = plan.lost.at(time_ns[at]) * self._kept_h[rows[at]]
        true_w = self.power_w(rows, time_ns)
        level, true_w = self._disturbed(rows, time_ns, level, true_w)
        load = np.clip((true_w - self._standby_w[rows]) / self._rated_w[rows], 0.0, 1.0)
        power_w = np.where(
            self._hit("metering_fault", rows, time_ns) & (load > 0),
            0.0,
            self._gear.power_w(rows, time_ns, self._read(rows, time_ns, true_w, load)),
        )
        volts = self._grid.volts(self.cabinet[rows], self.phase[rows], time_ns) - self._drop_v[rows] * load
        volts += self._size("over_voltage", rows, time_ns) - self._size("under_voltage", rows, time_ns)
        factor = np.interp(load * 100.0, _PF_LEVEL, _PF)
        factor = np.where(load > 0, factor, np.clip(power_w / _STANDBY_VA, 0.05, 0.5))
        ambient = ambient_cel(self._sky, self._noise, rows, time_ns)
        energy_wh = self.energy_wh(rows, time_ns) - self._rated_w[rows] * cut_h
        age_h = self._age_h[rows] + lit_h
        starts += np.floor(self._age_h[rows] / 11.1) + self._cycled(rows, time_ns)
        self._swap(rows, time_ns, energy_wh, age_h, starts)
        return {
            "dimming_level": level,
            "supply_voltage": volts,
            "supply_current": power_w / (volts * factor),
            "active_power": power_w,
            "power_factor": factor,
            "active_energy": energy_wh,
            "frequency": self._grid.hertz(time_ns),
            "lamp_operating_hours": age_h,
            "switch_on_counter": starts,
            "controller_temperature": ambient + 8.0 + 10.0 * load + self._size("hot", rows, time_ns),
            "gear_temperature": ambient + 12.0 + 24.0 * load,
            "lamp_failure": self._reports_failure(rows, time_ns, level).astype(np.float64),
        } | self._gear.sample(rows, time_ns, level, load > 0)

    def _size(self, kind: str, rows: Int32s, time_ns: Int64s) -> Float64s:
        spans = self._spans.get(kind)
        return np.zeros(len(rows)) if spans is None else spans.size(rows, time_ns)

    def _hit(self, kind: str, rows: Int32s, time_ns: Int64s) -> Bools:
        spans = self._spans.get(kind)
        return np.zeros(len(rows), dtype=np.bool_) if spans is None else spans.hits(rows, time_ns)

    def _integrals(self, rows: Int32s, time_ns: Int64s) -> tuple[Float64s, Float64s, Float64s]:
        """Hours of supply, of full load and of light since the first step; float64[n] each."""
        supply_h, load_h, lit_h = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        for plan, at in self._plans.of(rows):
            supply_h[at] = plan.supply.integral_h(time_ns[at])
            load_h[at] = plan.load.integral_h(time_ns[at])
            lit_h[at] = plan.lit.integral_h(time_ns[at])
        return supply_h, load_h, lit_h

    def _added_h(
        self, parts: tuple[float, float, float], hit: Hit, rows: Int32s, time_ns: Int64s
    ) -> Float64s:
        """Full-load hours that faults have taken or added until then."""
        of_load, of_lit, of_supply = parts
        own = rows[hit.position]
        supply_0, load_0, lit_0 = self._integrals(own, hit.from_ns)
        supply, load, lit = self._integrals(own, np.minimum(time_ns[hit.position], hit.to_ns))
        change = of_load * (load - load_0) + of_lit * (lit - lit_0) + of_supply * (supply - supply_0)
        return hit.by * change

    def _disturbed(
        self, rows: Int32s, time_ns: Int64s, level: Float64s, true_w: Float64s
    ) -> tuple[Float64s, Float64s]:
        """(level, power) where the controller does something else than its programme says."""
        level = np.where(self._hit("dimming_stuck", rows, time_ns) & (level > 0), 100.0, level)
        level = np.where(self._hit("noon_storm", rows, time_ns), 100.0, level)
        testing = self._tests[rows] & (level > 0)
        if testing.any():
            step = (time_ns - self._plans.powered_ns(rows, time_ns)) // _TEST_STEP_NS
            testing &= (step >= 0) & (step < len(_TEST_LEVELS))
            shown = np.array(_TEST_LEVELS)[np.clip(step, 0, len(_TEST_LEVELS) - 1)]
            lamp_w = (self._rated_w - self._standby_w)[rows]
            true_w = np.where(testing, self._standby_w[rows] + lamp_w * load_at(shown), true_w)
            level = np.where(testing, shown, level)
        return level, true_w

    def _read(self, rows: Int32s, time_ns: Int64s, true_w: Float64s, load: Float64s) -> Float64s:
        """What the lamp's own meter makes of its power: worse at low load."""
        own = self._electrical
        share = np.clip(load / _LOW_LOAD, 0.0, 1.0)
        error = own.meter_error_low_load + (own.meter_error - own.meter_error_low_load) * share
        flicker = self._noise.between(0.997, 1.003, _READ, rows, time_ns)
        return true_w * (1.0 + self._gain[rows] * error) * flicker

    def _cycled(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """Extra starts: so many an hour of light, by a driver that overheats."""
        extra = np.zeros(len(rows))
        if "cycling" in self._spans:
            for hit in self._spans["cycling"].begun(rows, time_ns):
                own = rows[hit.position]
                _, _, lit_0 = self._integrals(own, hit.from_ns)
                _, _, lit = self._integrals(own, np.minimum(time_ns[hit.position], hit.to_ns))
                extra[hit.position] += np.floor(hit.by * (lit - lit_0))
        return extra

    def _swap(self, rows: Int32s, time_ns: Int64s, *counters: Float64s) -> None:
        """A new controller counts from nothing."""
        if "swap" not in self._spans:
            return
        for hit in self._spans["swap"].begun(rows, time_ns):
            at, own = hit.position, rows[hit.position]
            supply_h, load_h, lit_h = self._integrals(own, hit.to_ns)
            now_supply_h, now_load_h, now_lit_h = self._integrals(own, time_ns[at])
            lamp_w, standby_w = (self._rated_w - self._standby_w)[own], self._standby_w[own]
            counters[0][at] = np.maximum(
                lamp_w * (now_load_h - load_h) + standby_w * (now_supply_h - supply_h), 0.0
            )
            counters[1][at] = np.maximum(now_lit_h - lit_h, 0.0)
            counters[2][at] = np.floor(np.maximum(now_lit_h - lit_h, 0.0) / 11.1) + 1

    def _reports_failure(self, rows: Int32s, time_ns: Int64s, level: Float64s) -> Bools:
        """The DALI status bit; half of the drivers never set it, only their power tells."""
        reported = self._hit("lamp_failure", rows, time_ns) & (level > 0)
        return reported & (self._noise.uniform(_FLAG, rows) < 0.5)


def ambient_cel(sky: Sky, noise: Noise, rows: Int32s, time_ns: Int64s) -> Float64s:
    """Air temperature in the shade, warmest at 14 h; float64[n]."""
    daily = 28.0 + 4.5 * np.cos(2 * np.pi * (sky.local_hour(time_ns) - 14.0) / 24.0)
    return daily + 0.8 * noise.wander(_READ, time_ns, HOUR_NS, rows)


def _line_position(fleet: Fleet) -> Float64s:
    """0 at the first pole of a feeder, 1 at its last; float64[assets]."""
    last: dict[str, int] = {}
    for asset in fleet.assets:
        last[asset.feeder] = max(last.get(asset.feeder, 0), asset.pole_sequence)
    return np.array([a.pole_sequence / max(last[a.feeder], 1) for a in fleet.assets], dtype=np.float64)
