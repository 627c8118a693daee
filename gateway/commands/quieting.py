"""``citylight alarms shelve|comment|reset|audit``, ``maintenance``. In: arguments. Out: what was done.

Asks as ``operate`` does. Never decides what an alarm becomes.
"""

from __future__ import annotations

import argparse
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from gateway.alarm.quiet import WindowKind
from gateway.commands.operate import ask, say, show
from gateway.decode.lines import line_of
from gateway.errors import ConfigurationError
from gateway.inventory.cells import Cells
from gateway.inventory.problems import Problems
from gateway.inventory.schema import FileSchema
from gateway.inventory.table import Record, decode_text, read_table
from gateway.system_clock import SystemClock

COLUMNS: Final = ("scope", "kind", "from", "to", "comment")
MANDATORY: Final = ("scope", "from", "to")


def shelve(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.shelve", seconds=options.duration_s)
    return say(options, done, f"{done['alarm']} is on the shelf until {done['until']}")


def unshelve(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.unshelve")
    return say(options, done, f"{done['alarm']} is back from the shelf")


def reset(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.reset")
    return say(options, done, f"{done['alarm']} is over; {done['by']} says that it is safe")


def comment(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.comment")
    return say(options, done, f"written on {done['alarm']} in the name of {done['by']}")


def audit(options: argparse.Namespace) -> int:
    found = ask(options, "alarms.audit", subject=options.about, limit=options.limit)
    columns = ("at", "who", "action", "subject", "why")
    return show(options, found, columns, [[entry[c] for c in columns] for entry in found])


def windows(options: argparse.Namespace) -> int:
    found = ask(options, "maintenance.list")
    columns = ("id", "kind", "scope", "from", "to", "open", "by", "comment")
    return show(options, found, columns, [[window[c] for c in columns] for window in found])


def add_window(options: argparse.Namespace) -> int:
    begins = SystemClock().wall_ns() if options.begins is None else instant(options.begins, "--from")
    if (options.ends is None) == (options.duration_s is None):
        raise ConfigurationError("--to", "", "one end is needed", "write --to TIME or --for 4h")
    ends = instant(options.ends, "--to") if options.ends else begins + round(options.duration_s * 1e9)
    facts = {"scope": options.scope, "kind": options.kind, "from_ns": begins, "to_ns": ends}
    done = ask(options, "maintenance.add", windows=[{**facts, "comment": options.comment}], by=options.by)
    return say(options, done, f"window {done['windows'][0]} keeps {options.scope} quiet")


def end_window(options: argparse.Namespace) -> int:
    done = ask(options, "maintenance.end", window=options.window, by=options.by)
    return say(options, done, f"window {done['window']} ends")


def import_windows(options: argparse.Namespace) -> int:
    """All rows are checked before the first is ordered; one that names no kind is an outage of the grid."""
    problems = Problems()
    schema = FileSchema(str(options.file), dict.fromkeys(COLUMNS, False) | dict.fromkeys(MANDATORY, True))
    content = read_file(options.file)
    toml = options.file.suffix == ".toml"
    found = _toml_windows(content, schema.file, problems) if toml else read_table(content, schema, problems)
    windows = []
    for record in found:
        cells = Cells(record, problems)
        begins, ends = cells.instant_ns("from", 0), cells.instant_ns("to", 0)
        if not begins or not ends:
            cells.problem("from", "and 'to' are needed", "write both like 2026-01-31T00:00:00+07:00")
        kind = cells.text("kind") or WindowKind.GRID_OUTAGE.value
        facts = {"scope": cells.text("scope"), "kind": kind, "from_ns": begins, "to_ns": ends}
        windows.append({**facts, "comment": cells.text("comment"), "where": record.where})
    problems.raise_if_any()
    if not windows:
        raise ConfigurationError(schema.file, "", "holds no window", f"begin with the line {schema.header}")
    done = ask(options, "maintenance.add", windows=windows, by=options.by)
    return say(options, done, f"{len(done['windows'])} windows are in the calendar")


def _toml_windows(content: bytes, file: str, problems: Problems) -> list[Record]:
    """``[[window]]`` tables with the same keys; times may be TOML's own."""
    text = decode_text(content, file, problems) or ""
    try:
        tables = tomllib.loads(text).get("window", [])
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(file, "", f"is not TOML: {error}", "mend the line it names") from None
    records = []
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], 1):
        where = f"{file}:{line_of(text, f'window.{number}')}"
        for key in sorted(set(table) - set(COLUMNS)):
            problems.add(where, key, "is no key of a window", f"known are {', '.join(COLUMNS)}")
        values = {key: v.isoformat() if isinstance(v, datetime) else str(v) for key, v in table.items()}
        records.append(Record(where, values))
    return records


def read_file(path: Path) -> bytes:
    """The bytes of a file somebody named; ConfigurationError if they can not be had."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), "", f"can not be read: {error}", "name a file") from error


def _order(options: argparse.Namespace, name: str, **facts: Any) -> dict[str, Any]:
    done: dict[str, Any] = ask(
        options, name, alarm=options.alarm, by=options.by, comment=options.comment, **facts
    )
    return done


def instant(text: str, place: str) -> int:
    """UTC ns of a time with its offset."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        remedy = "write it like 2026-11-21T22:00:00+07:00"
        raise ConfigurationError(place, "", f"{text!r} is no time with an offset", remedy)
    return int(np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns").astype(np.int64))
