"""All luminaires of the city as arrays. In: which lamps, when, faults. Out: what their controllers measure.

Every value is a function of (lamp, time): counters are integrals of the light plan with the faults' windows
cut out or added. ``n`` is the number of samples asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.astronomy import HOUR_NS, Sky
from simulators.district import Plans
from simulators.fault import Fault
from simulators.grid import Grid
from simulators.noise import Noise

_STANDBY, _SPREAD, _METER, _DROP, _AGE, _READ, _FLAG = range(20, 27)  # channels of noise
_PF_LEVEL, _PF = (0.0, 10.0, 50.0, 100.0), (0.36, 0.62, 0.88, 0.96)
_Integral = Callable[[Int64s], Float64s]
_STANDBY_VA = 3.2  # apparent power of a dark driver


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
    )

    def __init__(
        self, fleet: Fleet, plans: Plans, grid: Grid, sky: Sky, noise: Noise, faults: Sequence[Fault]
    ) -> None:
        self._plans, self._grid, self._sky, self._noise = plans, grid, sky, noise
        rows = np.arange(len(fleet.assets))
        self._rated_w = fleet.rated_power_w * noise.between(0.95, 1.05, _SPREAD, rows)
        self._standby_w = noise.between(0.8, 1.5, _STANDBY, rows)
        self._gain = noise.between(0.99, 1.01, _METER, rows)
        self._age_h = noise.between(500.0, 15_000.0, _AGE, rows)
        cabinets = {cabinet.id: row for row, cabinet in enumerate(fleet.cabinets)}
        self.cabinet = np.array([cabinets.get(a.cabinet, -1) for a in fleet.assets], dtype=np.int64)
        self.phase = np.array([max("ABC".find(a.phase or "A"), 0) for a in fleet.assets], dtype=np.int64)
        self._drop_v = _line_position(fleet) * noise.between(2.0, 8.0, _DROP, self.cabinet)
        self._faults = [
            fault for fault in faults if fault.kind in ("lamp_failure", "day_burner", "over_voltage")
        ]

    def power_w(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """True active power, 0 without supply; float64[n]."""
        supply, load = np.zeros(len(rows)), np.zeros(len(rows))
        for plan, at in self._plans.of(rows):
            supply[at] = plan.supply.at(time_ns[at])
            load[at] = plan.load.at(time_ns[at])
        for fault in self._faults:
            hit = fault.hits(rows, time_ns)
            if fault.kind == "lamp_failure":
                load[hit] = 0.0
            elif fault.kind == "day_burner":
                load[hit] = np.where(load[hit] > 0, load[hit], supply[hit])
        return supply * self._standby_w[rows] + load * (self._rated_w - self._standby_w)[rows]

    def energy_wh(self, rows: Int32s, time_ns: Int64s) -> Float64s:
        """The integral of ``power_w``, from a counter reading that fits the lamp's age; float64[n]."""
        supply_h, load_h = np.zeros(len(rows)), np.zeros(len(rows))
        for plan, at in self._plans.of(rows):
            supply_h[at] = plan.supply.integral_h(time_ns[at])
            load_h[at] = plan.load.integral_h(time_ns[at])
            for fault in self._faults:
                load_h[at] += _load_change_h(
                    fault, plan.load.integral_h, plan.lit.integral_h, rows[at], time_ns[at]
                )
        lamp_w = (self._rated_w - self._standby_w)[rows]
        return (
            self._rated_w[rows] * self._age_h[rows] * 0.8 + self._standby_w[rows] * supply_h + lamp_w * load_h
        )

    def sample(self, rows: Int32s, time_ns: Int64s) -> dict[str, Float64s]:
        """Each of NAMES to float64[n] as a controller with its own meter would report."""
        level, lit_h, starts = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        for plan, at in self._plans.of(rows):
            level[at] = plan.level.at(time_ns[at])
            lit_h[at] = plan.lit.integral_h(time_ns[at])
            starts[at] = plan.lit.rises(time_ns[at])
        true_w = self.power_w(rows, time_ns)
        load = np.clip((true_w - self._standby_w[rows]) / self._rated_w[rows], 0.0, 1.0)
        read = self._noise.between(0.997, 1.003, _READ, rows, time_ns)
        power_w = true_w * self._gain[rows] * read
        volts = self._grid.volts(self.cabinet[rows], self.phase[rows], time_ns) - self._drop_v[rows] * load
        for fault in self._faults:
            if fault.kind == "over_voltage":
                volts[fault.hits(rows, time_ns)] += fault.by
        factor = np.interp(load * 100.0, _PF_LEVEL, _PF)
        factor = np.where(load > 0, factor, np.clip(power_w / _STANDBY_VA, 0.05, 0.5))
        ambient = ambient_cel(self._sky, self._noise, rows, time_ns)
        return {
            "dimming_level": level,
            "supply_voltage": volts,
            "supply_current": power_w / (volts * factor),
            "active_power": power_w,
            "power_factor": factor,
            "active_energy": self.energy_wh(rows, time_ns),
            "frequency": self._grid.hertz(time_ns),
            "lamp_operating_hours": self._age_h[rows] + lit_h,
            "switch_on_counter": np.floor(self._age_h[rows] / 11.1) + starts,
            "controller_temperature": ambient + 8.0 + 10.0 * load,
            "gear_temperature": ambient + 12.0 + 24.0 * load,
            "lamp_failure": self._reports_failure(rows, time_ns, level).astype(np.float64),
        }

    def _reports_failure(self, rows: Int32s, time_ns: Int64s, level: Float64s) -> Bools:
        """The DALI status bit; half of the drivers never set it, only their power tells."""
        reported = np.zeros(len(rows), dtype=np.bool_)
        for fault in self._faults:
            if fault.kind == "lamp_failure":
                reported |= fault.hits(rows, time_ns) & (level > 0)
        return reported & (self._noise.uniform(_FLAG, rows) < 0.5)


def ambient_cel(sky: Sky, noise: Noise, rows: Int32s, time_ns: Int64s) -> Float64s:
    """Air temperature in the shade, warmest at 14 h; float64[n]."""
    daily = 28.0 + 4.5 * np.cos(2 * np.pi * (sky.local_hour(time_ns) - 14.0) / 24.0)
    return daily + 0.8 * noise.wander(_READ, time_ns, HOUR_NS, rows)


def _load_change_h(
    fault: Fault, load_h: _Integral, lit_h: _Integral, rows: Int32s, time_ns: Int64s
) -> Float64s:
    """Full-load hours a fault has taken (dead lamp) or added (burning by day) until then; float64[n]."""
    if fault.kind == "over_voltage":
        return np.zeros(len(rows))
    start = np.full(len(rows), fault.from_ns)
    end = np.clip(time_ns, fault.from_ns, fault.to_ns)
    if fault.kind == "lamp_failure":
        change = load_h(start) - load_h(end)
    else:
        change = (end - start) / HOUR_NS - (lit_h(end) - lit_h(start))
    return np.where(np.isin(rows, fault.assets), change, 0.0)


def _line_position(fleet: Fleet) -> Float64s:
    """0 at the first pole of a feeder, 1 at its last; float64[assets]."""
    last: dict[str, int] = {}
    for asset in fleet.assets:
        last[asset.feeder] = max(last.get(asset.feeder, 0), asset.pole_sequence)
    return np.array([a.pole_sequence / max(last[a.feeder], 1) for a in fleet.assets], dtype=np.float64)
