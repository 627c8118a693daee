"""What a message costs in counts that do not depend on the machine; above the limits, the suite fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import guard
from benchmarks.figures import Report


@pytest.mark.parametrize("figure", guard.LIMITS)
def test_a_message_costs_no_more_than_it_did(guard_report: Report, figure: str) -> None:
    """A limit that has to go up is a decision: change it in benchmarks/guard.py, and say why."""
    (run,) = guard_report["runs"]
    ratio = run["figures"]["reference_loops_per_message"]
    said = f"{figure}: {run['figures'][figure]}, at most {guard.LIMITS[figure]}; "
    assert run["figures"][figure] <= guard.LIMITS[figure], f"{said}CPU: {ratio} reference loops a message"


def test_counting_again_gives_the_same_counts(guard_report: Report) -> None:
    """Or the limits above would be a matter of luck."""
    (run,) = guard_report["runs"]
    again = guard.counts(guard.Inside(guard.DEVICES))
    for figure in ("python_calls_per_message", "c_calls_per_message", "line_bytes_per_message"):
        assert again[figure] == pytest.approx(run["figures"][figure], rel=0.02), figure


def test_one_python_call_more_per_message_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = guard.Inside(guard.SMALL)  # so that each block is of the same devices as the one before
    for _ in range(6):
        inside.take(inside.packets(guard.SMALL))
    before, _ = guard.calls(inside, guard.SMALL)
    record = inside.record

    def slower(packets: Sequence[bytes]) -> Any:
        for packet in packets:
            (lambda one: one)(packet)
        return record(packets)

    monkeypatch.setattr(inside, "record", slower)
    after, _ = guard.calls(inside, guard.SMALL)
    assert after - before == pytest.approx(guard.SMALL, abs=10)
