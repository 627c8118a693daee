"""Who was told of which alarm, and how. In: a connection in a transaction. Out: notices, and what waits.

One row for each recipient and alarm, as long as the alarm is not over. Never sends anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """``manner``: at_once or digest. ``first``, ``last``: (message key, wall ns) of what was sent singly."""

    recipient: str
    alarm_id: str
    manner: str
    at_ns: int
    first: tuple[str, int] | None = None
    last: tuple[str, int] | None = None
    waiting: bool = False  # has something to say in the next digest
    over: bool = False  # the alarm is normal; nothing more will be said of it


_SELECT = "SELECT * FROM notice"  # in the order of ``_notice``


def get(connection: sqlite3.Connection, recipient: str, alarm_id: str) -> Notice | None:
    """What this recipient was told of the alarm; None if nothing."""
    row = connection.execute(
        f"{_SELECT} WHERE recipient = ? AND alarm_id = ?", (recipient, alarm_id)
    ).fetchone()
    return row and _notice(row)


def put(connection: sqlite3.Connection, notice: Notice) -> None:
    """Keep it, in place of an earlier one."""
    first, last = notice.first or (None, None), notice.last or (None, None)
    connection.execute(
        "INSERT OR REPLACE INTO notice (recipient, alarm_id, manner, at_ns,"
        " first_key, first_ns, last_key, last_ns, waiting, over) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            notice.recipient,
            notice.alarm_id,
            notice.manner,
            notice.at_ns,
            *first,
            *last,
            notice.waiting,
            notice.over,
        ),
    )


def count_since(connection: sqlite3.Connection, recipient: str, since_ns: int) -> int:
    """Alarms this recipient first heard of, or was to hear of, after ``since_ns``."""
    found: int = connection.execute(
        "SELECT count(*) FROM notice WHERE recipient = ? AND at_ns > ?", (recipient, since_ns)
    ).fetchone()[0]
    return found


def waiting(connection: sqlite3.Connection, recipient: str) -> list[str]:
    """Ids of alarms that wait for the next digest, oldest first."""
    rows = connection.execute(
        "SELECT alarm_id FROM notice WHERE recipient = ? AND waiting ORDER BY at_ns, alarm_id", (recipient,)
    )
    return [row[0] for row in rows]


def told(connection: sqlite3.Connection, recipient: str) -> None:
    """What waited is in a digest now."""
    connection.execute("UPDATE notice SET waiting = 0 WHERE recipient = ? AND waiting", (recipient,))


def first_told(connection: sqlite3.Connection) -> dict[str, int]:
    """Alarm id -> wall ns at which the first recipient was told singly."""
    return dict(
        connection.execute(
            "SELECT alarm_id, min(at_ns) FROM notice WHERE manner = 'at_once' GROUP BY alarm_id"
        )
    )


def forget(connection: sqlite3.Connection, recipients: Iterable[str], *, before_ns: int) -> None:
    """Delete what is over since ``before_ns``, and notices of recipients there are no more."""
    connection.execute("DELETE FROM notice WHERE over AND NOT waiting AND at_ns < ?", (before_ns,))
    known = json.dumps(list(recipients))
    connection.execute("DELETE FROM notice WHERE recipient NOT IN (SELECT value FROM json_each(?))", (known,))


def _notice(
    row: tuple[str, str, str, int, str | None, int | None, str | None, int | None, int, int],
) -> Notice:
    recipient, alarm_id, manner, at_ns, first_key, first_ns, last_key, last_ns, waits, over = row
    first = None if first_key is None or first_ns is None else (first_key, first_ns)
    last = None if last_key is None or last_ns is None else (last_key, last_ns)
    return Notice(recipient, alarm_id, manner, at_ns, first, last, bool(waits), bool(over))
