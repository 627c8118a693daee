"""CAP 1.2 messages keep the standard's rules, refer to what was sent before, and carry both languages."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from cap_rules import NAMESPACE, problems
from hypothesis import given
from hypothesis import strategies as st
from post import ACKNOWLEDGED, CLEARED, NOW_NS, PLACES, RAISED

from gateway.alarms import Alarm, AlarmState
from gateway.model import Severity
from gateway.notify.cap import Envelope, Sent, encode
from gateway.notify.places import Spot
from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.kinds import KINDS

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
FIRST = Sent(f"{RAISED.id}-1", NOW_NS)
SECOND = Sent(f"{RAISED.id}-2", NOW_NS + 60 * 10**9)


def envelope(*earlier: Sent, identifier: str = "one", status: str = "Actual") -> Envelope:
    return Envelope("urn:citylight:test", status, identifier, NOW_NS, ZONE, earlier)  # type: ignore[arg-type]


def message(alarm: Alarm, *earlier: Sent, delivery: Delivery = Delivery.WAKE, **more: str) -> bytes:
    return encode(alarm, envelope(*earlier, **more), PLACES.spot(alarm), delivery)


def texts(body: bytes, name: str) -> list[str | None]:
    assert problems(body) == []
    return [element.text for element in ElementTree.fromstring(body).iter(NAMESPACE + name)]


def test_the_first_message_is_an_alert_and_refers_to_nothing() -> None:
    body = message(RAISED)
    assert (texts(body, "msgType"), texts(body, "references")) == (["Alert"], [])
    assert texts(body, "sent") == ["2026-11-20T15:00:00+07:00"]


def test_an_update_and_a_cancel_refer_to_the_first_and_to_the_last() -> None:
    update = message(ACKNOWLEDGED, FIRST)
    assert texts(update, "msgType") == ["Update"]
    assert texts(update, "references") == [f"urn:citylight:test,{RAISED.id}-1,2026-11-20T15:00:00+07:00"]
    cancel = message(CLEARED, FIRST, SECOND)
    assert texts(cancel, "msgType") == ["Cancel"]
    assert (
        (texts(cancel, "references")[0] or "").split(" ")[1].startswith(f"urn:citylight:test,{RAISED.id}-2,")
    )
    assert texts(cancel, "urgency") == ["Past", "Past"]
    assert texts(cancel, "responseType") == ["AllClear", "AllClear"]


def test_both_languages_say_what_where_and_what_to_check() -> None:
    body = message(RAISED)
    assert texts(body, "language") == ["vi-VN", "en-US"]
    assert texts(body, "description") == [RAISED.text_vi, RAISED.text_en]
    known = KINDS["lampFailure"]
    assert texts(body, "instruction") == [known.check_vi, known.check_en]
    assert texts(body, "areaDesc") == ["LP1, Phường Hoà Phú"] * 2
    assert texts(body, "circle") == ["11.050100,106.680000 0.05"] * 2


def test_a_feeder_is_a_circle_around_its_points() -> None:
    feeder = replace(RAISED, type="feederOpen", asset="F1/A", severity=Severity.CRITICAL)
    latitude, _, radius_km = PLACES.spot(feeder).circle or (0.0, 0.0, 0.0)
    assert latitude == pytest.approx(11.05205)
    assert 0.21 < radius_km < 0.23  # 39 steps of 11.1 m between the ends


def test_the_gateways_own_alarm_is_nowhere_on_the_map() -> None:
    own = replace(RAISED, type="journalFull", asset="gateway", area="", feeder="")
    body = message(own)
    assert (texts(body, "areaDesc"), texts(body, "circle")) == (["gateway"] * 2, [])


def test_a_drill_and_a_test_can_not_be_taken_for_the_truth() -> None:
    assert texts(message(RAISED, status="Exercise"), "status") == ["Exercise"]
    assert texts(message(replace(RAISED, type="test")), "status") == ["Test"]


def test_danger_to_life_is_extreme_and_what_is_inferred_is_only_likely() -> None:
    leakage = replace(RAISED, type="leakageDetected", severity=Severity.CRITICAL)
    assert (texts(message(leakage), "severity"), texts(message(leakage), "category")) == (
        ["Extreme"] * 2,
        ["Safety"] * 2,
    )
    assert texts(message(replace(RAISED, type="feederPresumedDark")), "certainty") == ["Likely"] * 2


ANYTHING = st.text(st.characters(codec=None), max_size=20)


@given(
    ANYTHING, ANYTHING, ANYTHING, ANYTHING, st.sampled_from([*KINDS, "madeUp"]), st.sampled_from(AlarmState)
)
def test_no_text_breaks_a_message(
    vi: str, asset: str, area: str, sender: str, kind: str, state: AlarmState
) -> None:
    alarm = replace(
        RAISED, text_vi=vi or "-", text_en=vi or "-", asset=asset or "-", area=area, type=kind, state=state
    )
    around = replace(envelope(FIRST), sender=sender or "-")
    for delivery in Delivery:
        assert problems(encode(alarm, around, Spot(asset), delivery)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ((b"<status>Actual</status>", b""), "0 × status"),
        ((b"+07:00</sent>", b"Z</sent>"), "sent"),
        ((b"<restriction>", b"<note>x</note><restriction>"), "out of order"),
        ((b"Immediate", b"Soon"), "urgency"),
    ],
)
def test_the_validator_finds_what_the_standard_forbids(change: tuple[bytes, bytes], problem: str) -> None:
    broken = message(RAISED).replace(*change)
    assert any(problem in line for line in problems(broken)), problems(broken)
