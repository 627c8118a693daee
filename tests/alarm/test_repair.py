"""The repair clock: from told to the first healthy sample, whatever the ticket says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from district import LUMINAIRE, MINUTE, chunk, fleet, local, run, tick

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.repair import ENDED_KEEP_NS
from gateway.alarms import Fault, FaultState
from gateway.model import Control
from gateway.notify.cloudevents import encode_fault
from gateway.vocabulary.kinds import EQUIPMENT

NIGHT = local("2026-11-20 20:00")
DARK, LIT = 0.5, 100.0
EXAMPLE = Path(__file__).parents[2] / "docs" / "schemas" / "fault.example.json"


def engine() -> AlarmEngine:
    return AlarmEngine(fleet(), [LUMINAIRE])


def watts(minute: float, value: float, device: int = 1) -> Any:
    return run({"device": device, "time": NIGHT + round(minute * MINUTE), "active_power": value})


def order(kind: str, minute: float, /, **body: Any) -> Control:
    return Control(kind, NIGHT + round(minute * MINUTE), body={"by": "An", "comment": "", **body})


def followed(e: AlarmEngine, *parts: Any) -> list[Fault]:
    e.apply(chunk(*parts))
    return [fault for _, fault in e.faults()]


def restarted(e: AlarmEngine) -> AlarmEngine:
    again = engine()
    again.restore(e.snapshot())
    return again


def opened(e: AlarmEngine) -> Fault:
    (fault,) = followed(e, watts(0, DARK), watts(15, DARK))
    return fault


def test_the_clock_stops_at_the_first_healthy_sample_of_the_lit_lamp_not_at_the_ticket() -> None:
    e = engine()
    fault = opened(e)
    assert (fault.event, fault.asset, fault.type) == ("opened", "LP1", "lampFailure")
    assert fault.opened_ns == NIGHT + 15 * MINUTE
    closed_ns = NIGHT + 40 * MINUTE
    (told,) = followed(e, order("ticket", 20, alarm=fault.id, number="SC-1024", crew="Đội 3"))
    assert (told.event, told.state, told.by) == ("updated", FaultState.OPEN, "An")
    e = restarted(e)
    (claim,) = followed(e, order("ticket", 41, alarm=fault.id, closed_ns=closed_ns, cause="hỏng driver"))
    assert (claim.state, claim.minutes, claim.ended_ns) == (FaultState.CLAIMED, None, None)
    assert followed(e, watts(45, DARK)) == []
    e = restarted(e)
    (verified,) = followed(e, watts(60, LIT))
    assert (verified.event, verified.state, verified.minutes) == ("verified", FaultState.VERIFIED, 45.0)
    assert verified.proof is not None
    assert (verified.proof.device, verified.proof.time_ns) == ("lamp-1", NIGHT + 60 * MINUTE)
    assert verified.proof.value == LIT
    assert verified.ticket is not None
    assert (verified.ticket.number, verified.ticket.crew, verified.ticket.cause) == (
        "SC-1024",
        "Đội 3",
        "hỏng driver",
    )
    assert [f.transition for f in (fault, told, claim, verified)] == [1, 2, 3, 4]
    assert json.loads(EXAMPLE.read_text(encoding="utf-8")) == verified.document()
    event = json.loads(encode_fault(verified, "urn:citylight:test"))
    assert (event["type"], event["id"]) == ("vn.citylight.fault.verified", f"{fault.id}-fault-4")
    assert event["time"] == verified.document()["ended_at"]


def test_a_ticket_closed_the_morning_after_still_finds_its_fault_and_changes_no_time() -> None:
    e = engine()
    fault = opened(e)
    (verified,) = followed(e, watts(60, LIT))
    e = restarted(e)
    body = {"alarm": fault.id, "number": "SC-9", "cause": "mất cáp", "closed_ns": NIGHT + 700 * MINUTE}
    (late,) = followed(e, order("ticket", 701, **body))
    assert (late.event, late.state, late.minutes) == ("updated", FaultState.VERIFIED, verified.minutes)
    assert (late.ended_ns, late.proof) == (verified.ended_ns, verified.proof)
    assert late.ticket is not None
    assert late.ticket.cause == "mất cáp"


def test_another_number_is_another_ticket_and_reopens_what_the_last_one_claimed() -> None:
    e = engine()
    fault = opened(e)
    closed = {"number": "A", "crew": "Đội 1", "closed_ns": NIGHT + 20 * MINUTE}
    (claim,) = followed(e, order("ticket", 21, alarm=fault.id, **closed))
    (again,) = followed(e, order("ticket", 30, alarm=fault.id, number="B"))
    assert (claim.state, again.state) == (FaultState.CLAIMED, FaultState.OPEN)
    assert again.ticket is not None
    assert (again.ticket.number, again.ticket.crew, again.ticket.closed_ns) == ("B", "", None)


@pytest.mark.parametrize(
    "body",
    [
        {"number": "A"},
        {"alarm": "nobody's", "number": "A"},
        {"alarm": "it"},
        {"alarm": "it", "number": "A", "closed_ns": "yesterday"},
        {"alarm": "it", "number": "A", "eta_ns": True},
    ],
)
def test_a_ticket_of_no_sense_is_refused_and_changes_nothing(body: dict[str, Any]) -> None:
    e = engine()
    fault = opened(e)
    before = e.repairs.running.copy()
    named = body | ({"alarm": fault.id} if body.get("alarm") == "it" else {})
    assert followed(e, order("ticket", 20, **named)) == []
    assert e.refused == 1
    assert e.repairs.running == before


def test_dawn_proves_no_repair_and_what_people_were_not_told_of_is_no_fault_yet() -> None:
    e = engine()
    day = [run({"device": 1, "time": NIGHT + h * 60 * MINUTE, "active_power": 0.0}) for h in (11, 12, 13)]
    fault = opened(e)
    assert followed(e, *day) == []
    assert list(e.repairs.running) == [fault.id]

    e = engine()
    window = {"id": "w", "kind": "maintenance", "scope": "city"}
    hours = {"from_ns": NIGHT - MINUTE, "to_ns": NIGHT + 60 * MINUTE}
    e.apply(chunk(order("window", -2, **window, **hours), tick(NIGHT)))
    assert followed(e, watts(0, DARK), watts(15, DARK)) == []
    (after,) = followed(e, tick(NIGHT + 60 * MINUTE))
    assert (after.event, after.onset_ns, after.opened_ns) == ("opened", NIGHT, NIGHT + 60 * MINUTE)


def test_ended_faults_are_forgotten_after_their_time() -> None:
    e = engine()
    fault = opened(e)
    followed(e, watts(60, LIT))
    days = ENDED_KEEP_NS // MINUTE + 1440 * 2
    (second,) = followed(e, watts(days, DARK), watts(days + 15, DARK))
    followed(e, watts(days + 30, LIT))
    assert list(e.repairs.ended) == [second.id]
    assert followed(e, order("ticket", days + 40, alarm=fault.id, number="A")) == []


def test_what_the_weather_the_grid_or_people_do_is_no_fault_of_the_equipment() -> None:
    assert not EQUIPMENT & {"supplyLoss", "wardOutage", "doorOpen", "localOverride", "floodLevelHigh"}
    e = engine()
    hot = run({"device": 1, "time": NIGHT, "supply_voltage": 270.0})
    later = run({"device": 1, "time": NIGHT + 2 * MINUTE, "supply_voltage": 270.0})
    assert followed(e, hot, later) == []
    assert [a.type for a in e.active()] == ["supplyVoltageTooHigh"]
