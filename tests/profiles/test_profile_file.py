"""A profile file: what it means, and one line with file, key and remedy for each mistake in it."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode import units
from gateway.decode.catalog import load_directories
from gateway.decode.profile import load
from gateway.errors import ConfigurationError
from gateway.model import Severity, When

GOOD = """
name = "meter"
device_class = "energy"
payload = "json"
interval_s = 900
[title]
vi = "Công tơ"
en = "Meter"
[time]
field = "t"
format = "epoch_s"
[tags]
maker = "acme"
[[field]]
name = "active_energy"
path = "e"
type = "float"
unit = "Wh"
source_unit = "kWh"
scale = 0.1
min = 0
max = 1000
[[field]]
name = "mode"
path = "m[1].x"
type = "enum"
map = { "0" = "off", "A" = "auto", "B" = "auto" }
[[field]]
name = "closed"
path = "c"
type = "boolean"
map = { "ON" = true, "OFF" = false }
[[rule]]
type = "energyHigh"
field = "active_energy"
severity = "major"
raise_above = 900
clear_below = 800
hold_s = 60
"""


def refuse(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load(text, "device_profiles/meter/profile.toml")
    error = caught.value
    assert error.file == "device_profiles/meter/profile.toml"
    assert error.remedy
    assert "\n" not in str(error)
    return error


def test_profile_says_what_the_file_says() -> None:
    profile = load(GOOD, "x")
    spec = profile.spec
    assert [field.name for field in spec.numeric] == ["active_energy", "mode", "closed"]
    energy, mode, closed = profile.fields
    assert (energy.canonical.multiplier, energy.canonical.addend, energy.canonical.divisor) == (
        100.0,
        0.0,
        1.0,
    )
    assert (energy.scale, energy.source_unit, energy.unit) == (0.1, "kWh", "Wh")
    assert dict(mode.codes) == {0: 0, "A": 1, "B": 1}
    assert mode.labels == ("off", "auto")
    assert mode.path.steps == ("m", 1, "x")
    assert dict(closed.codes) == {"ON": 1, "OFF": 0}
    rule = spec.rules[0]
    assert (rule.above, rule.raise_at, rule.clear_at, rule.hold_s) == (True, 900, 800, 60)
    assert (rule.severity, rule.when) == (Severity.MAJOR, When.ALWAYS)
    assert spec.tags == (("maker", "acme"),)


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('unit = "Wh"', 'unti = "Wh"', "field.active_energy.unti", "did you mean 'unit'"),
        ('unit = "Wh"', 'unit = "wh"', "field.active_energy.unit", "no known unit"),
        ('unit = "Wh"', 'unit = "kWh"', "field.active_energy.unit", "set unit to Wh, source_unit to kWh"),
        ('unit = "Wh"', 'unit = "V"', "field.active_energy.source_unit", "measures active energy"),
        ("scale = 0.1", "scale = 0", "field.active_energy.scale", "0"),
        ("scale = 0.1", 'scale = "0.1"', "field.active_energy.scale", "valid number"),
        ("scale = 0.1", "scale = nan", "field.active_energy.scale", "finite"),
        ("max = 1000", "max = 0", "field.active_energy.min", "not below max"),
        ('type = "float"', 'type = "int"', "field.active_energy.type", "'integer'"),
        ('path = "e"', 'path = "e..f"', "field.active_energy.path", "not a path"),
        ('path = "e"', 'path = "c"', "field.closed.path", "read twice"),
        ('path = "e"', 'path = "c.x"', "field.closed.path", "one place"),
        ('path = "e"', 'path = "m.x"', "field.mode.path", "an object and for a list"),
        ('path = "e"', 'path = "t"', "time.field", "read twice"),
        ('path = "e"', 'path = "$.e"', "field.active_energy.path", "beside records"),
        ('name = "mode"', 'name = "closed"', "field.closed.name", "used twice"),
        ('name = "mode"', 'name = "quality"', "field.quality.name", "gateway writes itself"),
        ('name = "mode"', 'name = "Mode"', "field.Mode.name", "does not match"),
        ('map = { "0" = "off", "A" = "auto", "B" = "auto" }', "", "field.mode.map", "needs a label"),
        ('"A" = "auto"', '"A" = true', "field.mode.map.A", "label"),
        ('"ON" = true', '"ON" = "on"', "field.closed.map.ON", "true or false"),
        ('"ON" = true', '"1" = true, "true" = true', "field.closed.map", "mixes"),
        ('maker = "acme"', 'area = "x"', "tags.area", "another name"),
        ("interval_s = 900", "interval_s = 0", "interval_s", "greater than 0"),
        ("interval_s = 900", "", "interval_s", "is missing"),
        ('format = "epoch_s"', 'format = "epoch"', "time.format", "epoch_ms"),
        ('format = "epoch_s"', 'format = "epoch_s"\nzone = "UTC"', "time.zone", "iso8601"),
        ('format = "epoch_s"', 'format = "iso8601"\nzone = "Mars/Base"', "time.zone", "no time zone"),
        ('payload = "json"', 'payload = "xml"', "payload", "'json'"),
        ('payload = "json"', 'payload = "json"\nconcentrator = true', "id_field", "is missing"),
        ('field = "active_energy"', 'field = "energy"', "rule.energyHigh.field", "no field of this profile"),
        ("clear_below = 800", "clear_below = 901", "rule.energyHigh.raise_above", "inside the band"),
        ("clear_below = 800", "", "rule.energyHigh.raise_above", "exactly two limits"),
        ("clear_below = 800", "clear_above = 800", "rule.energyHigh.raise_above", "exactly two limits"),
        ("raise_above = 900", "raise_above = 1000", "rule.energyHigh.raise_above", "never raise"),
        ("hold_s = 60", "of_expected = true", "rule.energyHigh.of_expected", "field in W"),
        ("hold_s = 60", 'when = "night"', "rule.energyHigh.when", "light_due_on"),
        ('severity = "major"', 'severity = "bad"', "rule.energyHigh.severity", "'critical'"),
    ],
)
def test_mistake_is_named(old: str, new: str, key: str, says: str) -> None:
    assert old in GOOD
    error = refuse(GOOD.replace(old, new, 1))
    assert error.key == key
    assert says in str(error)


POWER = """
[[field]]
name = "active_power"
path = "p"
type = "float"
unit = "W"
side = "light_source"
[[rule]]
type = "lampFailure"
field = "active_power"
severity = "minor"
raise_below = 0.2
clear_above = 0.5
of_expected = true
"""


def test_expected_power_is_compared_on_the_mains_side_only() -> None:
    """Mains volts times light-source amps, or a limit drawn across the driver, is 80 W for a 17 W lamp."""
    assert refuse(GOOD + POWER).key == "rule.lampFailure.of_expected"
    rule = load(GOOD + POWER.replace("light_source", "mains"), "x").spec.rules[1]
    assert (rule.above, rule.raise_at, rule.clear_at, rule.of_expected) == (False, 0.2, 0.5, True)


@pytest.mark.parametrize(
    ("top", "key"),
    [
        ('records = "$.list"', "records"),
        ('records = "list"\nid_field = "$.list"', "records"),
        ('records = "list"\nid_field = "$.list[0].id"', "records"),
        ('id_field = "e"', "id_field"),
    ],
)
def test_records_and_id_must_have_places_of_their_own(top: str, key: str) -> None:
    assert refuse(top + GOOD).key == key


def test_bad_toml_is_named_with_its_line() -> None:
    assert "line 3" in str(refuse('name = "x"\ndevice_class = "y"\ntitle = = 3\n'))


def test_rule_on_boolean_and_enum_is_written_with_raise_when() -> None:
    rule = '[[rule]]\ntype = "opened"\nfield = "{}"\nseverity = "minor"\nraise_when = {}\n'
    opened = load(GOOD + rule.format("closed", "false"), "x").spec.rules[1]
    assert not opened.above
    assert (opened.raise_at, opened.clear_at) == (0.5, 0.5)
    automatic = load(GOOD + rule.format("mode", '"auto"'), "x").spec.rules[1]
    assert automatic.above
    assert automatic.raise_at == 0.5
    assert refuse(GOOD + rule.format("mode", '"off"')).key == "rule.opened.raise_when"
    assert refuse(GOOD + rule.format("closed", '"off"')).key == "rule.opened.raise_when"
    assert refuse(GOOD + rule.format("active_energy", "true")).key == "rule.opened.raise_above"


@given(st.text(max_size=300))
def test_any_text_is_a_profile_or_one_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        load(text, "x")


@given(st.data())
def test_any_edit_of_a_good_file_is_a_profile_or_one_error(data: st.DataObject) -> None:
    lines = GOOD.splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    other = data.draw(st.sampled_from([*lines, "", "x = [", 'type = ""', "map = {}", "path = 3"]))
    lines[at] = other
    try:
        load("\n".join(lines), "x")
    except ConfigurationError as error:
        assert "\n" not in str(error)


@given(st.sampled_from(sorted(units.UNITS)), st.sampled_from(sorted(units.UNITS)), st.fractions())
def test_units_convert_there_and_back_exactly(a: str, b: str, value: Fraction) -> None:
    if units.UNITS[a].quantity != units.UNITS[b].quantity:
        with pytest.raises(ValueError, match="measures"):
            units.conversion(a, b)
        return
    scale, offset = units.conversion(a, b)
    back_scale, back_offset = units.conversion(b, a)
    assert (value * scale + offset) * back_scale + back_offset == value


@pytest.mark.parametrize(
    ("source", "unit", "value", "expected"),
    [
        ("degF", "Cel", Fraction(212), Fraction(100)),
        ("K", "Cel", Fraction("273.15"), Fraction(0)),
        ("kWh", "Wh", Fraction("1.5"), Fraction(1500)),
        ("J", "Wh", Fraction(3600), Fraction(1)),
        ("kPa", "hPa", Fraction("101.3"), Fraction(1013)),
        ("km/h", "m/s", Fraction(36), Fraction(10)),
        ("1", "%", Fraction("0.25"), Fraction(25)),
        ("mg/m3", "ug/m3", Fraction(1), Fraction(1000)),
        ("1/min", "1/h", Fraction(2), Fraction(120)),
    ],
)
def test_known_conversions(source: str, unit: str, value: Fraction, expected: Fraction) -> None:
    scale, offset = units.conversion(source, unit)
    assert value * scale + offset == expected


def test_radians() -> None:
    scale, _ = units.conversion("rad", "deg")
    assert math.isclose(math.pi * scale, 180)


def write(directory: Path, folder: str, text: str) -> Path:
    (directory / folder).mkdir(parents=True)
    (directory / folder / "profile.toml").write_text(text, encoding="utf-8")
    return directory


def test_catalog_loads_directories_and_names_what_is_wrong(tmp_path: Path) -> None:
    ours = write(tmp_path / "ours", "meter", GOOD)
    assert list(load_directories([ours])) == ["meter"]
    theirs = write(tmp_path / "theirs", "meter", GOOD)
    with pytest.raises(ConfigurationError, match="is also that of"):
        load_directories([ours, theirs])
    with pytest.raises(ConfigurationError, match="holds no profile"):
        load_directories([tmp_path / "nowhere"])
    renamed = write(tmp_path / "renamed", "other", GOOD)
    with pytest.raises(ConfigurationError, match="rename the folder to meter"):
        load_directories([renamed])
    (ours / "meter" / "profile.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_directories([ours])
