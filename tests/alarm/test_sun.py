"""The sun against an almanac (astral) and the table in the domain notes for 11.05 N 106.68 E."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import astral.sun
import numpy as np
import pytest
from astral import Observer

from gateway.alarm import sun
from gateway.model import TIME_ABSENT

EPOCH = date(1970, 1, 1)
PLACES = [
    (11.05, 106.68, "Asia/Ho_Chi_Minh"),
    (21.03, 105.85, "Asia/Ho_Chi_Minh"),
    (-33.87, 151.2, "Australia/Sydney"),
    (48.85, 2.35, "Europe/Paris"),
    (40.71, -74.0, "America/New_York"),
]


@pytest.mark.parametrize(("latitude", "longitude", "zone"), PLACES)
def test_civil_dawn_and_dusk_agree_with_astral_within_a_minute(
    latitude: float, longitude: float, zone: str
) -> None:
    for ordinal in range(date(2026, 1, 1).toordinal(), date(2026, 12, 31).toordinal(), 9):
        day = date.fromordinal(ordinal)
        rising, sinking = sun.crossings((day - EPOCH).days, np.array([latitude]), np.array([longitude]))
        observer, tz = Observer(latitude, longitude), ZoneInfo(zone)
        assert abs(rising[0] / 1e9 - astral.sun.dawn(observer, day, tzinfo=tz).timestamp()) < 60
        assert abs(sinking[0] / 1e9 - astral.sun.dusk(observer, day, tzinfo=tz).timestamp()) < 60


@pytest.mark.parametrize(
    ("day", "dawn", "dusk"),
    [
        ("2026-06-21", "05:08", "18:41"),
        ("2026-12-21", "05:44", "17:58"),
        ("2026-11-16", None, "17:48"),
        ("2026-07-10", None, "18:43"),
        ("2026-06-01", "05:06", None),
        ("2026-01-28", "05:55", None),
    ],
)
def test_the_table_for_the_new_city(day: str, dawn: str | None, dusk: str | None) -> None:
    number = (date.fromisoformat(day) - EPOCH).days
    found = sun.crossings(number, np.array([11.05]), np.array([106.68]))
    for crossing, expected in zip(found, (dawn, dusk), strict=True):
        if expected is not None:
            at = datetime.fromisoformat(f"{day}T{expected}+07:00").timestamp()
            assert abs(crossing[0] / 1e9 - at) <= 60


def test_elevation_is_that_of_the_crossing_and_vectorized_over_places() -> None:
    latitude, longitude = np.array([11.05, -33.9, 59.9]), np.array([106.68, 151.2, 10.7])
    for elevation in (-6.0, 0.0, 6.0):
        for found in sun.crossings(20_700, latitude, longitude, elevation):
            assert sun.elevation_deg(found, latitude, longitude) == pytest.approx(elevation, abs=0.01)


def test_a_sun_that_never_sinks_has_no_crossing() -> None:
    midsummer = (date(2026, 6, 21) - EPOCH).days
    rising, sinking = sun.crossings(midsummer, np.array([69.65]), np.array([18.96]))
    assert rising[0] == sinking[0] == TIME_ABSENT
