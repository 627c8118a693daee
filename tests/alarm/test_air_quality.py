"""VN_AQI against the worked examples of QĐ 1459/QĐ-TCMT, section 2.3 and the table of section 2.2.2.a."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.air_quality import daily, eight_hours, hourly, nowcast, sub_index
from gateway.decode.regulations import read

SHIPPED = Path(__file__).parents[2] / "device_profiles" / "vn-aqi.toml"
EDITION = read(SHIPPED.read_text(encoding="utf-8"), str(SHIPPED)).air[0]

PM25 = [26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6]  # 09:00 to 20:00
OZONE = [15.7, 14.2, 17.7, 18.9, 19.3, 15.7, 19.7, 22.6, 27.1, 29.0, 31.9, 25.3, 34.7, 35.2, 41.6, 45.7, 49.2,
         55.8, 69.6, 78.3, 91.5, 97.7, 81.2, 71.8, 43.5, 34.3, 21.5, 20.5, 19.4, 20.4, 21.3]  # fmt: skip
OZONE_8H = [18.0, 19.4, 21.2, 23.0, 23.8, 25.8, 28.2, 30.9, 33.8, 36.6, 39.9, 44.7, 51.3, 58.4, 66.2, 71.1,
            74.4, 73.7, 71.0, 65.0, 57.8, 48.7, 39.1, 31.6]  # fmt: skip


def newest_first(hours: list[float]) -> np.ndarray:
    return np.array([hours[::-1]], dtype=np.float64)


def test_the_decisions_nowcast() -> None:
    assert nowcast(newest_first(PM25))[0] == pytest.approx(20.3, abs=0.05)


def test_the_decisions_hourly_index() -> None:
    """The decision prints 60 for NO2; its own formula gives 59.35, and the index is a whole number."""
    means = {name: np.full((1, 12), np.nan) for name in ("ozone", "nitrogen_dioxide")}
    means["ozone"][0, 0], means["nitrogen_dioxide"][0, 0] = 136.1, 118.7
    means["pm2_5"] = newest_first(PM25)
    parts = {"ozone": 43, "nitrogen_dioxide": 59}
    for name, expected in parts.items():
        found = sub_index(means[name][:, 0], EDITION.index, EDITION.points[name])
        assert round(found[0]) == expected
    assert round(sub_index(nowcast(means["pm2_5"]), EDITION.index, EDITION.points["pm2_5"])[0]) == 41
    assert hourly(means, EDITION).tolist() == [59.0]


@pytest.mark.parametrize(
    ("pollutant", "concentration", "index"),
    [("ozone_8h", 89.3, 45), ("ozone", 114.6, 36), ("nitrogen_dioxide", 130.8, 65), ("pm2_5", 55.7, 110)],
)
def test_the_decisions_daily_parts(pollutant: str, concentration: float, index: int) -> None:
    """65.4 and 109.5: both are printed rounded to the nearest."""
    found = sub_index(np.array([concentration]), EDITION.index, EDITION.points[pollutant])
    assert np.floor(found[0] + 0.5) == index


def test_the_decisions_eight_hour_means() -> None:
    found = eight_hours(newest_first(OZONE))[0][::-1]
    # The printed row is rounded from unrounded hours: the last digit may differ by one.
    assert found == pytest.approx(OZONE_8H, abs=0.11)
    assert found.max() == pytest.approx(74.4, abs=0.05)


def test_the_decisions_day() -> None:
    means = {name: np.full((1, 31), np.nan) for name in ("ozone", "nitrogen_dioxide", "pm2_5")}
    means["pm2_5"][0, :24], means["nitrogen_dioxide"][0, :24] = 55.7, 130.8
    means["ozone"] = newest_first(OZONE)
    assert daily(means, EDITION, 18).tolist() == [110.0]


def test_without_particles_there_is_no_index() -> None:
    assert np.isnan(hourly({"ozone": np.full((1, 12), 500.0)}, EDITION)[0])
    assert np.isnan(daily({"ozone": np.full((1, 31), 500.0)}, EDITION, 18)[0])


def test_ozone_over_eight_hours_gives_way_above_400() -> None:
    """Section 2.2.2.b: then the 1-hour value alone is judged."""
    means = {"ozone": np.full((1, 31), 500.0), "pm2_5": np.full((1, 31), 10.0)}
    one_hour = sub_index(np.array([500.0]), EDITION.index, EDITION.points["ozone"])
    assert daily(means, EDITION, 18)[0] == one_hour[0] == 225.0


def test_the_index_ends_at_500() -> None:
    assert hourly({"pm2_5": np.full((1, 12), 900.0)}, EDITION)[0] == 500.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), min_size=12, max_size=12))
def test_a_nowcast_lies_between_the_hours_it_is_made_of(hours: list[float | None]) -> None:
    """Also with hours missing: a gap is no clean air."""
    means = np.array([[np.nan if h is None else h for h in hours]])
    found, known = nowcast(means)[0], [h for h in hours if h is not None]
    if sum(h is not None for h in hours[:3]) < 2:
        assert np.isnan(found)
    else:
        assert min(known) - 1e-9 <= found <= max(known) + 1e-9
