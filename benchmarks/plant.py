"""What every bench does alike. In: counts, servers. Out: a gateway process between real servers, its helpers.

Every process is real; nothing is measured by the gateway itself but how many messages it has stored.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import ROOT
from simulators import city
from tests.servers import InfluxDB, Mosquitto, free_port

READY_S_MAX, STORED_S_MAX = 60.0, 600.0
READY_US_PER_DEVICE = 600.0  # an inventory of a million takes minutes on a busy machine
LUMINAIRE, GAUGE = "luminaire-controller", "flood-level"
BROKER = (
    "max_inflight_messages 20000",
    "max_queued_messages 1000000",
    "set_tcp_nodelay true",  # as in the shipped mosquitto.conf
)


@dataclass(frozen=True, slots=True)
class City:
    """An inventory on disk; ``lamps`` and ``gauges`` are files of 'area device' lines for load generators."""

    directory: Path
    devices: int
    lamps: Path
    gauges: Path


def write_city(directory: Path, devices: int, *, sensors: int = 1, rules: str = "") -> City:
    """An example city of ``devices`` lamps, with ``rules`` as its rules.toml."""
    inventory = directory / "inventory"
    inventory.mkdir()
    for name, text in city.inventory(devices, sensors).items():
        (inventory / name).write_text(text, encoding="utf-8")
    if rules:
        (inventory / "rules.toml").write_text(rules, encoding="utf-8")
    rows = [line.split(",") for line in (inventory / "devices.csv").read_text().splitlines()[1:]]
    found = City(inventory, devices, directory / "lamps.txt", directory / "gauges.txt")
    for file, wanted in ((found.lamps, LUMINAIRE), (found.gauges, GAUGE)):
        # The area in a topic is a label; the inventory is the truth.
        file.write_text("".join(f"bench {name}\n" for name, profile in rows if profile == wanted))
    return found


def write_configuration(directory: Path, *, broker: str, ioc: str, store: str, port: int) -> Path:
    """A citylight.toml in ``directory``; the gateway's figures are on ``port``."""
    file = directory / "citylight.toml"
    file.write_text(
        f'[gateway]\nname = "bench"\ndata_dir = "data"\ninventory = "inventory"\n'
        f'[mqtt]\nurl = "{broker}"\n[ioc.mqtt]\nurl = "{ioc}"\n'
        f'[store]\nkind = "influx1"\nurl = "{store}"\n'
        f'[http]\nport = {port}\n[logging]\nlevel = "error"\n'
    )
    return file


def start_gateway(stack: ExitStack, configuration: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gateway.cli", "run", "-c", str(configuration)]
    process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, text=True))
    stack.callback(process.terminate)
    return process


def start_helper(stack: ExitStack, script: str, *arguments: object) -> subprocess.Popen[str]:
    """A script of this folder; lines can be written to it and read from it."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{script}", *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    return process


class Line:
    """A gateway process between a mosquitto and a store, ready; ``store`` is "influxdb" or "discard".

    Discarding leaves the cores to what is measured: ``passed_every`` lets one large write in so many through
    to InfluxDB all the same (0: none).
    """

    def __init__(
        self,
        stack: ExitStack,
        *,
        devices: int,
        store: str,
        sensors: int = 1,
        rules: str = "",
        passed_every: int = 0,
    ) -> None:
        self.directory = temporary(stack)
        self.broker = stack.enter_context(Mosquitto(self.directory / "mosquitto", settings=BROKER))
        influxdb = stack.enter_context(InfluxDB(self.directory / "influxdb"))
        influxdb.create("citylight")
        self.port = free_port()
        self.city = write_city(self.directory, devices, sensors=sensors, rules=rules)
        self.store_pid, address = influxdb.pid, influxdb.url
        if store == "discard":
            discard, address = start_discard(stack, influxdb.url, passed_every)
            self.store_pid = discard.pid
        self.configuration = write_configuration(
            self.directory, broker=self.broker.url, ioc=self.broker.url, store=address, port=self.port
        )
        began = time.monotonic()
        self.gateway = start_gateway(stack, self.configuration)
        self.start_s = until_ready(self.gateway, self.port, devices, began)

    @property
    def pids(self) -> dict[str, int]:
        return {"gateway": self.gateway.pid, "broker": self.broker.pid, "store": self.store_pid}

    def stored(self) -> int:
        return stored(self.port)

    def pending(self) -> int:
        """Messages received and not stored yet."""
        return metric(self.port, "citylight_messages_pending")

    def load(self, stack: ExitStack, messages: int, rate: float = 0.0) -> subprocess.Popen[str]:
        """A load generator that has encoded ``messages`` and waits for a line."""
        counts = ("--messages", messages, "--rate", rate, "--devices", self.city.lamps)
        load = start_helper(stack, "load", "--port", self.broker.port, *counts)
        expect(load, "ready")
        return load


def temporary(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citylight-bench-")))


def start_discard(stack: ExitStack, store: str, passed_every: int = 0) -> tuple[subprocess.Popen[str], str]:
    """The helper that takes large writes and forgets them; (process, address)."""
    port = free_port()
    helper = start_helper(stack, "discard", "--port", port, "--to", store, "--passed-every", passed_every)
    return helper, f"http://127.0.0.1:{port}"


def until_ready(gateway: subprocess.Popen[str], port: int, devices: int, began: float) -> float:
    """Wait for /readyz; seconds since ``began``. RuntimeError if the gateway has ended."""
    seconds_max = READY_S_MAX + devices * READY_US_PER_DEVICE / 1e6
    wait(lambda: ready(port) or gateway.poll() is not None, seconds_max, "the gateway ready")
    if gateway.poll() is not None:
        raise RuntimeError(f"the gateway ended with {gateway.returncode}")
    return time.monotonic() - began


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Its next line must be ``line``."""
    said = hear(process)
    if said != line:
        raise RuntimeError(f"expected {line!r} from {process.args}, got {said!r}")


def hear(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def wait(done: Callable[[], bool], seconds_max: float, what: str) -> None:
    """Until ``done``; RuntimeError when that takes too long."""
    deadline = time.monotonic() + seconds_max
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds_max:.0f} s")
        time.sleep(0.25)


def ready(port: int) -> bool:
    return get(f"http://127.0.0.1:{port}/readyz") is not None


def stored(port: int) -> int:
    """Messages stored so far, as the gateway's own metrics say."""
    return metric(port, 'citylight_messages_total{fate="stored"}')


def metric(port: int, name: str) -> int:
    """One sample of /metrics; 0 while there is none."""
    for line in (get(f"http://127.0.0.1:{port}/metrics") or "").splitlines():
        if line.startswith(f"{name} "):
            return int(float(line.split()[-1]))
    return 0


def get(url: str) -> str | None:
    """A page, or None if there is none now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, OSError):
        return None
