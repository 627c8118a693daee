"""An MQTT 5 broker as mosquitto was measured to behave. In: publications, bytes. Out: bytes, faults.

Keeps the session of one client: resends what is not acknowledged only after a reconnect, in order, with DUP
and the same ids; ids begin at 1 again when the session was lost; a full queue drops the newest in silence; a
killed broker brings back an old session, or none. Whatever it loses for the gateway it remembers.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mqtt5
from virtual_time import SECOND, SimulatedLoop, World

from gateway.ingest.options import UPTIME_TOPIC
from gateway.ingest.packets import encode_publish

UPTIME_S = 10.0


@dataclass(frozen=True)
class Message:
    """``number`` names it for the judge; 0 for what is not the judge's business."""

    number: int
    topic: str
    payload: bytes
    retained: bool = False


@dataclass
class Kept:
    """A session at the broker."""

    subscribed: bool = False
    next_id: int = 1
    inflight: dict[int, Message] = field(default_factory=dict)
    queue: list[Message] = field(default_factory=list)

    def numbers(self) -> list[int]:
        return [m.number for m in (*self.inflight.values(), *self.queue) if m.number]


class Broker:
    """``acknowledged(number)`` is called for each PUBACK that names a message."""

    def __init__(self, world: World, *, queue_max: int, window: int) -> None:
        self.world = world
        self.queue_max, self.window = queue_max, window
        self.up = True
        self.began_ns = -int(world.between(1, 10_000) * SECOND)
        self.session: Kept | None = None
        self.saved: Kept | None = None
        self.changed_ns = 0  # when it last came up or was connected to
        self.wire: Wire | None = None
        self.acknowledged: Callable[[int], None] = lambda number: None
        self.accepted: list[int] = []
        self.sent_twice: set[int] = set()  # without DUP: nobody can tell that they are the same
        self.dropped: set[int] = set()  # by the bound of the queue
        self.losses: list[tuple[int, set[int]]] = []  # (ns, what the gateway never will be given)
        self.retained: Message | None = None
        self._sent: set[int] = set()
        world.after(UPTIME_S, self._say_uptime)

    # --- devices ------------------------------------------------------------------------------------

    def publish(self, message: Message) -> bool:
        """Whether the broker took it (PUBACK)."""
        if not self.up:
            return False
        if self.session is None or not self.session.subscribed:
            if self.session is not None or self.accepted:
                self._lose([message.number])
            return True
        if len(self.session.queue) >= self.queue_max:
            self.dropped.add(message.number)
            return True
        if message.number:
            self.accepted.append(message.number)
        self.session.queue.append(message)
        self.pump()
        return True

    # --- faults -------------------------------------------------------------------------------------

    def autosave(self) -> None:
        self.saved = copy.deepcopy(self.session)

    def stop(self, how: str, seconds: float) -> None:
        """``how``: "orderly" keeps everything, "killed" brings back the last autosave, "bare" nothing."""
        if not self.up:
            return
        self.up = False
        if self.wire:
            self.wire.cut()
        before = self.session
        if how == "bare":
            self.session = None
        elif how == "killed":
            self.session = copy.deepcopy(self.saved)
        if before is not None and how != "orderly":
            self._lose(set(before.numbers()) - set(self.session.numbers() if self.session else ()))
        if self.session and how == "killed":
            self.sent_twice |= self._sent & set(self.session.numbers())
        self.world.after(seconds, self._start)

    def forget_session(self) -> None:
        """The session expires, or somebody took it over with a clean start."""
        if self.wire:
            self.wire.cut()
        if self.session is not None:
            self._lose(self.session.numbers())
            self.session = None

    def _start(self) -> None:
        self.up, self.began_ns = True, self.world.now_ns
        self.changed_ns = self.world.now_ns

    def _lose(self, numbers: Any) -> None:
        lost = {number for number in numbers if number}
        if lost:
            self.losses.append((self.world.now_ns, lost))

    # --- the gateway's connection ---------------------------------------------------------------------

    async def connect(self, factory: Callable[[], Any]) -> Any:
        """For ``create_connection``."""
        await asyncio.sleep(self.world.between(1e-4, 5e-2))
        if not self.up:
            raise ConnectionRefusedError("the broker is down")
        protocol = factory()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        wire = Wire(self, protocol, loop)
        protocol.connection_made(wire)
        return wire, protocol

    def came(self, wire: Wire, packet: Any) -> None:
        match packet:
            case mqtt5.ConnectPacket():
                if self.wire is not None and self.wire is not wire:
                    self.wire.cut()
                self.wire, self.changed_ns = wire, self.world.now_ns
                present = self.session is not None
                if self.session is None:
                    self.session = Kept()
                wire.give(mqtt5.ConnAckPacket(session_present=present).write())
                for identity, message in self.session.inflight.items():
                    self._send(identity, message, duplicate=True)
                wire.ready = True
                self.pump()
            case mqtt5.SubscribePacket():
                assert self.session is not None
                if not self.session.subscribed and self.retained is not None:
                    self.session.queue.append(self.retained)
                self.session.subscribed = True
                codes = mqtt5.SubAckReasonCode
                granted = [codes(min(f.max_qos.value, 1)) for f in packet.topic_filters]
                wire.give(mqtt5.SubAckPacket(packet.packet_id, granted).write())
                self._uptime(retained=True)
                self.pump()
            case mqtt5.PublishPacket():  # the marker
                assert self.session is not None
                wire.give(mqtt5.PubAckPacket(packet.packet_id).write())
                self.session.queue.append(Message(0, packet.topic, packet.payload))
                self.pump()
            case mqtt5.PubAckPacket():
                assert self.session is not None
                message = self.session.inflight.pop(packet.packet_id, None)
                assert message is not None, f"{packet.packet_id} is acknowledged and not in flight"
                if message.number:
                    self.acknowledged(message.number)
                self.pump()
            case mqtt5.PingReqPacket():
                wire.give(mqtt5.PingRespPacket().write())
            case mqtt5.DisconnectPacket():
                wire.cut()

    def pump(self) -> None:
        """Send what the window lets through."""
        kept = self.session
        if kept is None or self.wire is None or not self.wire.ready:
            return
        while kept.queue and len(kept.inflight) < self.window:
            message = kept.queue.pop(0)
            identity, kept.next_id = kept.next_id, kept.next_id % 65_535 + 1
            kept.inflight[identity] = message
            if message.number in self._sent:
                self.sent_twice.add(message.number)
            self._send(identity, message, duplicate=False)

    def _send(self, identity: int, message: Message, *, duplicate: bool) -> None:
        assert self.wire is not None
        self._sent.add(message.number)
        flags = {"retained": message.retained, "duplicate": duplicate}
        self.wire.give(encode_publish(message.topic, message.payload, qos=1, packet_id=identity, **flags))

    def _say_uptime(self) -> None:
        if self.session and self.session.subscribed:
            self._uptime(retained=False)
        self.world.after(UPTIME_S, self._say_uptime)

    def _uptime(self, *, retained: bool) -> None:
        if self.up and self.wire is not None and self.wire.ready:
            seconds = (self.world.now_ns - self.began_ns) // SECOND
            seconds -= seconds % int(UPTIME_S) if retained else 0
            if seconds or not retained:
                self.wire.give(encode_publish(UPTIME_TOPIC, b"%d seconds" % seconds, retained=retained))


class Wire(asyncio.Transport):
    """A TCP connection: bytes come in order and in pieces, and what is under way when it is cut is lost."""

    def __init__(self, broker: Broker, protocol: Any, loop: SimulatedLoop) -> None:
        super().__init__()
        self._broker, self._protocol, self._loop = broker, protocol, loop
        self._world = broker.world
        self._towards_gateway = bytearray()  # bounded: by the broker's window
        self._towards_broker = bytearray()  # bounded: answers to what was sent
        self._paused = self._flowing = False
        self.ready = self.over = False

    def give(self, data: bytes) -> None:
        """From the broker."""
        if not self.over:
            self._towards_gateway += data
            self._flow()

    def cut(self) -> None:
        """Either end broke it, or the network did."""
        if self.over:
            return
        self.over, self.ready = True, False
        if self._broker.wire is self:
            self._broker.wire = None
        if not self._loop.dead:
            self._world.after(self._world.between(1e-4, 1e-2), self._gone)

    def _gone(self) -> None:
        if not self._loop.dead:
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _flow(self) -> None:
        if not self._flowing and not self._paused and self._towards_gateway:
            self._flowing = True
            self._world.after(self._world.between(1e-5, 2e-2), self._arrive)

    def _arrive(self) -> None:
        self._flowing = False
        if self.over or self._paused or self._loop.dead:
            return
        self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self.over or self._paused:
            return
        piece = self._world.rng.randrange(1, len(self._towards_gateway) + 1)
        room = self._protocol.get_buffer(-1)
        count = min(piece, len(room))
        room[:count] = self._towards_gateway[:count]
        del self._towards_gateway[:count]
        self._protocol.buffer_updated(count)
        self._flow()

    # --- asyncio.Transport, as the gateway uses it ------------------------------------------------------

    def write(self, data: Any) -> None:
        if self.over or self._loop.dead:
            return
        if not self._towards_broker:
            self._world.after(self._world.between(1e-5, 2e-2), self._reach_broker)
        self._towards_broker += data

    def _reach_broker(self) -> None:
        while not self.over and self._towards_broker:
            packet, length = mqtt5.read(memoryview(bytes(self._towards_broker)))
            del self._towards_broker[:length]
            self._broker.came(self, packet)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._flow()

    def abort(self) -> None:
        self.cut()

    def close(self) -> None:
        self.cut()

    def is_closing(self) -> bool:
        return self.over
