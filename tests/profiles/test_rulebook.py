"""``rules.toml``: what it changes where, and one line with file and line for each mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.decode.catalog import load_directories
from gateway.decode.rulebook import apply, practice
from gateway.errors import ConfigurationError
from gateway.inventory.directory import load_directory
from gateway.model import Rule

ROOT = Path(__file__).parents[2]
PROFILES = tuple(load_directories([ROOT / "device_profiles"]).values())
CITY = load_directory(ROOT / "examples" / "new-city")

OVERRIDE = """
[[override]]
rule = "supplyVoltageTooLow"
profile = "luminaire-controller"
area = "hoa-phu"
raise_below = 190
clear_above = 200
unit = "V"
"""
RULE = """
[[rule]]
profile = "noise"
type = "noiseFarTooHigh"
field = "noise_level"
severity = "minor"
raise_above = 90
clear_below = 85
"""


def rules(text: str, profile: str) -> list[Rule]:
    (found,) = (p for p in apply(text, PROFILES, CITY) if p.name == profile)
    return list(found.spec.rules)


def test_an_override_changes_what_it_writes_where_it_says() -> None:
    found = [r for r in rules(OVERRIDE, "luminaire-controller") if r.type == "supplyVoltageTooLow"]
    everywhere, here = found
    assert (everywhere.raise_at, everywhere.scope) == (198, "")
    assert (here.raise_at, here.clear_at, here.scope) == (190, 200, "area:hoa-phu")
    assert (here.hold_s, here.samples_min, here.severity) == (600, 2, everywhere.severity)


def test_a_district_may_add_a_rule_and_override_that() -> None:
    more = '[[override]]\nrule = "noiseFarTooHigh"\nasset = "SN-AQ-01"\nenabled = false\n'
    found = [r for r in rules(RULE + more, "noise") if r.type == "noiseFarTooHigh"]
    assert [(r.raise_at, r.scope, r.enabled) for r in found] == [
        (90, "", True),
        (90, "asset:SN-AQ-01", False),
    ]


def test_a_rule_of_several_profiles_is_overridden_in_all_of_them() -> None:
    text = '[[override]]\nrule = "highTemperature"\nhold_s = 900\n'
    for profile in ("luminaire-controller", "feeder-cabinet"):
        assert {r.hold_s for r in rules(text, profile) if r.scope == "city"} == {900}


def test_of_rules_of_one_type_the_one_on_the_named_field_is_overridden() -> None:
    text = '[[override]]\nrule = "highTemperature"\nfield = "gear_temperature"\nraise_above = 95\n'
    found = {r.field: r.raise_at for r in rules(text, "luminaire-controller") if r.scope == "city"}
    assert found == {"gear_temperature": 95}


def test_limits_are_written_over_those_rules_of_a_type_that_have_such() -> None:
    """A driver that says by a bit that it is too hot has no degrees to change."""
    text = '[[override]]\nrule = "highTemperature"\nraise_above = 95\n'
    found = {r.field: r.raise_at for r in rules(text, "luminaire-d4i") if r.scope == "city"}
    assert found == {"gear_temperature": 95, "controller_temperature": 95}


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "says"),
    [
        (OVERRIDE, "clear_above = 200", "clear_above = 180", 6, "inside the band"),
        (OVERRIDE, 'unit = "V"', 'unit = "kV"', 8, "not the unit of supply_voltage"),
        (OVERRIDE, 'area = "hoa-phu"', 'area = "hue"', 5, "no area of the inventory"),
        (OVERRIDE, 'area = "hoa-phu"', 'area = "hoa-phu"\nfeeder = "CB-01-F1"', 6, "stands beside area"),
        (OVERRIDE, '"luminaire-controller"', '"lamp"', 4, "no device profile"),
        (OVERRIDE, '"supplyVoltageTooLow"', '"supplyTooLow"', 3, "no rule there"),
        (OVERRIDE, "raise_below = 190", "raise_blow = 190", 6, "did you mean 'raise_below'"),
        (OVERRIDE, "raise_below = 190", "raise_above = 260", 6, "exactly two limits"),
        (OVERRIDE, 'unit = "V"', OVERRIDE, 10, "overridden there twice"),
        (OVERRIDE, 'unit = "V"', 'field = "volts"', 8, "no rule 'supplyVoltageTooLow' there judges 'volts'"),
        (OVERRIDE, 'unit = "V"', 'when = "daylight"', 8, "is judged 'daylight'; known are always"),
        (OVERRIDE, '"supplyVoltageTooLow"', '"supplyVoltageTolow"', 3, "did you mean 'supplyVoltageTooLow'"),
        (RULE, '"noise_level"', '"loudness"', 5, "no field of this profile"),
        (RULE, '"noiseFarTooHigh"', '"noiseTooHigh"', 4, "write an [[override]]"),
        (RULE, "clear_below = 85", "clear_below = 95", 7, "inside the band"),
        (RULE, "raise_above = 90", "raise_above = 900", 7, "never raise"),
        (RULE, '"noise_level"', '"dimming_deviation"', 5, "needs dimming_level"),
        (RULE, "clear_below = 85", 'clear_below = 85\nunless = ["quiet"]', 9, "no other rule there"),
        (RULE, "clear_below = 85", "clear_below = 85\nheads = true", 9, "write of_expected"),
        (RULE, "[[rule]]", "[[rules]]", 2, "did you mean 'rule'"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, old: str, new: str, line: int, says: str) -> None:
    assert old in text
    with pytest.raises(ConfigurationError) as caught:
        apply(text.replace(old, new, 1), PROFILES, CITY)
    error = caught.value
    assert says in str(error)
    assert (error.file, error.line) == ("rules.toml", line)
    assert str(error).startswith(f"rules.toml:{line}: ")


def test_numbers_of_practice_are_settings_and_an_unknown_one_is_refused() -> None:
    defaults = {"settle_s": 900.0, "members_min": 3}
    assert practice("[practice]\nmembers_min = 5\n", defaults) == {"settle_s": 900.0, "members_min": 5}
    with pytest.raises(ConfigurationError, match=r"rules.toml:2: practice.setle_s"):
        practice("[practice]\nsetle_s = 5\n", defaults)
    with pytest.raises(ConfigurationError, match=r"rules.toml:2"):
        practice("[practice]\nsettle_s = -5\n", defaults)


def test_what_is_no_toml_is_refused_with_the_line_the_parser_names() -> None:
    with pytest.raises(ConfigurationError, match="line 2"):
        apply("a = 1\nb = \nc = 1", PROFILES, CITY)
