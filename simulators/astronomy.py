"""Dusk, dawn and local time at the city. In: a place, its time zone, local days. Out: UTC nanoseconds.

By ``astral``; the zone is always given, because without it dawn falls on the wrong local day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from astral import Observer
from astral.sun import dawn, dusk

from gateway.model import Float64s, Int64s

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sky:
    """The sun over one place; a city is small enough to share it (a few seconds across)."""

    def __init__(self, latitude: float, longitude: float, time_zone: str) -> None:
        self._observer = Observer(latitude=latitude, longitude=longitude)
        self._zone: tzinfo = ZoneInfo(time_zone)
        self.night = lru_cache(maxsize=4096)(self._night)

    def _night(self, day: date) -> tuple[int, int]:
        """Civil dusk of the local ``day`` and civil dawn of the next, UTC ns."""
        evening = dusk(self._observer, date=day, tzinfo=self._zone)
        morning = dawn(self._observer, date=day + timedelta(days=1), tzinfo=self._zone)
        return _ns(evening), _ns(morning)

    def local_day(self, time_ns: int) -> date:
        return _moment(time_ns).astimezone(self._zone).date()

    def at_minute(self, day: date, minute: int) -> int:
        """UTC ns of a minute of the local ``day``."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        return _ns(midnight + timedelta(minutes=minute))

    def local_hour(self, time_ns: Int64s) -> Float64s:
        """Hour of the local day with its fraction, float64[n]; one zone offset serves the whole array."""
        offset = _moment(int(time_ns.min())).astimezone(self._zone).utcoffset() or timedelta()
        local_ns = time_ns + int(offset.total_seconds()) * SECOND_NS
        return (local_ns % DAY_NS) / HOUR_NS


def _moment(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
