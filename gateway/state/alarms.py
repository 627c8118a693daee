"""Alarms as recorded. In: a connection in a transaction. Out: which transitions are new; alarms again.

A transition is inserted once, however often the journal is read again (D8). Never changes one; what is over
for long may be forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from gateway.alarms import Alarm, AlarmState

_LATEST = (
    "SELECT document FROM alarm JOIN transition"
    " ON transition.alarm_id = alarm.alarm_id AND transition.number = alarm.number"
)


def record(connection: sqlite3.Connection, transitions: Iterable[tuple[int, Alarm]]) -> list[Alarm]:
    """Keep (journal sequence, alarm after its transition) pairs; return the new ones, in order."""
    return [alarm for sequence, alarm in transitions if _insert(connection, sequence, alarm)]


def active(connection: sqlite3.Connection) -> list[Alarm]:
    """Alarms that are not normal, oldest first."""
    rows = connection.execute(
        f"{_LATEST} WHERE state != ? ORDER BY raised_ns, alarm.alarm_id", (AlarmState.NORMAL.value,)
    )
    return [_alarm(row[0]) for row in rows]


def history(connection: sqlite3.Connection, alarm_id: str) -> list[Alarm]:
    """Every transition of one alarm in order, the last its present state; empty if there is no such alarm."""
    rows = connection.execute(
        "SELECT document FROM transition WHERE alarm_id = ? ORDER BY number", (alarm_id,)
    )
    return [_alarm(row[0]) for row in rows]


def listing(connection: sqlite3.Connection, *, state: AlarmState | None = None, limit: int) -> list[Alarm]:
    """Alarms in their present state, newest first, at most ``limit``; of one ``state`` or of any."""
    where, values = ("WHERE state = ?", [state.value]) if state else ("", [])
    rows = connection.execute(
        f"{_LATEST} {where} ORDER BY raised_ns DESC, alarm.alarm_id LIMIT ?", [*values, limit]
    )
    return [_alarm(row[0]) for row in rows]


def raised_since(connection: sqlite3.Connection, since_ns: int, *, limit: int) -> list[Alarm]:
    """Alarms raised at ``since_ns`` or later in their present state, oldest first, at most ``limit``."""
    rows = connection.execute(
        f"{_LATEST} WHERE raised_ns >= ? ORDER BY raised_ns, alarm.alarm_id LIMIT ?", (since_ns, limit)
    )
    return [_alarm(row[0]) for row in rows]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """State -> number of alarms in it."""
    return dict(connection.execute("SELECT state, count(*) FROM alarm GROUP BY state"))


def forget(connection: sqlite3.Connection, *, over_before_ns: int, limit: int) -> int:
    """Delete at most ``limit`` alarms that are normal and were over before then; returns how many.

    What stands in any way (shelved, returned and unseen, latched) stays, however old.
    """
    rows = connection.execute(
        "SELECT alarm_id FROM alarm WHERE state = ? AND raised_ns < ? AND coalesce(cleared_ns, raised_ns) < ?"
        " LIMIT ?",
        (AlarmState.NORMAL.value, over_before_ns, over_before_ns, limit),
    ).fetchall()
    connection.executemany("DELETE FROM transition WHERE alarm_id = ?", rows)
    connection.executemany("DELETE FROM alarm WHERE alarm_id = ?", rows)
    return len(rows)


def _insert(connection: sqlite3.Connection, sequence: int, alarm: Alarm) -> bool:
    inserted = connection.execute(
        "INSERT OR IGNORE INTO transition VALUES (?, ?, ?, ?, ?)",
        (alarm.id, alarm.transition, sequence, alarm.event, msgspec.json.encode(alarm).decode()),
    ).rowcount
    if not inserted:
        return False
    connection.execute(
        "INSERT INTO alarm VALUES (?, ?, ?, ?, ?) ON CONFLICT (alarm_id) DO UPDATE"
        " SET number = excluded.number, state = excluded.state, raised_ns = excluded.raised_ns,"
        " cleared_ns = excluded.cleared_ns WHERE excluded.number > number",
        (alarm.id, alarm.transition, alarm.state.value, alarm.raised_ns, alarm.cleared_ns),
    )
    return True


def _alarm(document: str) -> Alarm:
    return msgspec.json.decode(document, type=Alarm)
