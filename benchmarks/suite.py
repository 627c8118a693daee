"""All benches by name. In: a name and options, or "all". Out: reports, tables, a file a commit.

Results of "all" are kept in ``benchmarks/results/<commit>.json``: a list of reports, each of the one schema.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.figures import Report

RESULTS = figures.ROOT / "benchmarks" / "results"

ALL: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("pipeline", "pipeline", {}),
    ("rules", "rules", {}),
    ("guard", "guard", {}),
    ("simulator", "simulator", {}),
    ("latency", "latency", {}),
    ("latency-disturbed", "latency", {"disturbed": True}),
    ("workers", "workers", {}),
    ("end-to-end", "end-to-end", {}),
    ("peers", "peers", {}),
    ("catch-up", "catch-up", {}),
    ("memory", "memory", {}),
    ("growth", "growth", {}),
)
"""(name of the report, bench, options), the cheap ones first."""


def measure(bench: str, options: Mapping[str, Any]) -> Report:
    """One report. RuntimeError if something did not get through; TypeError for an option it has not."""
    load_average = round(os.getloadavg()[0], 2)
    module = importlib.import_module(f"benchmarks.{bench.replace('-', '_')}")
    report: Report = module.measure(**options)
    report["load_average"] = load_average
    return report


def measure_all(names: Sequence[str], said: Callable[[str], None]) -> dict[str, Report]:
    """Reports by name; written to the commit's file after each, so that a long run may be broken off."""
    reports: dict[str, Report] = {}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{figures.commit()}.json"
    for name, bench, options in ALL:
        if names and name not in names:
            continue
        said(f"{name} …")
        try:
            reports[name] = measure(bench, options) | {"bench": name}
        except RuntimeError as error:  # a machine too busy for one bench may do for the next
            said(f"{name}: {error}")
            continue
        write(file, read(file) | reports)
    return read(file)


def read(file: Path) -> dict[str, Report]:
    """Reports by name; none where there is no file."""
    if not file.exists():
        return {}
    return {report["bench"]: report for report in json.loads(file.read_text(encoding="utf-8"))}


def write(file: Path, reports: Mapping[str, Report]) -> None:
    file.write_text(json.dumps(list(reports.values()), indent=1) + "\n", encoding="utf-8")


def rows(report: Report) -> list[list[str]]:
    """A table: a heading row, then one row a figure, one column a run."""
    runs = report["runs"]
    table = [["figure", *(run["name"] for run in runs)]]

    def row(name: str, values: Sequence[Any]) -> None:
        if any(value is not None for value in values):
            table.append([name, *("–" if value is None else f"{value:,}" for value in values)])

    for key in ("messages", "devices", "seconds", "messages_per_s"):
        row(key, [run[key] for run in runs])
    for process in dict.fromkeys(name for run in runs for name in run["cpu_us_per_message"]):
        row(f"CPU µs per message: {process}", [run["cpu_us_per_message"].get(process) for run in runs])
    for other in runs[0]["ratio"]:
        row(f"gateway : {other}", [run["ratio"][other] for run in runs])
    for name in runs[0]["latency_ms"]:
        row(f"latency ms {name}", [run["latency_ms"][name] for run in runs])
    row("rss_mb", [run["rss_mb"] for run in runs])
    for name in dict.fromkeys(name for run in runs for name in run["figures"]):
        row(name, [run["figures"].get(name) for run in runs])
    return table
