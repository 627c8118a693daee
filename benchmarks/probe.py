"""How long a city waits for an alarm. In: a broker, water gauges, a rate. Out: one JSON line of milliseconds.

Publishes readings that cross a limit, hears the IOC's events and takes the time between, on one clock: from
just before the crossing reading is written to just after its event is read. Never asks the gateway for it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import select
import socket
import time
from pathlib import Path
from typing import Any

import mqtt5

HIGH_MM, LOW_MM = 500, 0
READ_BYTES = 256 * 1024
LAST_S_MAX = 30.0
RAISED = b"vn.citylight.alarm.raised"


class Probe:
    """A field of gauges and the IOC, each with a connection of its own.

    On one connection an event would wait behind the broker's PUBACK (Nagle's algorithm, delayed ACK: 40 ms).
    """

    def __init__(self, port: int, gauges: list[str], events: str) -> None:
        self._field, self._ioc = connect(port, "probe-field"), connect(port, "probe-ioc")
        self._rest = b""
        self._subscribed = False
        self._packet_id = 0
        self._gauges = gauges
        self._sent_ns: dict[str, list[int]] = {gauge: [] for gauge in gauges}
        self.latencies_ms: list[float] = []
        subscription = mqtt5.TopicFilter(events, max_qos=mqtt5.QoS.AT_LEAST_ONCE)
        self._ioc.sendall(mqtt5.SubscribePacket(1, [subscription]).write())
        while not self._subscribed:
            self._receive(10.0)

    @property
    def unheard(self) -> int:
        """Crossings whose event has not come."""
        return sum(map(len, self._sent_ns.values()))

    def run(self, rate: float, seconds: float) -> None:
        """Each gauge in turn rises above its limit and falls again half its turn later."""
        began = time.monotonic()
        half_turn_s = len(self._gauges) / rate / 2
        due: list[tuple[float, str, int]] = []
        for k in range(max(1, int(rate * seconds))):
            at, gauge = began + k / rate, self._gauges[k % len(self._gauges)]
            heapq.heappush(due, (at, gauge, HIGH_MM))
            if at + half_turn_s < began + seconds:
                heapq.heappush(due, (at + half_turn_s, gauge, LOW_MM))
        while due:
            wait_s = due[0][0] - time.monotonic()
            if wait_s > 0:
                self._receive(wait_s)
                continue
            _, gauge, level_mm = heapq.heappop(due)
            self._publish(gauge, level_mm)
        deadline = time.monotonic() + LAST_S_MAX
        while self.unheard and time.monotonic() < deadline:
            self._receive(0.5)

    def _publish(self, gauge: str, level_mm: int) -> None:
        self._packet_id = self._packet_id % 65_535 + 1
        payload = json.dumps({"id": gauge, "ns": time.time_ns(), "mm": level_mm}).encode()
        packet = mqtt5.PublishPacket(
            f"city/bench/flood/{gauge}/up",
            payload,
            qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=self._packet_id,
        ).write()
        if level_mm == HIGH_MM:
            self._sent_ns[gauge].append(time.monotonic_ns())
        self._field.sendall(packet)

    def _receive(self, wait_s: float) -> None:
        readable, _, _ = select.select([self._field, self._ioc], [], [], wait_s)
        if self._field in readable and not self._field.recv(READ_BYTES):
            raise ConnectionError("the broker closed the gauges' connection")
        if self._ioc not in readable:
            return
        data = self._ioc.recv(READ_BYTES)
        heard_ns = time.monotonic_ns()
        if not data:
            raise ConnectionError("the broker closed the IOC's connection")
        self._rest += data
        view, at = memoryview(self._rest), 0
        while at < len(view):
            try:
                packet, size = mqtt5.read(view[at:])
            except IndexError:
                break
            at += size
            self._take(packet, heard_ns)
        self._rest = self._rest[at:]

    def _take(self, packet: Any, heard_ns: int) -> None:
        if isinstance(packet, mqtt5.SubAckPacket):
            self._subscribed = True
        if not isinstance(packet, mqtt5.PublishPacket):
            return
        if packet.packet_id is not None:
            self._ioc.sendall(mqtt5.PubAckPacket(packet.packet_id).write())
        payload = bytes(packet.payload or b"")
        if RAISED not in payload:
            return
        waiting = self._sent_ns.get(json.loads(payload)["data"]["device"])
        if waiting:  # events of a device come in order
            self.latencies_ms.append((heard_ns - waiting.pop(0)) / 1e6)


def connect(port: int, client_id: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(mqtt5.ConnectPacket(client_id, clean_start=True, keep_alive=3600).write())
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description="publish of a crossing reading to its event at the IOC")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gauges", type=Path, required=True, help="file with 'area device' lines")
    parser.add_argument("--rate", type=float, required=True, help="crossings per second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--events", default="ioc/events/+/critical", help="the IOC's topic filter")
    options = parser.parse_args()
    gauges = [line.split()[1] for line in options.gauges.read_text(encoding="utf-8").splitlines()]
    probe = Probe(options.port, gauges, options.events)
    print("ready", flush=True)
    input()
    probe.run(options.rate, options.seconds)
    print(json.dumps({"latencies_ms": probe.latencies_ms, "unheard": probe.unheard}), flush=True)


if __name__ == "__main__":
    main()
