"""``citylight score``. In: a truth file, an alarm file. Out: precision, recall and delay by type.

Never judges: ``simulators.score`` does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Column, Table

from gateway.errors import ConfigurationError
from simulators.score import score as judge

COLUMNS: Final = (
    ("injected", "injected"),
    ("found", "found"),
    ("false", "false"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("delay_s_p50", "p50 s"),
    ("delay_s_max", "max s"),
)


def score(options: argparse.Namespace) -> int:
    """Prints the score; the exit code does not depend on how good it is."""
    try:
        found = judge(_lines(options.truth), _lines(options.alarms))
    except (KeyError, TypeError, ValueError) as error:
        where = f"{options.truth}, {options.alarms}"
        problem = f"not truth and alarms of the contract: {error!r}"
        raise ConfigurationError(where, "", problem, "name files of simulate and replay") from error
    if options.json:
        print(json.dumps(found, indent=2))
        return 0
    table = Table(Column("type", no_wrap=True), *(Column(title, justify="right") for _, title in COLUMNS))
    for name, figures in found["types"].items():
        table.add_row(name, *("-" if figures[key] is None else str(figures[key]) for key, _ in COLUMNS))
    alike = Table(Column("look-alike", no_wrap=True), "injected", "false alarms")
    for name, figures in found["look_alikes"].items():
        alike.add_row(name, str(figures["injected"]), str(figures["alarms"]))
    console = Console()
    console.print(table)
    if found["look_alikes"]:
        console.print(alike)
    return 0


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ConfigurationError(str(file), f"line {number}", "not JSON", "mend it") from error
