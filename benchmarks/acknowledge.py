"""What acknowledging after fsync costs. In: a count. Out: throughput with and without it, one JSON line.

Both in turn, in one run: a gateway drains a backlog that waits for it at a real mosquitto. "Without" is the
same program with ``os.fdatasync`` made to do nothing. The store is away, so that only receiving is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT
from benchmarks.meter import cpu_s
from gateway.control.client import ControlClient, GatewayNotRunning
from simulators import city
from tests.mqtt_client import MqttClient
from tests.servers import Mosquitto, free_port

DEVICES = 1000
WAIT_S_MAX = 120.0
LAUNCH = "import sys; from gateway.cli import main; sys.exit(main(sys.argv[1:]))"
WITHOUT = "import os; os.fdatasync = lambda file: None; " + LAUNCH
SETTINGS = ("max_inflight_messages 10000", "max_queued_messages 5000000")


class Measurement:
    """One broker and one gateway directory; each ``drain`` is one life of the gateway."""

    def __init__(self, stack: ExitStack, messages: int) -> None:
        self._stack, self._messages = stack, messages
        directory = self._directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="ack-", dir=ROOT / "build"))
        )
        self._broker = stack.enter_context(Mosquitto(directory / "broker", settings=SETTINGS))
        (directory / "inventory").mkdir()
        for name, text in city.inventory(DEVICES, 1).items():
            (directory / "inventory" / name).write_text(text, encoding="utf-8")
        self._config = directory / "citylight.toml"
        self._config.write_text(
            '[gateway]\ndata_dir = "data"\ninventory = "inventory"\n[logging]\nlevel = "error"\n'
            f'[mqtt]\nurl = "{self._broker.url}"\n[http]\nport = {free_port()}\n'
            f'[store]\nkind = "influx1"\nurl = "http://127.0.0.1:{free_port()}"\n'
        )
        self._turn = 0

    def drain(self, program: str) -> tuple[float, float]:
        """(messages per second, CPU microseconds per message) of ``program`` over one backlog."""
        self._publish()
        process = subprocess.Popen([sys.executable, "-c", program, "run", "-c", str(self._config)], cwd=ROOT)
        try:
            began_s, cpu_began_s, first = 0.0, 0.0, 0
            deadline = time.monotonic() + WAIT_S_MAX
            while (taken := self._acknowledged()) < self._messages:
                if not began_s and taken:
                    began_s, cpu_began_s, first = time.monotonic(), cpu_s(process.pid), taken
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{taken} of {self._messages} messages taken")
                time.sleep(0.01)
            seconds, spent_s = time.monotonic() - began_s, cpu_s(process.pid) - cpu_began_s
            count = self._messages - first
            return count / seconds, spent_s / count * 1e6
        finally:
            process.terminate()
            process.wait()

    def begin(self) -> None:
        """A first life, in which the session and its subscription come to be."""
        process = subprocess.Popen([sys.executable, "-c", LAUNCH, "run", "-c", str(self._config)], cwd=ROOT)
        while not self._connected():
            time.sleep(0.05)
        process.terminate()
        process.wait()

    def _publish(self) -> None:
        now_ms = int(time.time() * 1000) - 60_000_000 + self._turn
        self._turn += 1
        with MqttClient(self._broker.host, self._broker.port, "load") as client:
            client.publish_all(
                (
                    f"city/a/luminaire/L{k % DEVICES}/up",
                    b'{"ts":%d,"u":%d.4,"n":%d}' % (now_ms + k, 225 + k % 9, k),
                )
                for k in range(self._messages)
            )

    def _figures(self) -> dict[str, Any]:
        try:
            with ControlClient(self._directory / "data", timeout_s=5.0) as client:
                return dict(client.ask("figures.read")["broker"])
        except (GatewayNotRunning, FileNotFoundError):
            return {}

    def _acknowledged(self) -> int:
        return int(self._figures().get("acknowledged_messages", 0))

    def _connected(self) -> bool:
        return bool(self._figures().get("drained"))


def measure(messages: int, rounds: int) -> dict[str, Any]:
    """Medians over ``rounds`` of each, in turn."""
    with ExitStack() as stack:
        one = Measurement(stack, messages)
        one.begin()
        found: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
        for _ in range(rounds):
            for name, program in (("with", LAUNCH), ("without", WITHOUT)):
                found[name].append(one.drain(program))
    rates = {name: round(statistics.median(rate for rate, _ in each)) for name, each in found.items()}
    cpu = {name: round(statistics.median(spent for _, spent in each), 2) for name, each in found.items()}
    ratio = round(rates["with"] / rates["without"], 3)
    return {"messages": messages, "rounds": rounds, "messages_per_s": rates, "cpu_us": cpu, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description="the cost of acknowledging after fsync")
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(measure(options.messages, options.rounds)))


if __name__ == "__main__":
    main()
