"""Small facts a restart must know. In: a connection in a transaction, a name. Out: its integer.

Each fact has one owner, who names it. Never holds what the journal can tell.
"""

from __future__ import annotations

import sqlite3


def get(connection: sqlite3.Connection, name: str) -> int | None:
    """The fact, None if it was never put."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row and int(row[0])


def put(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Replace the fact."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
