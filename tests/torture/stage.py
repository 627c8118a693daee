"""What stands under torture. In: a directory, a seed. Out: real servers, gateway and oracle, running.

The gateway is restarted whenever it has ended, as systemd would. Every journal segment is linked aside as it
appears, so that trimming takes nothing from the judge. Judges nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from between import Between
from plant import Ear, Plant
from readings import Script
from servers import InfluxDB, Mosquitto, Server

from gateway.control.client import ControlClient, GatewayNotRunning

HERE = Path(__file__).parent
LAMPS = 200
RULES = '[[override]]\nrule = "supplyVoltageTooHigh"\nprofile = "luminaire-controller"\nhold_s = {}\n'
RESTART_S = 0.2
LOOK_S = 0.05
SAMPLE_S = 1.0
WAIT_S_MAX, STOP_S_MAX = 60.0, 30.0
DISK_BYTES_MIN, DISK_BYTES_A_MESSAGE = 128 << 20, 400
IN_FLIGHT = ("max_inflight_messages 2000", "max_queued_messages 5000000")


class Gateway(Plant):
    """``citylight run``, with a failpoint and a clock for its next life."""

    def __init__(self, directory: Path, sections: dict[str, Any], lamps: int) -> None:
        super().__init__(directory, sections, lamps=lamps)
        self.log_file = directory.parent.parent / "gateway.log"  # not on the disk that is filled
        self.environment: dict[str, str] = {}

    def command(self, binary: str) -> list[str]:
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        environment.append("PYTHONFAULTHANDLER=1")  # who hangs says where, see ``terminate``
        return ["env", *environment, *super().command(binary)]

    def begin(self) -> None:
        """Start without waiting for an answer."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self.command(self.binary), stdout=log, stderr=log)
        Server.running.add(self)

    def terminate(self) -> int:
        """SIGTERM; the exit code, or where it hangs."""
        assert self._process is not None
        process = self._process
        Server.running.discard(self)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError(f"hangs when it is to stop:\n{self.log}") from None
        finally:
            self._process = None

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process took at one moment."""

    pid: int
    at_s: float
    rss_bytes: int
    files: int


class Keeper(threading.Thread):
    """Restarts the gateway when it has ended, links its segments aside, and samples what it takes."""

    def __init__(self, gateway: Gateway, archive: Path) -> None:
        super().__init__(name="keeper", daemon=True)
        self._gateway, self._archive = gateway, archive
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._wanted = False
        self.exits: Counter[int] = Counter()
        self.samples: list[Sample] = []
        self.next_life: dict[str, str] = {}
        archive.mkdir()

    def run(self) -> None:
        sampled_s = 0.0
        while not self._ended.wait(LOOK_S):
            with self._lock:
                self.link()
                if self._wanted and (code := self._gateway.exit_code) is not None:
                    self.exits[code] += 1
                    if code != -signal.SIGKILL:
                        self._ended.wait(RESTART_S)
                    self._begin()
            if time.monotonic() - sampled_s >= SAMPLE_S:
                sampled_s = time.monotonic()
                self._sample()

    @property
    def stopped(self) -> bool:
        """Whether the gateway is down and stays so."""
        return not self._wanted

    def begin(self, **environment: str) -> None:
        """Start the gateway with ``environment`` for this life, and restart it from now on."""
        with self._lock:
            self.next_life = environment
            self._wanted = True
            self._begin()

    def kill(self) -> None:
        """kill -9; it stays down until ``begin``."""
        with self._lock:
            self._wanted = False
            if self._gateway.exit_code is None:
                self._gateway.kill()
                self.exits[-signal.SIGKILL] += 1

    def stop_gateway(self) -> int:
        """SIGTERM; its exit code."""
        with self._lock:
            self._wanted = False
            code = self._gateway.terminate()
            self.exits[code] += 1
            return code

    def link(self) -> None:
        """Every segment once, also those a trim has unlinked since."""
        for segment in (self._gateway.data / "journal").glob("*.segment"):
            with contextlib.suppress(FileExistsError, FileNotFoundError):
                os.link(segment, self._archive / segment.name)

    def close(self) -> None:
        self._ended.set()
        self.join()

    def _begin(self) -> None:
        self._gateway.environment, self.next_life = self.next_life, {}
        self._gateway.begin()

    def _sample(self) -> None:
        with contextlib.suppress(OSError, AssertionError, ValueError):
            pid = self._gateway.pid
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            rss = pages * os.sysconf("SC_PAGE_SIZE")
            self.samples.append(Sample(pid, time.monotonic(), rss, files))


class Oracle:
    """The oracle's process, as one who gives it orders."""

    def __init__(self, port: int, script: Script, rate: float) -> None:
        command = [sys.executable, str(HERE / "oracle.py"), "--port", str(port), "--rate", str(rate)]
        command += ["--lamps", str(script.lamps), "--start-ms", str(script.start_ms)]
        command += ["--step-ms", str(script.step_ms)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear()

    def order(self, *words: object) -> dict[str, int]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the oracle has ended"
        return dict(json.loads(line))

    def quiet(self) -> dict[str, int]:
        """Issue nothing more; returns when every message is answered."""
        self.order("hold")
        state: dict[str, int] = {}

        def still() -> bool:
            nonlocal state
            state = self.order("mark")
            return not state["in_flight"]

        until(still, "the broker answers the oracle")
        return state

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Stage:
    """Everything, from ``with`` on; ``finish`` takes it down in order and leaves the files for the judge."""

    def __init__(self, directory: Path, *, rate: float, seconds: float, stack: ExitStack) -> None:
        self.directory = directory
        self.disk = Disk(
            directory / "disk", DISK_BYTES_MIN + int(rate * seconds) * DISK_BYTES_A_MESSAGE, stack
        )
        step_ms = round(1000 * LAMPS / rate)
        self.script = Script(LAMPS, time.time_ns() // 1_000_000 - 20 * step_ms, step_ms)
        self.broker = Mosquitto(directory / "broker", settings=IN_FLIGHT)
        self.ioc = stack.enter_context(Mosquitto(directory / "ioc"))
        self.store = InfluxDB(directory / "store")
        for server in (self.broker, self.store):
            server.start()
            stack.callback(self._end, server)
        self.store.create("city")
        self.between = stack.enter_context(Between(self.store.port))
        self.gateway = Gateway(self.disk.directory / "plant", self._sections(), LAMPS)
        (self.gateway.inventory / "rules.toml").write_text(RULES.format(self.script.hold_ms / 1000))
        self.archive = self.disk.directory / "archive"
        self.keeper = Keeper(self.gateway, self.archive)
        self.keeper.start()
        stack.callback(self.keeper.close)
        stack.callback(self.keeper.kill)
        self.ear = stack.enter_context(Ear(self.ioc, "ioc/events/#"))
        self.oracle = Oracle(self.broker.port, self.script, rate)
        stack.callback(self.oracle.close)
        self.keeper.begin()
        self.until_drained()

    @staticmethod
    def _end(server: Server) -> None:
        with contextlib.suppress(AssertionError, ProcessLookupError):
            server.resume()
        server.kill()

    def _sections(self) -> dict[str, Any]:
        store = {"kind": "influx1", "url": self.between.url, "database": "city", "timeout_s": 3.0}
        return {
            "mqtt": {"url": self.broker.url, "keepalive_s": 10, "receive_maximum": 2000},
            "ioc.mqtt": {"url": self.ioc.url},
            "store": store,
            "journal": {"segment_bytes": 1 << 20, "keep_h": 0, "keep_bytes": 16 << 20},
            "alarms": {"snapshot_s": 2.0},
        }

    def figures(self) -> dict[str, Any] | None:
        """What the gateway says of itself; None while it does not answer."""
        try:
            with ControlClient(self.gateway.data, timeout_s=5.0) as client:
                return dict(client.ask("figures.read"))
        except (GatewayNotRunning, OSError, ValueError):
            return None

    def until_drained(self, wait_s: float = WAIT_S_MAX) -> dict[str, Any]:
        """Figures once nothing waits at the broker, in the journal or in the outbox."""
        figures: dict[str, Any] | None = None

        def drained() -> bool:
            nonlocal figures
            figures = self.figures()
            return (
                figures is not None
                and not figures["not_ready"]
                and bool(figures["broker"]["drained"])
                and not figures["messages"]["pending"]
                and not any(one["pending"] for one in figures["recipients"].values())
            )

        until(drained, lambda: f"drained; last figures {figures}\n{self.gateway.log}", wait_s)
        assert figures is not None
        return figures

    def until_online(self, wait_s: float = WAIT_S_MAX) -> None:
        """The gateway answers and receives."""

        def online() -> bool:
            figures = self.figures()
            return figures is not None and bool(figures["broker"]["connected"])

        until(online, lambda: f"online\n{self.gateway.log}", wait_s)


class Disk:
    """Where the gateway writes: a small tmpfs for root, else a directory (then files are limited in size)."""

    def __init__(self, directory: Path, size: int, stack: ExitStack) -> None:
        self.directory = directory
        directory.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "torture", str(directory)]
        self.small = (
            os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
        if self.small:
            stack.callback(subprocess.run, ["umount", "-l", str(directory)], check=False)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is free within."""
        ballast = self.directory / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(512))
        try:
            yield
        finally:
            ballast.unlink()


def until(holds: Callable[[], bool], what: str | Callable[[], str], wait_s: float = WAIT_S_MAX) -> None:
    """Return when ``holds``; AssertionError with ``what`` if that takes too long."""
    deadline = time.monotonic() + wait_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {wait_s:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(LOOK_S)


@contextlib.contextmanager
def stage(directory: Path, *, rate: float, seconds: float) -> Iterator[Stage]:
    """A stage, taken down at the end whatever happened."""
    with ExitStack() as stack:
        yield Stage(directory, rate=rate, seconds=seconds, stack=stack)
