"""Two clocks: the device's, and ours where the device's is not believed. Ours may be wrong for a while."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from district import LUMINAIRE, S, batch, fleet, local
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.crossing import Crossing
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.evaluator import Evaluator
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
        volts(230, WRONG - MINUTE, own=False),  # the first without a time may be an old one
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
    assert engine.evaluator.late == 1


def test_no_time_passes_between_two_clocks() -> None:
    """A hold of one minute is not over because our clock says forty years."""
    district = fleet()
    judge = Evaluator(district, [LUMINAIRE], Expectation(district))
    ours = [volts(270, WRONG + n, own=False) for n in (0, 1)]
    jump = [volts(270, NIGHT, own=True), *ours, volts(270, NIGHT + S, own=True)]
    assert judge.judge(readings(jump)).crossings == []
    (raised,) = judge.judge(readings([volts(270, NIGHT + MINUTE + S, own=True)])).crossings
    assert raised.onset_ns == NIGHT + S


def lagging(minute: float, lag_min: float, value: float) -> dict[str, Any]:
    """Received ``minute`` minutes into the night, by a clock that is ``lag_min`` behind."""
    at_ns = NIGHT + round((minute - lag_min) * MINUTE)
    return {"device": 1, "time": at_ns, "skew": round(-lag_min * MINUTE), "supply_voltage": value}


def judged(rows: list[dict[str, Any]]) -> list[Crossing]:
    district = fleet()
    made = batch(rows)
    made = replace(made, received_ns=made.time_ns - made.skew_ns)
    return Evaluator(district, [LUMINAIRE], Expectation(district)).judge(made).crossings


def test_a_clock_that_is_seven_hours_behind_is_judged_when_it_speaks() -> None:
    (raised,) = judged([lagging(minute, 420, 270.0) for minute in (0, 15, 30)])
    assert (raised.onset_ns, raised.time_ns) == (NIGHT + 15 * MINUTE, NIGHT + 30 * MINUTE)


def test_readings_handed_in_hours_late_raise_nothing() -> None:
    """A radio that was cut off hands in old readings one after the other."""
    assert judged([lagging(n / 60, 420 - 15 * n, 270.0) for n in range(6)]) == []


def test_readings_kept_for_minutes_and_handed_in_at_once_are_judged_by_their_own_times() -> None:
    """A slow clock's lag would not shrink from one to the next."""
    (raised,) = judged([lagging(n / 60, 4 - n, 270.0) for n in range(3)])
    assert (raised.onset_ns, raised.time_ns) == (NIGHT - 4 * MINUTE, NIGHT - 3 * MINUTE + S)


def test_a_reading_that_came_twice_is_one_sample() -> None:
    """The second copy is stored some nanoseconds later, so that both are kept."""
    rows = [volts(270, NIGHT, own=True), volts(270, NIGHT + 2 * MINUTE, own=True)]
    twins = [{**rows[0], "controller_temperature": 90.0}, {**rows[0], "time": NIGHT + 7}]
    twins[1]["controller_temperature"] = 90.0
    district = fleet()
    judge = Evaluator(district, [LUMINAIRE], Expectation(district))
    assert judge.judge(readings(twins)).crossings == []
    assert judge.late == 1


def test_one_old_reading_without_a_time_clears_nothing() -> None:
    rows = [volts(270, NIGHT + n * MINUTE, own=True) for n in range(3)]
    rows += [volts(230, NIGHT + 4 * MINUTE, own=False), volts(270, NIGHT + 5 * MINUTE, own=True)]
    district = fleet()
    found = Evaluator(district, [LUMINAIRE], Expectation(district)).judge(readings(rows)).crossings
    assert [crossing.raised for crossing in found] == [True]


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
