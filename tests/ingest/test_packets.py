"""Bytes to packets and back, against the codec as the second opinion."""

from __future__ import annotations

import mqtt5
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ProtocolViolation
from gateway.ingest.packets import Stretch, acknowledgements, encode_publish, parse_block, parse_blocks, split
from gateway.model import Arrival

# The codec prints the inner error of a string that is not UTF-8 before it panics.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

MARKER = "citylight/marker/gw"
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=20)


@st.composite
def publishes(draw: st.DrawFn) -> mqtt5.PublishPacket:
    qos = draw(st.sampled_from([0, 1, 1, 1, 2]))
    return mqtt5.PublishPacket(
        draw(topics),
        draw(st.binary(max_size=300)),
        qos=mqtt5.QoS(qos),
        packet_id=draw(st.integers(1, 65_535)) if qos else None,
        retain=draw(st.booleans()),
        duplicate=bool(qos) and draw(st.booleans()),
        user_properties=draw(st.lists(st.tuples(topics, topics), max_size=2)),
    )


def cut(data: bytes, *, count_max: int = 10_000, packet_bytes_max: int = 1 << 20):
    return split(data, apart=(MARKER,), packet_bytes_max=packet_bytes_max, count_max=count_max)


def block(packets: bytes, count: int = 1) -> Arrival:
    return Arrival(packets, count, 1_000, epoch=3)


@given(st.lists(publishes(), min_size=1, max_size=20))
def test_a_block_is_the_bytes_as_they_came_and_reads_back(sent) -> None:
    data = b"".join(packet.write() for packet in sent)
    [stretch], length = cut(data)
    assert (length, stretch.packets) == (len(data), data)
    assert stretch.packet_ids.tolist() == [packet.packet_id or 0 for packet in sent]
    assert stretch.qos.tolist() == [packet.qos.value for packet in sent]
    back = parse_block(block(data, len(sent)), 42)
    assert back.topics == [packet.topic for packet in sent]
    assert back.payloads == [packet.payload for packet in sent]
    assert back.packet_ids.tolist() == stretch.packet_ids.tolist()
    assert back.retained.tolist() == [packet.retain for packet in sent]
    assert back.duplicate.tolist() == [packet.duplicate for packet in sent]
    assert back.received_ns.tolist() == [1_000 + i for i in range(len(sent))]
    assert set(back.sequence.tolist()) == {42}
    assert back.index.tolist() == list(range(len(sent)))


def test_own_topics_and_control_packets_come_apart_in_order() -> None:
    reading = encode_publish("city/a/b/c/up", b"1", qos=1, packet_id=7)
    marker = encode_publish(MARKER, b"nonce", qos=1, packet_id=8)
    mention = encode_publish("city/a/b/c/up", MARKER.encode(), qos=1, packet_id=9)
    ping = mqtt5.PingRespPacket().write()
    items, length = cut(reading + reading + marker + mention + ping + reading)
    assert length == len(reading + reading + marker + mention + ping + reading)
    kinds = [type(item).__name__ for item in items]
    assert kinds == ["Stretch", "PublishPacket", "Stretch", "PingRespPacket", "Stretch"]
    assert items[0].packets == reading + reading
    assert items[2].packets == mention


def test_a_packet_that_has_not_wholly_come_is_left() -> None:
    reading = encode_publish("t", b"x" * 200, qos=1, packet_id=7)
    for end in range(len(reading)):
        assert cut(reading[:end]) == ([], 0)
        assert cut(reading + reading[:end])[1] == len(reading)


def test_at_most_so_many_packets_are_taken() -> None:
    reading = encode_publish("t", b"x", qos=1, packet_id=7)
    [stretch], length = cut(reading * 10, count_max=4)
    assert (length, len(stretch.qos)) == (4 * len(reading), 4)


def test_a_packet_too_long_is_refused_before_it_has_come() -> None:
    head = b"\x30\xff\xff\x7f"
    with pytest.raises(ProtocolViolation, match="2097155 bytes; at most 1000"):
        cut(head, packet_bytes_max=1000)
    with pytest.raises(ProtocolViolation, match="at most 1000"):
        cut(encode_publish("t", b"x" * 2000), packet_bytes_max=1000)


def test_what_came_before_a_violation_is_not_lost() -> None:
    reading = encode_publish("t", b"x", qos=1, packet_id=7)
    [stretch], length = cut(reading + b"\x00\x00")
    assert (stretch.packets, length) == (reading, len(reading))
    with pytest.raises(ProtocolViolation):
        cut(b"\x00\x00")


@pytest.mark.parametrize(
    "packet",
    [
        b"\x36\x07\x00\x01t\x00\x01\x00x",  # QoS 3
        b"\x30\x04\x00\x09tx",  # topic longer than the packet
        b"\x30\xff\xff\xff\xff\x01",  # length of five bytes
        b"\x20\x05\x00\x00\x02\xff\xff",  # CONNACK with a broken property
        b"\xf0\x01\xff",
    ],
)
def test_violations(packet: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        cut(packet + bytes(10))


@pytest.mark.parametrize(
    "poison",
    [
        b"\x32\x08\x00\x02\xff\xfe\x00\x07\x00x",  # topic is not UTF-8: the codec panics
        b"\x32\x09\x00\x01t\x00\x07\x02\xff\xffx",  # unknown property
    ],
)
def test_a_poisonous_message_is_taken_and_harms_no_other(poison: bytes) -> None:
    """Refusing it would bring it back with every new connection."""
    good = encode_publish("city/a/b/c/up", b"1", qos=1, packet_id=6)
    [stretch], length = cut(good + poison + good)
    assert length == len(good + poison + good)
    assert stretch.packet_ids.tolist() == [6, 7, 6]
    back = parse_block(block(stretch.packets, 3), 1)
    assert back.topics == ["city/a/b/c/up", "", "city/a/b/c/up"]
    assert back.payloads == [b"1", poison, b"1"]


def test_acknowledgements_leave_in_order_and_never_refuse() -> None:
    stretch = Stretch(b"", np.array([258, 0, 3, 65_535], np.int32), np.array([1, 0, 2, 1], np.uint8))
    assert acknowledgements(stretch) == b"\x40\x02\x01\x02" + b"\x50\x02\x00\x03" + b"\x40\x02\xff\xff"
    first, _ = mqtt5.read(memoryview(acknowledgements(stretch)))
    assert (type(first), first.packet_id, first.reason_code.value) == (mqtt5.PubAckPacket, 258, 0)


@given(st.binary(max_size=200))
def test_garbage_is_a_violation_and_nothing_else(data: bytes) -> None:
    try:
        _, length = cut(data)
    except ProtocolViolation:
        return
    assert 0 <= length <= len(data)


@given(st.binary(min_size=1, max_size=200))
def test_a_block_of_garbage_parses_to_whole_columns(data: bytes) -> None:
    back = parse_block(block(data), 1)
    assert len(back.topics) == len(back.payloads) == len(back.packet_ids) == len(back.received_ns) >= 1


@given(
    st.lists(publishes(), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_packets_are_read_as_the_codec_reads_them(sent, changes) -> None:
    """By the places of their parts or by the codec, whatever a byte was changed to: the same messages."""
    data = bytearray(b"".join(packet.write() for packet in sent))
    for place, value in changes:
        data[place % len(data)] = value
    back = parse_block(block(bytes(data)), 1)
    position = 0
    for at in range(len(back.topics)):
        try:
            packet, length = mqtt5.read(memoryview(data)[position:])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            assert back.topics[at] == ""
            position += len(back.payloads[at])
            continue
        if isinstance(packet, mqtt5.PublishPacket):
            assert (back.topics[at], back.payloads[at]) == (packet.topic, packet.payload)
            assert back.packet_ids[at] == (packet.packet_id or 0)
            assert (back.retained[at], back.duplicate[at]) == (packet.retain, bool(data[position] & 8))
        else:
            assert (back.topics[at], back.payloads[at]) == ("", bytes(data[position : position + length]))
        position += length
    assert position == len(data)


@given(st.lists(st.lists(publishes(), min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_blocks_read_together_are_the_blocks_one_by_one(groups, data: st.DataObject) -> None:
    """Also where one of them is damaged: it takes nothing from its neighbours."""
    blocks = [b"".join(packet.write() for packet in group) for group in groups]
    at = data.draw(st.integers(0, len(blocks) - 1))
    blocks[at] = blocks[at][: data.draw(st.integers(1, len(blocks[at])))]
    arrivals = [Arrival(packets, 1, 1_000 * k, epoch=3) for k, packets in enumerate(blocks)]
    sequences = [7 + 2 * k for k in range(len(blocks))]
    alone = [parse_block(arrival, sequence) for arrival, sequence in zip(arrivals, sequences, strict=True)]
    together = parse_blocks(arrivals, sequences)
    assert together.topics == [topic for one in alone for topic in one.topics]
    assert together.payloads == [payload for one in alone for payload in one.payloads]
    for column in ("sequence", "index", "packet_ids", "retained", "duplicate", "received_ns", "replayed"):
        expected = np.concatenate([getattr(one, column) for one in alone])
        assert getattr(together, column).tolist() == expected.tolist(), column
        assert getattr(together, column).dtype == expected.dtype
