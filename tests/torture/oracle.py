"""The devices, as a process. In: orders on stdin. Out: numbered QoS 1 messages, and which were acknowledged.

Knows nothing of the gateway. A message whose PUBACK did not come before its connection broke is not sent
again and is no obligation. Orders: ``calm``/``lively`` (leave out lamps that alarm, or not), ``hold``/``go``,
``mark``, ``finish FILE``; each is answered with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time
from array import array

import mqtt5
import numpy as np
from readings import Script

WINDOW_MAX = 300
CONNECT_S = 2.0
AGAIN_S = 0.1
LOOK_S = 0.01
NOBODY_LISTENS = 0x10
"""PUBACK "no matching subscribers": the broker took it for nobody, so it promised nothing."""


class Oracle:
    def __init__(self, port: int, script: Script, rate: float) -> None:
        self._port, self._script, self._rate = port, script, rate
        self._socket: socket.socket | None = None
        self._received = b""
        self._in_flight: dict[int, int] = {}
        self._packet_id = 0
        self._number = 0
        self._calm, self._held, self._finished = False, True, False
        self._due = 0.0
        self._looked = time.monotonic()
        self._next_try = 0.0
        self.issued = array("q")
        self.acknowledged = array("q")
        self.unheard = 0

    def run(self) -> None:
        print(json.dumps({"ready": True}), flush=True)
        orders = b""
        while not self._finished:
            self._connect_when_due()
            watched = [0] + ([self._socket] if self._socket else [])
            ready, _, _ = select.select(watched, [], [], LOOK_S)
            if 0 in ready:
                data = os.read(0, 4096)
                if not data:
                    return
                orders += data
                while b"\n" in orders:
                    line, _, orders = orders.partition(b"\n")
                    self._obey(line.decode().split())
            try:
                if self._socket in ready:
                    self._take()
                self._issue()
            except OSError:
                self._lose()

    def _obey(self, order: list[str]) -> None:
        match order:
            case ["calm"]:
                self._calm = True
            case ["lively"]:
                self._calm = False
            case ["hold"]:
                self._held = True
            case ["go"]:
                self._held, self._looked = False, time.monotonic()
            case ["finish", file]:
                np.savez(file, issued=np.array(self.issued), acknowledged=np.array(self.acknowledged))
                self._finished = True
        state = {
            "issued": len(self.issued),
            "number": self._number,
            "acknowledged": len(self.acknowledged),
            "in_flight": len(self._in_flight),
            "unheard": self.unheard,
        }
        print(json.dumps(state), flush=True)

    def _connect_when_due(self) -> None:
        now = time.monotonic()
        if self._socket is not None or now < self._next_try:
            return
        self._next_try = now + AGAIN_S
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=CONNECT_S)
            connection.sendall(mqtt5.ConnectPacket("oracle", clean_start=True, keep_alive=0).write())
            answer, _ = mqtt5.read(memoryview(connection.recv(1024)))
        except (OSError, IndexError, ValueError):
            return
        connection.settimeout(CONNECT_S)
        self._socket, self._received, self._looked = connection, b"", now
        self._window = min(WINDOW_MAX, answer.receive_max)

    def _lose(self) -> None:
        """What is in flight may or may not have come through: nobody promised anything."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._in_flight = None, {}

    def _take(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("closed")
        self._received += data
        while True:
            try:
                packet, length = mqtt5.read(memoryview(self._received))
            except IndexError:
                return
            self._received = self._received[length:]
            if isinstance(packet, mqtt5.PubAckPacket):
                number = self._in_flight.pop(packet.packet_id)
                if packet.reason_code.value == NOBODY_LISTENS:
                    self.unheard += 1
                elif packet.reason_code.value < 0x80:
                    self.acknowledged.append(number)

    def _issue(self) -> None:
        now = time.monotonic()
        self._due = min(self._due + (now - self._looked) * self._rate, 1000.0)
        self._looked = now
        if self._socket is None or self._held:
            self._due = 0.0
            return
        packets = []
        while self._due >= 1 and len(self._in_flight) < self._window:
            self._due -= 1
            while self._calm and self._script.alarming(self._number):
                self._number += 1
            message = self._script.message(self._number)
            self._packet_id = self._packet_id % 65_535 + 1
            qos = mqtt5.QoS.AT_LEAST_ONCE
            packet = mqtt5.PublishPacket(message.topic, message.payload, qos=qos, packet_id=self._packet_id)
            packets.append(packet.write())
            self._in_flight[self._packet_id] = self._number
            self.issued.append(self._number)
            self._number += 1
        if packets:
            self._socket.sendall(b"".join(packets))


def main() -> None:
    parser = argparse.ArgumentParser(description="numbered QoS 1 readings for the torture harness")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lamps", type=int, required=True)
    parser.add_argument("--start-ms", type=int, required=True)
    parser.add_argument("--step-ms", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    options = parser.parse_args()
    Oracle(options.port, Script(options.lamps, options.start_ms, options.step_ms), options.rate).run()


if __name__ == "__main__":
    sys.exit(main())
