"""``citylight alarms faults|fault|ticket|tickets``. In: arguments. Out: repair clocks, what was noted.

Asks as ``operate`` does. Never stops a clock.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from gateway.commands.operate import ask, say, show
from gateway.commands.quieting import instant, read_file
from gateway.inventory.cells import Cells
from gateway.inventory.problems import Problems
from gateway.inventory.schema import FileSchema
from gateway.inventory.table import read_table

COLUMNS: Final = ("id", "state", "type", "asset", "opened_at", "minutes", "ticket", "crew")


def faults(options: argparse.Namespace) -> int:
    found = ask(options, "faults.list", all=options.all, limit=options.limit)
    rows = []
    for fault in found:
        ticket = fault["ticket"] or {}
        minutes = fault["running_minutes"] if fault["minutes"] is None else fault["minutes"]
        facts = [fault[column] for column in COLUMNS[:5]]
        rows.append([*facts, minutes, ticket.get("number"), ticket.get("crew")])
    return show(options, found, COLUMNS, rows)


def fault(options: argparse.Namespace) -> int:
    history = ask(options, "faults.show", alarm=options.alarm)
    own, told = ("transition", "event", "state", "minutes"), ("number", "crew", "cause", "closed_at")
    rows = []
    for step in history:
        ticket = step["ticket"] or {}
        facts = [*(step[column] for column in own), *(ticket.get(column) for column in told)]
        rows.append([*facts, step["by"], step["comment"]])
    columns = (*own, *told, "by", "comment")
    return show(options, history, columns, rows)


def ticket(options: argparse.Namespace) -> int:
    facts: dict[str, Any] = {
        "alarm": options.alarm,
        "number": options.number,
        "crew": options.crew,
        "cause": options.cause,
        "comment": options.comment,
        "eta_ns": instant(options.eta, "--eta") if options.eta else None,
        "closed_ns": instant(options.closed, "--closed") if options.closed else None,
    }
    done = ask(options, "faults.tickets", tickets=[facts], by=options.by)
    return say(options, done, f"written on the fault {options.alarm} in the name of {done['by']}")


def tickets(options: argparse.Namespace) -> int:
    """A table as a work order system exports it; all rows are checked before the first is written down."""
    columns = {"alarm": True, "number": True, "crew": False, "eta": False, "cause": False}
    schema = FileSchema(str(options.file), {**columns, "closed_at": False, "note": False})
    problems = Problems()
    found = []
    for record in read_table(read_file(options.file), schema, problems):
        cells = Cells(record, problems)
        row: dict[str, Any] = {key: cells.text(key) for key in ("alarm", "number", "crew", "cause")}
        for key, column in (("eta_ns", "eta"), ("closed_ns", "closed_at")):
            row[key] = cells.instant_ns(column, 0) or None
        found.append(row | {"comment": cells.text("note")})
    problems.raise_if_any()
    done = ask(options, "faults.tickets", tickets=found, by=options.by)
    return say(options, done, f"{done['tickets']} tickets are written down")
