"""Device times as they stand in payloads to nanoseconds since 1970 UTC.

In: columns of epoch numbers or of datetimes. Out: int64 nanoseconds, TIME_ABSENT where there is none.
A time too far away for 64 bits is held at the limit, so that it is judged as wrong and not as absent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.model import TIME_ABSENT, Float64s, Int64s

TIME_LIMIT_NS: Final = 2**62
UNIT_NS: Final = {"epoch_s": 1_000_000_000, "epoch_ms": 1_000_000, "epoch_us": 1000, "epoch_ns": 1}

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_epoch(values: Float64s, unit_ns: int) -> Int64s:
    """float64[n] counts of ``unit_ns`` since 1970, NaN where absent. Whole counts below 2**53 stay exact."""
    absent = np.isnan(values)
    limit = float(TIME_LIMIT_NS // unit_ns)
    bounded = np.clip(np.where(absent, 0.0, values), -limit, limit)
    whole = np.floor(bounded)
    time_ns: Int64s = whole.astype(np.int64) * unit_ns
    time_ns += np.rint((bounded - whole) * unit_ns).astype(np.int64)
    time_ns[absent] = TIME_ABSENT
    return time_ns


def from_number(value: float, unit_ns: int) -> int:
    """``from_epoch`` for one count, which is not NaN."""
    limit = float(TIME_LIMIT_NS // unit_ns)
    held = max(-limit, min(limit, value))
    whole = math.floor(held)
    return whole * unit_ns + round((held - whole) * unit_ns)


def from_datetimes(stamps: Sequence[datetime | None], zone: ZoneInfo) -> Int64s:
    """Exact to the microsecond; ``zone`` is that of stamps without one."""
    aware = [
        _UNIX_EPOCH if stamp is None else stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=zone)
        for stamp in stamps
    ]
    seconds = np.fromiter(map(datetime.timestamp, aware), np.float64, len(aware))
    limit = float(TIME_LIMIT_NS // 1000)
    time_ns = np.clip(np.rint(seconds * 1e6), -limit, limit).astype(np.int64) * 1000
    if None in stamps:
        time_ns[[stamp is None for stamp in stamps]] = TIME_ABSENT
    return time_ns


def bounded(time_ns: int) -> int:
    """An integer count of nanoseconds within the limit."""
    return max(-TIME_LIMIT_NS, min(TIME_LIMIT_NS, time_ns))
