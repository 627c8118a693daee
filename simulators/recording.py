"""A simulated city as the journal of a gateway that heard all of it. In: a simulation, a span. Out: records.

The session is connected and drained throughout; a tick stands at every full minute. Never opens a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mqtt5

from gateway.journal.record import (
    Kind,
    encode_arrival,
    encode_control,
    encode_session,
    encode_tick,
)
from gateway.model import Arrival, Control, SessionEvent, Tick
from simulators.astronomy import MINUTE_NS, SECOND_NS
from simulators.simulation import Message, Simulation

TICK_NS = MINUTE_NS
BLOCK_NS = 10 * SECOND_NS
"""Messages this close together share a block; one time of receipt serves a block."""

_BOOT_ID = b"simulated city.."
_PACKET_IDS = 65_535
_HEARD_ID = 1


def records(
    simulation: Simulation, configuration: str, from_ns: int, until_ns: int
) -> Iterator[tuple[Kind, bytes]]:
    """(kind, payload) of every record; ``configuration`` is the hash of what is believed of the city."""
    yield Kind.CONTROL, encode_control(Control("configuration", from_ns, configuration))
    for event in ("connected", "drained"):
        yield Kind.SESSION, encode_session(SessionEvent(_HEARD_ID, event, from_ns))
    packet_id = 0
    for tick_ns in range(from_ns, until_ns + 1, TICK_NS):
        for block in _blocks(simulation.messages(tick_ns)):
            yield Kind.MESSAGES, encode_arrival(_arrival(block, packet_id))
            packet_id = (packet_id + len(block)) % _PACKET_IDS
        tick = Tick(tick_ns, tick_ns - from_ns, _BOOT_ID, connected=True, drained=True)
        yield Kind.TICK, encode_tick(tick)


def _blocks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    start = 0
    for position in range(1, len(messages) + 1):
        if position == len(messages) or messages[position].time_ns - messages[start].time_ns >= BLOCK_NS:
            yield messages[start:position]
            start = position


def _arrival(block: Sequence[Message], packet_id: int) -> Arrival:
    """Received when its last message was; a broker hands a live subscriber no retained copies."""
    packet, qos = mqtt5.PublishPacket, [mqtt5.QoS(level) for level in range(3)]
    packets = [
        packet(m.topic, m.payload, qos=qos[m.qos], packet_id=(packet_id + number) % _PACKET_IDS + 1).write()
        for number, m in enumerate(block)
    ]
    received_ns = block[-1].time_ns - len(block) + 1
    return Arrival(b"".join(packets), len(block), received_ns, _HEARD_ID)
