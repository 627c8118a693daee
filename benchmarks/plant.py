"""What every bench does alike. In: counts, servers. Out: a gateway process, its load, CPU and memory of each.

Every process is real and its CPU is the kernel's count; nothing is measured by the gateway itself.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simulators import city

ROOT = Path(__file__).parent.parent
READY_S_MAX, STORED_S_MAX = 60.0, 600.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LUMINAIRE = "luminaire-controller"


def write_inventory(directory: Path, devices: int) -> Path:
    """An example city of ``devices`` lamps; the file of 'area device' lines a load generator reads."""
    inventory = directory / "inventory"
    inventory.mkdir()
    for name, text in city.inventory(devices, 1).items():
        (inventory / name).write_text(text, encoding="utf-8")
    rows = (line.split(",") for line in (inventory / "devices.csv").read_text().splitlines()[1:])
    file = directory / "devices.txt"
    # The area in a topic is a label; the inventory is the truth.
    file.write_text("".join(f"bench {name}\n" for name, profile in rows if profile == LUMINAIRE))
    return file


def start_gateway(
    stack: ExitStack, directory: Path, *, broker: str, ioc: str, store: str, port: int
) -> subprocess.Popen[str]:
    """A gateway process on three servers; its figures are on ``port``."""
    config = directory / "citylight.toml"
    config.write_text(
        f'[gateway]\nname = "bench"\ndata_dir = "data"\ninventory = "inventory"\n'
        f'[mqtt]\nurl = "{broker}"\n[ioc.mqtt]\nurl = "{ioc}"\n'
        f'[store]\nkind = "influx1"\nurl = "{store}"\n'
        f'[http]\nport = {port}\n[logging]\nlevel = "error"\n'
    )
    command = [sys.executable, "-m", "gateway.cli", "run", "-c", str(config)]
    process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, text=True))
    stack.callback(process.terminate)
    return process


def start_helper(stack: ExitStack, script: str, *arguments: str) -> subprocess.Popen[str]:
    """A script of this folder; lines can be written to it and read from it."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{script}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    return process


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Its next line must be ``line``."""
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if said != line:
        raise RuntimeError(f"expected {line!r} from {process.args}, got {said!r}")


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
    return _get(port, "readyz") is not None


def stored(port: int) -> int:
    """Messages stored so far, as the gateway's own metrics say."""
    for line in (_get(port, "metrics") or "").splitlines():
        if line.startswith('citylight_messages_total{fate="stored"}'):
            return int(float(line.split()[-1]))
    return 0


def _get(port: int, page: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as response:
            return str(response.read().decode())
    except (urllib.error.URLError, OSError):
        return None


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


class Meter:
    """Wall time and CPU of named processes over one stretch."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: cpu_s(pid) for name, pid in pids.items()}
        self._began = time.monotonic()

    def figures(self, bench: str, messages: int, devices: int) -> dict[str, Any]:
        """The contract's object of a bench, until now."""
        seconds = time.monotonic() - self._began
        cpu_us = {
            name: (cpu_s(pid) - self._before[name]) / messages * 1e6 for name, pid in self._pids.items()
        }
        broker = cpu_us.get("broker")
        return {
            "bench": bench,
            "commit": _commit(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "messages": messages,
            "devices": devices,
            "seconds": round(seconds, 3),
            "messages_per_s": round(messages / seconds),
            "cpu_us_per_message": {name: round(value, 2) for name, value in cpu_us.items()},
            "ratio": {"broker": round(cpu_us["gateway"] / broker, 3) if broker else None, "telegraf": None},
            "latency_ms": {"p50": None, "p99": None},
            "rss_mb": rss_mb(self._pids["gateway"]),
        }


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
