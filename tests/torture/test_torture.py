"""A minute of the torture harness, and whether the harness itself would notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from deck import BRIEF, DECK
from judgement import Fates, judge_point
from readings import POISONS, Script
from torture import torture

from gateway.errors import ConfigurationError
from gateway.failpoints import Failpoint, arm

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_of_kills_and_spoilt_stores_loses_nothing(tmp_path: Path) -> None:
    """``TORTURE_SEED`` repeats a run; ``make torture`` is the whole of it."""
    seed = int(os.environ.get("TORTURE_SEED", time.time_ns() % 1_000_000))
    print(f"TORTURE_SEED={seed}")
    verdict = torture(tmp_path, seconds=40.0, seed=seed, names=list(BRIEF))
    document = verdict.document()
    jsonschema.validate(document, json.loads((SCHEMAS / "torture.schema.json").read_text()))
    assert verdict.troubles == []
    assert (document["lost"], document["wrong"], document["duplicate_alarms"]) == (0, 0, 0)
    assert document["unnamed_gaps"] == 0
    assert verdict.acked > 10_000
    assert verdict.kills["gateway"] >= 5
    assert verdict.alarms.due > 10


def test_the_example_follows_the_schema() -> None:
    schema = json.loads((SCHEMAS / "torture.schema.json").read_text())
    jsonschema.validate(json.loads((SCHEMAS / "torture.example.json").read_text()), schema)


def test_every_failpoint_has_a_card_in_the_deck() -> None:
    assert {f"killed {failpoint}" for failpoint in Failpoint} <= set(DECK)
    assert set(BRIEF) <= set(DECK)


def test_a_tenth_of_the_messages_is_poison_of_every_kind() -> None:
    script = Script(lamps=200, start_ms=1_795_000_000_000)
    bad = [script.message(number).reason for number in range(20_000) if script.poisonous(number)]
    assert 0.08 < len(bad) / 20_000 < 0.11
    assert len(set(bad)) == len(POISONS)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, ""),
        ({"supply_voltage": 1.0}, "wrong"),
        ({"device": "L-9"}, "wrong"),
        ({"switch_on_counter": 77}, "foreign"),
    ],
)
def test_the_judge_sees_the_last_bit(change: dict[str, object], found: str) -> None:
    script = Script(lamps=200, start_ms=1_795_000_000_000)
    due = script.message(8_000)
    point = {**due.fields, "device": due.device, "received_at": due.time_ns + 5, **change}
    fates = Fates()
    judge_point(script, frozenset({8_000}), fates, "luminaire", due.time_ns, point)
    assert (bool(fates.wrong), bool(fates.foreign)) == (found == "wrong", found == "foreign")


def test_a_failpoint_ends_the_process_at_its_pass() -> None:
    passes = "; ".join(["passing(Failpoint.APPENDED); print('passed', flush=True)"] * 3)
    code = (
        f"from gateway.failpoints import *; arm('{Failpoint.APPENDED}:2'); passing(Failpoint.TRIM); {passes}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "passed\n")


@pytest.mark.parametrize("text", ["nowhere", f"{Failpoint.TRIM}:soon"])
def test_an_unknown_failpoint_is_a_mistake_of_configuration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="CITYLIGHT_FAILPOINT"):
        arm(text)
