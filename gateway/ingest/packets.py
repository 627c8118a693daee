"""MQTT 5 bytes to packets and back. In: bytes as received or as journalled. Out: stretches, columns.

The ``mqtt5`` codec reads every packet; PUBLISH packets stay the bytes they were, for the journal.
Never keeps state, never touches a socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mqtt5
import numpy as np

from gateway.errors import ProtocolViolation
from gateway.model import Arrival, Int32s, Publishes, UInt8s

PUBLISH = 0x3
LENGTH_BYTES_MAX = 4  # MQTT 5, 1.5.5: a variable byte integer is at most four bytes


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
    view = memoryview(data)
    watched = {topic for topic in apart if topic.encode() in data}
    items: list[Stretch | mqtt5.Packet] = []
    ids: list[int] = []
    headers: list[int] = []
    start = position = 0
    for _ in range(count_max):
        try:
            packet, length = _read(view[position:], packet_bytes_max)
        except IndexError:
            break
        except ProtocolViolation:
            if position == 0:
                raise
            break
        match packet:
            case mqtt5.PublishPacket() if not (watched and packet.topic in watched):
                ids.append(packet.packet_id or 0)
                headers.append(data[position])
            case Unreadable():
                ids.append(packet.packet_id)
                headers.append(data[position])
            case _:
                if ids:
                    items.append(_stretch(data[start:position], ids, headers))
                    ids, headers = [], []
                items.append(packet)
                start = position + length
        position += length
    if ids:
        items.append(_stretch(data[start:position], ids, headers))
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
    view = memoryview(data)
    topics: list[str] = []
    payloads: list[bytes] = []
    ids: list[int] = []
    headers: list[int] = []
    position, size = 0, len(data)
    while position < size:
        try:
            packet, length = _read(view[position:], size)
        except (IndexError, ProtocolViolation):
            packet, length = Unreadable(0), _frame(view[position:])
        if type(packet) is mqtt5.PublishPacket:
            topics.append(packet.topic)
            payloads.append(packet.payload)
        else:
            topics.append("")
            payloads.append(data[position : position + length])
        ids.append(getattr(packet, "packet_id", 0) or 0)
        headers.append(data[position])
        position += length
    count = len(topics)
    index = np.arange(count, dtype=np.int32)
    flags = np.array(headers, dtype=np.uint8)
    return Publishes(
        sequence=np.full(count, sequence, dtype=np.int64),
        index=index,
        topics=topics,
        payloads=payloads,
        packet_ids=np.array(ids, dtype=np.int32),
        retained=(flags & 1) == 1,
        duplicate=(flags & 8) == 8,
        received_ns=arrival.received_ns + index.astype(np.int64),
        replayed=np.full(count, arrival.replayed, dtype=np.bool_),
    )


def _stretch(packets: bytes, ids: list[int], headers: list[int]) -> Stretch:
    qos = np.array(headers, dtype=np.uint8) >> np.uint8(1) & np.uint8(3)
    return Stretch(packets, np.array(ids, dtype=np.int32), qos)


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
    length, start = _variable_integer(view, 1)
    if start + length > packet_bytes_max:
        raise ProtocolViolation(f"a packet of {start + length} bytes; at most {packet_bytes_max} are taken")


def _unreadable(view: memoryview, problem: str) -> tuple[Unreadable, int]:
    """What the codec refused, if it is a PUBLISH whose end and packet id are beyond doubt."""
    violation = ProtocolViolation(f"malformed packet of type {view[0] >> 4}: {problem}")
    try:
        length, body = _variable_integer(view, 1)
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
        length, start = _variable_integer(view, 1)
    except (IndexError, ValueError):
        return len(view)
    return min(start + length, len(view))


def _variable_integer(view: memoryview, at: int) -> tuple[int, int]:
    """A variable byte integer (MQTT 5, 1.5.5) and where it ends; IndexError if cut short."""
    value = 0
    for width in range(LENGTH_BYTES_MAX):
        octet = view[at + width]
        value |= (octet & 0x7F) << 7 * width
        if octet < 0x80:
            return value, at + width + 1
    raise ValueError("a length of more than four bytes")
