"""A cheap load in a process of its own. In: port, counts, a rate. Out: QoS 1 readings, each acknowledged.

Message k is a reading of lamp ``k % lamps + 1`` at ``start_ms + k``, so all are distinct; of every hundred,
``poison`` are none that any profile reads. MQTT 3.1.1 written by hand: nothing is shared with the gateway.
"""

from __future__ import annotations

import argparse
import socket
import struct
import subprocess
import sys
import time

BATCH = 500


def packet(topic: bytes, packet_id: int, payload: bytes) -> bytes:
    body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", packet_id) + payload
    return bytes([0x32, 0x80 | len(body) % 128, len(body) // 128]) + body


def payload(k: int, start_ms: int, poison: int) -> bytes:
    """Some 120 bytes that raise no alarm by day or by night; of poison, one kind after the other."""
    if k % 100 < poison:
        return (
            b'{"ts": 17, "u": ',
            b"\xff\xfe\x00" * 50,
            b'{"u": {"deep": [[[[1]]]]}, "p": "' + b"9" * 100 + b'"}',
            b"{}",
        )[k // 100 % 4]
    return (
        b'{"ts":%d,"u":2%02d.4,"i":0.412,"pf":0.95,"e":%d.25,"f":50.01,"h":5000.5,"n":%d,"tc":41.5,"tg":48.0,'
        b'"lf":false}'
    ) % (start_ms + k, 25 + k % 13, 1000 + k, k)


def feed(port: int, first: int, messages: int, lamps: int, start_ms: int, rate: float, poison: int) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06feeder")
    assert connection.recv(4) == b"\x20\x02\x00\x00"
    began = time.monotonic()
    for at in range(first, first + messages, BATCH):
        batch = range(at, min(at + BATCH, first + messages))
        data = b"".join(
            packet(b"city/x/luminaire/L-%d/up" % (k % lamps + 1), k - at + 1, payload(k, start_ms, poison))
            for k in batch
        )
        connection.sendall(data)
        missing = 4 * len(batch)
        while missing:
            answered = connection.recv(missing)
            assert answered, "the broker closed the connection"
            missing -= len(answered)
        if rate:
            time.sleep(max(0.0, began + (at + len(batch) - first) / rate - time.monotonic()))
    connection.sendall(b"\xe0\x00")
    connection.close()


def feeder(port: int, **numbers: float) -> subprocess.Popen[bytes]:
    """``feed`` as a process; its arguments by name."""
    arguments = [f"--{name}={value}" for name, value in numbers.items()]
    return subprocess.Popen([sys.executable, __file__, f"--port={port}", *arguments])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("port", "first", "messages", "lamps", "start_ms", "poison"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    feed(**vars(parser.parse_args()))
