"""``citylight profile``: what it lists, proves and decodes; no gateway, no server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from plant import citylight

SHIPPED = Path(__file__).parents[2] / "device_profiles"


def test_list_names_every_shipped_profile() -> None:
    names = {file.parent.name for file in SHIPPED.glob("*/profile.toml")}
    rows = json.loads(citylight("profile", "list", "--json").out)
    assert {row["name"] for row in rows} == names
    assert all(row["fields"] and row["device_class"] for row in rows)
    lines = citylight("profile", "list").out.splitlines()
    assert {line.split()[0] for line in lines} == names


def test_check_proves_the_golden_vectors(tmp_path: Path) -> None:
    assert citylight("profile", "check").code == 0
    shutil.copytree(SHIPPED / "noise", tmp_path / "noise")
    file = tmp_path / "noise" / "vectors.jsonl"
    good = file.read_text(encoding="utf-8")
    assert citylight("profile", "check", tmp_path).code == 0
    file.write_text(good.replace('"quality": "valid"', '"quality": "clock"', 1), encoding="utf-8")
    wrong = citylight("profile", "check", tmp_path)
    assert wrong.code == 1
    assert "noise: FAILED" in wrong.out
    file.unlink()
    without = citylight("profile", "check", tmp_path)
    assert without.code == 1
    assert "without golden vectors" in without.out


def test_decode_prints_a_line_a_sample_and_says_what_would_be_quarantined(tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"id": "T-1", "bins": [{"n": {"car": 4}}, {"n": {"car": -4}}]}', encoding="utf-8")
    answer = citylight("profile", "decode", "traffic-counter", "--json", payload)
    assert answer.code == 1
    (reading,) = map(json.loads, answer.out.splitlines())
    assert reading["fields"]["car_count"] == {"value": 4, "unit": "1", "quality": "valid"}
    assert answer.err == "citylight: normalize: no_value: not one good value\n"
    by_hex = citylight("profile", "decode", "traffic-counter", "--hex", payload.read_bytes().hex())
    assert json.loads(by_hex.out)["fields"] == reading["fields"]


def test_what_can_not_be_decoded_is_one_line(tmp_path: Path) -> None:
    for arguments, code, words in (
        (("no-such-profile", "--hex", "7b7d"), 2, "no-such-profile"),
        (("noise", "--hex", "7b7"), 2, "two hex digits a byte"),
        (("noise", "--json", tmp_path / "nowhere"), 1, "nowhere"),
        (("noise", "--hex", "00"), 1, "unparsable"),
    ):
        answer = citylight("profile", "decode", *arguments)
        assert (answer.code, answer.out) == (code, "")
        assert answer.err.startswith("citylight: ")
        assert answer.err.count("\n") == 1
        assert words in answer.err
