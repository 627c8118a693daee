"""Mains voltage. In: where and when. Out: volts at the cabinet's busbar, and the frequency.

226 V while the city is awake, 238 V after 23 h, each phase with a drift of its own (field practice).
"""

from __future__ import annotations

import numpy as np

from gateway.model import Float64s, Int64s
from simulators.astronomy import MINUTE_NS, Sky
from simulators.noise import Keys, Noise

_HOURS = (0.0, 4.5, 7.0, 11.0, 17.5, 18.5, 22.0, 23.0, 24.0)
_VOLTS = (238.0, 238.0, 230.0, 228.0, 228.0, 226.0, 226.0, 238.0, 238.0)
_WANDER, _FLICKER, _HERTZ = 10, 11, 12  # channels of noise


class Grid:
    """The low-voltage grid; each phase of each cabinet wanders by itself."""

    def __init__(self, sky: Sky, noise: Noise, wander_v: float = 2.5) -> None:
        self._sky, self._noise, self._wander_v = sky, noise, wander_v

    def volts(self, cabinet: Keys, phase: Keys, time_ns: Int64s) -> Float64s:
        """float64[n] line to neutral at the cabinet; ``phase`` 0, 1, 2."""
        daily = np.interp(self._sky.local_hour(time_ns), _HOURS, _VOLTS)
        slow = self._wander_v * self._noise.wander(_WANDER, time_ns, 10 * MINUTE_NS, cabinet, phase)
        return daily + slow + self._noise.between(-0.3, 0.3, _FLICKER, cabinet, phase, time_ns)

    def hertz(self, time_ns: Int64s) -> Float64s:
        return 50.0 + 0.05 * self._noise.wander(_HERTZ, time_ns, MINUTE_NS)
