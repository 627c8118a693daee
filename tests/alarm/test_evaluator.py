"""Rules against readings: each clause of hold, samples, hysteresis and conditions, and a naive reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from district import LUMINAIRE, MINUTE, S, batch, fleet, local
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.crossing import Crossing
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation, Light, Supply
from gateway.errors import ConfigurationError
from gateway.fleet import Assignment
from gateway.model import ReadingBatch, Rule, Severity, When

NIGHT, NOON = local("2026-11-20 22:00"), local("2026-11-20 12:00")


def evaluator(lamps: int = 4, **changes: Any) -> Evaluator:
    district = fleet(lamps, **changes)
    return Evaluator(district, [LUMINAIRE], Expectation(district))


def reading(minute: float, device: int = 1, start: int = NIGHT, **values: Any) -> dict[str, Any]:
    return {"device": device, "time": start + round(minute * MINUTE), **values}


def happened(crossings: list[Crossing]) -> list[tuple[str, bool]]:
    return [(crossing.rule.type, crossing.raised) for crossing in crossings]


def judge(judge: Evaluator, *readings: dict[str, Any]) -> list[Crossing]:
    return judge.judge(batch(readings)).crossings


def test_a_limit_must_be_broken_for_the_whole_hold_time_of_event_time() -> None:
    e = evaluator()
    volts = [reading(0, supply_voltage=270.0), reading(0.9, supply_voltage=271.0)]
    assert judge(e, *volts) == []
    (raised,) = judge(e, reading(1, supply_voltage=272.0))
    assert (raised.onset_ns, raised.time_ns) == (NIGHT, NIGHT + MINUTE)
    assert (raised.value, raised.limit, raised.unit) == (272.0, 264.0, "V")


def test_one_good_sample_starts_the_hold_time_again() -> None:
    e = evaluator()
    assert judge(e, reading(0, supply_voltage=270.0), reading(0.5, supply_voltage=260.0)) == []
    assert judge(e, reading(1.2, supply_voltage=270.0)) == []
    (raised,) = judge(e, reading(2.2, supply_voltage=270.0))
    assert raised.onset_ns == NIGHT + round(1.2 * MINUTE)


def test_hysteresis_ends_only_at_the_clear_limit() -> None:
    e = evaluator()
    judge(e, reading(0, supply_voltage=270.0), reading(1, supply_voltage=270.0))
    assert judge(e, reading(2, supply_voltage=260.0), reading(3, supply_voltage=253.1)) == []
    (cleared,) = judge(e, reading(4, supply_voltage=253.0))
    assert (cleared.raised, cleared.value, cleared.limit) == (False, 253.0, 253.0)
    assert judge(e, reading(5, supply_voltage=250.0)) == []


def test_a_missing_value_neither_raises_nor_clears_nor_restarts() -> None:
    e = evaluator()
    readings = [reading(0, supply_voltage=270.0), reading(0.5), reading(1, supply_voltage=270.0), reading(2)]
    assert happened(judge(e, *readings)) == [("supplyVoltageTooHigh", True)]


def test_samples_min_counts_samples_in_a_row() -> None:
    e = evaluator()
    assert judge(e, reading(0, controller_temperature=90.0)) == []
    assert happened(judge(e, reading(1, controller_temperature=81.0))) == [("highTemperature", True)]


def test_late_and_replayed_readings_are_counted_and_not_judged() -> None:
    e = evaluator()
    judge(e, reading(10, supply_voltage=230.0))
    late = [reading(5, supply_voltage=270.0), reading(10, supply_voltage=270.0)]
    replayed = [
        reading(20, supply_voltage=270.0, replayed=True),
        reading(22, supply_voltage=270.0, replayed=True),
    ]
    judgement = e.judge(batch([*late, *replayed, reading(11, supply_voltage=270.0)]))
    assert judgement.crossings == []
    assert list(judgement.live) == [4]
    assert (e.late, e.replayed, e.judged) == (2, 2, 2)


def test_a_dark_lamp_fails_after_two_samples_and_is_healed_only_by_light() -> None:
    e = evaluator()
    assert judge(e, reading(0, active_power=1.0, dimming_level=100.0)) == []
    (raised,) = judge(e, reading(15, active_power=1.0, dimming_level=100.0))
    assert (raised.rule.type, raised.limit) == ("lampFailure", pytest.approx(20.0))
    by_day = reading(600, active_power=1.0, dimming_level=0.0)
    assert judge(e, by_day) == []
    assert happened(judge(e, reading(1440, active_power=95.0, dimming_level=100.0))) == [
        ("lampFailure", False)
    ]


def test_a_lamp_that_went_dark_does_not_end_a_power_alarm() -> None:
    e = evaluator()
    assert happened(judge(e, reading(0, active_power=130.0, dimming_level=100.0))) == [
        ("lampPowerTooHigh", True)
    ]
    dark = judge(e, *(reading(m, active_power=1.0, dimming_level=100.0) for m in (15, 30)))
    assert ("lampPowerTooHigh", False) not in happened(dark)
    lit = judge(e, reading(45, active_power=100.0, dimming_level=100.0))
    assert sorted(happened(lit)) == [("lampFailure", False), ("lampPowerTooHigh", False)]


def test_power_is_expected_at_the_measured_level_else_at_the_level_due() -> None:
    measured = [reading(m, active_power=15.0, dimming_level=10.0) for m in (0, 15)]
    assert judge(evaluator(), *measured) == []
    # From 23:00 on 50 % is due: 20 % of 50.5 W is 10.1 W.
    assert judge(evaluator(), *(reading(m, active_power=15.0) for m in (90, 105))) == []
    assert happened(judge(evaluator(), *(reading(m, active_power=15.0) for m in (0, 15)))) == [
        ("lampFailure", True)
    ]


def test_a_lamp_too_weak_to_tell_from_standby_is_not_judged() -> None:
    faint = [reading(m, active_power=0.5, dimming_level=4.0) for m in (0, 15, 30)]
    assert judge(evaluator(), *faint) == []


def test_a_day_burner_is_judged_by_day_only_and_not_near_a_switching() -> None:
    lit = {"active_power": 90.0, "dimming_level": 100.0}
    assert judge(evaluator(), *(reading(m, **lit) for m in (0, 30, 60))) == []
    by_day = judge(evaluator(), *(reading(m, start=NOON, **lit) for m in (0, 15, 30)))
    assert happened(by_day) == [("lampUnexpectedOn", True)]
    dusk = local("2026-11-20 17:40")
    assert judge(evaluator(), *(reading(m, start=dusk, **lit) for m in (0, 9, 18))) == []


def test_a_device_on_the_bench_is_alive_but_not_judged() -> None:
    e = evaluator(2, assignments=())
    judgement = e.judge(batch([reading(m, supply_voltage=270.0) for m in (0, 1, 2)]))
    assert (judgement.crossings, len(judgement.live), e.on_bench) == ([], 3, 3)


def test_a_device_moved_to_another_point_takes_no_state_with_it() -> None:
    moved_at = NIGHT + 5 * MINUTE
    first = Assignment("lamp-1", "LP1", 0, moved_at)
    e = evaluator(4, assignments=(first, Assignment("lamp-1", "LP3", moved_at, 2**62)))
    judge(e, reading(0, supply_voltage=270.0), reading(1, supply_voltage=270.0))
    (left,) = judge(e, reading(6, supply_voltage=270.0))
    assert (left.raised, left.reason, left.asset) == (False, "configuration", 1)
    (raised,) = judge(e, reading(7, supply_voltage=270.0))
    assert (raised.asset, raised.onset_ns) == (3, NIGHT + 6 * MINUTE)


def test_a_rule_on_an_unknown_field_is_refused() -> None:
    wrong = replace(LUMINAIRE, rules=(Rule("x", "nothing", Severity.INFO, True, 1.0, 0.0),))
    with pytest.raises(ConfigurationError, match="nothing"):
        Evaluator(fleet(), [wrong], Expectation(fleet()))


# --- a naive engine, one reading and one rule at a time --------------------------------------------


@dataclass
class Naive:
    """What the rules mean, written down without arrays."""

    expectation: Expectation
    latest: dict[int, int]
    lag: dict[int, int]
    state: dict[tuple[int, str], dict[str, Any]]

    def judge(self, r: dict[str, Any]) -> list[tuple[str, int, bool, int]]:
        device, time_ns = r["device"], r["time"]
        if r.get("replayed") or time_ns <= self.latest.get(device, -1):
            return []
        since, self.latest[device] = time_ns - self.latest.get(device, 0), time_ns
        skew = r.get("skew", 0)
        before, self.lag[device] = self.lag.get(device), skew
        margin, own = abs(skew), True
        same = before is not None and abs(skew - before) <= MINUTE and 2 * (skew - before) <= since
        if margin > 30 * MINUTE and same:
            time_ns, margin, own = time_ns - skew, 0, False  # a slow clock: judged when it speaks
        elif margin > 30 * MINUTE:
            return []
        r = {**r, "time": time_ns, "own": own}
        rows, at = np.array([device], dtype=np.int32), np.array([time_ns])
        due = self.expectation.at(rows, at, np.array([margin]))
        level = r.get("dimming_level", np.nan)
        level = due.level_due if np.isnan(level) else np.array([level])
        expected = float(self.expectation.expected_power_w(rows, level)[0])
        found = []
        for rule in sorted(LUMINAIRE.rules, key=lambda rule: not rule.above):
            found += self._rule(rule, r, int(due.light_due[0]), int(due.supply_due[0]), expected)
        return sorted(found, key=lambda crossing: crossing[2])  # ends before beginnings

    def _rule(
        self, rule: Rule, r: dict[str, Any], light: int, supply: int, expected: float
    ) -> list[tuple[str, int, bool, int]]:
        standby, device, time_ns = 1.0, r["device"], r["time"]
        value = r.get(rule.field, np.nan)
        holds = {
            When.ALWAYS: True,
            When.LIGHT_DUE_ON: light == Light.ON,
            When.LIGHT_DUE_OFF: light == Light.OFF,
            When.SUPPLY_DUE: supply == Supply.ON,
        }
        if np.isnan(value) or not holds[rule.when]:
            return []
        if rule.of_expected and not rule.above and expected - standby < 5.0:
            return []
        raise_at = self._limit(rule, rule.raise_at, expected, standby, 5.0)
        clear_at = self._limit(rule, rule.clear_at, expected, standby, 0.0)
        breach = value > raise_at if rule.above else value < raise_at
        healthy = value <= clear_at if rule.above else value >= clear_at
        if rule.when is When.LIGHT_DUE_ON:
            healthy = healthy and r.get("active_power", np.nan) > standby + 3.0
        state = self.state.setdefault(
            (device, rule.type), {"raised": False, "since": 0, "count": 0, "own": r["own"]}
        )
        if state["raised"]:
            if healthy:
                state.update(raised=False, count=0)
                return [(rule.type, device, False, time_ns)]
            return []
        lone_s = max(3 * 3600, 4 * LUMINAIRE.interval_s)  # what was seen once, long ago, begins nothing
        lone = state["count"] == 1 and time_ns - state["since"] > lone_s * S
        if not breach or lone or state["own"] != r["own"] or time_ns < state["since"]:
            state["count"] = 0
        if not breach:
            return []
        if state["count"] == 0:
            state.update(since=time_ns, own=r["own"])
        state["count"] += 1
        if time_ns - state["since"] >= rule.hold_s * S and state["count"] >= rule.samples_min:
            state["raised"] = True
            return [(rule.type, device, True, state["since"])]
        return []

    @staticmethod
    def _limit(rule: Rule, fraction: float, expected: float, standby: float, guard: float) -> float:
        if not rule.of_expected:
            return fraction
        if not rule.above:
            return max(min(fraction * expected, expected - guard), standby + 2.0)
        if fraction >= 1.0:
            return max(fraction * expected, expected + guard)
        return max(fraction * expected, standby + 3.0)


values = {
    "active_power": st.sampled_from([0.5, 1.0, 3.5, 15.0, 60.0, 100.0, 130.0, np.nan]),
    "dimming_level": st.sampled_from([0.0, 4.0, 50.0, 100.0, np.nan]),
    "supply_voltage": st.sampled_from([230.0, 253.0, 260.0, 270.0, np.nan]),
    "controller_temperature": st.sampled_from([40.0, 75.0, 78.0, 90.0]),
}
one_reading = st.fixed_dictionaries(
    {
        "device": st.integers(0, 3),
        "time": st.integers(0, 200).map(lambda k: local("2026-11-20 15:00") + k * 7 * MINUTE),
        "replayed": st.booleans().flatmap(lambda b: st.just(False) if b else st.booleans()),
        "skew": st.sampled_from([0, 0, 0, -20 * MINUTE, -40 * MINUTE]),
        **values,
    }
)
# Mostly forward in time, so that states are reached; with steps back, so that late ones occur.
journals = st.lists(one_reading, max_size=60).flatmap(
    lambda readings: st.sampled_from([readings, sorted(readings, key=lambda r: r["time"])])
)


def received(readings: list[dict[str, Any]]) -> ReadingBatch:
    made = batch(readings)
    return replace(made, received_ns=made.time_ns - made.skew_ns)


@settings(max_examples=150, deadline=None)
@given(journal=journals, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_it_agrees_with_the_naive_reference_however_the_journal_is_cut(
    journal: list[dict[str, Any]], cuts: list[int]
) -> None:
    journal = [{**r, "sequence": k} for k, r in enumerate(journal)]
    naive = Naive(Expectation(fleet()), {}, {}, {})
    expected = [crossing for r in journal for crossing in naive.judge(r)]
    e = evaluator()
    bounds = [0, *sorted(min(cut, len(journal)) for cut in cuts), len(journal)]
    found = [
        (c.rule.type, c.device, c.raised, c.onset_ns if c.raised else c.time_ns)
        for low, high in pairwise(bounds)
        for c in e.judge(received(journal[low:high])).crossings
    ]
    assert found == expected
