"""A gateway as a process of its own, an inventory to run it on, and the ears of an IOC.

In: servers, a directory. Out: a running ``citylight run`` that can be asked, stopped and killed. Whoever
publishes uses the tests' own MQTT client and payloads written by hand: no code is shared with what is tested.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from servers import Mosquitto, Server

from gateway import cli
from gateway.control.client import ControlClient, GatewayNotRunning

WAIT_S_MAX = 40.0
SENSORS = {"FL-1": "flood-level", "WX-1": "weather", "TR-1": "traffic-counter", "AQ-1": "air-quality"}


def write_inventory(directory: Path, lamps: int = 3, *, area: str = "hoa-phu", name: str = "Hòa Phú") -> None:
    """Luminaires L-1, … at LP-1, … on feeder F-1 of cabinet CB-1 (device CC-1), and ``SENSORS``."""
    directory.mkdir(parents=True, exist_ok=True)
    numbers = range(1, lamps + 1)
    tables = {
        "areas": ["code,name,parent", f'{area},"{name}",'],
        "cabinets": ["id,area,latitude,longitude", f"CB-1,{area},11.05,106.68"],
        "feeders": ["id,cabinet,group_switched", "F-1,CB-1,no"],
        "programmes": ["id,switch,steps,on,off", "all-night,astronomical,,,"],
        "light_points": [
            "id,area,latitude,longitude,feeder,phase,pole_sequence,rated_power_w,programme",
            *(f"LP-{n},{area},11.05,106.68,F-1,A,{n},150,all-night" for n in numbers),
        ],
        "sensors": ["id,area,latitude,longitude", *(f"S-{one},{area},11.05,106.68" for one in SENSORS)],
        "devices": [
            "id,profile",
            "CC-1,feeder-cabinet",
            *(f"L-{n},luminaire-controller" for n in numbers),
            *(f"{one},{profile}" for one, profile in SENSORS.items()),
        ],
        "assignments": [
            "device,asset",
            "CC-1,CB-1",
            *(f"L-{n},LP-{n}" for n in numbers),
            *(f"{one},S-{one}" for one in SENSORS),
        ],
    }
    for table, lines in tables.items():
        (directory / f"{table}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def toml(document: Mapping[str, Any]) -> str:
    """Sections of plain values, and lists of sections, as TOML."""
    lines: list[str] = []
    for section, values in document.items():
        many = isinstance(values, list)
        for entry in values if many else [values]:
            lines.append(f"[[{section}]]" if many else f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Answer:
    """What one command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


def citylight(*arguments: object) -> Answer:
    """The command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as usage:
            code = int(usage.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


class Plant(Server):
    """``citylight run`` with its configuration, inventory and data below ``directory``.

    ``sections`` are merged into the configuration. The process writes to ``log_file``.
    """

    binary = sys.executable
    package = "citylight-gateway"

    def __init__(self, directory: Path, sections: Mapping[str, Any], *, lamps: int = 3) -> None:
        super().__init__(directory)
        self.inventory = directory / "inventory"
        self.data = directory / "data"
        self.file = directory / "citylight.toml"
        self.document: dict[str, Any] = {
            "gateway": {"name": "plant", "data_dir": "data", "inventory": "inventory"},
            "http": {"port": self.port},
            "logging": {"format": "text"},
        }
        for section, values in sections.items():
            self.document[section] = (
                values if isinstance(values, list) else {**self.document.get(section, {}), **values}
            )
        write_inventory(self.inventory, lamps)
        self.write()

    def write(self) -> None:
        """The configuration as it is in ``document`` now."""
        self.file.write_text(toml(self.document), encoding="utf-8")

    def command(self, binary: str) -> list[str]:
        return [binary, "-m", "gateway.cli", "run", "-c", str(self.file)]

    def ready(self) -> bool:
        try:
            self.figures()
        except GatewayNotRunning:
            return False
        return True

    def refused(self, code: int) -> str:
        """Run where the start must end by itself with ``code``; what it said on stderr."""
        process = subprocess.run(
            self.command(self.binary), capture_output=True, text=True, timeout=WAIT_S_MAX, check=False
        )
        assert process.returncode == code, process.stderr
        return process.stderr

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        process = self._process
        Server.running.discard(self)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(WAIT_S_MAX)
        finally:
            self._process = None

    def ask(self, name: str, **arguments: Any) -> Any:
        with ControlClient(self.data) as client:
            return client.ask(name, **arguments)

    def figures(self) -> dict[str, Any]:
        return dict(self.ask("figures.read"))

    def citylight(self, *arguments: object) -> Answer:
        return citylight(*arguments, "-c", self.file)

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Figures as soon as they fulfil ``holds``."""
        figures: dict[str, Any] = {}

        def now() -> bool:
            nonlocal figures
            figures = self.figures()
            return holds(figures)

        await_that(now, lambda: f"last figures {figures}\n{self.log}")
        return figures

    def until_ready(self) -> dict[str, Any]:
        return self.until(lambda figures: not figures["not_ready"] and figures["broker"]["drained"])

    def settled(self, received: int) -> dict[str, Any]:
        """Figures when ``received`` telemetry messages have come to their ends; they must add up."""

        def holds(figures: dict[str, Any]) -> bool:
            messages = figures["messages"]
            return messages["received"] >= received and messages["pending"] == 0

        figures = self.until(holds)
        messages = figures["messages"]
        assert messages["received"] == received
        assert messages["received"] == messages["stored"] + messages["quarantined"] + messages["pending"]
        return messages


def await_that(holds: Callable[[], bool], otherwise: Callable[[], str], wait_s: float = WAIT_S_MAX) -> None:
    """Return when ``holds``; fail with the words of ``otherwise`` if it does not in time."""
    deadline = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.02)


class Ear:
    """Subscribes and remembers, in a thread of its own; ``messages`` are paho's, in order."""

    def __init__(
        self, broker: Mosquitto, *patterns: str, user: str = "", password: str = "", name: str = "ear"
    ) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._patterns = patterns
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        client = self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        if user:
            client.username_pw_set(user, password)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._on_message
        client.connect(broker.host, broker.port)
        client.loop_start()
        assert self._subscribed.wait(WAIT_S_MAX), "no SUBACK"

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe([(pattern, 1) for pattern in self._patterns])

    def _on_message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def documents(self, prefix: str = "") -> list[dict[str, Any]]:
        """Payloads of the messages below ``prefix`` that are not empty."""
        with self._changed:
            return [json.loads(m.payload) for m in self.messages if m.topic.startswith(prefix) and m.payload]

    def until(self, holds: Callable[[list[paho.MQTTMessage]], Any]) -> None:
        """Wait until what has come fulfils ``holds``."""
        with self._changed:
            found = self._changed.wait_for(lambda: holds(self.messages), WAIT_S_MAX)
            assert found, [(m.topic, m.retain, m.payload[:200]) for m in self.messages]


def event_ids(events: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """(alarm id, transition) of CloudEvents."""
    return [(event["data"]["id"], event["data"]["transition"]) for event in events]


def transitions(data: Path) -> list[tuple[str, int]]:
    """(alarm id, transition) as recorded, by all workers; the gateway must be stopped."""
    found: list[tuple[str, int]] = []
    for file in [*data.glob("state.db"), *data.glob("worker-*/state.db")]:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            found += connection.execute("SELECT alarm_id, number FROM transition")
    return sorted(found)
