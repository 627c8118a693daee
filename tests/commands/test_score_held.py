"""The score on a fixed seed: what is found today is found tomorrow, and nothing false is told beside it.

A small DENSE city with a true inventory. ``make score`` has the numbers; this only fails when they drop.
"""

from __future__ import annotations

from typing import Any

import pytest
from exemplars import NO_RATES, scored

SCENARIO = f"""
seed = 4711
days = 4
[city]
light_points = 2000
sensors = 50
photocell_share = 0.1
dropped_phase_share = 0.1
{NO_RATES}[dense]
per_kind = 1
"""
TYPES_MIN = 25
pytestmark = pytest.mark.timeout(600)  # a minute of a free core


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return scored(tmp_path_factory.mktemp("score"), SCENARIO)


def test_every_fault_is_found(score: dict[str, Any]) -> None:
    missed = {
        name: f"{one['found']} of {one['injected']}"
        for name, one in score["types"].items()
        if one["injected"] and one["found"] < one["injected"]
    }
    assert missed == {}
    assert sum(one["injected"] > 0 for one in score["types"].values()) >= TYPES_MIN


def test_nothing_false_is_told(score: dict[str, Any]) -> None:
    assert {name: one["false"] for name, one in score["types"].items() if one["false"]} == {}
    assert {name: one["alarms"] for name, one in score["look_alikes"].items() if one["alarms"]} == {}
