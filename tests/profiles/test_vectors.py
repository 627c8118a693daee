"""Every shipped profile against the golden vectors beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.canonical import decode_payload
from gateway.decode.catalog import load_file
from gateway.decode.samples import REASONS
from gateway.model import nanoseconds

PROFILES = Path(__file__).parents[2] / "device_profiles"
NAMES = sorted(folder.name for folder in PROFILES.iterdir() if folder.is_dir())
VECTORS_MIN = 8


def vectors(name: str) -> list[dict[str, Any]]:
    lines = (PROFILES / name / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_promised_profiles_are_shipped() -> None:
    assert {
        "luminaire-controller",
        "feeder-cabinet",
        "air-quality",
        "noise",
        "weather",
        "flood-level",
        "traffic-counter",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_profile_has_vectors_good_and_bad(name: str) -> None:
    assert (PROFILES / name / "vectors.jsonl").is_file(), "a profile without vectors is not shipped"
    found = vectors(name)
    assert len(found) >= VECTORS_MIN
    assert any("readings" in vector and "rejects" not in vector for vector in found)
    assert any("rejects" in vector for vector in found)
    assert len({vector["title"] for vector in found}) == len(found)
    assert all(r["reason"] in REASONS for vector in found for r in vector.get("rejects", []))


@pytest.mark.parametrize("name", NAMES)
def test_each_field_is_valid_in_some_vector(name: str) -> None:
    """A path or a map with a slip of the pen would otherwise go unseen."""
    profile = load_file(PROFILES / name / "profile.toml")
    seen = {
        field
        for vector in vectors(name)
        for reading in vector.get("readings", [])
        for field, value in reading["fields"].items()
        if value["quality"] == "valid"
    }
    assert seen == {field.name for field in profile.fields}


@pytest.mark.parametrize(
    ("name", "vector"),
    [
        pytest.param(name, vector, id=f"{name}: {vector['title']}")
        for name in NAMES
        for vector in vectors(name)
    ],
)
def test_vector(name: str, vector: dict[str, Any]) -> None:
    profile = load_file(PROFILES / name / "profile.toml")
    payload = bytes.fromhex(vector["payload_hex"]) if "payload_hex" in vector else vector["payload"].encode()
    outcome = decode_payload(profile, payload, nanoseconds(vector["received"]), vector.get("device", ""))
    assert outcome.readings == vector.get("readings", [])
    rejects = [{key: r[key] for key in ("stage", "reason", "sample")} for r in outcome.rejects]
    assert rejects == vector.get("rejects", [])
