"""What the devices believe it is. In: devices, times, when their power came. Out: the time they would tell.

A clock is wrong until it was set after power-up, drifts from then on, and of a few it is wrong for ever.
"""

from __future__ import annotations

import numpy as np

from gateway.model import Int32s, Int64s
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS
from simulators.noise import Noise
from simulators.scenario import Clocks

RESET_NS = 946_684_800_000_000_000  # 2000-01-01: what a controller without a battery wakes up with
ZONE_OFF_NS = 7 * HOUR_NS  # local time told as UTC

_BATTERY, _SYNC, _DRIFT, _BAD, _OFF, _OFF_BY = range(80, 86)  # channels of noise


class DeviceClocks:
    """Clocks of a fleet; all right where there are no settings."""

    def __init__(self, settings: Clocks, noise: Noise) -> None:
        self._settings, self._noise = settings, noise

    def shown(self, device: Int32s, time_ns: Int64s, powered_ns: Int64s) -> Int64s:
        """``powered_ns`` is when each device's power last came; int64[n]."""
        own, noise = self._settings, self._noise
        ppm = np.where(noise.uniform(_BAD, device) < own.bad_drift_share, own.bad_drift_ppm, own.drift_ppm)
        ppm *= noise.between(-1.0, 1.0, _DRIFT, device)
        shown = time_ns + (ppm * 1e-6 * np.minimum(time_ns - powered_ns, DAY_NS)).astype(np.int64)
        shown += self.offset_ns(device)
        sync_ns = noise.uniform(_SYNC, device, powered_ns) * own.sync_min_max * MINUTE_NS
        unset = noise.uniform(_BATTERY, device) < own.wrong_until_sync_share
        unset &= time_ns - powered_ns < sync_ns
        return np.where(unset, RESET_NS + time_ns - powered_ns, shown)

    def offset_ns(self, device: Int32s) -> Int64s:
        """How far the clocks are off for ever: minutes, seven hours ahead, or hours either way."""
        own = self._settings
        chance, by = self._noise.uniform(_OFF, device), self._noise.between(-1.0, 1.0, _OFF_BY, device)
        minutes = own.minutes_off_share
        zone = minutes + own.zone_off_share
        hours = zone + own.hours_off_share
        direction = np.where(by < 0, -1, 1)
        minutes_ns = direction * (5.0 + 55.0 * np.abs(by)) * MINUTE_NS
        hours_ns = direction * (1.0 + 11.0 * np.abs(by)) * HOUR_NS
        offset = np.select(
            [chance < minutes, chance < zone, chance < hours], [minutes_ns, ZONE_OFF_NS, hours_ns], 0.0
        )
        return offset.astype(np.int64)
