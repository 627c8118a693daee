"""Two clocks: the device's, and ours where the device's is not believed. Ours may be wrong for a while."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from district import LUMINAIRE, batch, fleet, local
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.evaluator import Crossing, Evaluator
from gateway.alarm.expected import Expectation
from gateway.model import Chunk, Counts, ReadingBatch, Run

MINUTE, YEAR = 60_000_000_000, 31_557_600_000_000_000
NIGHT = local("2026-11-20 22:00")
WRONG = NIGHT + 40 * YEAR


def volts(value: float, at_ns: int, *, own: bool) -> dict[str, Any]:
    """A reading at the device's ``own`` time, or at its receive time."""
    return {"device": 1, "time": at_ns, "supply_voltage": value, "own": own}


def readings(rows: list[dict[str, Any]], sequence: int = 1) -> ReadingBatch:
    made = batch(rows, sequence=sequence)
    return replace(made, time_from_device=np.array([row["own"] for row in rows], dtype=np.bool_))


def a_clock_that_was_wrong() -> list[dict[str, Any]]:
    """An alarm that begins and ends while ours is forty years ahead, and another one after that."""
    return [
        volts(230, NIGHT, own=True),
        volts(270, WRONG, own=False),
        volts(270, WRONG + 2 * MINUTE, own=False),
        volts(230, WRONG + 3 * MINUTE, own=False),
        volts(270, NIGHT + 10 * MINUTE, own=True),
        volts(270, NIGHT + 12 * MINUTE, own=True),
        volts(230, NIGHT + 13 * MINUTE, own=True),
    ]


def test_a_wrong_clock_of_ours_silences_no_device_afterwards() -> None:
    district = fleet()
    engine = AlarmEngine(district, [LUMINAIRE])
    run = Run((readings(a_clock_that_was_wrong()),), (), (), Counts())
    transitions = engine.apply(Chunk(1, 2, (run,), (1,)))
    raised = [alarm for _, alarm in transitions if alarm.event == "raised"]
    assert [alarm.onset_ns for alarm in raised] == [WRONG, NIGHT + 10 * MINUTE]
    assert [alarm.event for _, alarm in transitions].count("cleared") >= 2
    assert engine.evaluator.late == 0


def test_no_time_passes_between_two_clocks() -> None:
    """A hold of one minute is not over because our clock says forty years."""
    district = fleet()
    judge = Evaluator(district, [LUMINAIRE], Expectation(district))
    jump = [volts(270, NIGHT, own=True), volts(270, WRONG, own=False), volts(270, NIGHT + 1, own=True)]
    assert judge.judge(readings(jump)).crossings == []
    (raised,) = judge.judge(readings([volts(270, NIGHT + MINUTE + 1, own=True)])).crossings
    assert raised.onset_ns == NIGHT + 1


def outline(crossings: list[Crossing]) -> list[tuple[object, ...]]:
    return [(c.place, c.rule.type, c.raised, c.onset_ns, c.time_ns) for c in crossings]


@given(
    st.lists(
        st.tuples(st.sampled_from([225.0, 270.0]), st.integers(0, 6), st.booleans()), min_size=1, max_size=30
    ),
    st.sets(st.integers(1, 29)),
)
def test_cutting_changes_nothing_whatever_the_clocks(
    sent: list[tuple[float, int, bool]], cuts: set[int]
) -> None:
    rows = [volts(value, NIGHT + minute * MINUTE // 2, own=own) for value, minute, own in sent]
    for number, row in enumerate(rows):
        row["sequence"] = number
    district = fleet()
    whole = Evaluator(district, [LUMINAIRE], Expectation(district))
    due = [replace(c, place=(c.place[0], 0, 0)) for c in whole.judge(readings(rows)).crossings]
    pieces = Evaluator(district, [LUMINAIRE], Expectation(district))
    found: list[Crossing] = []
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for first, end in pairwise(edges):
        found += pieces.judge(readings(rows[first:end])).crossings
    assert outline([replace(c, place=(c.place[0], 0, 0)) for c in found]) == outline(due)
    assert pieces.late == whole.late
