"""What goes wrong at city sensors, and what only looks so. In: faults, samples. Out: the values as told.

Water rises by its own ramp, air and sound get more, a stuck sensor repeats itself, a broken one says what can
not be. Never decides when: that is ``dense_sensors`` and the faults' files.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gateway.model import Float64s, Int32s, Int64s
from simulators.astronomy import MINUTE_NS
from simulators.fault import Fault
from simulators.spans import Spans

RAMP_NS = {"flood": 60 * MINUTE_NS, "flash_flood": 15 * MINUTE_NS}
"""How long water takes to its full depth: 5 cm in a quarter of an hour is no flash flood, 40 cm are."""

FROZEN = ("stuck", "dry_gauge")
DUST = ("pm1", "pm2_5", "pm10")
SOUND = ("noise_level", "noise_level_max", "noise_level_background")
BEYOND = {
    "pm2_5": 65_000.0,
    "noise_level": 999.0,
    "water_level": 60.0,
    "atmospheric_pressure": 5_000.0,
    "mean_speed": 999.0,
}
"""What a broken sensor says in the one field of its kind that breaks."""


class SensorFaults:
    """Faults of sensors; ``rows`` asset rows there are."""

    def __init__(self, faults: Iterable[Fault], rows: int) -> None:
        faults = tuple(faults)
        kinds = {fault.kind for fault in faults}
        self._spans = {kind: Spans((f for f in faults if f.kind == kind), rows) for kind in kinds}

    def frozen(self, rows: Int32s, time_ns: Int64s) -> Int64s:
        """The instants whose values are told: since it is stuck, a sensor tells those of its last moment."""
        told = time_ns
        for kind in FROZEN:
            if kind in self._spans:
                told = told.copy()
                for hit in self._spans[kind].within(rows, time_ns):
                    told[hit.position] = hit.from_ns
        return told

    def change(self, values: dict[str, Float64s], rows: Int32s, time_ns: Int64s) -> None:
        """Put the faults into ``values``, by canonical field name."""
        if "water_level" in values:
            for kind, ramp_ns in RAMP_NS.items():
                values["water_level"] += self._ramp(kind, ramp_ns, rows, time_ns)
            values["water_level"][self._size("dry_gauge", rows, time_ns) > 0] = 0.0
        for name in DUST:
            if name in values:
                values[name] += self._size("smog", rows, time_ns)
                values[name] *= 1.0 - self._size("drift", rows, time_ns)
        for name in SOUND:
            if name in values:
                loud = self._size("noisy_night", rows, time_ns) + self._size("fireworks", rows, time_ns)
                values[name] += loud
        if "rain_rate" in values:
            values["rain_rate"] += self._size("heavy_rain", rows, time_ns)
        broken = self._size("implausible", rows, time_ns) > 0
        for name, beyond in BEYOND.items():
            if name in values:
                values[name][broken] = beyond

    def _size(self, kind: str, rows: Int32s, time_ns: Int64s) -> Float64s:
        spans = self._spans.get(kind)
        return np.zeros(len(rows)) if spans is None else spans.size(rows, time_ns)

    def _ramp(self, kind: str, ramp_ns: int, rows: Int32s, time_ns: Int64s) -> Float64s:
        depth = np.zeros(len(rows))
        if kind in self._spans:
            for hit in self._spans[kind].within(rows, time_ns):
                share = np.minimum((time_ns[hit.position] - hit.from_ns) / ramp_ns, 1.0)
                depth[hit.position] = hit.by * share
        return depth
