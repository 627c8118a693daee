"""One MQTT 5 connection that publishes. In: messages. Out: PUBLISH packets, counted when acknowledged.

What waits goes out in one write, as far as the window of unacknowledged packets reaches; a broken connection
is made again and what was not acknowledged is sent again. Never subscribes, and shares nothing with the
gateway's own client.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import mqtt5

from gateway.errors import ProtocolViolation
from simulators.simulation import Message

QUEUE_MAX = 4000
"""Messages waiting for a free slot; a full queue holds the simulation back."""

WINDOW_MAX = 2000
"""Messages in flight to a broker that names a bound of its own."""

UNNAMED_WINDOW = 100
"""And to one that names none: what rumqttd allows."""

PACKET_ID_MAX = 65_535
_CONNECT_TIMEOUT_S = 10.0
_BACK_OFF_S = (0.2, 5.0)
_READ_BYTES = 65_536
_WRITE_MESSAGES = 500
_PUBACK, _PUBACK_LENGTHS = 0x40, (2, 3)  # without properties; with a reason code, if there is one
_QOS = mqtt5.QoS.AT_LEAST_ONCE
_TAKEN = (int(mqtt5.PubAckReasonCode.SUCCESS), int(mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS))


@dataclass(frozen=True, kw_only=True, slots=True)
class PublisherOptions:
    """``per_device`` True gives each device a connection and last will; else ``connections`` are shared.

    ``username`` may hold ``{device}`` for brokers that know each device. Without ``in_flight_max`` the window
    is what the broker names, at most WINDOW_MAX.
    """

    host: str
    port: int
    per_device: bool = False
    connections: int = 4
    in_flight_max: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    client_id: str = "simulator"
    keepalive_s: int = 60
    drain_s: float = 10.0

    def __post_init__(self) -> None:
        if self.in_flight_max is not None and not 1 <= self.in_flight_max < PACKET_ID_MAX:
            raise ValueError(f"in_flight_max is {self.in_flight_max}, not 1 to {PACKET_ID_MAX - 1}")
        if not 1 <= self.connections <= 1000:
            raise ValueError(f"connections is {self.connections}, not 1 to 1000")
        if not 1 <= self.keepalive_s <= PACKET_ID_MAX:
            raise ValueError(f"keepalive_s is {self.keepalive_s}, not 1 to {PACKET_ID_MAX}")


@dataclass(slots=True)
class Tally:
    """What all connections of a publisher did together."""

    sent: int = 0
    status: int = 0
    refused: int = 0
    reconnects: int = 0
    connected: int = 0
    last_error: str = ""
    failure: BaseException | None = None


class Connection:
    """Publishes with QoS 1, in the order they were handed over, until closed or aborted."""

    def __init__(
        self, options: PublisherOptions, client_id: str, tally: Tally, will_topic: str = "", device: str = ""
    ) -> None:
        self._options, self._client_id, self._tally = options, client_id, tally
        self._will_topic, self._device = will_topic, device
        self._waiting: deque[Message] = deque()  # bounded: QUEUE_MAX, and what was in flight
        self._unacknowledged: dict[int, Message] = {}
        self._stirred, self._idle, self._vacant = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._packet_id = 0
        self._sessions = 0
        self._task = asyncio.create_task(self._run(), name=f"publish {client_id}")
        self._task.add_done_callback(self._ended)

    @property
    def pending(self) -> int:
        """Messages taken but not acknowledged by the broker."""
        return len(self._waiting) + len(self._unacknowledged)

    def hand(self, messages: Sequence[Message], first: int = 0) -> int:
        """Take messages from ``first`` on while there is room; the number of the first one left over."""
        end = min(len(messages), first + max(0, QUEUE_MAX - len(self._waiting)))
        self._waiting.extend(messages[first:end])
        self._stirred.set()
        return end

    async def vacancy(self) -> None:
        """Until there is room for more, or never will be."""
        while len(self._waiting) >= QUEUE_MAX and not self._task.done():
            self._vacant.clear()
            await self._vacant.wait()

    async def close(self, drain_s: float) -> None:
        """Wait at most ``drain_s`` for acknowledgements, then say goodbye: no last will."""
        await self._drained(drain_s)
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(mqtt5.DisconnectPacket().write())
        await self._end()

    async def abort(self, drain_s: float) -> None:
        """Break the connection as a power cut does, once what was handed over is acknowledged."""
        await self._drained(drain_s)
        if self._writer is not None:
            self._writer.transport.abort()
        await self._end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Only a mistake in this module ends the task by itself; the publisher raises it."""
        if not task.cancelled():
            self._tally.failure = task.exception()
            self._idle.set()
            self._vacant.set()

    async def _drained(self, drain_s: float) -> None:
        try:
            async with asyncio.timeout(drain_s):
                while self.pending and not self._task.done():
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            self._tally.last_error = f"{self._client_id}: {self.pending} messages not acknowledged"

    async def _end(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        delay_s = _BACK_OFF_S[0]
        while True:
            try:
                await self._session()
            except (OSError, TimeoutError, EOFError, ValueError, ProtocolViolation) as error:
                self._tally.last_error = f"{self._client_id}: {error or type(error).__name__}"
            delay_s = _BACK_OFF_S[0] if self._sessions else min(delay_s * 2, _BACK_OFF_S[1])
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))

    async def _session(self) -> None:
        """One connection from CONNECT to its end; always ends with an error or a cancellation."""
        options = self._options
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            reader, self._writer = await asyncio.open_connection(options.host, options.port, ssl=options.tls)
        tasks: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                in_flight_max = await self._connect(reader, self._writer)
            self._tally.connected += 1
            self._tally.reconnects += self._sessions > 0
            self._sessions += 1
            try:
                tasks = {
                    asyncio.create_task(self._receive(reader)),
                    asyncio.create_task(self._send(self._writer, in_flight_max)),
                    asyncio.create_task(self._ping(self._writer)),
                }
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._tally.connected -= 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer.close()
            self._writer = None

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """CONNECT and CONNACK; returns how many messages may be in flight."""
        options, will = self._options, None
        if self._will_topic:
            qos = mqtt5.QoS.AT_LEAST_ONCE
            will = mqtt5.Will(self._will_topic, payload=b"offline", qos=qos, retain=True)
        username = options.username.replace("{device}", self._device) if options.username else None
        writer.write(
            mqtt5.ConnectPacket(
                self._client_id,
                username=username,
                password=options.password.encode() if options.password else None,
                clean_start=True,
                will=will,
                keep_alive=options.keepalive_s,
            ).write()
        )
        received = b""
        while True:
            try:
                answer, _ = mqtt5.read(memoryview(received))
                break
            except IndexError:
                received += await _some(reader)
        if not isinstance(answer, mqtt5.ConnAckPacket):
            raise ProtocolViolation(f"the broker answered CONNECT with {type(answer).__name__}")
        if answer.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            raise ProtocolViolation(f"the broker refuses: {answer.reason_code.name}")
        named = answer.receive_max < PACKET_ID_MAX
        own = options.in_flight_max or (WINDOW_MAX if named else UNNAMED_WINDOW)
        return min(own, answer.receive_max)

    async def _send(self, writer: asyncio.StreamWriter, in_flight_max: int) -> None:
        self._waiting.extendleft(reversed(self._unacknowledged.values()))
        self._unacknowledged.clear()
        waiting, in_flight = self._waiting, self._unacknowledged
        while True:
            # A full window opens by a quarter before it is filled again: a write costs more than a message.
            while not waiting or in_flight_max - len(in_flight) < min(len(waiting), in_flight_max // 4 + 1):
                self._stirred.clear()
                await self._stirred.wait()
            packets = []
            for _ in range(min(len(waiting), in_flight_max - len(in_flight), _WRITE_MESSAGES)):
                packet_id = self._next_packet_id()
                in_flight[packet_id] = message = waiting.popleft()
                packets.append(_publish(message, packet_id))
            self._vacant.set()
            writer.write(b"".join(packets))
            await writer.drain()

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        received = b""
        while True:
            async with asyncio.timeout(self._options.keepalive_s * 1.5):  # pings make the broker speak
                received += await _some(reader)
            view, at = memoryview(received), 0
            while at < len(received):
                whole = len(received) >= at + 5
                if whole and received[at] == _PUBACK and (length := received[at + 1]) in _PUBACK_LENGTHS:
                    code = received[at + 4] if length == 3 else 0
                    self._acknowledged(received[at + 2] << 8 | received[at + 3], code)
                    at += 2 + length
                    continue
                try:
                    packet, size = mqtt5.read(view[at:])
                except IndexError:
                    break
                at += size
                self._take(packet)
            received = received[at:]
            self._stirred.set()
            if not self.pending:
                self._idle.set()

    def _take(self, packet: object) -> None:
        if isinstance(packet, mqtt5.DisconnectPacket):
            raise ProtocolViolation(f"the broker disconnects: {packet.reason_code.name}")
        if isinstance(packet, mqtt5.PubAckPacket):
            self._acknowledged(packet.packet_id, packet.reason_code)

    def _acknowledged(self, packet_id: int, code: int) -> None:
        message = self._unacknowledged.pop(packet_id, None)
        if message is None:
            raise ProtocolViolation(f"PUBACK for packet {packet_id}, which is not in flight")
        if code not in _TAKEN:
            self._tally.refused += 1
            self._tally.last_error = f"{message.topic}: {mqtt5.PubAckReasonCode(code).name}"
        elif message.status:
            self._tally.status += 1
        else:
            self._tally.sent += 1

    async def _ping(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(self._options.keepalive_s / 2)
            writer.write(mqtt5.PingReqPacket().write())

    def _next_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % PACKET_ID_MAX + 1
            if self._packet_id not in self._unacknowledged:
                return self._packet_id


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        raise EOFError("the broker closed the connection")
    return data


def _publish(message: Message, packet_id: int) -> bytes:
    return mqtt5.PublishPacket(
        message.topic, message.payload, qos=_QOS, retain=message.retain, packet_id=packet_id
    ).write()
