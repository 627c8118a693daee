"""Watches and regulations as written by people: what is taken, and what is refused with its line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gateway.configuration import Sources, interpret
from gateway.decode.catalog import load_directories
from gateway.decode.profile import load
from gateway.decode.regulations import read
from gateway.decode.rulebook import apply
from gateway.errors import ConfigurationError
from gateway.inventory.directory import load_directory

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "device_profiles"
CITY = load_directory(ROOT / "examples" / "new-city")
AIR = (SHIPPED / "air-quality" / "profile.toml").read_text(encoding="utf-8")
NOISE = (SHIPPED / "noise" / "profile.toml").read_text(encoding="utf-8")
LIMITS = (SHIPPED / "noise-limits.toml").read_text(encoding="utf-8")
INDEX = (SHIPPED / "vn-aqi.toml").read_text(encoding="utf-8")


def test_a_night_limit_reaches_over_midnight() -> None:
    special = read(LIMITS, "noise-limits.toml").noise[0].limits["special"]
    assert [special[hour] for hour in (5, 6, 20, 21, 23, 0)] == [45, 55, 55, 45, 45, 45]
    assert not any(math.isnan(limit) for limit in special)


def test_an_override_gives_a_hospital_its_zone() -> None:
    text = '[[override]]\nrule = "noiseTooHigh"\nasset = "SN-NS-01"\nzone = "special"\n'
    profiles = tuple(load_directories([SHIPPED]).values())
    (noise,) = (profile for profile in apply(text, profiles, CITY) if profile.name == "noise")
    found = [(w.zone, w.scope, w.share) for w in noise.spec.watches if w.type == "noiseTooHigh"]
    assert found == [("ordinary", "", 0.5), ("special", "asset:SN-NS-01", 0.5)]


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (NOISE, "share = 0.5\n", "", "share: is missing"),
        (NOISE, 'zone = "ordinary"', 'zone = "ordinary"\nfloor = 3', "floor: does not go with kind"),
        (NOISE, 'fields = ["noise_level"]', 'fields = ["noise"]', "is no numeric field"),
        (NOISE, 'type = "sensorFlatLine"', 'type = "noiseTooHigh"', "is used twice"),
        (NOISE, 'kind = "flat_line"', 'kind = "flat"', "watch.sensorFlatLine.kind"),
        (AIR, 'fields = ["pm2_5", "pm10"]\nseverity = "minor"\nlimit = 15', 'severity = "minor"\nlimit = 15',
         "fields: is missing"),
    ],
)  # fmt: skip
def test_a_watch_that_can_not_be_is_refused(text: str, old: str, new: str, says: str) -> None:
    assert old in text
    with pytest.raises(ConfigurationError, match=says) as refused:
        load(text.replace(old, new, 1), "profile.toml")
    assert refused.value.line > 0


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (LIMITS, "to_h = 21", "to_h = 23", "two limits at 21 h"),
        (LIMITS, 'kind = "noise_limit"', 'kind = "air_quality_index"', "does not go with kind"),
        (INDEX, "pm10 = [0, 50, 150", "pm10 = [0, 50, 15", "does not rise"),
        (INDEX, 'particles = ["pm2_5", "pm10"]', 'particles = ["pm1"]', "has no points"),
        (INDEX, "pm10 = [0, ", "pm10 = [0, 1, 2, ", "more points than the index"),
        (INDEX, "valid_from = 2019-11-12", 'valid_from = "soon"', "valid_from"),
    ],
)
def test_a_regulation_that_can_not_be_is_refused(text: str, old: str, new: str, says: str) -> None:
    assert old in text
    with pytest.raises(ConfigurationError, match=says):
        read(text.replace(old, new, 1), "regulation.toml")


def test_editions_stand_in_order_of_time() -> None:
    with pytest.raises(ConfigurationError, match=r"edition\.2\.valid_from"):
        read(LIMITS + LIMITS[LIMITS.index("\n[[edition]]") :], "noise-limits.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('zone = "ordinary"', 'zone = "quiet"', "no zone of noise-limits"),
        ('"noise-limits"', '"vn-aqi"', "of another kind"),
        ('"noise-limits"', '"vn-noise"', "is no regulation"),
    ],
)
def test_a_watch_names_a_regulation_there_is(old: str, new: str, says: str) -> None:
    texts = {
        "noise/profile.toml": NOISE.replace(old, new),
        "noise-limits.toml": LIMITS,
        "vn-aqi.toml": INDEX,
    }
    sources = Sources({name: text.encode() for name, text in texts.items()}, {}, "Asia/Ho_Chi_Minh")
    with pytest.raises(ConfigurationError, match=says):
        interpret(sources.pack(), "x")
