"""The one shape of all benches. In: what was measured. Out: docs/schemas/bench.schema.json as dicts.

A *run* is one stretch of measuring; a *report* is a bench with its runs, and the figures of its headline run
at the top. What was not measured is None. Never measures anything itself.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
PEERS = ("telegraf", "node-red")

Run = dict[str, Any]
Report = dict[str, Any]


def run(
    name: str,
    *,
    messages: int,
    devices: int,
    seconds: float,
    cpu_s: Mapping[str, float] | None = None,
    latencies_ms: Sequence[float] = (),
    rss_mb: float | None = None,
    figures: Mapping[str, float | None] | None = None,
) -> Run:
    """One stretch: ``cpu_s`` are CPU seconds by process; ``figures`` what only this bench knows."""
    cpu_us = {process: spent / messages * 1e6 for process, spent in (cpu_s or {}).items()}
    return {
        "name": name,
        "messages": messages,
        "devices": devices,
        "seconds": round(seconds, 3),
        "messages_per_s": round(messages / seconds),
        "cpu_us_per_message": {process: round(value, 2) for process, value in cpu_us.items()},
        "ratio": {other: _ratio(cpu_us, other) for other in ("broker", *PEERS)},
        "latency_ms": percentiles(latencies_ms),
        "rss_mb": rss_mb,
        "figures": dict(figures or {}),
    }


def percentiles(latencies_ms: Sequence[float]) -> dict[str, float | None]:
    if not latencies_ms:
        return dict.fromkeys(PERCENTILES)
    found = np.percentile(latencies_ms, list(PERCENTILES.values()))
    return {name: round(float(value), 2) for name, value in zip(PERCENTILES, found, strict=True)}


def report(bench: str, runs: Sequence[Run], *, headline: str = "", absent: Sequence[str] = ()) -> Report:
    """``headline`` names the run whose figures stand at the top (the first); ``absent`` peers not on PATH."""
    chosen = next((one for one in runs if one["name"] == headline), runs[0])
    top = {key: value for key, value in chosen.items() if key not in ("name", "figures")}
    return {
        "bench": bench,
        "commit": commit(),
        "machine": machine(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average": None,
        **top,
        "headline": chosen["name"],
        "runs": list(runs),
        "absent": list(absent),
    }


def machine() -> str:
    """Architecture, processor, cores, memory, interpreter; no name of the machine."""
    names = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else "unknown processor"
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    python = f"Python {platform.python_version()}"
    return f"{platform.machine()}, {processor}, {os.cpu_count()} cores, {memory_gb:.0f} GB, {python}"


def commit() -> str:
    """Short hash; with ``+`` where the clone has changes of its own."""
    name = _git("rev-parse", "--short", "HEAD")
    return (name or "unknown") + ("+" if name and _git("status", "--porcelain", "-uno") else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _ratio(cpu_us: Mapping[str, float], other: str) -> float | None:
    if not cpu_us.get(other) or "gateway" not in cpu_us:
        return None
    return round(cpu_us["gateway"] / cpu_us[other], 3)


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError:
        return ""
