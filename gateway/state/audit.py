"""Who did what. In: a connection in a transaction. Out: entries, newest first.

The table refuses to change an entry, and to delete one that is not older than the time it is kept for.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

KEPT_FROM = "audit_kept_from_ns"
"""Fact that the table's trigger reads: what is older may leave."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act: ``who`` did ``action`` to ``subject``; ``detail`` is why, ``facts`` the order as JSON."""

    at_ns: int
    who: str
    action: str
    subject: str
    detail: str = ""
    facts: str = ""


def append(connection: sqlite3.Connection, *entries: Entry) -> None:
    """Write entries, in order."""
    connection.executemany(
        "INSERT INTO audit (at_ns, who, action, subject, detail, facts) VALUES (?, ?, ?, ?, ?, ?)",
        ((e.at_ns, e.who, e.action, e.subject, e.detail, e.facts) for e in entries),
    )


def listing(connection: sqlite3.Connection, *, subject: str = "", limit: int) -> list[Entry]:
    """The newest ``limit`` entries, newest first; about one ``subject``, or all."""
    rows = connection.execute(
        "SELECT at_ns, who, action, subject, detail, facts FROM audit"
        " WHERE ? IN ('', subject) ORDER BY id DESC LIMIT ?",
        (subject, limit),
    )
    return [Entry(*row) for row in rows]


def forget(connection: sqlite3.Connection, *, before_ns: int, limit: int) -> int:
    """Delete at most ``limit`` entries older than then; returns how many. An act, too: write it down."""
    oldest = connection.execute("SELECT min(at_ns) FROM audit").fetchone()[0]
    if oldest is None or oldest >= before_ns:
        return 0
    connection.execute("UPDATE meta SET value = max(value, ?) WHERE name = ?", (before_ns, KEPT_FROM))
    return connection.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ns < ? ORDER BY id LIMIT ?)",
        (before_ns, limit),
    ).rowcount
