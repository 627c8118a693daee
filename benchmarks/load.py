"""A cheap load: QoS 1 publishes, encoded before they are sent. In: broker, counts. Out: one JSON line.

Never measures the thing under load; one connection, a bounded window of unacknowledged packets.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mqtt5

WINDOW_MAX = 20_000
SEND_BYTES = 64 * 1024
GROUP_MAX, GRAIN_S = 64, 0.005
"""At a fixed rate, a write holds so many messages at most, and what falls due in so long."""


def topics_and_payloads(
    devices: list[tuple[str, str]], messages: int, start_ms: int, first: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Luminaire readings (12 fields, about 150 bytes), every device in turn, no two at one time.

    Messages ``first`` and on of a load of which ``start_ms`` is the time of message ``first``.
    """
    for k in range(first, first + messages):
        area, device = devices[k % len(devices)]
        turn = k // len(devices)
        payload = (
            f'{{"ts":{start_ms + k - first},"dim":80.0,"u":{225 + k % 13}.4,"i":0.412,"p":{70 + k % 17}.5,'
            f'"pf":0.95,"e":{1000 + turn}.25,"f":50.01,"h":{5000 + turn}.5,"n":812,"tc":41.5,'
            f'"tg":48.0,"lf":false}}'
        )
        yield f"city/{area}/luminaire/{device}/up", payload.encode()


def encode(devices: list[tuple[str, str]], messages: int, start_ms: int, *, first: int = 0) -> list[bytes]:
    return [
        mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=k % 65_535 + 1).write()
        for k, (topic, payload) in enumerate(topics_and_payloads(devices, messages, start_ms, first))
    ]


class Acknowledged:
    """Counts PUBACKs as they come; ``window`` frees one slot for each."""

    def __init__(self, connection: socket.socket, window: threading.Semaphore) -> None:
        self.count = 0
        self._connection, self._window = connection, window
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self, messages: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.count < messages and time.monotonic() < deadline:
            self._thread.join(0.02)

    def _read(self) -> None:
        rest = b""
        while data := self._connection.recv(1 << 16):
            rest += data
            at = 0
            while len(rest) - at >= 2 and len(rest) - at >= 2 + rest[at + 1]:
                if rest[at] == 0x40:
                    self.count += 1
                    self._window.release()
                at += 2 + rest[at + 1]
            rest = rest[at:]


def devices_in(file: Path) -> list[tuple[str, str]]:
    """(area, device) of each line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(area, device) for area, device in map(str.split, lines)]


def main() -> None:
    parser = argparse.ArgumentParser(description="QoS 1 load for a broker")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="messages per second (0: as fast as taken)")
    parser.add_argument("--devices", type=Path, required=True, help="file with 'area device' lines")
    options = parser.parse_args()
    packets = encode(
        devices_in(options.devices), options.messages, int(time.time() * 1000) - options.messages
    )
    print("ready", flush=True)
    input()
    with socket.create_connection(("127.0.0.1", options.port)) as connection:
        connection.sendall(mqtt5.ConnectPacket("load", clean_start=True, keep_alive=600).write())
        answer, _ = mqtt5.read(memoryview(connection.recv(1024)))
        in_flight = min(WINDOW_MAX, answer.receive_max)
        window = threading.Semaphore(in_flight)
        acknowledged = Acknowledged(connection, window)
        group_max = max(1, min(GROUP_MAX, int(options.rate * GRAIN_S)))
        began, cpu_began = time.monotonic(), time.process_time()
        group: list[bytes] = []
        size = 0
        for k, packet in enumerate(packets):
            if not window.acquire(blocking=False):
                connection.sendall(b"".join(group))
                group, size = [], 0
                window.acquire()
            group.append(packet)
            size += len(packet)
            if size >= SEND_BYTES or (options.rate and (k + 1) % group_max == 0):
                connection.sendall(b"".join(group))
                group, size = [], 0
                if options.rate:
                    time.sleep(max(0.0, began + (k + 1) / options.rate - time.monotonic()))
        connection.sendall(b"".join(group))
        acknowledged.join(options.messages, 600.0)
        seconds, cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    print(json.dumps({"sent": acknowledged.count, "seconds": seconds, "cpu_s": cpu_s}), flush=True)


if __name__ == "__main__":
    main()
