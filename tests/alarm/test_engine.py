"""The whole engine: journals in, transitions out; restarts and edited configurations in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import zstandard
from district import (
    BOOT,
    HOT,
    LUMINAIRE,
    MINUTE,
    OVER_VOLTAGE,
    S,
    acquainted,
    batch,
    chunk,
    fleet,
    local,
    run,
    said,
    tick,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.engine import AlarmEngine, Transitions
from gateway.alarm.ledger import alarm_id
from gateway.alarm.trial import trial
from gateway.alarms import Alarm, AlarmState
from gateway.errors import OrderRefused, StateFormatTooNew
from gateway.fleet import Assignment
from gateway.model import (
    TIME_ABSENT,
    Control,
    Counts,
    ProfileSpec,
    Run,
    SessionEvent,
    Severity,
    Tick,
)

NIGHT, NOON = local("2026-11-20 22:00"), local("2026-11-20 12:00")


def engine(lamps: int = 4, spec: ProfileSpec = LUMINAIRE, **changes: Any) -> AlarmEngine:
    known = AlarmEngine(fleet(lamps, **changes), [spec])
    acquainted(known.watch)
    return known


def volts(minute: float, value: float, device: int = 1, start: int = NIGHT) -> dict[str, Any]:
    return {"device": device, "time": start + round(minute * MINUTE), "supply_voltage": value}


def acknowledge(alarm: Alarm, by: str = "An") -> Control:
    return Control("acknowledge", NIGHT, body={"alarm": alarm.id, "by": by, "comment": "đã báo đội trực"})


RAISE = run(volts(0, 270.0), volts(1, 271.0))
CLEAR = run(volts(9, 230.0))


def test_an_alarm_says_what_where_since_when_and_by_how_much() -> None:
    ((sequence, alarm),) = engine().apply(chunk(run(volts(0, 270.0), volts(1, 271.5), sequence=7), first=7))
    assert sequence == 7
    assert alarm.id == alarm_id("LP1", "supplyVoltageTooHigh", NIGHT)
    assert alarm.document() == {
        "id": alarm.id,
        "type": "supplyVoltageTooHigh",
        "asset": "LP1",
        "device": "lamp-1",
        "area": "hoa-phu",
        "feeder": "F-live",
        "severity": "major",
        "state": "unacknowledged",
        "isa_state": "unacknowledged",
        "onset": "2026-11-20T15:00:00.000000000Z",
        "raised_at": "2026-11-20T15:01:00.000000000Z",
        "cleared_at": None,
        "parent": None,
        "members": [],
        "value": 271.5,
        "limit": 264.0,
        "text": {
            "vi": "Điện áp nguồn quá cao tại LP1, Lê Lợi, Phường Hoà Phú từ 22:00 ngày 20/11/2026: "
            "271,5 V, ngưỡng 264 V",
            "en": "Supply voltage too high at LP1, Lê Lợi, Phường Hoà Phú since 2026-11-20 22:00: "
            "271.5 V, limit 264 V",
        },
        "check": {
            "vi": "điện áp các đèn cùng pha, trung tính của tuyến",
            "en": "voltage of lamps on the same phase, the neutral of the feeder",
        },
        "transition": 1,
        "by": None,
        "comment": None,
    }


def test_the_id_of_an_alarm_never_changes_between_versions() -> None:
    assert alarm_id("LP1", "lampFailure", 1_795_161_600_000_000_000) == "514c474929d1c255d1579b0e"


def test_raised_acknowledged_cleared() -> None:
    e = engine()
    (raised,) = (a for _, a in e.apply(chunk(RAISE)))
    ((_, seen),) = e.apply(chunk(acknowledge(raised)))
    assert (seen.state, seen.by, seen.comment) == (AlarmState.ACKNOWLEDGED, "An", "đã báo đội trực")
    ((_, cleared),) = e.apply(chunk(CLEAR))
    assert (cleared.state, cleared.event, cleared.transition) == (AlarmState.NORMAL, "cleared", 3)
    assert cleared.cleared_ns == NIGHT + 9 * MINUTE
    assert cleared.text_en.endswith("; ended 2026-11-20 22:09")
    assert e.active() == ()


def test_an_unseen_alarm_that_returned_waits_for_its_acknowledgement() -> None:
    e = engine()
    transitions = e.apply(chunk(RAISE, CLEAR))
    assert [a.state for _, a in transitions] == [AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED]
    assert len(e.active()) == 1
    ((_, done),) = e.apply(chunk(acknowledge(transitions[0][1])))
    assert (done.state, e.active()) == (AlarmState.NORMAL, ())


def test_a_condition_that_comes_back_is_a_new_alarm_and_supersedes_the_unseen_one() -> None:
    e = engine()
    e.apply(chunk(RAISE, CLEAR))
    again = e.apply(chunk(run(volts(20, 270.0), volts(21, 270.0))))
    (_, old), (_, new) = again
    assert (old.state, old.event, old.comment) == (AlarmState.NORMAL, "updated", f"superseded by {new.id}")
    assert (new.state, new.transition) == (AlarmState.UNACKNOWLEDGED, 1)
    assert e.active() == (new,)


@pytest.mark.parametrize(
    "body", [{}, {"alarm": "0" * 24, "by": "An"}, {"alarm": None}, {"alarm": ["x"], "comment": 5}]
)
def test_an_act_on_nothing_is_counted_and_changes_nothing(body: dict[str, Any]) -> None:
    e = engine()
    e.apply(chunk(RAISE))
    assert e.apply(chunk(Control("acknowledge", NIGHT, body=body))) == []
    assert (e.refused, e.active()[0].state) == (1, AlarmState.UNACKNOWLEDGED)


def test_two_limits_of_one_type_are_one_alarm_that_worsens_and_ends_with_the_last() -> None:
    warning = replace(OVER_VOLTAGE, severity=Severity.MINOR, raise_at=253.0, clear_at=245.0, hold_s=0.0)
    critical = replace(OVER_VOLTAGE, severity=Severity.CRITICAL, hold_s=0.0)
    e = engine(spec=replace(LUMINAIRE, rules=(warning, critical)))
    steps = [255.0, 270.0, 250.0, 230.0]
    transitions = e.apply(chunk(*(run(volts(m, value)) for m, value in enumerate(steps))))
    assert [(a.event, a.severity.value, a.transition) for _, a in transitions] == [
        ("raised", "minor", 1),
        ("updated", "critical", 2),
        ("cleared", "critical", 3),
    ]
    assert len({a.id for _, a in transitions}) == 1


def test_two_devices_of_one_point_share_an_alarm() -> None:
    both = (
        Assignment("lamp-1", "LP1", -(2**63), 2**63 - 1),
        Assignment("lamp-3", "LP1", -(2**63), 2**63 - 1),
    )
    e = engine(assignments=both)
    raised = e.apply(chunk(RAISE, run(volts(0, 270.0, 3), volts(1.5, 270.0, 3))))
    assert said(raised) == [("LP1", "supplyVoltageTooHigh", "raised", "unacknowledged")]
    assert e.apply(chunk(run(volts(5, 230.0)))) == []
    assert said(e.apply(chunk(run(volts(6, 230.0, 3))))) == [
        ("LP1", "supplyVoltageTooHigh", "cleared", "returned")
    ]


def test_the_next_alarm_of_a_point_never_takes_the_id_of_the_last() -> None:
    both = (
        Assignment("lamp-1", "LP1", -(2**63), 2**63 - 1),
        Assignment("lamp-3", "LP1", -(2**63), 2**63 - 1),
    )
    e = engine(assignments=both)
    # lamp-3 is pending from the same instant as lamp-1, and is raised after that alarm has ended.
    e.apply(chunk(run(volts(0, 270.0), volts(0, 270.0, 3), volts(1, 270.0), volts(2, 230.0))))
    ((_, old), (_, new)) = e.apply(chunk(run(volts(3, 270.0, 3))))
    assert old.id != new.id


def test_a_data_gap_is_over_at_once_and_stays_until_it_is_seen() -> None:
    e = engine()
    gap = SessionEvent(3, "gap", NIGHT, gap="broker_restarted")
    (_, raised), (_, returned) = e.apply(chunk(gap))
    assert (raised.asset, raised.type, raised.area) == ("gateway", "dataGap", "")
    assert returned.state is AlarmState.RETURNED
    assert "broker was restarted" in returned.text_en
    assert e.active() == (returned,)


def test_silence_is_an_alarm_and_the_next_live_reading_ends_it() -> None:
    e = engine(2)
    minutes = range(62)
    transitions = e.apply(chunk(*(tick(NOON + m * MINUTE) for m in minutes)))
    ((sequence, silent),) = transitions
    assert (sequence, silent.type, silent.asset, silent.severity) == (
        61,
        "communicationFailure",
        "LP1",
        "minor",
    )
    assert silent.onset_ns == NOON + 15 * MINUTE
    late = {**volts(62, 230.0, start=NOON), "replayed": True}
    assert e.apply(chunk(run(late))) == []
    assert said(e.apply(chunk(run(volts(62, 230.0, start=NOON))))) == [
        ("LP1", "communicationFailure", "cleared", "returned")
    ]


def test_readings_of_two_profiles_are_taken_in_journal_order() -> None:
    other = replace(LUMINAIRE, name="other", rules=(replace(OVER_VOLTAGE, hold_s=0.0),))
    first = replace(LUMINAIRE, rules=(replace(OVER_VOLTAGE, hold_s=0.0),))
    devices = (*fleet(3).devices, replace(fleet(4).devices[3], profile="other"))
    e = AlarmEngine(fleet(4, devices=devices), [first, other])
    batches = (
        batch([{**volts(0, 270.0), "sequence": 2}], first),
        batch([{**volts(0, 270.0, 3), "sequence": 1}], other),
    )
    transitions = e.apply(chunk(Run(batches, (), (), Counts()), first=2))
    assert [(sequence, a.asset) for sequence, a in transitions] == [(1, "LP3"), (2, "LP1")]


# --- restarts ----------------------------------------------------------------------------------


def restarted(e: AlarmEngine, again: AlarmEngine | None = None) -> AlarmEngine:
    again = again or engine()
    again.restore(e.snapshot())
    return again


events = st.one_of(
    st.builds(
        lambda device, volts, power, temperature: {
            "device": device,
            "supply_voltage": volts,
            "active_power": power,
            "dimming_level": 100.0,
            "controller_temperature": temperature,
        },
        st.integers(0, 3),
        st.sampled_from([230.0, 260.0, 270.0]),
        st.sampled_from([1.0, 100.0, 130.0]),
        st.sampled_from([40.0, 90.0]),
    ),
    st.sampled_from(["tick", "tick", "tick", "reboot", "disconnected", "connected", "gap", "acknowledge"]),
)


def parts_of(journal: Sequence[Any], start: int) -> list[Any]:
    """Events five minutes apart; an acknowledgement names an alarm by its place in an earlier pass."""
    parts: list[Any] = []
    boot = 0
    for k, event in enumerate(journal):
        at = start + k * 5 * MINUTE
        if isinstance(event, dict):
            parts.append(run({**event, "time": at}, sequence=k + 1))
            continue
        boot += event == "reboot"
        if event in {"tick", "reboot"}:
            for j in range(3):
                step = at + j * 2 * MINUTE
                parts.append(Tick(step, step, bytes([boot]) * 16, connected=True, drained=True))
        elif event == "acknowledge":
            parts.append(event)
        else:
            parts.append(SessionEvent(1, event, at, gap="session_lost" if event == "gap" else ""))
    return parts


def follow(parts: Sequence[Any], cuts: set[int]) -> Transitions:
    """Apply one part at a time; restart from a snapshot before each part in ``cuts``."""
    e = engine()
    transitions: Transitions = []
    for k, part in enumerate(parts):
        if k in cuts:
            e = restarted(e)
        if part == "acknowledge":
            part = Control(
                "acknowledge", 0, body={"alarm": e.active()[0].id if e.active() else "", "by": "An"}
            )
        transitions += e.apply(chunk(part, first=k + 1))
    return transitions


@settings(max_examples=60, deadline=None)
@given(
    journal=st.lists(events, max_size=60),
    cuts=st.sets(st.integers(0, 120), max_size=5),
    start=st.sampled_from(["2026-11-20 16:30", "2026-11-20 22:00", "2026-11-20 10:00"]),
)
def test_a_restart_anywhere_changes_no_transition(journal: list[Any], cuts: set[int], start: str) -> None:
    parts = parts_of(journal, local(start))
    assert follow(parts, cuts) == follow(parts, set())


@settings(max_examples=40, deadline=None)
@given(journal=st.lists(events.filter(lambda e: e != "acknowledge"), max_size=60), cut=st.integers(0, 120))
def test_one_chunk_or_two_or_twice_the_same(journal: list[Any], cut: int) -> None:
    parts = parts_of(journal, NIGHT)
    whole = engine().apply(chunk(*parts))
    e = engine()
    halves = e.apply(chunk(*parts[:cut])) + e.apply(chunk(*parts[cut:], first=len(parts[:cut]) + 1))
    assert [a for _, a in halves] == [a for _, a in whole]
    numbers = [(a.id, a.transition) for _, a in whole]
    assert len(set(numbers)) == len(numbers)
    for kind in ("raised", "cleared"):
        named = [a.id for _, a in whole if a.event == kind]
        assert len(set(named)) == len(named)


def test_equal_states_give_equal_snapshots_and_a_large_fleet_a_small_one() -> None:
    parts = [RAISE, tick(NIGHT), tick(NIGHT + MINUTE)]
    first, second = engine(), engine()
    first.apply(chunk(*parts))
    for part in parts:
        second.apply(chunk(part))
    assert first.snapshot() == second.snapshot() == restarted(first).snapshot()
    large = engine(20_000)
    large.apply(chunk(*parts))
    assert len(large.snapshot()) < 20_000 * 16


def test_a_snapshot_of_a_later_version_is_refused() -> None:
    later = zstandard.compress(msgspec.msgpack.encode([99, "something else"]))
    with pytest.raises(StateFormatTooNew):
        engine().restore(later)


CONFIGURATION = Control("configuration", NIGHT + 30 * MINUTE, hash="new")


def test_an_alarm_whose_device_is_gone_clears_with_reason_configuration() -> None:
    e = engine()
    e.apply(chunk(RAISE))
    without = fleet(4)
    smaller = replace(without, devices=without.devices[2:], assignments=without.assignments[2:])
    after = restarted(e, AlarmEngine(smaller, [LUMINAIRE]))
    ((_, cleared),) = after.apply(chunk(CONFIGURATION))
    assert (cleared.event, cleared.state, cleared.comment) == ("cleared", AlarmState.NORMAL, "configuration")
    assert cleared.cleared_ns == CONFIGURATION.wall_ns
    assert after.active() == ()


def test_an_alarm_whose_rule_is_gone_clears_and_the_others_stay() -> None:
    e = engine()
    hot = [{"device": 1, "time": NIGHT + m * MINUTE, "controller_temperature": 90.0} for m in (2, 3)]
    e.apply(chunk(RAISE, run(*hot)))
    after = restarted(e, engine(spec=replace(LUMINAIRE, rules=(HOT,))))
    assert said(after.apply(chunk(CONFIGURATION))) == [("LP1", "supplyVoltageTooHigh", "cleared", "normal")]
    assert [a.type for a in after.active()] == ["highTemperature"]


def test_a_silent_device_that_moved_is_reported_at_its_new_point_later() -> None:
    e = engine(2)
    e.apply(chunk(*(tick(NOON + m * MINUTE) for m in range(62))))
    moved = Assignment("lamp-1", "LP0", -(2**63), 2**63 - 1)
    after = restarted(e, engine(2, assignments=(fleet(2).assignments[0], moved)))
    assert said(after.apply(chunk(CONFIGURATION))) == [("LP1", "communicationFailure", "cleared", "normal")]


def test_a_new_limit_keeps_the_state_of_its_rule_and_a_grown_fleet_keeps_everything() -> None:
    e = engine()
    e.apply(chunk(run(volts(0, 270.0))))
    gentler = replace(LUMINAIRE, rules=(HOT, replace(OVER_VOLTAGE, raise_at=260.0)))
    grown = fleet(9)
    reordered = replace(grown, devices=tuple(reversed(grown.devices)))
    after = restarted(e, AlarmEngine(reordered, [gentler]))
    assert after.apply(chunk(CONFIGURATION)) == []
    row = reordered.device_row["lamp-1"]
    ((_, raised),) = after.apply(chunk(run(volts(1, 262.0, row))))
    assert (raised.asset, raised.onset_ns, raised.limit) == ("LP1", NIGHT, 260.0)


def test_the_closest_scope_of_a_rule_wins_and_a_rule_switched_off_keeps_quiet() -> None:
    gentler = replace(OVER_VOLTAGE, raise_at=280.0, scope="area:hoa-phu")
    gentlest = replace(OVER_VOLTAGE, raise_at=290.0, scope="feeder:F-live")
    nowhere = replace(OVER_VOLTAGE, scope="asset:LP0", enabled=False)
    e = engine(spec=replace(LUMINAIRE, rules=(OVER_VOLTAGE, gentler, gentlest, nowhere)))
    high = [volts(m, 285.0, device) for m in (0, 1) for device in (0, 1, 2)]
    assert [a.asset for _, a in e.apply(chunk(run(*high)))] == ["LP2"]
    told = {asset: e.explain(asset, NIGHT) for asset in ("LP0", "LP1", "LP2")}
    limits = {asset: [r["above"] for r in rows if r["above"] is not None] for asset, rows in told.items()}
    assert limits == {"LP0": [], "LP1": [290.0], "LP2": [280.0]}


def test_an_alarm_stands_through_an_override_and_clears_where_its_rule_is_switched_off() -> None:
    e = engine()
    e.apply(chunk(run(*(volts(m, 270.0, device) for m in (0, 1) for device in (1, 3)))))
    there = replace(OVER_VOLTAGE, raise_at=280.0, scope="asset:LP1")
    off = replace(OVER_VOLTAGE, scope="asset:LP3", enabled=False)
    spec = replace(LUMINAIRE, rules=(*LUMINAIRE.rules, there, off))
    after = restarted(e, engine(spec=spec))
    assert said(after.apply(chunk(CONFIGURATION))) == [("LP3", "supplyVoltageTooHigh", "cleared", "normal")]
    assert said(after.apply(chunk(CLEAR))) == [("LP1", "supplyVoltageTooHigh", "cleared", "returned")]


def test_an_explanation_says_why_each_rule_stands_where_it_stands() -> None:
    e = engine()
    reading = {"device": 1, "time": NIGHT, "active_power": 1.0, "dimming_level": 100.0}
    e.apply(chunk(run({**reading, "supply_voltage": 230.0})))
    rules = {rule["rule"]: rule for rule in e.explain("LP1", NIGHT)}
    assert rules["supplyVoltageTooHigh"]["why"] == "within the limit"
    assert rules["lampFailure"]["state"] == "pending"
    assert (rules["lampFailure"]["below"], rules["lampFailure"]["value"]) == (20.0, 1.0)
    assert rules["lampUnexpectedOn"]["why"] == "judged only while light due off"
    assert rules["highTemperature"]["why"] == "the latest reading known has no controller_temperature"
    assert rules["lampFailure"]["light_due_by"] == "programme"
    with pytest.raises(OrderRefused):
        e.explain("LP99", NIGHT)


def test_the_test_alarm_tells_everything_and_leaves_nothing_standing() -> None:
    alarms = trial(fleet(), NIGHT, "An")
    assert [a.event for a in alarms] == ["raised", "cleared", "acknowledged"]
    assert (alarms[-1].state, alarms[0].severity) == (AlarmState.NORMAL, Severity.INFO)


def test_a_first_tick_after_a_restart_counts_on() -> None:
    e = engine(2)
    e.apply(chunk(*(tick(NOON + m * MINUTE) for m in range(31))))
    again = restarted(e, engine(2))
    assert list(again.watch.age_ns()) == [0, 30 * MINUTE]
    transitions = again.apply(chunk(*(tick(NOON + m * MINUTE) for m in range(31, 62))))
    assert [a.onset_ns for _, a in transitions] == [NOON + 15 * MINUTE]
    assert again.evaluator.latest_ns[0] == TIME_ABSENT
    assert again.watch.last is not None
    assert (again.watch.last.boot_id, S) == (BOOT, 10**9)
