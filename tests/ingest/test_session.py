"""The MQTT 5 session as a table of inputs and effects; no socket, no clock, no wait."""

from __future__ import annotations

from itertools import pairwise

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError, ProtocolViolation
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.options import IngestOptions
from gateway.ingest.packets import encode_publish, parse_block
from gateway.ingest.session import Close, Journal, Phase, Send, Session, Tell

# The codec prints the inner error of a string that is not UTF-8 before it panics.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

OPTIONS = IngestOptions(host="broker", port=1883, topics=("city/#",), client_id="gw")
S = 1_000_000_000


def at(seconds: float) -> Moment:
    return Moment(1_700_000_000 * S + int(seconds * S), int(seconds * S) + S)


def session(
    *, epoch: int = 1, expected: bool = False, age_s: float | None = None, dropped: int | None = None
) -> Session:
    contact = Contact(epoch=epoch, session_expected=expected, contact_age_s=age_s, now=at(0), dropped=dropped)
    return Session(OPTIONS, contact)


def connack(**given) -> bytes:
    return mqtt5.ConnAckPacket(**given).write()


def suback(*codes: int) -> bytes:
    names = {code.value: code for code in vars(mqtt5.SubAckReasonCode).values() if hasattr(code, "value")}
    return mqtt5.SubAckPacket(1, [names[code] for code in codes or (1, 1, 0)]).write()


def sent(effects) -> list:
    return [mqtt5.read(memoryview(effect.data))[0] for effect in effects if isinstance(effect, Send)]


def told(effects) -> list:
    return [effect.event for effect in effects if isinstance(effect, Tell)]


def feed(one: Session, data: bytes, now: Moment) -> list:
    """All effects of ``data``, each commit answered at once."""
    effects = []
    while data:
        came, length = one.received(data, now)
        for effect in came:
            effects.append(effect)
            if isinstance(effect, Journal):
                effects += one.committed(now)
        if not length:
            break
        data = data[length:]
    return effects


def online(**given) -> tuple[Session, bytes]:
    """A session that is subscribed, and the payload of its marker."""
    one = session(**given)
    one.opened(at(0))
    feed(one, connack(session_present=bool(given.get("expected"))), at(0))
    [marker] = sent(feed(one, suback(), at(0)))
    return one, marker.payload


def reading(packet_id: int = 1, payload: bytes = b"1") -> bytes:
    return encode_publish("city/a/b/c/up", payload, qos=1, packet_id=packet_id)


def test_connect_keeps_the_session() -> None:
    [connect] = sent(session().opened(at(0)))
    assert (connect.client_id, connect.clean_start, connect.topic_alias_max) == ("gw", False, 0)
    assert (connect.session_expiry_interval, connect.receive_max) == (7 * 86_400, 10_000)


def test_subscription_is_qos_1_and_uptime_is_never_queued() -> None:
    one = session()
    one.opened(at(0))
    [subscribe] = sent(feed(one, connack(), at(0)))
    assert [(f.pattern, f.max_qos.value) for f in subscribe.topic_filters] == [
        ("city/#", 1),
        ("citylight/marker/gw", 1),
        ("$SYS/broker/uptime", 0),
        ("$SYS/broker/publish/messages/dropped", 0),
    ]


def test_nothing_is_acknowledged_before_its_commit() -> None:
    one, _ = online()
    effects, _ = one.received(reading(5) + reading(6), at(1))
    [journal] = effects
    assert (journal.arrival.count, journal.arrival.epoch) == (2, 1)
    acks = one.committed(at(1))
    assert acks[0].data == b"\x40\x02\x00\x05\x40\x02\x00\x06"
    assert one.committed(at(1)) == []


def test_acknowledgements_of_a_lost_connection_are_never_sent() -> None:
    one, _ = online()
    one.received(reading(5), at(1))
    one.lost("gone", at(2))
    one.opened(at(3))
    feed(one, connack(session_present=True), at(3))
    assert one.committed(at(3)) == []


def test_messages_read_after_the_connection_went_are_kept_but_not_acknowledged() -> None:
    one, _ = online()
    one.severed()
    effects, _ = one.received(reading(5), at(1))
    assert isinstance(effects[0], Journal)
    assert one.committed(at(1)) == []


def test_epochs_only_grow() -> None:
    one, _ = online(epoch=7)
    assert [event.event for event in told(one.lost("gone", at(1)))] == ["disconnected"]
    one.opened(at(2))
    events = told(feed(one, connack(session_present=True), at(2)))
    assert [(event.event, event.epoch) for event in events] == [("connected", 8)]


@pytest.mark.parametrize(("expected", "present", "gap"), [(1, 0, True), (1, 1, False), (0, 0, False)])
def test_a_missing_session_is_a_gap_only_if_there_was_one(expected, present, gap) -> None:
    one = session(expected=bool(expected))
    one.opened(at(0))
    events = told(feed(one, connack(session_present=bool(present)), at(0)))
    assert [event.gap for event in events if event.event == "gap"] == ["session_lost"] * gap
    assert one.contact.gaps == gap


@pytest.mark.parametrize(
    ("age_s", "uptime", "retained", "gap"),
    [
        (100.0, "3600 seconds", True, False),
        (100.0, "50 seconds", False, True),
        (100.0, "50 seconds", True, False),  # perhaps an old copy: the next one decides
        (None, "5 seconds", False, False),  # never met before
        (100.0, "soon", False, False),
        (100.0, "", False, False),
        (100.0, "nan", False, False),
    ],
)
def test_a_broker_younger_than_our_last_contact_is_a_gap(age_s, uptime, retained, gap) -> None:
    one, _ = online(age_s=age_s)
    packet = encode_publish("$SYS/broker/uptime", uptime.encode(), retained=retained)
    effects = feed(one, packet, at(1))
    assert not any(isinstance(effect, Journal) for effect in effects)
    assert [event.gap for event in told(effects) if event.event == "gap"] == ["broker_restarted"] * gap
    if retained:
        live = encode_publish("$SYS/broker/uptime", b"50 seconds")
        late = [event.gap for event in told(feed(one, live, at(2))) if event.event == "gap"]
        assert late == ([] if uptime.startswith("3600") else ["broker_restarted"])


def dropped(count: bytes, *, retained: bool = False) -> bytes:
    return encode_publish("$SYS/broker/publish/messages/dropped", count, retained=retained)


@pytest.mark.parametrize(
    ("known", "copies", "lost"),
    [
        (5, [b"5", b"5"], []),
        (5, [b"12"], ["7 messages"]),
        (5, [b"3"], ["3 messages"]),  # the broker began anew
        (None, [b"12"], []),  # never asked before
        (5, [b"many", b"-3", b""], []),
    ],
)
def test_what_a_full_queue_dropped_while_we_were_away_is_a_gap(known, copies, lost) -> None:
    one, _ = online(dropped=known)
    effects = feed(one, b"".join(dropped(copy, retained=True) for copy in copies), at(1))
    gaps = [event for event in told(effects) if event.event == "gap"]
    assert [(gap.gap, gap.detail.split(",")[0]) for gap in gaps] == [("broker_dropped", say) for say in lost]
    assert one.contact.gaps == len(lost)


def test_drops_seen_after_the_backlog_has_come_are_ours_once_and_then_somebody_elses() -> None:
    one, payload = online(dropped=0)
    feed(one, dropped(b"0", retained=True), at(1))
    feed(one, encode_publish("citylight/marker/gw", payload, qos=1, packet_id=9), at(2))
    assert [event.gap for event in told(feed(one, dropped(b"4"), at(9)))] == ["broker_dropped", ""]
    assert [event.event for event in told(feed(one, dropped(b"9"), at(19)))] == ["dropped"]
    one.lost("gone", at(20))
    one.opened(at(30))
    feed(one, connack(session_present=True), at(30))
    effects = feed(one, dropped(b"11", retained=True), at(31))
    assert [event.gap for event in told(effects)] == ["broker_dropped", ""]


def test_the_marker_says_drained_once_and_is_no_message() -> None:
    one, payload = online()
    stale = encode_publish("citylight/marker/gw", b"0:0", qos=1, packet_id=8)
    marker = encode_publish("citylight/marker/gw", payload, qos=1, packet_id=9)
    effects = feed(one, reading(7) + stale + marker + marker, at(1))
    assert [event.event for event in told(effects)] == ["drained"]
    assert [packet.packet_id for packet in sent(effects)] == [7, 8, 9, 9]
    assert one.received_messages == 1


@pytest.mark.parametrize(("refused", "quiet_s"), [(True, 2), (False, 10)])
def test_without_a_marker_quiet_says_drained(refused, quiet_s) -> None:
    one, _ = online()
    if refused:
        reason = mqtt5.PubAckReasonCode.NOT_AUTHORIZED
        feed(one, mqtt5.PubAckPacket(2, reason_code=reason).write(), at(0))
    feed(one, reading(), at(1))
    assert one.tick(at(1 + quiet_s - 0.1)) == []
    one.received(reading(2), at(1 + quiet_s - 0.1))
    assert one.tick(at(30)) == [], "something waits for its commit"
    one.committed(at(30))
    assert [event.event for event in told(one.tick(at(60)))] == ["drained"]
    assert one.tick(at(90)) == []


def test_a_refused_subscription_is_an_error_and_is_tried_again() -> None:
    one = session()
    one.opened(at(0))
    feed(one, connack(), at(0))
    assert feed(one, suback(135, 1, 0), at(0)) == []
    assert one.phase is Phase.REFUSED
    assert one.refusal == "the broker refused the subscription to city/#: NOT_AUTHORIZED"
    assert one.tick(at(10)) == []
    [again] = sent(one.tick(at(31)))
    assert isinstance(again, mqtt5.SubscribePacket)
    feed(one, suback(), at(32))
    assert (one.phase, one.refusal) == (Phase.ONLINE, "")


def test_a_refused_uptime_or_marker_is_no_error() -> None:
    one = session()
    one.opened(at(0))
    feed(one, connack(), at(0))
    assert feed(one, suback(1, 135, 135), at(0)) == []
    assert one.phase is Phase.ONLINE
    assert [event.event for event in told(one.tick(at(3)))] == ["drained"]


@pytest.mark.parametrize(
    ("now_s", "heard_s", "paused_s", "expected"),
    [
        (14, 14, None, []),
        (16, 16, None, ["PINGREQ"]),
        (31, 0, None, ["the broker is silent"]),
        (14, 0, 0, []),
        (16, 0, 0, ["DISCONNECT", "reading was paused for half the keepalive"]),
    ],
)
def test_keepalive(now_s, heard_s, paused_s, expected) -> None:
    one, _ = online()
    paused_ns = None if paused_s is None else at(paused_s).monotonic_ns
    effects = one.keep_alive(at(now_s), heard_ns=at(heard_s).monotonic_ns, paused_ns=paused_ns)
    names = {b"\xc0": "PINGREQ", b"\xe0": "DISCONNECT"}
    assert [names[e.data[:1]] if isinstance(e, Send) else e.reason for e in effects] == expected


def test_the_brokers_keepalive_is_honoured() -> None:
    one = session()
    one.opened(at(0))
    feed(one, connack(server_keep_alive=10), at(0))
    [ping] = sent(one.keep_alive(at(5.1), heard_ns=at(5).monotonic_ns, paused_ns=None))
    assert isinstance(ping, mqtt5.PingReqPacket)


def test_a_message_that_waits_too_long_for_its_commit_gives_up_the_connection() -> None:
    one, _ = online()
    one.received(reading(), at(1))
    [disconnect, close] = one.keep_alive(at(62), heard_ns=at(62).monotonic_ns, paused_ns=None)
    assert disconnect.data == b"\xe0\x00"
    assert close == Close("a message waits too long for its commit")


def test_an_unanswered_connect_is_given_up() -> None:
    one = session()
    one.opened(at(0))
    assert one.keep_alive(at(11), heard_ns=at(0).monotonic_ns, paused_ns=None) == [
        Close("the broker does not answer CONNECT")
    ]


def test_refusals_and_goodbyes_close() -> None:
    one = session()
    one.opened(at(0))
    refused = connack(reason_code=mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD)
    [close] = feed(one, refused, at(0))
    assert close.reason == "the broker refused the connection: BAD_USER_NAME_OR_PASSWORD"
    one, _ = online()
    taken = mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER)
    [close] = feed(one, taken.write(), at(0))
    assert close.reason == "the broker closed the connection: SESSION_TAKEN_OVER"


def test_qos_2_of_an_older_subscription_is_received_and_completed() -> None:
    one, _ = online()
    effects = feed(one, encode_publish("city/a/b/c/up", b"1", qos=2, packet_id=9), at(1))
    effects += feed(one, mqtt5.PubRelPacket(9).write(), at(1))
    assert [type(packet).__name__ for packet in sent(effects)] == ["PubRecPacket", "PubCompPacket"]


def test_a_violation_closes_after_all_before_it_was_taken() -> None:
    one, _ = online()
    effects = feed(one, reading(4) + b"\x00\x00" + reading(5), at(1))
    assert [type(effect).__name__ for effect in effects] == ["Journal", "Send", "Send", "Close"]
    assert sent(effects)[-1].reason_code is mqtt5.DisconnectReasonCode.PROTOCOL_ERROR
    assert isinstance(effects[-1].violation, ProtocolViolation)


@pytest.mark.parametrize("packet", [reading(), suback(), mqtt5.PingRespPacket().write()])
def test_nothing_may_come_before_the_connection_is_accepted(packet) -> None:
    one = session()
    one.opened(at(0))
    [close] = feed(one, packet, at(0))
    assert isinstance(close.violation, ProtocolViolation)


STREAM = (
    connack(session_present=True)
    + reading(1)
    + suback()
    + reading(2)
    + encode_publish("$SYS/broker/uptime", b"99999 seconds")
    + reading(3, b"x" * 300)
    + encode_publish("citylight/marker/gw", b"1:1700000000000000000", qos=1, packet_id=4)
    + mqtt5.PingRespPacket().write()
    + encode_publish("city/a/b/c/up", b"qos 0")
    + reading(5)
    + mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN).write()
)


def outcome(effects) -> tuple:
    """What must not depend on how the stream was cut."""
    arrivals = [effect.arrival for effect in effects if isinstance(effect, Journal)]
    payloads = [payload for arrival in arrivals for payload in parse_block(arrival, 0).payloads]
    stream = b"".join(effect.data for effect in effects if isinstance(effect, Send))
    closes = [effect.reason for effect in effects if isinstance(effect, Close)]
    return payloads, stream, [event.event for event in told(effects)], closes


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.binary(max_size=8))
def test_how_the_stream_is_cut_changes_nothing(cuts, garbage) -> None:
    data = STREAM + garbage
    whole, pieces = session(expected=True), session(expected=True)
    whole.opened(at(0))
    pieces.opened(at(0))
    expected = outcome(feed(whole, STREAM, at(0)))
    effects, waiting = [], b""
    for start, end in pairwise(sorted({0, *cuts, len(STREAM)})):
        waiting += data[start:end]
        while waiting:
            came, length = pieces.received(waiting, at(0))
            for effect in came:
                effects.append(effect)
                if isinstance(effect, Journal):
                    effects += pieces.committed(at(0))
            waiting = waiting[length:]
            if not length:
                break
    assert outcome(effects) == expected
    assert expected[0] == [b"1", b"1", b"x" * 300, b"qos 0", b"1"]
    assert expected[2] == ["connected", "uptime", "drained"]


@given(st.binary(max_size=100))
def test_garbage_closes_and_nothing_else(data) -> None:
    one, _ = online()
    for effect in feed(one, data, at(1)):
        assert isinstance(effect, (Send, Journal, Tell, Close))


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("port", 65_535, 65_536),
        ("keepalive_s", 1, 0),
        ("session_expiry_s", 1, 0),
        ("receive_maximum", 65_535, 65_536),
        ("packet_bytes_max", 1024, 1023),
        ("memory_bytes_max", 4 << 20, (4 << 20) - 1),
        ("block_messages_max", 1, 0),
        ("linger_ms", 0, -1),
        ("reconnect_max_s", 1.0, 0.5),
        ("topics", ("a",), ()),
        ("client_id", "a", ""),
    ],
)
def test_options_are_bounded(key, good, bad) -> None:
    given = {"host": "h", "port": 1, "topics": ("t",)}
    assert getattr(IngestOptions(**{**given, key: good}), key) == good
    with pytest.raises(ConfigurationError, match=key):
        IngestOptions(**{**given, key: bad})


def test_the_password_is_not_shown() -> None:
    assert "hunter2" not in repr(IngestOptions(host="h", port=1, topics=("t",), password="hunter2"))
