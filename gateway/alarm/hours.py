"""Hourly means. In: readings of distinct devices, their hours. Out: the means of the hours that closed.

An hour of a device closes with its first reading of a later hour, so it is whole whatever comes late; hours
are those of event time and nothing depends on how the readings are cut. Never judges.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.model import Bools, Float64s, Int32s, Int64s

HOURS: Final = 32
"""Kept a channel: the 24 hours of a day and the 7 before them that its first 8-hour mean needs."""

HOUR_NS: Final = 3_600_000_000_000
NEVER: Final = -(2**40)
"""Hour of a device that was not heard yet."""

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class HourlyMeans:
    """``channels`` values of ``slots`` devices; a mean is of ``needed`` readings at least, int64[slots]."""

    def __init__(self, channels: int, slots: int, needed: Int64s) -> None:
        self.needed = needed
        self.hour: Int64s = np.full(slots, NEVER, dtype=np.int64)  # the open one, hours since 1970 UTC
        self.closed: Bools = np.zeros(slots, dtype=np.bool_)  # an hour closed since this was last put down
        self.total: Float64s = np.zeros((channels, slots))
        self.count: Int64s = np.zeros((channels, slots), dtype=np.int64)
        self.ring: Float64s = np.full((channels, HOURS, slots), np.nan)

    def add(self, slots: Int64s, hour: Int64s, values: Float64s) -> None:
        """One reading of each of the distinct ``slots``; ``values`` float64[channels, n], NaN for none."""
        moved = hour != self.hour[slots]
        if moved.any():
            self._turn(slots[moved], hour[moved])
        known = ~np.isnan(values)
        self.total[:, slots] += np.where(known, values, 0.0)
        self.count[:, slots] += known

    def last(self, slots: Int64s, hours: int) -> Float64s:
        """Means of the ``hours`` before the open one, the newest first; float64[channels, n, hours]."""
        return self.at(slots, self.hour[slots, np.newaxis] - 1 - np.arange(hours))

    def at(self, slots: Int64s | Int32s, hour: Int64s) -> Float64s:
        """Means of ``slots`` (any shape) in ``hour`` (broadcast against it), NaN where not kept."""
        slots = slots.reshape(slots.shape + (1,) * (hour.ndim - slots.ndim))
        age = self.hour[slots] - hour
        found: Float64s = self.ring[:, hour % HOURS, slots]
        return np.where((age >= 1) & (age <= HOURS), found, np.nan)

    def forget(self, slots: Int64s) -> None:
        """Start anew: the device was moved, or its clock went back."""
        self.hour[slots] = NEVER
        self.closed[slots] = False
        self.ring[:, :, slots] = np.nan

    def _turn(self, slots: Int64s, hour: Int64s) -> None:
        """The open hour of ``slots`` closes, and ``hour`` opens."""
        self.forget(slots[hour < self.hour[slots]])
        open_hour = self.hour[slots]
        first = open_hour == NEVER
        enough = (self.count[:, slots] >= self.needed[slots]) & ~first
        mean = self.total[:, slots] / np.maximum(self.count[:, slots], 1)
        self.ring[:, open_hour % HOURS, slots] = np.where(enough, mean, np.nan)
        skipped = np.where(first, 0, np.minimum(hour - open_hour - 1, HOURS))
        for gap in range(1, int(skipped.max(initial=0)) + 1):
            at = skipped >= gap
            self.ring[:, (hour[at] - gap) % HOURS, slots[at]] = np.nan
        self.hour[slots] = hour
        self.closed[slots] = ~first
        self.total[:, slots] = 0.0
        self.count[:, slots] = 0


def local_hours(zone: ZoneInfo, hour: Int64s) -> Int64s:
    """Hours since 1970 by the clock on the wall, for ``hour`` UTC; a zone of half hours is rounded down."""
    hours, at = np.unique(hour, return_inverse=True)
    moments = (datetime.fromtimestamp(h * 3600, UTC) if h > 0 else _LONG_AGO for h in hours.tolist())
    offsets = (moment.astimezone(zone).utcoffset() or timedelta() for moment in moments)
    local = hours + np.array([offset // timedelta(hours=1) for offset in offsets], dtype=np.int64)
    found: Int64s = local[at.reshape(hour.shape)]
    return found
