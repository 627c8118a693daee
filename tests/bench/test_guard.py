"""What a message costs in counts that do not depend on the machine; above the limits, the suite fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import guard
from benchmarks.figures import Report

BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="module")
def report() -> Report:
    found = guard.measure(messages=40_000)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "guard.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


@pytest.mark.parametrize("figure", guard.LIMITS)
def test_a_message_costs_no_more_than_it_did(report: Report, figure: str) -> None:
    """A limit that has to go up is a decision: change it in benchmarks/guard.py, and say why."""
    (run,) = report["runs"]
    ratio = run["figures"]["reference_loops_per_message"]
    said = f"{figure}: {run['figures'][figure]}, at most {guard.LIMITS[figure]}; "
    assert run["figures"][figure] <= guard.LIMITS[figure], f"{said}CPU: {ratio} reference loops a message"


def test_counting_again_gives_the_same_counts() -> None:
    """Or the limits above would be a matter of luck."""
    first, second = (guard.counts(guard.Inside(guard.DEVICES)) for _ in range(2))
    for figure in ("python_calls_per_message", "c_calls_per_message", "line_bytes_per_message"):
        assert first[figure] == pytest.approx(second[figure], rel=0.02), figure


def test_one_python_call_more_per_message_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = guard.Inside(100)
    for _ in range(3):
        inside.take(inside.packets(guard.SMALL))
    before, _ = guard.calls(inside, guard.SMALL)
    record = inside.record

    def slower(packets):
        for packet in packets:
            (lambda one: one)(packet)
        return record(packets)

    monkeypatch.setattr(inside, "record", slower)
    after, _ = guard.calls(inside, guard.SMALL)
    assert after - before == pytest.approx(guard.SMALL, abs=10)
