"""MQTT 5 bytes to packets and back. In: bytes as received or as journalled. Out: stretches, columns.

A plain PUBLISH is read by the places of its parts, everything else by the ``mqtt5`` codec; PUBLISH packets
stay the bytes they were, for the journal.
Never keeps state, never touches a socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mqtt5
import numpy as np

from gateway.errors import ProtocolViolation
from gateway.ingest.framing import PUBLISH, Frames, frames, variable_integer
from gateway.model import Arrival, Bools, Int32s, Int64s, Publishes, UInt8s


@dataclass(frozen=True, slots=True)
class Stretch:
    """PUBLISH packets that came end to end. ``packet_ids`` int32[n], 0 for QoS 0; ``qos`` uint8[n]."""

    packets: bytes
    packet_ids: Int32s
    qos: UInt8s


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A PUBLISH with sound outer frame and packet id whose inside the codec refuses.

    It is journalled as it came and ends in the quarantine; refusing it would bring it back for ever.
    """

    packet_id: int


def split(
    data: bytes, *, apart: Sequence[str], packet_bytes_max: int, count_max: int
) -> tuple[list[Stretch | mqtt5.Packet], int]:
    """The whole packets at the start of ``data`` in order, at most ``count_max``, and the bytes they take.

    A PUBLISH whose topic is in ``apart`` comes as a parsed packet instead of in a stretch. Stops before a
    packet that breaks the standard, so what came before it is not lost; raises ``ProtocolViolation`` if
    that packet is the first.
    """
    found = frames(data, count_max)
    unread = found.sound & (found.ends - found.starts <= packet_bytes_max)
    lengths = found.topic_ends - found.topics
    for topic in map(str.encode, apart):
        if (alike := lengths == len(topic)).any():
            unread &= ~_of_topic(found, alike & found.sound, data, topic)
    items: list[Stretch | mqtt5.Packet] = []
    first, position = 0, found.end
    places = np.flatnonzero(~unread).tolist()
    # What ends the frames before the bytes and their number do has not wholly come, or is no packet.
    places += [len(found)] if position < len(data) and len(found) < count_max else []
    for at in places:
        if first < at:
            items.append(_stretch(data, found, first, at))
        first, start = at + 1, int(found.starts[at]) if at < len(found) else found.end
        try:
            packet, length = _read(memoryview(data)[start:], packet_bytes_max)
        except IndexError:
            return items, start
        except ProtocolViolation:
            if start == 0:
                raise
            return items, start
        position = max(position, start + length)
        if isinstance(packet, Unreadable) or (
            isinstance(packet, mqtt5.PublishPacket) and packet.topic not in apart
        ):
            items.append(_alone(data[start : start + length], packet))
        else:
            items.append(packet)
    if first < len(found):
        items.append(_stretch(data, found, first, len(found)))
    return items, position


def acknowledgements(stretch: Stretch) -> bytes:
    """PUBACK (QoS 1) or PUBREC (QoS 2), reason success, for each message of ``stretch``, in its order."""
    asked = stretch.packet_ids > 0
    ids = stretch.packet_ids[asked]
    answers = np.empty((len(ids), 4), dtype=np.uint8)
    answers[:, 0] = np.where(stretch.qos[asked] == 1, 0x40, 0x50)
    answers[:, 1] = 2
    answers[:, 2] = ids >> 8
    answers[:, 3] = ids & 0xFF
    return answers.tobytes()


def encode_publish(
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    packet_id: int = 0,
    retained: bool = False,
    duplicate: bool = False,
) -> bytes:
    """A PUBLISH in MQTT 5 encoding: for other transports' messages and for replay."""
    packet = mqtt5.PublishPacket(
        topic,
        payload,
        qos=mqtt5.QoS(qos),
        packet_id=packet_id if qos else None,
        retain=retained,
        duplicate=duplicate,
    )
    return packet.write()


def parse_block(arrival: Arrival, sequence: int) -> Publishes:
    """A journal block back to columns. ``received_ns`` is the block's time plus the index.

    A packet that does not parse gets the topic "" and its own bytes as payload, and harms no other.
    """
    data = arrival.packets
    found = frames(data, len(data))
    topics, payloads, ids = _columns(data, found)
    headers = found.headers
    position = found.end
    while position < len(data):  # no packet; ``split`` leaves nothing of the kind in a stretch
        topic, payload, packet_id, length = _parsed(memoryview(data)[position:])
        topics.append(topic)
        payloads.append(payload)
        ids, headers = np.append(ids, np.int32(packet_id)), np.append(headers, np.uint8(data[position]))
        position += length
    return _publishes([arrival], [sequence], np.array([len(topics)]), topics, payloads, ids, headers)


def parse_blocks(arrivals: Sequence[Arrival], sequences: Sequence[int]) -> Publishes:
    """What ``parse_block`` gives for each, end to end; many small blocks cost what one large one does."""
    if len(arrivals) > 1:
        data = b"".join([arrival.packets for arrival in arrivals])
        found = frames(data, len(data))
        edges = np.cumsum([len(arrival.packets) for arrival in arrivals])
        counts = np.searchsorted(found.ends, edges, side="right")
        if found.end == len(data) and (found.ends.take(counts - 1) == edges).all():
            counts = np.diff(counts, prepend=0)
            return _publishes(arrivals, sequences, counts, *_columns(data, found), found.headers)
    return end_to_end([parse_block(*block) for block in zip(arrivals, sequences, strict=True)])


def end_to_end(blocks: Sequence[Publishes]) -> Publishes:
    """Several stretches as one, in order."""
    if len(blocks) == 1:
        return blocks[0]
    return Publishes(
        sequence=np.concatenate([b.sequence for b in blocks]),
        index=np.concatenate([b.index for b in blocks]),
        topics=[topic for b in blocks for topic in b.topics],
        payloads=[payload for b in blocks for payload in b.payloads],
        packet_ids=np.concatenate([b.packet_ids for b in blocks]),
        retained=np.concatenate([b.retained for b in blocks]),
        duplicate=np.concatenate([b.duplicate for b in blocks]),
        received_ns=np.concatenate([b.received_ns for b in blocks]),
        replayed=np.concatenate([b.replayed for b in blocks]),
    )


def _publishes(
    arrivals: Sequence[Arrival],
    sequences: Sequence[int],
    counts: Int64s,
    topics: list[str],
    payloads: list[bytes],
    ids: Int32s,
    headers: UInt8s,
) -> Publishes:
    """Columns of the messages of all ``arrivals``, ``counts`` of them in each."""
    index = np.arange(len(topics)) - np.repeat(np.cumsum(counts) - counts, counts)
    return Publishes(
        sequence=np.repeat(np.array(sequences, dtype=np.int64), counts),
        index=index.astype(np.int32),
        topics=topics,
        payloads=payloads,
        packet_ids=ids,
        retained=(headers & 1) == 1,
        duplicate=(headers & 8) == 8,
        received_ns=np.repeat(np.array([a.received_ns for a in arrivals], dtype=np.int64), counts) + index,
        replayed=np.repeat(np.array([a.replayed for a in arrivals], dtype=np.bool_), counts),
    )


def _columns(data: bytes, found: Frames) -> tuple[list[str], list[bytes], Int32s]:
    """(topics, payloads, packet ids) of whole packets; what has properties, or is none, by the codec."""
    octets = np.frombuffer(data or b"\0", dtype=np.uint8)
    plain = found.sound & (octets.take(found.properties, mode="clip") == 0)
    plain &= found.topic_ends > found.topics
    text = data.decode("latin-1")  # one octet, one character: an ASCII topic is itself
    topics = [text[a:b] for a, b in zip(found.topics.tolist(), found.topic_ends.tolist(), strict=True)]
    payloads = [data[a:b] for a, b in zip((found.properties + 1).tolist(), found.ends.tolist(), strict=True)]
    if not all(map(str.isascii, topics)):
        plain &= np.fromiter(map(str.isascii, topics), np.bool_, len(topics))
    ids = found.packet_ids
    for at in np.flatnonzero(~plain).tolist():
        packet = memoryview(data)[int(found.starts[at]) : int(found.ends[at])]
        topics[at], payloads[at], ids[at], _ = _parsed(packet)
    return topics, payloads, ids


def _parsed(view: memoryview) -> tuple[str, bytes, int, int]:
    """(topic, payload, packet id, bytes taken) of the packet at the start of ``view``, whatever it is."""
    try:
        packet, length = _read(view, len(view))
    except (IndexError, ProtocolViolation):
        packet, length = Unreadable(0), _frame(view)
    packet_id = getattr(packet, "packet_id", 0) or 0
    if isinstance(packet, mqtt5.PublishPacket):
        return packet.topic, packet.payload, packet_id, length
    return "", bytes(view[:length]), packet_id, length


def _of_topic(found: Frames, alike: Bools, data: bytes, topic: bytes) -> Bools:
    """bool[n]: the packets of ``topic`` among those whose topic is ``alike`` in length."""
    last = np.frombuffer(data, np.uint8).take(found.topic_ends - 1, mode="clip")
    mine: Bools = alike & (last == topic[-1])
    for at in np.flatnonzero(mine).tolist():
        mine[at] = data.startswith(topic, int(found.topics[at]))
    return mine


def _stretch(data: bytes, found: Frames, first: int, end: int) -> Stretch:
    """Packets [first, end), all of them sound."""
    packets = data[int(found.starts[first]) : int(found.ends[end - 1])]
    return Stretch(
        packets, found.packet_ids[first:end], found.headers[first:end] >> np.uint8(1) & np.uint8(3)
    )


def _alone(data: bytes, packet: mqtt5.PublishPacket | Unreadable) -> Stretch:
    ids = np.array([packet.packet_id or 0], dtype=np.int32)
    return Stretch(data, ids, np.array([data[0] >> 1 & 3], dtype=np.uint8))


def _read(view: memoryview, packet_bytes_max: int) -> tuple[mqtt5.Packet | Unreadable, int]:
    """The packet at the start of ``view`` and its length; IndexError if it has not wholly come."""
    try:
        packet, length = mqtt5.read(view)
    except IndexError:
        _limit(view, packet_bytes_max)
        raise
    except ValueError as error:
        return _unreadable(view, str(error))
    except BaseException as error:
        # The codec is Rust and panics on strings that are not UTF-8; the class can not be imported.
        if type(error).__name__ != "PanicException":
            raise
        return _unreadable(view, "a string is not UTF-8")
    if length > packet_bytes_max:
        _limit(view, packet_bytes_max)
    return packet, length


def _limit(view: memoryview, packet_bytes_max: int) -> None:
    length, start = variable_integer(view, 1)
    if start + length > packet_bytes_max:
        raise ProtocolViolation(f"a packet of {start + length} bytes; at most {packet_bytes_max} are taken")


def _unreadable(view: memoryview, problem: str) -> tuple[Unreadable, int]:
    """What the codec refused, if it is a PUBLISH whose end and packet id are beyond doubt."""
    violation = ProtocolViolation(f"malformed packet of type {view[0] >> 4}: {problem}")
    try:
        length, body = variable_integer(view, 1)
        topic_end = body + 2 + (view[body] << 8 | view[body + 1])
        qos = view[0] >> 1 & 3
        packet_id = view[topic_end] << 8 | view[topic_end + 1] if qos else 0
    except (IndexError, ValueError):
        raise violation from None
    end = body + length
    framed = topic_end + (2 if qos else 0) < end <= len(view)
    if view[0] >> 4 != PUBLISH or qos == 3 or not framed or (qos and not packet_id):
        raise violation
    return Unreadable(packet_id), end


def _frame(view: memoryview) -> int:
    """Bytes of the packet at the start of ``view`` by its length alone; all of it if that can not be."""
    try:
        length, start = variable_integer(view, 1)
    except (IndexError, ValueError):
        return len(view)
    return min(start + length, len(view))
