"""What recipients are still to be told. In: a connection in a transaction. Out: rows that are due, in order.

A row is added once per recipient and key. Never sends anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

WAIT_NS_MAX: Final = 310 * 1_000_000_000
"""No attempt is put off for longer (a courier's 300 s): what seems so was written before the wall clock was
set back. Little more than that, or a clock that was an hour ahead would hold alarms back for the hour."""


class Message(Protocol):
    """What one recipient is to be told of one transition; ``key`` is its idempotency key."""

    @property
    def recipient(self) -> str: ...
    @property
    def alarm_id(self) -> str: ...
    @property
    def transition(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def retain(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class DueRow:
    """A message to try now; ``attempts`` have failed before. ``id`` names it to the functions below."""

    id: int
    recipient: str
    alarm_id: str
    transition: int
    key: str
    topic: str
    content_type: str
    body: bytes
    created_ns: int
    attempts: int
    retain: bool = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one recipient waits for; ``oldest_ns`` is when its oldest row was made, None without any."""

    pending: int
    oldest_ns: int | None
    failed: int


@dataclass(frozen=True, slots=True)
class Told:
    """A message and what became of it: delivered, failed with a reason, or (neither) still to go."""

    recipient: str
    key: str
    topic: str
    content_type: str
    body: bytes
    retain: int
    created_ns: int
    attempts: int
    delivered_ns: int | None
    failed: str | None


_GIVE_UP: Final = (
    "UPDATE outbox SET failed = ? WHERE id IN (SELECT id FROM outbox AS this"
    " WHERE recipient = ? AND delivered_ns IS NULL AND failed IS NULL"
)
_GIVE_WAY: Final = (
    "retain AND EXISTS (SELECT 1 FROM outbox AS later WHERE later.recipient = this.recipient"
    " AND later.alarm_id = this.alarm_id AND later.id > this.id AND later.retain)",
    "EXISTS (SELECT 1 FROM alarm WHERE alarm.alarm_id = this.alarm_id AND alarm.state = 'normal')",
    "1",
)
_DUE = """
    SELECT id, recipient, alarm_id, transition, key, topic, content_type, body, created_ns, attempts, retain
    FROM outbox AS this
    WHERE recipient = ? AND delivered_ns IS NULL AND failed IS NULL AND NOT next_attempt_ns BETWEEN ? AND ?
    AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier
        WHERE earlier.recipient = this.recipient AND earlier.alarm_id = this.alarm_id AND earlier.id < this.id
        AND earlier.delivered_ns IS NULL AND earlier.failed IS NULL
    )
    ORDER BY id LIMIT ?
"""


def add(connection: sqlite3.Connection, messages: Iterable[Message], *, created_ns: int) -> int:
    """Add messages in order, due at once, once per (recipient, key). Returns how many were new."""
    return connection.executemany(
        "INSERT OR IGNORE INTO outbox (created_ns, next_attempt_ns,"
        " recipient, alarm_id, transition, key, topic, content_type, body, retain)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((created_ns, created_ns, *_columns(message)) for message in messages),
    ).rowcount


def due(connection: sqlite3.Connection, recipient: str, *, now_ns: int, limit: int) -> list[DueRow]:
    """Rows of ``recipient`` to try now, oldest first: of each alarm only the first that is still pending."""
    rows = connection.execute(_DUE, (recipient, now_ns + 1, now_ns + WAIT_NS_MAX, limit))
    return [DueRow(*fields, retain=bool(retain)) for *fields, retain in rows]


def next_attempt_ns(connection: sqlite3.Connection, recipient: str) -> int | None:
    """When the next row of ``recipient`` may become due, None if nothing is pending."""
    at: int | None = connection.execute(
        "SELECT min(next_attempt_ns) FROM outbox"
        " WHERE recipient = ? AND delivered_ns IS NULL AND failed IS NULL",
        (recipient,),
    ).fetchone()[0]
    return at


def delivered(connection: sqlite3.Connection, ids: Iterable[int], *, at_ns: int) -> None:
    """The recipient has taken these rows."""
    connection.executemany(
        "UPDATE outbox SET delivered_ns = ?, attempts = attempts + 1 WHERE id = ?",
        ((at_ns, row) for row in ids),
    )


def postponed(connection: sqlite3.Connection, row: int, *, next_attempt_ns: int) -> None:
    """An attempt failed; try again from ``next_attempt_ns`` on."""
    connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt_ns = ? WHERE id = ?", (next_attempt_ns, row)
    )


def failed(connection: sqlite3.Connection, row: int, *, reason: str) -> None:
    """Refused for good: kept with its reason, no longer in the way of later rows of its alarm."""
    connection.execute("UPDATE outbox SET attempts = attempts + 1, failed = ? WHERE id = ?", (reason, row))


def backlog(connection: sqlite3.Connection, recipient: str) -> Backlog:
    """Figures of one recipient."""
    pending, oldest_ns = connection.execute(
        "SELECT count(*), min(created_ns) FROM outbox"
        " WHERE recipient = ? AND delivered_ns IS NULL AND failed IS NULL",
        (recipient,),
    ).fetchone()
    refused = connection.execute(
        "SELECT count(*) FROM outbox WHERE recipient = ? AND failed IS NOT NULL", (recipient,)
    ).fetchone()[0]
    return Backlog(pending, oldest_ns, refused)


def bound(connection: sqlite3.Connection, recipient: str, pending_max: int) -> int:
    """Give up what is too much for one recipient; returns how many. They are kept as failed, with the reason.

    First go retained states that a later one replaces, then messages about alarms that are over, then the
    oldest.
    """
    left = -pending_max + int(
        connection.execute(
            "SELECT count(*) FROM outbox WHERE recipient = ? AND delivered_ns IS NULL AND failed IS NULL",
            (recipient,),
        ).fetchone()[0]
    )
    dropped = 0
    for which in _GIVE_WAY:
        if left <= 0:
            break
        gone = connection.execute(
            f"{_GIVE_UP} AND {which} ORDER BY id LIMIT ?)",
            (f"dropped: more than {pending_max} messages waited", recipient, left),
        ).rowcount
        left, dropped = left - gone, dropped + gone
    return dropped


def listing(
    connection: sqlite3.Connection, *, alarm_id: str = "", recipient: str = "", limit: int
) -> list[Told]:
    """The newest ``limit`` messages, newest first, of one alarm or recipient where they are given."""
    rows = connection.execute(
        "SELECT recipient, key, topic, content_type, body, retain, created_ns, attempts, delivered_ns, failed"
        " FROM outbox WHERE (? = '' OR alarm_id = ?) AND (? = '' OR recipient = ?) ORDER BY id DESC LIMIT ?",
        (alarm_id, alarm_id, recipient, recipient, limit),
    )
    return [Told(*row) for row in rows]


def forget(connection: sqlite3.Connection, *, delivered_before_ns: int) -> int:
    """Delete rows delivered, or given up and made, before then; returns how many. Transitions stay: none is
    made again."""
    return connection.execute(
        "DELETE FROM outbox WHERE delivered_ns < ?1 OR (failed IS NOT NULL AND created_ns < ?1)",
        (delivered_before_ns,),
    ).rowcount


def _columns(message: Message) -> tuple[object, ...]:
    return (
        message.recipient,
        message.alarm_id,
        message.transition,
        message.key,
        message.topic,
        message.content_type,
        message.body,
        message.retain,
    )
