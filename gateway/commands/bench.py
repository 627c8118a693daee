"""``citylight bench``. In: counts. Out: a table of figures, and JSON where asked.

Runs the clone's ``benchmarks``: they need its tests' servers, which an installed package does not have.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway.errors import GatewayError


def bench(options: argparse.Namespace) -> int:
    """One run of ``options.bench``; CPU of each process side by side."""
    clone = Path(__file__).parent.parent.parent
    if not (clone / "benchmarks" / "end_to_end.py").is_file():
        raise GatewayError("benchmarks are part of a clone of the project, not of an installed package")
    sys.path.insert(0, str(clone))
    figures = importlib.import_module(f"benchmarks.{options.bench.replace('-', '_')}").measure(
        options.messages, options.devices
    )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    facts = ("messages", "devices", "seconds", "messages_per_s", "rss_mb", "machine", "commit")
    table = Table("figure", "value", box=None)
    for name in facts:
        table.add_row(name, str(figures[name]))
    for process, value in figures["cpu_us_per_message"].items():
        table.add_row(f"CPU µs per message: {process}", f"{value:.2f}")
    table.add_row("gateway : broker", str(figures["ratio"]["broker"]))
    Console().print(table)
    return 0
