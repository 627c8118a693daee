"""mosquitto to a real InfluxDB through a gateway process. In: counts. Out: the contract's bench object.

Every process is real and its CPU is the kernel's count; nothing is measured by the gateway itself.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from simulators import city
from tests.servers import InfluxDB, Mosquitto, free_port

ROOT = Path(__file__).parent.parent
READY_S_MAX, STORED_S_MAX = 30.0, 600.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def measure(messages: int, devices: int) -> dict[str, Any]:
    """Run once; RuntimeError if not every message was stored."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citylight-bench-")))
        in_flight = ("max_inflight_messages 20000", "max_queued_messages 1000000")
        broker = stack.enter_context(Mosquitto(directory / "mosquitto", settings=in_flight))
        store = stack.enter_context(InfluxDB(directory / "influxdb"))
        store.create("citylight")
        port = free_port()
        gateway = _gateway(stack, directory, broker, store, port, devices)
        load = _load(stack, directory, broker.port, messages)
        pids = {"gateway": gateway.pid, "broker": broker.pid, "store": store.pid, "load": load.pid}
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        began = time.monotonic()
        assert load.stdin is not None
        load.stdin.write("go\n")
        load.stdin.flush()
        _wait(lambda: _stored(port) >= messages, STORED_S_MAX, f"{messages} messages stored")
        seconds = time.monotonic() - began
        after = {name: cpu_s(pid) for name, pid in pids.items()}
        cpu_us = {name: (after[name] - before[name]) / messages * 1e6 for name in pids}
        rss_mb = _rss_mb(gateway.pid)
    return {
        "bench": "end-to-end",
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "messages": messages,
        "devices": devices,
        "seconds": round(seconds, 3),
        "messages_per_s": round(messages / seconds),
        "cpu_us_per_message": {name: round(value, 2) for name, value in cpu_us.items()},
        "ratio": {"broker": round(cpu_us["gateway"] / cpu_us["broker"], 3), "telegraf": None},
        "latency_ms": {"p50": None, "p99": None},
        "rss_mb": rss_mb,
    }


def _gateway(
    stack: ExitStack, directory: Path, broker: Mosquitto, store: InfluxDB, port: int, devices: int
) -> subprocess.Popen[str]:
    inventory = directory / "inventory"
    inventory.mkdir()
    for name, text in city.inventory(devices, 1).items():
        (inventory / name).write_text(text, encoding="utf-8")
    config = directory / "citylight.toml"
    config.write_text(
        f'[gateway]\nname = "bench"\ndata_dir = "data"\ninventory = "inventory"\n'
        f'[mqtt]\nurl = "{broker.url}"\n[store]\nkind = "influx1"\nurl = "{store.url}"\n'
        f'[http]\nport = {port}\n[logging]\nlevel = "warning"\n'
    )
    process = stack.enter_context(
        subprocess.Popen([sys.executable, "-m", "gateway.cli", "run", "-c", str(config)], cwd=ROOT, text=True)
    )
    stack.callback(process.terminate)
    _wait(lambda: _get(port, "readyz") is not None, READY_S_MAX, "the gateway ready")
    return process


def _load(stack: ExitStack, directory: Path, port: int, messages: int) -> subprocess.Popen[str]:
    lines = (directory / "inventory" / "devices.csv").read_text().splitlines()[1:]
    area = "bench"  # a label only: the inventory is the truth
    names = [line.split(",")[0] for line in lines if line.split(",")[1] == "luminaire-controller"]
    file = directory / "devices.txt"
    file.write_text("".join(f"{area} {name}\n" for name in names))
    command = [sys.executable, str(ROOT / "benchmarks" / "load.py"), "--port", str(port)]
    process = stack.enter_context(
        subprocess.Popen(
            [*command, "--messages", str(messages), "--devices", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", "the load generator did not start"
    return process


def _wait(done: Any, seconds_max: float, what: str) -> None:
    deadline = time.monotonic() + seconds_max
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds_max:.0f} s")
        time.sleep(0.1)


def _stored(port: int) -> int:
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


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
