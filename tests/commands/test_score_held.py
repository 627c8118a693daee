"""The score on a fixed seed: what is found today is found tomorrow, and nothing false is told beside it.

A small DENSE city with a true inventory. ``make score`` has the numbers; this only fails when they drop.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest

from gateway.cli import main

SCENARIO = """
seed = 4711
days = 4
[city]
light_points = 2000
sensors = 50
photocell_share = 0.1
dropped_phase_share = 0.1
[rates]
gear = 0
controller = 0
radio = 0
joint = 0
pole = 0
swap = 0
feeder_trip = 0
grid_cut = 0
dip = 0
noon_storm = 0
[dense]
per_kind = 1
"""
TYPES_MIN = 25
pytestmark = pytest.mark.timeout(600)  # a minute of a free core


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``citylight score --json`` says."""
    place = tmp_path_factory.mktemp("score")
    scenario, journal = place / "scenario.toml", place / "journal"
    truth, alarms = place / "truth", place / "alarms"
    scenario.write_text(SCENARIO, encoding="utf-8")
    command = ["simulate", "--scenario", str(scenario), "--honest", "--truth", str(truth)]
    assert main([*command, "--to-journal", str(journal)]) == 0
    assert main(["replay", "--journal", str(journal), "--alarms", str(alarms)]) == 0
    with redirect_stdout(io.StringIO()) as said:
        assert main(["score", "--truth", str(truth), "--alarms", str(alarms), "--json"]) == 0
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def test_every_fault_is_found(scored: dict[str, Any]) -> None:
    missed = {
        name: f"{one['found']} of {one['injected']}"
        for name, one in scored["types"].items()
        if one["injected"] and one["found"] < one["injected"]
    }
    assert missed == {}
    assert sum(one["injected"] > 0 for one in scored["types"].values()) >= TYPES_MIN


def test_nothing_false_is_told(scored: dict[str, Any]) -> None:
    assert {name: one["false"] for name, one in scored["types"].items() if one["false"]} == {}
    assert {name: one["alarms"] for name, one in scored["look_alikes"].items() if one["alarms"]} == {}
