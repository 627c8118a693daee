"""What people put aside is not told, and comes back by itself; figures about alarms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from district import LUMINAIRE, MINUTE, OVER_VOLTAGE, chunk, fleet, local, run, said, tick

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.statistics import figures
from gateway.alarms import Alarm, AlarmState
from gateway.model import Control, Severity

NIGHT = local("2026-11-20 22:00")
HIGH, GOOD = 270.0, 230.0


def engine() -> AlarmEngine:
    return AlarmEngine(fleet(), [replace(LUMINAIRE, rules=(replace(OVER_VOLTAGE, hold_s=0.0),))])


def volts(minute: float, value: float, device: int = 1) -> Any:
    at = NIGHT + round(minute * MINUTE)
    return run({"device": device, "time": at, "supply_voltage": value})


def at(minute: float) -> Any:
    return tick(NIGHT + round(minute * MINUTE))


def order(kind: str, minute: float, /, **body: Any) -> Control:
    return Control(kind, NIGHT + round(minute * MINUTE), body={"by": "An", "comment": "chờ vật tư", **body})


def window(minute: float, to: float, scope: str, name: str = "w1", kind: str = "maintenance") -> Control:
    ends = NIGHT + round(to * MINUTE)
    return order(
        "window", 0, id=name, kind=kind, scope=scope, from_ns=NIGHT + round(minute * MINUTE), to_ns=ends
    )


def restarted(e: AlarmEngine) -> AlarmEngine:
    again = engine()
    again.restore(e.snapshot())
    return again


def test_a_shelved_alarm_comes_back_when_its_time_is_over() -> None:
    e = engine()
    ((_, raised),) = e.apply(chunk(volts(0, HIGH)))
    ((_, shelved),) = e.apply(chunk(order("shelve", 1, alarm=raised.id, until_ns=NIGHT + 60 * MINUTE)))
    assert (shelved.state, shelved.by, shelved.comment) == (AlarmState.SHELVED, "An", "chờ vật tư")
    e = restarted(e)
    assert e.apply(chunk(at(59))) == []
    assert said(e.apply(chunk(at(60)))) == [("LP1", "supplyVoltageTooHigh", "updated", "unacknowledged")]


def test_what_comes_back_while_it_is_on_the_shelf_stays_there_and_nobody_is_told() -> None:
    e = engine()
    ((_, raised),) = e.apply(chunk(volts(0, HIGH)))
    e.apply(chunk(order("shelve", 1, alarm=raised.id, until_ns=NIGHT + 60 * MINUTE)))
    ((_, cleared), (_, again)) = e.apply(chunk(volts(5, GOOD), volts(10, HIGH)))
    assert (cleared.state, cleared.quiet) == (AlarmState.NORMAL, False)
    assert (again.state, again.quiet, again.event) == (AlarmState.SHELVED, True, "raised")
    ((_, back),) = e.apply(chunk(order("unshelve", 20, alarm=again.id)))
    assert back.state is AlarmState.UNACKNOWLEDGED
    assert e.apply(chunk(volts(25, GOOD), volts(30, HIGH)))[-1][1].state is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize("scope", ["feeder:F-live", "cabinet:C1", "area:hoa-phu", "asset:LP1", "city"])
def test_a_window_keeps_its_place_quiet_and_tells_what_is_left(scope: str) -> None:
    e = engine()
    e.apply(chunk(window(10, 60, scope), at(5)))
    assert [a.state for _, a in e.apply(chunk(volts(6, HIGH)))] == [AlarmState.UNACKNOWLEDGED]
    assert said(e.apply(chunk(at(10)))) == [("LP1", "supplyVoltageTooHigh", "updated", "suppressed")]
    e = restarted(e)
    (_, new) = e.apply(chunk(volts(20, HIGH, device=3)))[0] if scope != "asset:LP1" else (0, None)
    if new is not None:
        assert (new.state, new.quiet, new.parent) == (AlarmState.SUPPRESSED, True, "window:w1")
    e.apply(chunk(volts(30, GOOD)))
    left = said(e.apply(chunk(at(60))))
    assert left == ([("LP3", "supplyVoltageTooHigh", "updated", "unacknowledged")] if new else [])


def test_a_window_elsewhere_changes_nothing_and_one_that_is_ended_ends() -> None:
    e = engine()
    e.apply(chunk(window(0, 60, "feeder:F-switched", "w1"), window(0, 60, "feeder:F-live", "w2"), at(1)))
    e.apply(chunk(order("window_end", 2, id="w2"), at(3)))
    assert [a.state for _, a in e.apply(chunk(volts(4, HIGH)))] == [AlarmState.UNACKNOWLEDGED]


def test_a_place_out_of_service_is_told_apart_and_tells_what_is_left() -> None:
    e = engine()
    e.apply(chunk(window(0, 60, "asset:LP1", kind="out_of_service"), at(1)))
    ((_, hidden),) = e.apply(chunk(volts(5, HIGH)))
    assert (hidden.state, hidden.parent, hidden.quiet) == (
        AlarmState.OUT_OF_SERVICE,
        "out_of_service:w1",
        True,
    )
    told = hidden.document()
    assert (told["state"], told["isa_state"]) == ("suppressed", "out_of_service")
    assert e.faults() == []
    assert said(restarted(e).apply(chunk(at(60)))) == [
        ("LP1", "supplyVoltageTooHigh", "updated", "unacknowledged")
    ]


def test_in_an_announced_outage_silence_is_not_counted() -> None:
    e = AlarmEngine(fleet(2), [LUMINAIRE])
    e.apply(chunk(window(0, 180, "feeder:F-live", kind="grid_outage"), *(at(m) for m in range(180))))
    assert [a.asset for a in e.active()] == ["LP0"]  # its feeder is another one
    told = e.apply(chunk(*(at(m) for m in range(180, 300))))
    assert [a.asset for _, a in told if a.asset == "LP1"] == ["LP1"]
    assert told[0][1].raised_ns >= NIGHT + (180 + 60) * MINUTE


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("shelve", {"alarm": "x", "until_ns": 5}),
        ("shelve", {}),
        ("unshelve", {"alarm": "x"}),
        ("comment", {"alarm": "x"}),
        ("window", {"id": "w", "kind": "party", "scope": "city", "from_ns": 0, "to_ns": 5}),
        ("window", {"id": "w", "kind": "maintenance", "scope": "city", "from_ns": 5, "to_ns": 5}),
        ("window_end", {"id": "w"}),
    ],
)
def test_an_order_about_nothing_is_refused_and_changes_nothing(kind: str, body: dict[str, Any]) -> None:
    e = engine()
    assert e.apply(chunk(order(kind, 0, **body))) == []
    assert e.refused == 1


def raised(minute: float, asset: str = "LP1", **changes: Any) -> Alarm:
    ((_, one),) = engine().apply(chunk(volts(minute, HIGH)))
    return replace(one, id=f"{asset}{minute}", asset=asset, **changes)


def test_figures_count_what_people_were_told() -> None:
    flood = [raised(60 + m / 2, f"LP{m}") for m in range(15)]
    chatter = [raised(300 + m / 3, "LP-noisy") for m in range(3)]
    hidden = [raised(400, "LP9", quiet=True, state=AlarmState.SUPPRESSED)]
    old = raised(0, "LP-old", severity=Severity.CRITICAL)
    to_ns = NIGHT + 25 * 60 * MINUTE
    found = figures([old, *flood, *chatter, *hidden], [old, *hidden], NIGHT, to_ns)
    assert (found["told"], found["suppressed"]) == (19, 1)
    assert found["per_10_min"] == {"mean": round(19 / 150, 3), "most": 15}
    assert [(f["windows"], f["alarms"]) for f in found["floods"]] == [(1, 15)]
    assert found["chattering"] == [{"asset": "LP-noisy", "type": "supplyVoltageTooHigh"}]
    assert (found["standing"], found["stale"]) == (1, 1)
    assert found["top"][0] == {
        "asset": "LP-noisy",
        "type": "supplyVoltageTooHigh",
        "count": 3,
        "share": round(3 / 19, 4),
    }
    assert found["severities"] == {"critical": 1, "major": 18}
