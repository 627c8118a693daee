"""From PUBLISH packets to columns: whose message it is, what becomes of it, and that each is counted once."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.decoder import Decoded, Decoder
from gateway.decode.profile import Profile
from gateway.decode.routes import Routes
from gateway.decode.samples import REASONS
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import WHOLE_MESSAGE, Publishes

LIT = b'{"ts":1795280400000,"u":230,"p":90}'


def run(decoder: Decoder, publishes: Publishes) -> Decoded:
    return decoder.decode(publishes, np.zeros(len(publishes.topics), np.bool_))


def test_messages_of_two_profiles_become_two_columns_in_journal_order(
    decoder: Decoder, publishes: Any
) -> None:
    decoded = run(
        decoder,
        publishes(
            [
                ("city/a/luminaire/L2/up", LIT),
                ("city/b/noise/N1/up", b'{"laeq":"50"}'),
                ("city/a/luminaire/L1/up", b'{"u":"x","p":80}'),
                ("city/a/luminaire/L2/up", b'{"p":70}'),
            ]
        ),
    )
    lamps, noise = decoded.columns
    assert lamps.profile.name == "luminaire-controller"
    assert lamps.device.tolist() == [1, 0, 1]
    assert lamps.index.tolist() == [0, 2, 3]
    assert lamps.raw[3].tolist() == [90, 80, 70]
    assert lamps.time_ns[0] == 1_795_280_400_000_000_000
    assert noise.raw[0].tolist() == [50]
    assert decoded.counts.received == 4
    assert decoded.counts.quarantined == 0


@pytest.mark.parametrize(
    ("topic", "payload", "stage", "reason", "device"),
    [
        ("town/a/luminaire/L1/up", LIT, "topic", "foreign_topic", ""),
        ("city/a/luminaire/L1/up/x", LIT, "topic", "foreign_topic", ""),
        ("city/a/luminaire/L1/down", LIT, "topic", "foreign_topic", ""),
        ("city/a/luminaire/L 1/up", LIT, "topic", "bad_id", ""),
        ("city/a/luminaire//up", LIT, "topic", "bad_id", ""),
        ("city/a/luminaire/L1,x=1\n/up", LIT, "topic", "bad_id", ""),
        ("city/a/luminaire/" + "x" * 65 + "/up", LIT, "topic", "bad_id", ""),
        ("city/a/luminaire/L9/up", LIT, "topic", "unknown_device", "L9"),
        ("city/a/luminaire/X1/up", LIT, "topic", "unknown_profile", "X1"),
        ("city/a/noise/L1/up", LIT, "topic", "class_mismatch", "L1"),
        ("city/a/luminaire/L1/up", b" " * 65_537, "decode", "oversize", "L1"),
        ("city/a/luminaire/L1/up", b"\xff", "decode", "bad_utf8", "L1"),
        ("city/a/luminaire/L1/up", b"", "decode", "unparsable", "L1"),
        ("city/a/energy/C1/up", b'{"data":[]}', "decode", "no_value", "C1"),
    ],
)
def test_message_that_can_not_become_a_reading_is_quarantined_whole(
    decoder: Decoder, publishes: Any, topic: str, payload: bytes, stage: str, reason: str, device: str
) -> None:
    decoded = run(decoder, publishes([("city/a/luminaire/L1/up", LIT), (topic, payload)], sequence=7))
    (reject,) = decoded.rejects
    assert (reject.stage, reject.reason, reject.device) == (stage, reason, device)
    assert (reject.sequence, reject.index, reject.sample) == (7, 1, WHOLE_MESSAGE)
    assert (reject.topic, reject.payload) == (topic, payload)
    assert len(decoded.columns[0].device) == 1
    assert (decoded.counts.received, decoded.counts.quarantined) == (2, 1)


def test_concentrator_names_its_devices_and_bad_ones_are_refused_alone(
    decoder: Decoder, publishes: Any
) -> None:
    payload = (
        b'{"data":[{"meter":"M1","e":1},{"meter":"M9","e":2},{"meter":"M2","e":3},'
        b'{"meter":"L1","e":4},{"e":5},{"meter":"M 1","e":6}]}'
    )
    decoded = run(decoder, publishes([("city/a/energy/C1/up", payload)]))
    (columns,) = decoded.columns
    assert columns.device.tolist() == [4, 5]
    assert columns.sample.tolist() == [0, 2]
    assert columns.raw[0].tolist() == [1, 3]
    assert [(r.sample, r.reason) for r in decoded.rejects] == [
        (1, "unknown_device"),
        (3, "class_mismatch"),
        (4, "bad_id"),
        (5, "bad_id"),
    ]
    assert decoded.counts.quarantined == 0


def test_concentrator_without_one_known_device_is_one_reject(decoder: Decoder, publishes: Any) -> None:
    payload = b'{"data":[{"meter":"M8","e":1},{"meter":"M9","e":2}]}'
    decoded = run(decoder, publishes([("city/a/energy/C1/up", payload)]))
    assert decoded.columns == ()
    assert [(r.sample, r.reason) for r in decoded.rejects] == [(WHOLE_MESSAGE, "unknown_device")]
    assert decoded.counts.quarantined == 1


def test_payload_id_against_the_topic_is_quarantined(decoder: Decoder, publishes: Any) -> None:
    good, bad = b'{"id":"FL-01","mm":5}', b'{"id":"L1","mm":5}'
    topic = "city/a/flood/FL-01/up"
    decoded = run(decoder, publishes([(topic, good), (topic, bad), (topic, b'{"mm":6}')]))
    assert decoded.columns[0].index.tolist() == [0, 2]
    assert [(r.index, r.reason) for r in decoded.rejects] == [(1, "id_mismatch")]


def test_retained_and_redelivered_telemetry_is_counted_and_passed_over(
    decoder: Decoder, publishes: Any
) -> None:
    topic = "city/a/luminaire/L1/up"
    block = publishes([(topic, LIT)] * 4 + [("x", b"")], retained=[0, 4])
    decoded = decoder.decode(block, np.array([True, True, False, False, False]))
    assert decoded.columns[0].index.tolist() == [2, 3]
    counts = decoded.counts
    assert (counts.received, counts.retained, counts.redelivered, counts.quarantined) == (2, 2, 1, 0)


def test_status_messages_are_changes_even_when_retained_and_never_telemetry(
    decoder: Decoder, publishes: Any
) -> None:
    topic = "city/a/luminaire/L2/status"
    block = publishes(
        [(topic, b"online"), (topic, b"offline"), (topic, b""), (topic, b"{}"), (topic, b"online")],
        retained=[0],
    )
    decoded = decoder.decode(block, np.array([False, False, False, False, True]))
    assert [(s.device, s.online, s.retained) for s in decoded.statuses] == [
        (1, True, True),
        (1, False, False),
    ]
    assert [(r.index, r.reason) for r in decoded.rejects] == [(3, "bad_status")]
    assert (decoded.counts.status, decoded.counts.received, decoded.counts.quarantined) == (5, 0, 0)


def test_replayed_messages_carry_their_mark(decoder: Decoder, publishes: Any) -> None:
    decoded = run(decoder, publishes([("city/a/luminaire/L1/up", LIT)], replayed=True))
    assert decoded.columns[0].replayed.tolist() == [True]
    assert (decoded.counts.received, decoded.counts.replayed) == (1, 1)


def test_empty_block(decoder: Decoder, publishes: Any) -> None:
    decoded = run(decoder, publishes([]))
    assert decoded.columns == () == decoded.rejects


TOPICS = st.sampled_from(
    [
        "city/a/luminaire/L1/up",
        "city/a/luminaire/L2/up",
        "city/a/luminaire/L2/status",
        "city/a/noise/N1/up",
        "city/a/flood/FL-01/up",
        "city/a/traffic/TC-01/up",
        "city/a/energy/C1/up",
        "city/a/luminaire/L9/up",
        "nowhere",
    ]
)
PAYLOADS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([LIT, b'{"laeq":"50"}', b'{"bins":[{"v":1},{}]}', b'{"data":[{"meter":"M1","e":1},{}]}']),
    st.sampled_from(
        [b"online", b'{"id":"FL-01","mm":3}', b"[" * 5000, b'{"u":' + b"[" * 700 + b"]" * 700 + b"}"]
    ),
)


@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans(), st.booleans()), max_size=12))
def test_every_message_has_exactly_one_fate(
    profiles: dict[str, Profile], fleet: Fleet, publishes: Any, messages: list[tuple[str, bytes, bool, bool]]
) -> None:
    decoder = _fresh(profiles, fleet)
    block = publishes(
        [(topic, payload) for topic, payload, _, _ in messages],
        retained=[k for k, message in enumerate(messages) if message[2]],
    )
    decoded = decoder.decode(block, np.array([message[3] for message in messages], np.bool_))
    counts = decoded.counts
    assert counts.received + counts.retained + counts.redelivered + counts.status == len(messages)
    kept = {int(i) for columns in decoded.columns for i in columns.index}
    whole = {r.index for r in decoded.rejects if r.sample == WHOLE_MESSAGE and r.reason != "bad_status"}
    assert not kept & whole
    assert len(whole) == counts.quarantined
    assert len(kept) + len(whole) == counts.received
    assert all(r.reason in REASONS and len(r.detail) <= 200 for r in decoded.rejects)


@given(st.lists(st.tuples(TOPICS, PAYLOADS), min_size=1, max_size=10), st.data())
def test_cutting_into_other_blocks_changes_nothing(
    profiles: dict[str, Profile],
    fleet: Fleet,
    publishes: Any,
    messages: list[tuple[str, bytes]],
    data: st.DataObject,
) -> None:
    cut = data.draw(st.integers(0, len(messages)))
    decoder = _fresh(profiles, fleet)
    whole = run(decoder, publishes(messages))
    parts = [run(decoder, publishes(messages[:cut])), run(decoder, publishes(messages[cut:]))]
    assert whole.counts == parts[0].counts + parts[1].counts
    assert len(whole.rejects) == sum(len(part.rejects) for part in parts)
    for columns in whole.columns:
        pieces = [c for part in parts for c in part.columns if c.profile is columns.profile]
        np.testing.assert_array_equal(columns.raw, np.concatenate([p.raw for p in pieces], axis=1))
        np.testing.assert_array_equal(columns.quality, np.concatenate([p.quality for p in pieces], axis=1))
        np.testing.assert_array_equal(columns.time_ns, np.concatenate([p.time_ns for p in pieces]))
        np.testing.assert_array_equal(columns.device, np.concatenate([p.device for p in pieces]))


def _fresh(profiles: dict[str, Profile], fleet: Fleet) -> Decoder:
    pattern = "city/<area>/<class>/<device>/"
    return Decoder(profiles, fleet, Routes(pattern + "up", pattern + "status", fleet, profiles))


@pytest.mark.parametrize(
    "pattern", ["city/up", "city/<device>/<device>", "city/+/<device>", "a/<dev>/<device>"]
)
def test_pattern_that_can_not_serve_is_refused(
    pattern: str, profiles: dict[str, Profile], fleet: Fleet
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Routes(pattern, "s/<device>", fleet, profiles, file="citylight.toml")
    assert (caught.value.file, caught.value.key) == ("citylight.toml", "mqtt.telemetry_topic")


def test_topic_cache_is_bounded_and_strangers_do_not_fill_it(
    profiles: dict[str, Profile], fleet: Fleet
) -> None:
    routes = Routes("<area>/<device>/up", "<area>/<device>/status", fleet, profiles)
    assert (routes.codes([f"a/stranger{k}/up" for k in range(5000)]) == -1).all()
    for k in range(5000):
        assert routes.codes([f"area{k}/L2/up"]).tolist() == [2]
    assert len(routes._codes) <= routes.topics_max + 1
