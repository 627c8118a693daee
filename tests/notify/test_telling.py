"""Who is woken, who reads it in the morning, who is told when nobody answers, and what a flood is told as."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cap_rules import problems
from post import PLACES, RAISED, mqtt_recipient, webhook_recipient

from gateway.alarm.repair import Repairs
from gateway.alarms import Alarm, AlarmState
from gateway.errors import ConfigurationError, OrderRefused
from gateway.model import Severity
from gateway.notify.digest import Digest
from gateway.notify.recipient import Recipient, policy
from gateway.state import alarms, outbox
from gateway.state.database import connect, transact
from gateway.telling import FloodOptions, Teller
from gateway.vocabulary.kind import Delivery

S = 1_000_000_000
EVENING = int(datetime(2026, 11, 20, 20, 0, tzinfo=PLACES.zone).timestamp()) * S
DARK = replace(
    RAISED,
    id="a" * 24,
    type="feederOpen",
    asset="F1/A",
    severity=Severity.CRITICAL,
    onset_ns=EVENING,
    raised_ns=EVENING,
)


@dataclass
class Desk:
    """A state.db, somebody who tells, and a clock."""

    connection: sqlite3.Connection
    teller: Teller
    now_ns: int = EVENING
    sequence: int = 0

    def record(self, *transitions: Alarm) -> None:
        self.sequence += 1
        sequenced = [(self.sequence, alarm) for alarm in transitions]

        def work(connection: sqlite3.Connection) -> None:
            self.teller.tell(connection, alarms.record(connection, sequenced), self.now_ns)

        transact(self.connection, work)

    def wait(self, seconds: float) -> None:
        """Rounds every ten seconds until then."""
        for _ in range(round(seconds / 10)):
            self.now_ns += 10 * S
            transact(self.connection, lambda c: self.teller.round(c, self.now_ns))

    def told(self, recipient: str = "hook") -> list[dict[str, Any]]:
        """Bodies in order of sending."""
        rows = outbox.listing(self.connection, recipient=recipient, limit=10_000)[::-1]
        return [json.loads(row.body) for row in rows if row.body]

    def types(self, recipient: str = "hook") -> list[str]:
        return [body["type"].removeprefix("vn.citylight.") for body in self.told(recipient)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "state.db")
    yield connection
    connection.close()


def desk(database: sqlite3.Connection, *recipients: Recipient, **more: Any) -> Desk:
    return Desk(database, Teller(recipients, lambda: PLACES, **more))


def cleared(alarm: Alarm, at_ns: int) -> Alarm:
    return replace(
        alarm, transition=alarm.transition + 1, event="cleared", state=AlarmState.RETURNED, cleared_ns=at_ns
    )


def acknowledged(alarm: Alarm) -> Alarm:
    state = AlarmState.NORMAL if alarm.cleared_ns else AlarmState.ACKNOWLEDGED
    return replace(alarm, transition=alarm.transition + 1, event="acknowledged", state=state, by="An")


def lamp(number: int, **changes: Any) -> Alarm:
    facts = {"onset_ns": EVENING, "raised_ns": EVENING, **changes}
    return replace(RAISED, id=f"{number:024x}", asset=f"LP{number}", text_vi=f"đèn {number}", **facts)


# --- who is woken, who reads it in the morning ----------------------------------------------------------

DUTY = webhook_recipient(morning_minute=360, deliveries=frozenset({Delivery.WAKE, Delivery.MORNING}))


def test_a_dark_feeder_wakes_at_once_and_a_single_lamp_waits_for_the_morning(database) -> None:
    place = desk(database, DUTY)
    place.wait(10)
    place.record(lamp(7, raised_ns=EVENING + 20 * S), lamp(3, raised_ns=EVENING + 30 * S), DARK)
    assert place.types() == ["alarm.raised"]
    place.wait(9 * 3600)
    assert place.types() == ["alarm.raised"]
    place.wait(3700)
    assert place.types() == ["alarm.raised", "digest"]
    event = place.told()[1]
    assert event["data"]["kind"] == "morning"
    assert [alarm["asset"] for alarm in event["data"]["alarms"]] == ["LP3", "LP7"]  # in pole order
    assert event["data"]["text"]["vi"].splitlines()[:2] == [
        "2 cảnh báo đang tồn tại (2 mới), 0 đã tự hết",
        "Đèn không sáng: 2",
    ]
    assert event["time"].startswith("2026-11-20T23:00:")  # 06:00 in the city


def test_the_next_list_has_what_still_stands_and_counts_what_came_and_went(database) -> None:
    place = desk(database, DUTY)
    place.wait(10)
    place.record(lamp(1), lamp(2))
    place.wait(11 * 3600)
    later = {"onset_ns": place.now_ns, "raised_ns": place.now_ns}
    place.record(acknowledged(cleared(lamp(1), place.now_ns)), lamp(3, **later))
    place.record(acknowledged(cleared(lamp(3, **later), place.now_ns)))
    place.wait(24 * 3600)
    second = place.told()[1]["data"]
    assert [alarm["asset"] for alarm in second["alarms"]] == ["LP2"]
    assert second["ended"] == [lamp(3).id]
    assert len(place.told()) == 2


def test_what_is_only_recorded_is_sent_to_nobody_unless_asked_for(database) -> None:
    power_factor = replace(lamp(1), type="powerFactorTooLow")
    everything = webhook_recipient(name="all")
    place = desk(database, DUTY, everything)
    place.wait(10)
    place.record(power_factor)
    place.wait(12 * 3600)
    assert (place.types(), place.types("all")) == ([], ["alarm.raised"])
    assert place.told("all")[0]["deliveryclass"] == "record"


def test_the_settings_make_exceptions_and_single_lamps_still_wake_nobody(database) -> None:
    night = replace(DUTY, policy=policy({Delivery.WAKE: ("communicationFailure",)}, ()))
    place = desk(database, night)
    place.record(replace(lamp(1), type="communicationFailure"))
    assert place.types() == ["alarm.raised"]
    with pytest.raises(ConfigurationError, match="single lamps"):
        policy({Delivery.WAKE: ("lampFailure",)}, ())
    with pytest.raises(ConfigurationError, match=r"ioc\.wake"):
        policy({Delivery.WAKE: ("doorOpen",), Delivery.RECORD: ("doorOpen",)}, ())


def test_what_is_read_again_is_told_once(database) -> None:
    place = desk(database, DUTY, mqtt_recipient())
    for _ in range(3):
        place.record(DARK, acknowledged(DARK))
    assert (len(place.told()), len(place.told("ioc"))) == (2, 4)


# --- nobody answers -----------------------------------------------------------------------------------

CHIEF = webhook_recipient(name="chief", morning_minute=None, after_s=900.0)


def test_what_nobody_acknowledges_goes_to_the_next_who_then_hears_the_rest(database) -> None:
    place = desk(database, DUTY, CHIEF)
    place.record(DARK)
    place.wait(890)
    assert place.types("chief") == []
    place.wait(20)
    assert place.types("chief") == ["alarm.raised"]
    place.wait(3600)
    assert place.types("chief") == ["alarm.raised"]
    place.record(acknowledged(DARK))
    assert place.types("chief") == ["alarm.raised", "alarm.acknowledged"]


@pytest.mark.parametrize("end", [acknowledged(DARK), cleared(DARK, EVENING + 60 * S)])
def test_what_was_answered_or_is_over_in_time_escalates_to_nobody(database, end: Alarm) -> None:
    place = desk(database, DUTY, CHIEF)
    place.record(DARK)
    place.wait(600)
    place.record(end)
    place.wait(3600)
    assert place.types("chief") == []
    assert len(place.types()) == 2


def test_an_escalation_by_severity(database) -> None:
    place = desk(database, replace(CHIEF, severities=frozenset({Severity.CRITICAL})))
    place.record(DARK, replace(DARK, id="b" * 24, severity=Severity.MAJOR))
    place.wait(1000)
    assert [body["data"]["id"] for body in place.told("chief")] == [DARK.id]


# --- a flood --------------------------------------------------------------------------------------------

CALM = webhook_recipient(digest=True)


def storm(number: int, **changes: Any) -> Alarm:
    return replace(DARK, id=f"{number:024x}", asset=f"F{number}", **changes)


def test_a_flood_is_told_as_a_digest_every_quarter_of_an_hour(database) -> None:
    place = desk(database, CALM)
    place.record(*(storm(n) for n in range(60)))
    assert place.types() == ["alarm.raised"] * 10
    place.wait(70)
    assert place.types()[10:] == ["digest"]
    assert place.told()[10]["data"]["counts"] == {"feederOpen": 50}
    place.wait(300)
    place.record(*(storm(n) for n in range(60, 80)))
    place.wait(500)
    assert len(place.told()) == 11
    place.wait(200)
    assert place.told()[11]["data"]["counts"] == {"feederOpen": 20}
    assert len(place.told()) == 12


def test_leakage_a_lost_neutral_and_a_fallen_pole_break_through(database) -> None:
    place = desk(database, CALM)
    place.record(*(storm(n) for n in range(20)))
    dangers = ("leakageDetected", "neutralLoss", "columnKnockedDown", "journalFull")
    for number, kind in enumerate(dangers):
        place.record(storm(100 + number, type=kind))
    assert [body["data"]["type"] for body in place.told()[10:]] == list(dangers)


def test_after_the_flood_alarms_are_told_singly_again(database) -> None:
    place = desk(database, CALM)
    place.record(*(storm(n) for n in range(20)))
    place.wait(1200)
    place.record(storm(500))
    assert place.types()[-1] == "alarm.raised"


def test_what_was_told_in_a_digest_is_over_in_a_digest_and_what_was_told_singly_singly(database) -> None:
    place = desk(database, CALM)
    place.record(*(storm(n) for n in range(12)))
    place.wait(2000)
    told = len(place.told())
    place.record(cleared(storm(0), place.now_ns), cleared(storm(11), place.now_ns))
    place.wait(1000)
    first, second = place.told()[told:]
    assert first["data"]["id"] == storm(0).id
    assert second["data"]["ended"] == [storm(11).id]


def test_states_at_the_ioc_are_not_held_back_by_a_flood(database) -> None:
    place = desk(database, mqtt_recipient(), CALM)
    place.record(*(storm(n) for n in range(200)))
    assert len(place.told("ioc")) == 400


def test_repairs_are_told_to_those_whose_business_they_are(database) -> None:
    orders = webhook_recipient(
        name="orders", areas=frozenset({"city"}), deliveries=frozenset({Delivery.WAKE})
    )
    deaf = webhook_recipient(name="deaf", faults=False)
    other = webhook_recipient(name="other", categories=frozenset({"Env"}))
    place = desk(database, orders, deaf, other, mqtt_recipient(), webhook_recipient(name="cap", format="cap"))
    fault = Repairs().follow([lamp(1)], None)
    transact(database, lambda c: place.teller.tell(c, fault, EVENING))
    assert place.types("orders") == place.types("ioc") == ["fault.opened"]
    assert [place.types(name) for name in ("deaf", "other", "cap")] == [[], [], []]


# --- CAP, again on order, and the bound -----------------------------------------------------------------


def test_a_cap_recipient_gets_alert_update_cancel_with_references_and_nothing_after(database) -> None:
    place = desk(database, webhook_recipient(format="cap", status="Exercise"))
    over = cleared(acknowledged(DARK), EVENING + 60 * S)
    for alarm in (DARK, acknowledged(DARK), over, acknowledged(over)):
        place.record(alarm)
        place.now_ns += 60 * S
    rows = outbox.listing(database, recipient="hook", limit=10)[::-1]
    assert [problems(row.body) for row in rows] == [[], [], []]
    kinds = [row.body.decode().split("<msgType>")[1].split("<")[0] for row in rows]
    assert kinds == ["Alert", "Update", "Cancel"]
    references = rows[2].body.decode().split("<references>")[1].split("<")[0].split(" ")
    assert [one.split(",")[1] for one in references] == [rows[0].key, rows[1].key]
    assert {row.content_type for row in rows} == {"application/cap+xml"}
    assert all(b"<status>Exercise</status>" in row.body for row in rows)


def test_a_digest_can_be_a_cap_alert(database) -> None:
    place = desk(database, replace(CALM, format="cap"))
    place.record(*(storm(n) for n in range(30)))
    place.wait(70)
    row = outbox.listing(database, recipient="hook", limit=1)[0]
    assert row.key.startswith("digest-flood-hook-")
    assert problems(row.body) == []


def test_on_order_everybody_is_told_again_what_stands(database) -> None:
    place = desk(database, DUTY, mqtt_recipient(), webhook_recipient(name="all"))
    place.record(DARK, lamp(1))
    before = {name: len(place.told(name)) for name in ("hook", "ioc", "all")}
    place.now_ns += S
    counts = transact(database, lambda c: place.teller.resync(c, "", place.now_ns))
    assert counts == {"hook": 1, "ioc": 2, "all": 2}
    assert {name: len(place.told(name)) - before[name] for name in before} == counts
    again = [body["id"] for body in place.told("all")[2:]]
    assert sorted(again) == [f"{lamp(1).id}-1", f"{DARK.id}-1"]  # the same events, so a receiver knows them
    with pytest.raises(OrderRefused, match="no recipient is called 'nobody'"):
        place.teller.resync(database, "nobody", 0)


def test_a_resync_also_takes_down_what_a_broker_set_back_still_shows(database) -> None:
    place = desk(database, mqtt_recipient())
    over = acknowledged(cleared(lamp(1), EVENING + S))
    place.record(lamp(1), lamp(2))
    place.record(over)
    place.now_ns += 60 * S
    assert transact(database, lambda c: place.teller.resync(c, "ioc", place.now_ns)) == {"ioc": 2}
    again = {row.topic: row.body for row in outbox.listing(database, recipient="ioc", limit=2)}
    assert again["ioc/alarms/hoa-phu/LP1/lampFailure"] == b""
    assert json.loads(again["ioc/alarms/hoa-phu/LP2/lampFailure"])["state"] == "unacknowledged"


def test_a_recipient_that_is_away_for_long_is_told_what_stands_once_it_is_back(database) -> None:
    place = desk(database, webhook_recipient(), pending_max=100)
    over = [acknowledged(cleared(lamp(n), EVENING + S)) for n in range(60)]
    place.record(DARK, *(lamp(n) for n in range(60)))
    place.record(*over)
    place.wait(10)
    assert outbox.backlog(database, "hook").pending == 100
    assert place.teller.dropped(database) == {"hook": 21}
    dropped = [row for row in outbox.listing(database, limit=1000) if row.failed]
    assert {row.key.split("-")[0] for row in dropped} <= {alarm.id for alarm in over}  # what stands is kept
    assert dropped[0].failed == "dropped: more than 100 messages waited"
    due = outbox.due(database, "hook", now_ns=place.now_ns, limit=1000)
    while due:
        outbox.delivered(database, [row.id for row in due], at_ns=place.now_ns)
        due = outbox.due(database, "hook", now_ns=place.now_ns, limit=1000)
    place.wait(20)
    assert [body["data"]["id"] for body in place.told()[161 - 40 :]][-1] == DARK.id
    assert outbox.backlog(database, "hook").pending == 1


def test_retained_states_that_a_later_one_replaces_are_given_up_first(database) -> None:
    place = desk(database, mqtt_recipient(), pending_max=100)
    alarm = DARK
    for _ in range(60):
        place.record(alarm)
        alarm = replace(alarm, transition=alarm.transition + 1, event="updated")
    place.wait(10)
    given_up = [row for row in outbox.listing(database, limit=1000) if row.failed]
    assert len(given_up) == 20
    assert all(row.retain for row in given_up)


def test_notices_do_not_outlive_their_alarms(database) -> None:
    place = desk(database, CALM, CHIEF)
    alarm = DARK
    place.record(alarm)
    alarm = acknowledged(cleared(alarm, EVENING + S))
    place.record(alarm)
    place.wait(2 * 3600)
    assert database.execute("SELECT count(*) FROM notice").fetchone() == (0,)


def test_the_bounds_of_a_flood_are_settings(database) -> None:
    place = desk(database, CALM, flood=FloodOptions(begins=2, ends=1, window_s=60, digest_s=120))
    place.record(*(storm(n) for n in range(5)))
    assert len(place.told()) == 2


def test_the_digest_follows_its_published_schema_and_example() -> None:
    found = Digest("morning", EVENING, EVENING + 36_000 * S, [lamp(7), lamp(3)], [lamp(5)])
    document = json.loads(json.dumps(found.document(PLACES)))
    schemas = Path(__file__).parents[2] / "docs" / "schemas"
    jsonschema.validate(document, json.loads((schemas / "digest.schema.json").read_text(encoding="utf-8")))
    assert document == json.loads((schemas / "digest.example.json").read_text(encoding="utf-8"))
