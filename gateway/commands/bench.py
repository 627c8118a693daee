"""``citylight bench``. In: which bench, how much of it. Out: a table of figures, and JSON where asked.

Runs the clone's ``benchmarks``: they need its tests' servers, which an installed package does not have.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.errors import GatewayError

OPTIONS = ("messages", "devices", "rate", "rates", "duration_s", "store", "disturbed", "sizes")
MET = {True: "met", False: "missed", None: "not measured"}


def bench(options: argparse.Namespace) -> int:
    """One bench, or all of them against the targets; 1 where a target is missed."""
    clone = Path(__file__).parent.parent.parent
    if not (clone / "benchmarks" / "suite.py").is_file():
        raise GatewayError("benchmarks are part of a clone of the project, not of an installed package")
    sys.path.insert(0, str(clone))
    suite = importlib.import_module("benchmarks.suite")
    if options.bench == "all":
        return _all(suite, options)
    chosen = {name: getattr(options, name, None) for name in OPTIONS}
    report = suite.measure(options.bench, {name: value for name, value in chosen.items() if value})
    _write(options.json, report)
    _show(suite.rows(report))
    Console().print(f"{report['machine']}; commit {report['commit']}; load before {report['load_average']}")
    for absent in report["absent"]:
        Console().print(f"absent: {absent} is not on PATH")
    return 0


def _all(suite: Any, options: argparse.Namespace) -> int:
    targets = importlib.import_module("benchmarks.targets")
    reports = suite.measure_all(options.only, lambda name: Console(stderr=True).print(f"bench: {name} …"))
    verdicts = targets.verdicts(reports)
    _write(options.json, list(reports.values()))
    rows = [["target", "limit", "figure", "verdict"]]
    for verdict in verdicts:
        figure = "–" if verdict["figure"] is None else f"{verdict['figure']:,}"
        rows.append([verdict["target"], verdict["limit"], figure, MET[verdict["met"]]])
    _show(rows)
    return 1 if any(verdict["met"] is False for verdict in verdicts) else 0


def _write(file: Path | None, content: Any) -> None:
    if file:
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _show(rows: Sequence[Sequence[str]]) -> None:
    table = Table(*rows[0], box=None)
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)
