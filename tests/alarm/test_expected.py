"""What is due when: programmes, photocells, switched feeders, and the guard around every switching."""

from __future__ import annotations

import numpy as np
import pytest
from district import MINUTE, fleet, local
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.expected import Expectation, Light, Supply, Why
from gateway.fleet import Programme

EITHER, ON, OFF = Light.EITHER, Light.ON, Light.OFF


def light(programme: Programme, *times: str, skew_ns: int = 0) -> list[int]:
    expectation = Expectation(fleet(1, programme))
    at = np.array([local(t) for t in times])
    return list(expectation.at(np.zeros(len(at), dtype=np.int32), at, skew_ns).light_due)


def test_astronomical_light_is_due_from_civil_dusk_to_civil_dawn_with_a_guard_of_ten_minutes() -> None:
    # Civil dusk of 2026-11-16 is 17:48:30, civil dawn of the 17th 05:27:40.
    times = ("2026-11-16 12:00", "2026-11-16 17:38", "2026-11-16 17:40", "2026-11-16 17:58")
    assert light(Programme("n"), *times) == [OFF, OFF, EITHER, EITHER]
    times = (
        "2026-11-16 17:59",
        "2026-11-17 00:30",
        "2026-11-17 05:17",
        "2026-11-17 05:18",
        "2026-11-17 05:38",
    )
    assert light(Programme("n"), *times) == [ON, ON, ON, EITHER, OFF]


def test_known_skew_widens_the_guard() -> None:
    assert light(Programme("n"), "2026-11-16 18:10") == [ON]
    assert light(Programme("n"), "2026-11-16 18:10", skew_ns=-15 * MINUTE) == [EITHER]


def test_a_photocell_may_do_as_it_likes_between_plus_and_minus_six_degrees() -> None:
    # Sun at +6 deg: 17:00 and 06:15; at -6 deg: 17:48 and 05:27 (16/17 November).
    times = ("2026-11-16 16:50", "2026-11-16 17:10", "2026-11-16 17:45", "2026-11-16 17:50")
    assert light(Programme("n", "photocell"), *times) == [OFF, EITHER, EITHER, ON]
    times = ("2026-11-17 05:20", "2026-11-17 05:30", "2026-11-17 06:30")
    assert light(Programme("n", "photocell"), *times) == [ON, EITHER, OFF]


@pytest.mark.parametrize(
    ("on", "off", "expected"),
    [(1080, 360, [ON, OFF, ON, EITHER]), (480, 1020, [OFF, ON, OFF, OFF]), (0, 0, [ON, ON, ON, ON])],
)
def test_fixed_times_by_night_by_day_and_always(on: int, off: int, expected: list[int]) -> None:
    programme = Programme("n", "fixed", on_minute=on, off_minute=off)
    times = ("2026-11-16 03:00", "2026-11-16 12:00", "2026-11-16 22:00", "2026-11-16 05:55")
    assert light(programme, *times) == expected


def test_the_level_follows_the_steps_of_the_evening_and_starts_the_next_one_afresh() -> None:
    programme = Programme("n", "astronomical", ((1380, 50.0), (270, 80.0)))
    expectation = Expectation(fleet(1, programme))
    times = (
        "2026-11-16 12:00",
        "2026-11-16 18:30",
        "2026-11-16 23:30",
        "2026-11-17 04:45",
        "2026-11-17 18:30",
    )
    due = expectation.at(np.zeros(5, dtype=np.int32), np.array([local(t) for t in times]))
    assert list(due.level_due) == [0.0, 100.0, 50.0, 80.0, 100.0]


def test_a_step_before_dusk_holds_from_switch_on() -> None:
    expectation = Expectation(fleet(1, Programme("n", "astronomical", ((1020, 70.0),))))
    due = expectation.at(np.zeros(1, dtype=np.int32), np.array([local("2026-11-16 18:30")]))
    assert list(due.level_due) == [70.0]


def test_supply_of_a_switched_feeder_follows_the_light_and_is_unknown_near_a_switching() -> None:
    expectation = Expectation(fleet(2))
    switched, live = np.zeros(3, dtype=np.int32), np.ones(3, dtype=np.int32)
    at = np.array([local(t) for t in ("2026-11-16 12:00", "2026-11-16 17:50", "2026-11-16 22:00")])
    assert list(expectation.at(switched, at).supply_due) == [Supply.OFF, Supply.UNKNOWN, Supply.ON]
    assert list(expectation.at(live, at).supply_due) == [Supply.ON] * 3


def test_without_a_programme_nothing_is_due_and_the_reason_says_so() -> None:
    district = fleet(2, assets=tuple(a for a in fleet(2).assets), programmes=())
    due = Expectation(district).at(np.array([0], dtype=np.int32), np.array([local("2026-11-16 22:00")]))
    assert (due.light_due[0], due.supply_due[0], due.why[0]) == (Light.EITHER, Supply.UNKNOWN, Why.UNKNOWN)


def test_many_days_at_once_are_the_same_as_one_by_one() -> None:
    expectation = Expectation(fleet(4))
    at = np.arange(local("2026-10-01 00:00"), local("2026-11-20 00:00"), 37 * MINUTE)
    rows = (np.arange(len(at)) % 4).astype(np.int32)
    whole = expectation.at(rows, at)
    for i in range(0, len(at), 41):
        one = Expectation(fleet(4)).at(rows[i : i + 1], at[i : i + 1])
        assert (one.light_due[0], one.level_due[0]) == (whole.light_due[i], whole.level_due[i])


def test_expected_power_is_linear_from_standby_to_rated() -> None:
    expectation = Expectation(fleet(1))
    power = expectation.expected_power_w(np.zeros(3, dtype=np.int32), np.array([0.0, 50.0, 100.0]))
    assert list(power) == [1.0, 50.5, 100.0]


NIGHT = local("2026-11-16 12:00")
INSTANTS = st.tuples(st.integers(0, 2 * 1440), st.integers(-1, 1), st.sampled_from([0, 1, 30, 180]))


@given(
    st.sampled_from(
        [
            Programme("n", "astronomical", ((1380, 50.0), (270, 80.0))),
            Programme("n", "photocell"),
            Programme("n", "fixed", on_minute=1080, off_minute=360, steps=((1320, 0.0),)),
        ]
    ),
    st.lists(INSTANTS, min_size=2, max_size=12),
)
def test_many_instants_at_once_are_answered_like_each_alone(
    programme: Programme, instants: list[tuple[int, int, int]]
) -> None:
    """Around a change each is worked out, between two changes the answer is remembered."""
    expectation = Expectation(fleet(1, programme))
    time_ns = np.array([NIGHT + minute * MINUTE + ns for minute, ns, _ in instants])
    skew_ns = np.array([minutes * MINUTE for _, _, minutes in instants])
    place = np.zeros(len(instants), dtype=np.int32)
    together = expectation.at(place, time_ns, skew_ns)
    for k in range(len(instants)):
        alone = expectation.at(place[k : k + 1], time_ns[k : k + 1], skew_ns[k : k + 1])
        for name in ("supply_due", "light_due", "level_due", "why", "steady"):
            assert getattr(alone, name)[0] == getattr(together, name)[k], (name, instants[k])
