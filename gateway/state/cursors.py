"""Where each follower of the journal stands. In: a connection in a transaction. Out: cursors and snapshots.

A cursor moves in the transaction of what it accounts for (D8). Never begins or ends one.
"""

from __future__ import annotations

import sqlite3

import msgspec

from gateway.model import Counts


def read(connection: sqlite3.Connection, follower: str) -> tuple[int, Counts] | None:
    """(next sequence to read, messages by fate so far), None for a follower that has not begun."""
    row = connection.execute("SELECT sequence, counts FROM cursor WHERE follower = ?", (follower,)).fetchone()
    return row and (row[0], msgspec.json.decode(row[1], type=Counts))


def move(connection: sqlite3.Connection, follower: str, sequence: int, counts: Counts) -> None:
    """Set the cursor, forward or (to read again) back; ``counts`` are totals, not the step."""
    connection.execute(
        "INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT (follower) DO UPDATE"
        " SET sequence = excluded.sequence, counts = excluded.counts",
        (follower, sequence, msgspec.json.encode(counts).decode()),
    )


def forget(connection: sqlite3.Connection, follower: str) -> None:
    """Remove cursor and snapshot of a follower that is no more: the journal need not wait for it."""
    connection.execute("DELETE FROM cursor WHERE follower = ?", (follower,))
    connection.execute("DELETE FROM snapshot WHERE follower = ?", (follower,))


def positions(connection: sqlite3.Connection) -> dict[str, int]:
    """Follower -> cursor. Their maximum is the journal's ``floor`` at opening."""
    return dict(connection.execute("SELECT follower, sequence FROM cursor"))


def oldest_needed(connection: sqlite3.Connection) -> int | None:
    """The first sequence the journal must keep: the least of all cursors and snapshots; None without any."""
    oldest: int | None = connection.execute(
        "SELECT min(sequence) FROM (SELECT sequence FROM cursor UNION ALL SELECT sequence FROM snapshot)"
    ).fetchone()[0]
    return oldest


def read_snapshot(connection: sqlite3.Connection, follower: str) -> tuple[int, bytes] | None:
    """(sequence, content) of the last snapshot: the state before the record ``sequence`` was applied."""
    row: tuple[int, bytes] | None = connection.execute(
        "SELECT sequence, content FROM snapshot WHERE follower = ?", (follower,)
    ).fetchone()
    return row


def put_snapshot(connection: sqlite3.Connection, follower: str, sequence: int, content: bytes) -> None:
    """Replace the follower's snapshot."""
    connection.execute(
        "INSERT INTO snapshot VALUES (?, ?, ?) ON CONFLICT (follower) DO UPDATE"
        " SET sequence = excluded.sequence, content = excluded.content",
        (follower, sequence, content),
    )
