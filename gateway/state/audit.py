"""Who did what. In: a connection in a transaction. Out: entries, newest first. Never deletes one."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One act: ``who`` did ``action`` to ``subject``."""

    at_ns: int
    who: str
    action: str
    subject: str
    detail: str = ""


def append(connection: sqlite3.Connection, entry: Entry) -> None:
    """Write one entry."""
    connection.execute(
        "INSERT INTO audit (at_ns, who, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        (entry.at_ns, entry.who, entry.action, entry.subject, entry.detail),
    )


def listing(connection: sqlite3.Connection, *, limit: int) -> list[Entry]:
    """The newest ``limit`` entries, newest first."""
    rows = connection.execute(
        "SELECT at_ns, who, action, subject, detail FROM audit ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [Entry(*row) for row in rows]
