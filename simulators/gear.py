"""What D4i gear, relay and pole tell beside a lamp's own values. In: which lamps, when, faults. Out: columns.

Every value is a function of (lamp, time); a counter is how often its fault began. ``n`` is how many samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.noise import Noise
from simulators.spans import Spans

_LEAN, _FAILED, _SHUT, _SOURCE = range(150, 154)  # channels of noise
_SHAKEN_DEG: Final = 0.5

PROFILE: Final = "luminaire-d4i"
GEAR: Final = frozenset(
    {
        "gear_failure",
        "gear_silent",
        "relay_open",
        "relay_welded",
        "led_string",
        "thermal_shutdown",
        "derating",
        "tilted",
        "knocked_down",
    }
)
"""Faults that only a controller with D4i gear, a relay and an accelerometer can tell of."""


class Gear:
    """``spans`` are the windows of faults by kind."""

    NAMES = (
        "control_gear_failure",
        "lamp_on",
        "fade_running",
        "gear_comm_failure",
        "relay_closed",
        "thermal_derating",
        "thermal_shutdown",
        "light_source_failure",
        "control_gear_failure_counter",
        "thermal_shutdown_counter",
        "light_source_failure_counter",
        "nominal_power",
        "tilt_angle",
        "impact",
    )

    def __init__(self, fleet: Fleet, noise: Noise, spans: Mapping[str, Spans]) -> None:
        self._noise, self._spans = noise, spans
        self._nominal_w = np.rint(fleet.rated_power_w)

    def power_w(self, rows: Int32s, time_ns: Int64s, power_w: Float64s) -> Float64s:
        """What flows where the relay lets none through."""
        return np.where(self._hit("relay_open", rows, time_ns), 0.0, power_w)

    def sample(self, rows: Int32s, time_ns: Int64s, level: Float64s, lit: Bools) -> dict[str, Float64s]:
        """Each of NAMES to float64[n]; ``lit``: full of power, whatever the controller ordered."""
        on = lit & ~self._hit("relay_welded", rows, time_ns)
        flags = {
            "control_gear_failure": self._hit("gear_failure", rows, time_ns),
            "lamp_on": lit,
            "fade_running": np.zeros(len(rows), dtype=np.bool_),
            "gear_comm_failure": self._hit("gear_silent", rows, time_ns)
            | self._hit("relay_open", rows, time_ns),
            "relay_closed": (level > 0) | on,
            "thermal_derating": self._hit("derating", rows, time_ns),
            "thermal_shutdown": self._hit("thermal_shutdown", rows, time_ns),
            "light_source_failure": self._hit("led_string", rows, time_ns),
            "impact": self._hit("knocked_down", rows, time_ns),
        }
        lean = self._noise.between(0.0, 1.5, _LEAN, rows)
        shaken = self._noise.between(0.0, _SHAKEN_DEG, _LEAN, rows, time_ns)
        fallen = self._size("tilted", rows, time_ns) + self._size("knocked_down", rows, time_ns)
        return {name: flag.astype(np.float64) for name, flag in flags.items()} | {
            "control_gear_failure_counter": self._begun("gear_failure", _FAILED, rows, time_ns),
            "thermal_shutdown_counter": self._begun("thermal_shutdown", _SHUT, rows, time_ns),
            "light_source_failure_counter": self._begun("led_string", _SOURCE, rows, time_ns),
            "nominal_power": self._nominal_w[rows],
            "tilt_angle": lean + shaken + fallen,
        }

    def _begun(self, kind: str, channel: int, rows: Int32s, time_ns: Int64s) -> Float64s:
        """What its counter stood at, and how often the fault began since; it stops at 253."""
        count = np.floor(self._noise.between(0.0, 6.0, channel, rows))
        if kind in self._spans:
            for hit in self._spans[kind].begun(rows, time_ns):
                count[hit.position] += 1.0
        return np.minimum(count, 253.0)

    def _hit(self, kind: str, rows: Int32s, time_ns: Int64s) -> Bools:
        spans = self._spans.get(kind)
        return np.zeros(len(rows), dtype=np.bool_) if spans is None else spans.hits(rows, time_ns)

    def _size(self, kind: str, rows: Int32s, time_ns: Int64s) -> Float64s:
        spans = self._spans.get(kind)
        return np.zeros(len(rows)) if spans is None else spans.size(rows, time_ns)
