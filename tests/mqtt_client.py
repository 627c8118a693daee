"""A blocking MQTT 5 client for tests. In: a broker's address. Out: what it answered, packet by packet.

Stands for devices and for attackers; shares the codec with the gateway, none of its code.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from typing import Any, Self

import mqtt5

WAIT_S_MAX = 15.0


class MqttClient:
    """Connected after construction; ``connack`` says whether the broker took it."""

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        *,
        clean_start: bool = True,
        tls: ssl.SSLContext | None = None,
        **connect: Any,
    ) -> None:
        self._socket = socket.create_connection((host, port), timeout=WAIT_S_MAX)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname=host)
        self._buffer = b""
        self._next_id = 0
        try:
            self.send(mqtt5.ConnectPacket(client_id, clean_start=clean_start, **connect))
            self.connack = self.expect(mqtt5.ConnAckPacket)
        except (OSError, ValueError):
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *packets: Any) -> None:
        self._socket.sendall(b"".join(packet.write() for packet in packets))

    def receive(self) -> Any:
        """The next packet; TimeoutError if none comes, ConnectionError if the broker hangs up."""
        while True:
            try:
                packet, length = mqtt5.read(memoryview(self._buffer))
            except IndexError:
                data = self._socket.recv(65_536)
                if not data:
                    raise ConnectionError("the broker closed the connection") from None
                self._buffer += data
            else:
                self._buffer = self._buffer[length:]
                return packet

    def expect(self, kind: type[Any]) -> Any:
        """The next packet, which must be of this kind."""
        packet = self.receive()
        assert isinstance(packet, kind), packet
        return packet

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> mqtt5.PubAckReasonCode:
        """One QoS 1 message; the broker's answer."""
        return self.publish_all([(topic, payload)], retain=retain)[0]

    def publish_all(
        self, messages: Iterable[tuple[str, bytes]], *, retain: bool = False, window: int = 500
    ) -> list[mqtt5.PubAckReasonCode]:
        """QoS 1 messages in order, each acknowledged by the broker when this returns."""
        reasons: list[mqtt5.PubAckReasonCode] = []
        batch: list[mqtt5.PublishPacket] = []
        for topic, payload in messages:
            self._next_id = self._next_id % 65_535 + 1
            batch.append(
                mqtt5.PublishPacket(
                    topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=self._next_id, retain=retain
                )
            )
            if len(batch) == window:
                reasons += self._exchange(batch)
                batch = []
        return reasons + self._exchange(batch)

    def _exchange(self, batch: list[mqtt5.PublishPacket]) -> list[mqtt5.PubAckReasonCode]:
        self.send(*batch)
        return [self.expect(mqtt5.PubAckPacket).reason_code for _ in batch]

    def subscribe(self, pattern: str) -> mqtt5.SubAckReasonCode:
        self.send(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE)]))
        reason: mqtt5.SubAckReasonCode = self.expect(mqtt5.SubAckPacket).reason_codes[0]
        return reason

    def close(self) -> None:
        """Hang up without DISCONNECT, as a device that loses power."""
        self._socket.close()
