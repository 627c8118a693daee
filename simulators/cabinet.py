"""Feeder cabinets with a three-phase meter. In: which cabinets, when. Out: what their controllers measure.

Power and energy are the sum of the lamps behind the cabinet plus line losses and the controller's own draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Float64s, Int32s, Int64s
from simulators.astronomy import Sky
from simulators.district import Plans
from simulators.fault import Fault
from simulators.grid import Grid
from simulators.luminaire import Luminaires, ambient_cel
from simulators.noise import Noise
from simulators.spans import Spans

NEUTRAL_SHIFT = (1.0, -1.0, 0.3)
"""How a lost neutral moves the phases, in parts of its size."""

LOSS = 0.02
"""Line losses as a share of the lamps' power."""

OWN_W = 6.0
"""Controller and modem, on phase 1."""

OVERLOADED, TAPPED = 1, 2
"""Phases that others draw from."""

_OVERLOAD_V = 218.0  # by a lamp's power factor

_OWN_PF, _LAMP_PF = 0.6, 0.95
_LEAK, _METER_H, _PF = 40, 41, 42  # channels of noise


class Cabinets:
    """``rows`` are asset rows of cabinets."""

    NAMES = (
        *(
            f"phase{n}_{of}"
            for n in (1, 2, 3)
            for of in ("voltage", "current", "active_power", "power_factor")
        ),
        "active_power",
        "active_energy",
        "frequency",
        "leakage_current",
        "cabinet_temperature",
        "contactor_closed",
        "breaker_tripped",
        "residual_current_trip",
        "door_open",
        "selector_mode",
    )

    def __init__(
        self,
        fleet: Fleet,
        plans: Plans,
        luminaires: Luminaires,
        grid: Grid,
        sky: Sky,
        noise: Noise,
        start_ns: int,
        faults: Sequence[Fault] = (),
    ) -> None:
        self._plans, self._luminaires, self._grid = plans, luminaires, grid
        self._sky, self._noise, self._start_ns = sky, noise, start_ns
        number = {cabinet.id: n for n, cabinet in enumerate(fleet.cabinets)}
        self._number = np.array([number.get(a.cabinet, -1) for a in fleet.assets], dtype=np.int64)
        lamps: list[list[int]] = [[] for _ in fleet.cabinets]
        switched: list[int] = [-1] * len(lamps)
        for row, asset in enumerate(fleet.assets):
            if asset.kind == "light_point" and asset.cabinet in number:
                lamps[number[asset.cabinet]].append(row)
                if fleet.group_switched[row]:
                    switched[number[asset.cabinet]] = row
        self._lamps = [np.array(rows, dtype=np.int32) for rows in lamps]
        kinds = {fault.kind for fault in faults if fault.place >= 0}
        self._spans = {
            kind: Spans((f for f in faults if f.kind == kind), len(fleet.assets), on_place=True)
            for kind in kinds
        }
        self._contactor = [s if s >= 0 else (r[0] if r else -1) for s, r in zip(switched, lamps, strict=True)]

    def sample(self, rows: Int32s, time_ns: Int64s) -> dict[str, Float64s | str | list[str]]:
        """Each of NAMES to float64[n], or to a label for each sample."""
        number = self._number[rows]
        phases = self._phase_powers(number, time_ns)
        dead = self._size("supply_loss", rows, time_ns) > 0
        phases[:, dead] = 0.0
        phases[:, ~dead] += self._foreign_w(rows, time_ns, phases)[:, ~dead]
        at_work = self._size("maintenance", rows, time_ns)
        by_hand = self._size("manual", rows, time_ns) + at_work
        values: dict[str, Float64s | str | list[str]] = {}
        for phase in range(3):
            volts = self._grid.volts(number, np.full(len(rows), phase), time_ns)
            volts += NEUTRAL_SHIFT[phase] * self._size("neutral_loss", rows, time_ns)
            volts[dead] = 0.0
            factor = np.where(phases[phase] > 10 * OWN_W, _LAMP_PF, _OWN_PF)
            factor = factor + self._noise.between(-0.01, 0.01, _PF, rows, phase, time_ns)
            name = f"phase{phase + 1}"
            values[f"{name}_voltage"] = volts
            values[f"{name}_current"] = phases[phase] / (np.maximum(volts, 1.0) * factor)
            values[f"{name}_active_power"] = phases[phase]
            values[f"{name}_power_factor"] = factor
        values["active_power"] = phases.sum(axis=0)
        values["active_energy"] = self._energy_wh(number, rows, time_ns)
        values["frequency"] = self._grid.hertz(time_ns)
        leak_ma = 4.0 + 2.0 * self._noise.wander(_LEAK, time_ns, 600_000_000_000, rows)
        leak_ma += self._size("leakage", rows, time_ns) + self._size("live_pole", rows, time_ns)
        values["leakage_current"] = leak_ma
        hot = self._size("hot_cabinet", rows, time_ns)
        values["cabinet_temperature"] = ambient_cel(self._sky, self._noise, rows, time_ns) + 6.0 + hot
        values["contactor_closed"] = np.where(
            at_work + self._size("contactor_welded", rows, time_ns) > 0,
            1.0,
            np.where(
                self._size("contactor_open", rows, time_ns) > 0, 0.0, self._contactor_closed(number, time_ns)
            ),
        )
        values["breaker_tripped"] = np.sign(self._size("breaker_trip", rows, time_ns))
        values["residual_current_trip"] = np.sign(self._size("rcd_trip", rows, time_ns))
        values["door_open"] = np.sign(self._size("door_open", rows, time_ns))
        values["selector_mode"] = ["manual" if hand else "auto" for hand in (by_hand > 0).tolist()]
        return values

    def _foreign_w(self, rows: Int32s, time_ns: Int64s, lamps_w: Float64s) -> Float64s:
        """What others draw, and what hangs on another phase than all believe; W, float64[3, n]."""
        more = np.zeros_like(lamps_w)
        more[OVERLOADED] += self._size("overload", rows, time_ns) * _OVERLOAD_V
        more[TAPPED] += self._size("tap", rows, time_ns) * 1000.0
        crossed = self._size("crossed_phases", rows, time_ns) * lamps_w[TAPPED]
        more[TAPPED] -= crossed
        more[OVERLOADED] += crossed
        return more

    def _size(self, kind: str, rows: Int32s, time_ns: Int64s) -> Float64s:
        spans = self._spans.get(kind)
        return np.zeros(len(rows)) if spans is None else spans.size(rows, time_ns)

    def _phase_powers(self, number: Int64s, time_ns: Int64s) -> Float64s:
        """W at the meter, float64[3, n]."""
        sample, lamps = self._lamps_of(number)
        watts = self._luminaires.power_w(lamps, time_ns[sample])
        cell = self._luminaires.phase[lamps] * len(number) + sample
        powers = np.bincount(cell, watts, 3 * len(number)).reshape(3, -1) * (1 + LOSS)
        powers[0] += OWN_W
        return powers.astype(np.float64, copy=False)

    def _energy_wh(self, number: Int64s, rows: Int32s, time_ns: Int64s) -> Float64s:
        sample, lamps = self._lamps_of(number)
        lamps_wh = np.bincount(sample, self._luminaires.energy_wh(lamps, time_ns[sample]), len(number))
        own_h = self._noise.between(5_000, 30_000, _METER_H, rows) + (time_ns - self._start_ns) / 3.6e12
        foreign_wh = np.zeros(len(rows))
        for kind, watts in (("overload", _OVERLOAD_V), ("tap", 1000.0)):
            for hit in self._spans[kind].begun(rows, time_ns) if kind in self._spans else ():
                drawn_h = (np.minimum(time_ns[hit.position], hit.to_ns) - hit.from_ns) / 3.6e12
                foreign_wh[hit.position] += hit.by * watts * drawn_h
        return lamps_wh * (1 + LOSS) + OWN_W * own_h + foreign_wh

    def _lamps_of(self, number: Int64s) -> tuple[Int64s, Int32s]:
        """(sample, lamp) for every lamp behind the cabinet of every sample."""
        groups = [self._lamps[n] for n in number]
        sizes = [len(group) for group in groups]
        sample = np.repeat(np.arange(len(groups)), sizes)
        return sample, np.concatenate([*groups, np.empty(0, dtype=np.int32)])

    def _contactor_closed(self, number: Int64s, time_ns: Int64s) -> Float64s:
        closed = np.zeros(len(number))
        for cabinet in np.unique(number).tolist():
            lamp, at = self._contactor[cabinet], np.flatnonzero(number == cabinet)
            if lamp >= 0:
                closed[at] = self._plans.nominal(lamp).lit.at(time_ns[at])
        return closed
