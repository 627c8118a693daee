"""What people read: both languages, local time, places by name, numbers as each language writes them."""

from __future__ import annotations

from dataclasses import replace

from district import fleet, local

from gateway.alarm.wording import Wording

AT = local("2026-11-20 18:05")


def test_numbers_places_and_times_in_both_languages() -> None:
    vi, en = Wording(fleet()).sentence("lampFailure", "LP1", AT, 1.23456, 20.0, "W")
    assert vi == (
        "Đèn không sáng tại LP1, Lê Lợi, Phường Hoà Phú từ 18:05 ngày 20/11/2026: 1,23 W, ngưỡng 20 W"
    )
    assert en == "Lamp failure at LP1, Lê Lợi, Phường Hoà Phú since 2026-11-20 18:05: 1.23 W, limit 20 W"


def test_a_light_point_is_found_by_counting_poles() -> None:
    city = fleet()
    row = city.asset_row["LP1"]
    asset = replace(city.assets[row], pole_sequence=12)
    assets = (*city.assets[:row], asset, *city.assets[row + 1 :])
    vi, en = Wording(replace(city, assets=assets)).sentence("lampFailure", "LP1", AT, None, None, "")
    assert f"LP1, cột 12 tuyến {asset.feeder}, " in vi
    assert f"LP1, pole 12 of feeder {asset.feeder}, " in en


def test_what_has_no_unit_shows_no_number() -> None:
    vi, en = Wording(fleet()).sentence("doorOpen", "LP1", AT, 1.0, 0.5, "")
    assert vi.endswith("20/11/2026") and en.endswith("18:05")


def test_an_unknown_type_is_shown_by_its_own_name() -> None:
    vi, en = Wording(fleet()).sentence("riverLevelTooHigh", "somewhere", AT, None, None, "")
    assert vi.startswith("River level too high tại somewhere")
    assert en.startswith("River level too high at somewhere")


def test_an_ended_alarm_says_when() -> None:
    assert Wording(fleet()).ended("vi", "en", AT) == (
        "vi; hết lúc 18:05 ngày 20/11/2026",
        "en; ended 2026-11-20 18:05",
    )
