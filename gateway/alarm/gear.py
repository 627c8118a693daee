"""What control gear and relay say of themselves. In: readings with their bits, counters. Out: rules' values.

Failure counters of D4i gear (DiiA 253) have 8 bits and stop at 253, so only what they rise by is counted, by
night; conclusions are drawn at ticks alone. Never judges a reading and never reads a clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.alarm.order import exchange, occurrences
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec
from gateway.vocabulary.derived import COUNTED

COUNTED_NIGHTS: Final = 2  # tonight and the one before: over after a whole night without another
RISE_MAX: Final = 253
NEVER_NS: Final = -(2**62)


class GearMemory:
    """Of all devices of one profile; k are the failure counters among ``derived``.

    ``last`` [d, k] as they stood; ``counted`` [d, nights, k]: rises, tonight first; ``failures`` [d, k]: all
    of them, as last concluded. ``faded_ns`` [d]: when the light was last seen to fade.
    """

    def __init__(self, spec: ProfileSpec, derived: tuple[str, ...], devices: int, fade_s: float) -> None:
        rows = {field.name: row for row, field in enumerate(spec.numeric)}
        self.names = tuple(name for name in derived if name in COUNTED)
        self._counters = [rows[COUNTED[name]] for name in self.names]
        self._fading, self._derating = rows.get("fade_running", -1), rows.get("thermal_derating", -1)
        self._relay, self._comm = rows.get("relay_closed", -1), rows.get("gear_comm_failure", -1)
        self._power, self._nominal = rows.get("active_power", -1), rows.get("nominal_power", -1)
        self._fade_ns = round(fade_s * 1e9)
        k = len(self.names)
        self.last: Float64s = np.full((devices, k), np.nan)
        self.counted: Int32s = np.zeros((devices, COUNTED_NIGHTS, k), dtype=np.int32)
        self.failures: Int32s = np.zeros((devices, k), dtype=np.int32)
        self.faded_ns: Int64s = np.full(devices if self._fading >= 0 else 0, NEVER_NS, dtype=np.int64)

    def unsteady(self, local: Int32s, time_ns: Int64s, values: Float64s, *, distinct: bool) -> Bools | None:
        """Where power and level say nothing of the lamp: it fades, did just now, or saves itself from heat.

        None where no gear of the profile could say so.
        """
        if self._fading < 0 and self._derating < 0:
            return None
        out: Bools = values[self._derating] > 0.5 if self._derating >= 0 else np.zeros(len(local), np.bool_)
        if self._fading < 0:
            return out
        fades = values[self._fading] > 0.5
        for at in [np.arange(len(local))] if distinct else occurrences(local):
            rows = local[at]
            self.faded_ns[rows[fades[at]]] = time_ns[at[fades[at]]]
            since_ns = time_ns[at] - self.faded_ns[rows]
            out[at] |= (since_ns >= 0) & (since_ns < self._fade_ns)
        out |= fades
        return out

    def count(self, local: Int32s, values: Float64s, *, distinct: bool) -> None:
        """Take in readings in journal order; a counter that fell belongs to new gear."""
        for k, row in enumerate(self._counters):
            told = np.flatnonzero(~np.isnan(values[row]))
            rows, now = local[told], values[row, told]
            before = exchange(self.last[:, k], rows, now, distinct=distinct)
            rose = np.flatnonzero(now > before)
            rise = np.minimum(now[rose] - before[rose], RISE_MAX).astype(np.int32)
            np.add.at(self.counted[:, 0, k], rows[rose], rise)

    def value(self, name: str, local: Int32s, values: Float64s, rated_w: Float64s, dead_w: float) -> Float64s:
        """A derived value of each reading; NaN where nothing can be said."""
        if name in self.names:
            failures: Float64s = self.failures[local, self.names.index(name)].astype(np.float64)
            return failures
        if name == "rated_power_deviation":
            off: Float64s = np.abs(values[self._nominal] - rated_w) / rated_w * 100.0
            return off
        closed, power_w = values[self._relay], values[self._power]
        if name == "open_relay_power":
            return np.where(closed < 0.5, power_w, np.nan)
        told = (closed > 0.5) & ~np.isnan(power_w)
        unsupplied = (values[self._comm] > 0.5) & (power_w < dead_w)
        return np.where(told, unsupplied, np.nan)

    def review(self, nights: int) -> None:
        """Draw conclusions; so many ``nights`` have passed since the last time."""
        if nights:
            shift = min(nights, COUNTED_NIGHTS)
            self.counted = np.roll(self.counted, shift, axis=1)
            self.counted[:, :shift] = 0
        self.failures = self.counted.sum(axis=1, dtype=np.int32)

    def forget(self, local: Int64s) -> None:
        """Gear that hangs elsewhere now starts anew."""
        self.last[local], self.counted[local], self.failures[local] = np.nan, 0, 0
