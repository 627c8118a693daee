"""``citylight alarms shelve|comment|stats|audit``, ``maintenance``. In: arguments. Out: what was done.

Asks as ``operate`` does. Never decides what an alarm becomes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from gateway.commands.operate import ask, show
from gateway.errors import ConfigurationError
from gateway.system_clock import SystemClock

COLUMNS: Final = ("scope", "kind", "from", "to", "comment")
ROWS_MAX: Final = 5000


def shelve(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.shelve", seconds=options.duration_s)
    return _say(options, done, f"{done['alarm']} is on the shelf until {done['until']}")


def unshelve(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.unshelve")
    return _say(options, done, f"{done['alarm']} is back from the shelf")


def comment(options: argparse.Namespace) -> int:
    done = _order(options, "alarms.comment")
    return _say(options, done, f"written on {done['alarm']} in the name of {done['by']}")


def stats(options: argparse.Namespace) -> int:
    facts = ask(options, "alarms.stats", last_s=options.last_s)
    return show(options, facts, ("what", "is"), [[key, value] for key, value in facts.items()])


def audit(options: argparse.Namespace) -> int:
    found = ask(options, "alarms.audit", limit=options.limit)
    columns = ("at", "who", "action", "subject", "why")
    return show(options, found, columns, [[entry[c] for c in columns] for entry in found])


def windows(options: argparse.Namespace) -> int:
    found = ask(options, "maintenance.list")
    columns = ("id", "kind", "scope", "from", "to", "open", "by", "comment")
    return show(options, found, columns, [[window[c] for c in columns] for window in found])


def add_window(options: argparse.Namespace) -> int:
    begins = SystemClock().wall_ns() if options.begins is None else _instant(options.begins, "--from")
    if (options.ends is None) == (options.duration_s is None):
        raise ConfigurationError("--to", "", "one end is needed", "write --to TIME or --for 4h")
    ends = _instant(options.ends, "--to") if options.ends else begins + round(options.duration_s * 1e9)
    done = _add(options, options.scope, options.kind, begins, ends, options.comment)
    return _say(options, done, f"window {done['window']} keeps {options.scope} quiet")


def end_window(options: argparse.Namespace) -> int:
    done = ask(options, "maintenance.end", window=options.window, by=options.by)
    return _say(options, done, f"window {done['window']} ends")


def import_windows(options: argparse.Namespace) -> int:
    """All rows are checked before the first is ordered."""
    try:
        text = options.file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            str(options.file), "", f"can not be read: {error}", "name a CSV file"
        ) from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not set(COLUMNS) <= set(rows[0]) or len(rows) > ROWS_MAX:
        header = ",".join(COLUMNS)
        raise ConfigurationError(
            str(options.file), "", "is no table of windows", f"begin with the line {header}"
        )
    parsed = []
    for number, row in enumerate(rows, 2):
        place = f"{options.file}:{number}"
        begins, ends = _instant(row["from"], place), _instant(row["to"], place)
        if begins >= ends:
            raise ConfigurationError(place, "to", "ends before it begins", "let 'to' be later than 'from'")
        parsed.append((row["scope"], row["kind"], begins, ends, row["comment"] or ""))
    done = [_add(options, *row) for row in parsed]
    return _say(options, done, f"{len(done)} windows are in the calendar")


def _add(
    options: argparse.Namespace, scope: str, kind: str, begins: int, ends: int, why: str
) -> dict[str, Any]:
    facts = {"scope": scope, "kind": kind, "from_ns": begins, "to_ns": ends}
    done: dict[str, Any] = ask(options, "maintenance.add", by=options.by, comment=why, **facts)
    return done


def _order(options: argparse.Namespace, name: str, **facts: Any) -> dict[str, Any]:
    done: dict[str, Any] = ask(
        options, name, alarm=options.alarm, by=options.by, comment=options.comment, **facts
    )
    return done


def _instant(text: str, place: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        remedy = "write it like 2026-11-21T22:00:00+07:00"
        raise ConfigurationError(place, "", f"{text!r} is no time with an offset", remedy)
    return int(np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns").astype(np.int64))


def _say(options: argparse.Namespace, facts: Any, sentence: str) -> int:
    print(json.dumps(facts, ensure_ascii=False) if options.json else sentence)
    return 0
