"""Where MQTT packets begin and end, and the fixed places of a PUBLISH. In: bytes. Out: columns.

Follows lengths alone (MQTT 5, 1.5.5, 2.1 and 3.3); what is inside a packet is read by others. Bytes that
can not be a packet end the columns. Never raises, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.model import Bools, Int32s, Int64s, UInt8s

LENGTH_BYTES_MAX: Final = 4
"""MQTT 5, 1.5.5: a variable byte integer is at most four bytes."""

PUBLISH: Final = 0x3
_MORE: Final = 0x80  # the flag of an octet of a length that another one follows


@dataclass(frozen=True, slots=True)
class Frames:
    """n whole packets laid end to end; packet i is ``data[starts[i]:ends[i]]``, ``headers`` its first octet.

    The others mean something only where ``sound`` is True: a PUBLISH of QoS 0 to 2 with its topic, its packet
    id and at least one octet more within its end. ``data[topics[i]:topic_ends[i]]`` is its topic; its
    properties begin at ``properties[i]``; ``packet_ids`` is 0 for QoS 0.
    """

    starts: Int64s
    ends: Int64s
    headers: UInt8s
    sound: Bools
    topics: Int64s
    topic_ends: Int64s
    packet_ids: Int32s
    properties: Int64s

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def end(self) -> int:
        """Behind the last packet."""
        return int(self.ends[-1]) if len(self.ends) else 0


def frames(data: bytes, count_max: int) -> Frames:
    """The whole packets at the start of ``data``, at most ``count_max``."""
    bounds = np.array(_bounds(data, count_max), dtype=np.int64)
    starts, ends = bounds[:-1], bounds[1:]
    octets = np.frombuffer(data or b"\0", dtype=np.uint8)

    def octet(places: Int64s) -> Int64s:
        # A packet may be shorter than what is looked for in it; ``sound`` tells.
        return octets.take(places, mode="clip").astype(np.int64)

    def pair(places: Int64s) -> Int64s:
        return octet(places) << 8 | octet(places + 1)

    headers = octets[starts]
    bodies = starts + 2
    more = octet(starts + 1) >= _MORE
    while more.any():
        bodies = bodies + more
        more &= octet(bodies - 1) >= _MORE
    qos = headers >> 1 & 3
    identified = qos > 0
    topic_ends = bodies + 2 + pair(bodies)
    properties = topic_ends + 2 * identified
    packet_ids = np.where(identified, pair(topic_ends), 0)
    sound = (headers >> 4 == PUBLISH) & (qos < 3) & (properties < ends) & (identified == (packet_ids > 0))
    return Frames(
        starts, ends, headers, sound, bodies + 2, topic_ends, packet_ids.astype(np.int32), properties
    )


def _bounds(data: bytes, count_max: int) -> list[int]:
    """Where each packet begins, and behind it where the last one ends: all that is done one by one."""
    bounds = [0]
    end, size = 0, len(data)
    mark = bounds.append
    try:
        for _ in range(count_max):
            length = data[end + 1]
            if length < _MORE:
                end += 2 + length
            elif 0 < (high := data[end + 2]) < _MORE:
                end += 3 + (length & 0x7F | high << 7)
            else:
                length, body = variable_integer(data, end + 1)
                end = body + length
            if end > size:
                break
            mark(end)
    except (IndexError, ValueError):
        pass
    return bounds


def variable_integer(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A variable byte integer and where it ends. IndexError if it is cut short, ValueError if it is none."""
    value = 0
    for width in range(LENGTH_BYTES_MAX):
        octet = data[at + width]
        value |= (octet & 0x7F) << 7 * width
        if octet < _MORE:
            if width and not octet:
                raise ValueError("a length with octets it does not need")
            return value, at + width + 1
    raise ValueError("a length of more than four octets")
