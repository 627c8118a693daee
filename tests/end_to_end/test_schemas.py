"""The published shapes: the examples follow them, what the commands print follows them, nonsense does not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plant import Plant, citylight
from servers import Mosquitto

from gateway.model import rfc3339

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
PROFILES = Path(__file__).parents[2] / "device_profiles"
NAMES = sorted(file.name.removesuffix(".schema.json") for file in SCHEMAS.glob("*.schema.json"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def example(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.example.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_example_follows_its_schema_in_every_key(name: str) -> None:
    check = validator(name)
    check.validate(example(name))
    for key in check.schema["required"]:
        lacking = {other: value for other, value in example(name).items() if other != key}
        assert not check.is_valid(lacking), f"{name} without {key}"
    assert not check.is_valid({**example(name), "surprise": 1})


@pytest.mark.parametrize("profile", sorted(file.parent.name for file in PROFILES.glob("*/profile.toml")))
def test_readings_of_every_profile_follow_the_schema(profile: str) -> None:
    check = validator("canonical-reading")
    vectors = (PROFILES / profile / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
    readings = [reading for line in vectors for reading in json.loads(line).get("readings", [])]
    assert readings
    for reading in readings:
        check.validate(reading)


def test_the_example_reading_is_what_the_command_prints(tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"ts":1795259100000,"dim":70,"u":231.4,"n":812,"lf":false,"tg":195,"tc":"41"}')
    answer = citylight("profile", "decode", "luminaire-controller", "--json", payload)
    assert answer.code == 0, answer.err
    (line,) = answer.out.splitlines()
    reading = json.loads(line)
    validator("canonical-reading").validate(reading)
    assert reading["fields"] == example("canonical-reading")["fields"]


@pytest.mark.parametrize(
    "field",
    [
        {"value": None, "unit": "V", "quality": "valid"},
        {"value": 1.0, "unit": "V", "quality": "missing"},
        {"value": 1.0, "unit": "V", "quality": "good"},
        {"value": 1.0, "quality": "valid"},
    ],
)
def test_a_value_and_its_quality_agree(field: dict[str, Any]) -> None:
    reading = example("canonical-reading")
    reading["fields"]["supply_voltage"] = field
    assert not validator("canonical-reading").is_valid(reading)


def test_the_truth_that_simulate_writes_follows_the_schema(
    mosquitto: Mosquitto, plant_on: Callable[..., Plant]
) -> None:
    plant = plant_on(mosquitto, None)
    faults, truth = plant.directory / "faults.toml", plant.directory / "truth.jsonl"
    begin = rfc3339(time.time_ns())[:19] + "Z"
    faults.write_text(
        f'[[fault]]\nkind = "over_voltage"\nasset = "LP-1"\nfrom = "{begin}"\nto = "+1h"\n'
        '[[fault]]\nkind = "wrong_clock"\nasset = "LP-2"\nfrom = "+1m"\nto = "+1h"\n'
    )
    command = [sys.executable, "-m", "gateway.cli", "simulate", "-c", str(plant.file), "--for", "2s"]
    command += ["--faults", str(faults), "--truth", str(truth), "--pace", "600"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["sent"] > 0
    entries = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    assert {(entry["type"], entry["asset"]) for entry in entries} == {
        ("supplyVoltageTooHigh", "LP-1"),
        (None, "LP-2"),
    }
    for entry in entries:
        validator("truth").validate(entry)
