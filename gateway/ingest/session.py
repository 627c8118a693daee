"""The MQTT 5 session as a state machine. In: bytes, commits, losses, time. Out: effects, in order.

Acknowledges after commit, in the order of arrival, on the connection a message came on; never with a
reason of 0x80 or more. Never does IO, reads a clock or waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import mqtt5

from gateway.errors import ProtocolViolation
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.options import IngestOptions
from gateway.ingest.packets import Stretch, acknowledgements, split
from gateway.model import Arrival, SessionEvent

SUBSCRIBE_ID = 1
MARKER_ID = 2
SUBSCRIBE_AGAIN_S = 30.0
REFUSED = 0x80
"""Reason codes from here on say no (MQTT 5, 2.4)."""


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the connection."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Journal:
    """Make this durable, then say ``committed``; effects after it wait for that."""

    arrival: Arrival


@dataclass(frozen=True, slots=True)
class Tell:
    """Make this event durable."""

    event: SessionEvent


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; the broker keeps the session. ``violation`` is the broker's fault, if it was."""

    reason: str
    violation: ProtocolViolation | None = None


Effect = Send | Journal | Tell | Close


class Phase(StrEnum):
    OFFLINE = "offline"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    REFUSED = "refused"
    ONLINE = "online"


class Session:
    """One client id at one broker, over all its connections; ``contact`` outlives them too."""

    def __init__(self, options: IngestOptions, contact: Contact) -> None:
        self.options = options
        self.contact = contact
        self.phase = Phase.OFFLINE
        self.refusal = ""
        self.received_messages = 0
        self.received_bytes = 0
        self.acknowledged_messages = 0
        self._keepalive_ns = 0
        self._severed = False
        self._unacknowledged: list[tuple[bytes, int]] = []  # at most what one ``received`` returned
        self._sent_ns = 0
        self._subscribed_ns = 0

    def opened(self, now: Moment) -> list[Effect]:
        """The transport is connected."""
        options = self.options
        self.phase = Phase.CONNECTING
        self.refusal = ""
        self._severed = False
        self._keepalive_ns = options.keepalive_s * 1_000_000_000
        self._sent_ns = now.monotonic_ns
        connect = mqtt5.ConnectPacket(
            options.client_id,
            username=options.username or None,
            password=options.password.encode() if options.password else None,
            clean_start=False,
            keep_alive=options.keepalive_s,
            session_expiry_interval=options.session_expiry_s,
            receive_max=options.receive_maximum,
            topic_alias_max=0,
            max_packet_size=options.packet_bytes_max,
        )
        return [Send(connect.write())]

    def received(self, data: bytes, now: Moment) -> tuple[list[Effect], int]:
        """What the whole packets at the start of ``data`` cause, and the bytes they take.

        At most ``block_messages_max`` packets are taken: call again with the rest. A packet the standard
        forbids ends in a ``Close`` after the effects of all before it, and takes all of ``data``.
        """
        options = self.options
        effects: list[Effect] = []
        try:
            items, length = split(
                data,
                apart=options.own_topics,
                packet_bytes_max=options.packet_bytes_max,
                count_max=options.block_messages_max,
            )
            if length:
                self.contact.heard(now)
            offset_ns = 0
            for item in items:
                if isinstance(item, Stretch):
                    effects.append(self._stretch_came(item, now, offset_ns))
                    offset_ns += len(item.qos)  # the messages of one read keep their order in time
                else:
                    effects += self._packet_came(item, now)
        except ProtocolViolation as violation:
            return [*effects, *self.leave(f"protocol violation: {violation}", now, violation)], len(data)
        return effects, length

    def committed(self, now: Moment) -> list[Effect]:
        """The oldest ``Journal`` effect is durable; nothing to send if its connection is gone."""
        if not self._unacknowledged:
            return []
        data, _ = self._unacknowledged.pop(0)
        self.acknowledged_messages += len(data) // 4
        return [self._send(data, now)] if data else []

    def keep_alive(self, now: Moment, *, heard_ns: int, paused_ns: int | None) -> list[Effect]:
        """``Send`` and ``Close`` only, so it may be called while a commit is under way.

        ``heard_ns``: when the last bytes came; ``paused_ns``: since when nothing is read, if so.
        """
        if self.phase is Phase.OFFLINE:
            return []
        clock, half_ns = now.monotonic_ns, self._keepalive_ns // 2
        if self.phase is Phase.CONNECTING and clock - self._sent_ns > self.options.connect_s * 1e9:
            return [Close("the broker does not answer CONNECT")]
        if self._unacknowledged and clock - self._unacknowledged[0][1] > self.options.stall_s * 1e9:
            return self.leave("a message waits too long for its commit", now)
        if paused_ns is not None and clock - paused_ns > half_ns:
            return self.leave("reading was paused for half the keepalive", now)
        if paused_ns is None and clock - heard_ns > 2 * half_ns:
            return [Close("the broker is silent")]
        if self.phase is not Phase.CONNECTING and clock - self._sent_ns >= half_ns:
            return [self._send(mqtt5.PingReqPacket().write(), now)]
        return []

    def tick(self, now: Moment) -> list[Effect]:
        """What time alone causes while nothing is being committed."""
        if self.phase is Phase.REFUSED and now.monotonic_ns - self._subscribed_ns > SUBSCRIBE_AGAIN_S * 1e9:
            return [self._subscribe(now)]
        if self.phase is Phase.ONLINE and not self._unacknowledged:
            return [Tell(event) for event in self.contact.quiet(now)]
        return []

    def leave(self, reason: str, now: Moment, violation: ProtocolViolation | None = None) -> list[Effect]:
        """Disconnect in order; the session stays at the broker."""
        if self.phase in (Phase.OFFLINE, Phase.CONNECTING):
            return [Close(reason, violation)]
        code = mqtt5.DisconnectReasonCode
        packet = mqtt5.DisconnectPacket(
            reason_code=code.PROTOCOL_ERROR if violation else code.NORMAL_DISCONNECTION
        )
        return [self._send(packet.write(), now), Close(reason, violation)]

    def severed(self) -> None:
        """The transport is gone: nothing more is acknowledged; ``received`` still takes what had come."""
        self._severed = True
        self._unacknowledged.clear()

    def lost(self, reason: str, now: Moment) -> list[Effect]:
        """The connection is over and all it brought has been taken."""
        self.severed()
        self.phase = Phase.OFFLINE
        return [Tell(event) for event in self.contact.lost(reason, now)]

    def _stretch_came(self, stretch: Stretch, now: Moment, offset_ns: int) -> Effect:
        if not self.contact.connected:
            raise ProtocolViolation("a PUBLISH before the connection was accepted")
        count = len(stretch.qos)
        self.received_messages += count
        self.received_bytes += len(stretch.packets)
        self.contact.message_came(now)
        if not self._severed:
            self._unacknowledged.append((acknowledgements(stretch), now.monotonic_ns))
        return Journal(Arrival(stretch.packets, count, now.wall_ns + offset_ns, self.contact.epoch))

    def _packet_came(self, packet: mqtt5.Packet, now: Moment) -> list[Effect]:
        match packet:
            case mqtt5.ConnAckPacket() if self.phase is Phase.CONNECTING:
                return self._connack_came(packet, now)
            case _ if self.phase in (Phase.OFFLINE, Phase.CONNECTING):
                raise ProtocolViolation(f"a {type(packet).__name__} before the connection was accepted")
            case mqtt5.PublishPacket():
                return self._own_topic_came(packet, now)
            case mqtt5.SubAckPacket() if packet.packet_id == SUBSCRIBE_ID:
                return self._suback_came(packet, now)
            case mqtt5.PubAckPacket() if packet.packet_id == MARKER_ID:
                if packet.reason_code.value >= REFUSED:
                    self.contact.marker_refused()
            case mqtt5.PubRelPacket():
                return [self._send(mqtt5.PubCompPacket(packet.packet_id).write(), now)]
            case mqtt5.PingRespPacket():
                pass
            case mqtt5.DisconnectPacket():
                return [
                    Close(f"the broker closed the connection: {packet.reason_str or packet.reason_code.name}")
                ]
            case _:
                raise ProtocolViolation(f"an unexpected {type(packet).__name__}")
        return []

    def _connack_came(self, packet: mqtt5.ConnAckPacket, now: Moment) -> list[Effect]:
        if packet.reason_code.value >= REFUSED:
            return [
                Close(f"the broker refused the connection: {packet.reason_str or packet.reason_code.name}")
            ]
        if packet.server_keep_alive:
            self._keepalive_ns = packet.server_keep_alive * 1_000_000_000
        kept_s = packet.session_expiry_interval
        detail = "" if kept_s is None else f"the broker keeps the session for {kept_s} s only"
        opened = self.contact.opened(session_present=packet.session_present, now=now, detail=detail)
        return [*(Tell(event) for event in opened), self._subscribe(now)]

    def _subscribe(self, now: Moment) -> Effect:
        self.phase = Phase.SUBSCRIBING
        self._subscribed_ns = now.monotonic_ns
        # Not "retain as published": the flag then marks the copies a subscription brings, and only them.
        filters = [
            mqtt5.TopicFilter(
                topic,
                max_qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain_as_published=False,
                retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
            )
            for topic in (*self.options.topics, self.options.marker_topic)
        ]
        filters += [
            mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_MOST_ONCE, retain_as_published=False)
            for topic in self.options.broker_topics
        ]
        return self._send(mqtt5.SubscribePacket(SUBSCRIBE_ID, filters).write(), now)

    def _suback_came(self, packet: mqtt5.SubAckPacket, now: Moment) -> list[Effect]:
        asked = len(self.options.topics)
        if len(packet.reason_codes) < asked + 1:
            raise ProtocolViolation("a SUBACK with fewer reasons than topics were asked for")
        for topic, reason in zip(self.options.topics, packet.reason_codes, strict=False):
            if reason.value >= REFUSED:
                self.phase = Phase.REFUSED
                self.refusal = f"the broker refused the subscription to {topic}: {reason.name}"
                return []
        self.phase = Phase.ONLINE
        self.refusal = ""
        payload = self.contact.subscribed(now)
        if packet.reason_codes[asked].value >= REFUSED:
            self.contact.marker_refused()
            return []
        marker = mqtt5.PublishPacket(
            self.options.marker_topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=MARKER_ID
        )
        return [self._send(marker.write(), now)]

    def _own_topic_came(self, packet: mqtt5.PublishPacket, now: Moment) -> list[Effect]:
        if packet.topic == self.options.uptime_topic:
            events = self.contact.uptime_came(packet.payload, now, retained=packet.retain)
        elif packet.topic == self.options.dropped_topic:
            events = self.contact.dropped_came(packet.payload, now, retained=packet.retain)
        else:
            events = self.contact.marker_came(packet.payload, now)
        effects: list[Effect] = [Tell(event) for event in events]
        if packet.packet_id is not None:
            effects.append(self._send(mqtt5.PubAckPacket(packet.packet_id).write(), now))
        return effects

    def _send(self, data: bytes, now: Moment) -> Send:
        self._sent_ns = now.monotonic_ns
        return Send(data)
