"""A broker that only replays. In: a port, packets encoded beforehand. Out: a QoS 1 stream at full speed.

Speaks as much MQTT 5 as one subscriber with a session needs. A load generator, never a stand-in for a broker
in a test.
"""

from __future__ import annotations

import argparse
import select
import socket
from pathlib import Path

import mqtt5

from benchmarks.load import devices_in, encode

SEND_BYTES = 256 * 1024
READ_BYTES = 256 * 1024


class Replay:
    """One subscriber's connection: first the handshake, then the stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""
        self.window = 0
        self.acknowledged = 0
        self.drained = False

    def greet(self) -> None:
        """Until the subscriber's own marker has come back to it."""
        while not self.drained:
            self._rest += self._connection.recv(READ_BYTES)
            while self._rest:
                try:
                    packet, size = mqtt5.read(memoryview(self._rest))
                except IndexError:
                    break
                self._rest = self._rest[size:]
                self._answer(packet)

    def _answer(self, packet: mqtt5.Packet) -> None:
        send = self._connection.sendall
        if isinstance(packet, mqtt5.ConnectPacket):
            self.window = packet.receive_max
            send(mqtt5.ConnAckPacket().write())
        elif isinstance(packet, mqtt5.SubscribePacket):
            codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(packet.topic_filters)
            send(mqtt5.SubAckPacket(packet.packet_id, codes).write())
        elif isinstance(packet, mqtt5.PublishPacket) and packet.packet_id is not None:
            send(mqtt5.PubAckPacket(packet.packet_id).write())
            send(mqtt5.PublishPacket(packet.topic, packet.payload).write())
            self.drained = True

    def stream(self, packets: list[bytes]) -> None:
        """Send all, never more than the receive maximum unacknowledged."""
        self._connection.setblocking(False)
        sent, out = 0, memoryview(b"")
        while self.acknowledged < len(packets):
            if not out and sent < len(packets):
                room = self.window - (sent - self.acknowledged)
                group = packets[sent : sent + min(room, 2000)]
                sent += len(group)
                out = memoryview(b"".join(group))
            _, writable, _ = select.select([], [self._connection] if out else [], [], 0)
            if writable:
                out = out[self._connection.send(out[:SEND_BYTES]) :]
            readable, _, _ = select.select([self._connection], [], [], 0 if out else 1.0)
            if readable:
                self._count(self._connection.recv(READ_BYTES))

    def _count(self, data: bytes) -> None:
        """Acknowledgements of four bytes; pings are answered by nothing for so short a time."""
        data = self._rest + data
        at = 0
        while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
            self.acknowledged += data[at] == 0x40
            at += 2 + data[at + 1]
        self._rest = data[at:]


def main() -> None:
    parser = argparse.ArgumentParser(description="replay a QoS 1 stream to one subscriber")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--devices", type=Path, required=True, help="file with 'area device' lines")
    options = parser.parse_args()
    packets = encode(devices_in(options.devices), options.messages, options.start_ms)
    with socket.create_server(("127.0.0.1", options.port)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            replay = Replay(connection)
            replay.greet()
            print("subscribed", flush=True)
            input()
            replay.stream(packets)
            print("acknowledged", flush=True)


if __name__ == "__main__":
    main()
