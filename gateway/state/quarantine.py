"""Messages that could not become readings. In: a connection in a transaction, rejects. Out: the same again.

Bounded by bytes: replayed rows give way first, then the oldest; those nobody replayed are counted. Never
decodes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.model import Reject
from gateway.state import facts

ROW_BYTES: Final = 256
"""What a row takes beside topic, payload and detail."""

DETAIL_CHARS_MAX: Final = 1000

Key = tuple[int, int, int]
"""(sequence, index, sample) of a reject."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A reject as kept: ``reject.payload`` may be cut, ``payload_bytes`` is its length as it came."""

    reject: Reject
    payload_bytes: int
    replayed_ns: int | None


_SIZE = f"length(payload) + length(CAST(topic AS BLOB)) + length(CAST(detail AS BLOB)) + {ROW_BYTES}"
_COLUMNS = (
    "sequence, idx, received_ns, topic, payload, stage, reason, detail, device, sample,"
    " payload_bytes, replayed_ns"
)
_INSERT = (
    f"INSERT OR IGNORE INTO quarantine ({_COLUMNS})"  # noqa: S608 - constants of this module, as below
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
)
_LISTING = (
    f"SELECT {_COLUMNS} FROM quarantine"  # noqa: S608
    " WHERE (:reason IS NULL OR reason = :reason) AND (:device IS NULL OR device = :device)"
    " AND (:replayed OR replayed_ns IS NULL)"
    " ORDER BY sequence DESC, idx DESC, sample DESC LIMIT :limit"
)
_GET = f"SELECT {_COLUMNS} FROM quarantine WHERE sequence = ? AND idx = ? AND sample = ?"  # noqa: S608
_OLDEST = tuple(
    f"SELECT sequence, idx, sample, {_SIZE} FROM quarantine"  # noqa: S608
    f" WHERE replayed_ns IS {null} ORDER BY sequence, idx, sample LIMIT 1"
    for null in ("NOT NULL", "NULL")
)


def add(
    connection: sqlite3.Connection, rejects: Iterable[Reject], *, payload_bytes_max: int, bytes_max: int
) -> int:
    """Keep rejects, each once; returns how many were new. All rows together stay within ``bytes_max``."""
    added = size = 0
    for reject in rejects:
        topic, detail = _storable(reject.topic), _storable(reject.detail[:DETAIL_CHARS_MAX])
        payload = reject.payload[:payload_bytes_max]
        new = connection.execute(
            _INSERT,
            (
                reject.sequence,
                reject.index,
                reject.received_ns,
                topic,
                payload,
                reject.stage,
                reject.reason,
                detail,
                _storable(reject.device),
                reject.sample,
                len(reject.payload),
            ),
        ).rowcount
        if new:
            added += 1
            size += len(payload) + len(topic.encode()) + len(detail.encode()) + ROW_BYTES
    if added:
        _add_to(connection, "quarantine_bytes", size)
        _make_room(connection, bytes_max)
    return added


def listing(
    connection: sqlite3.Connection,
    *,
    reason: str | None = None,
    device: str | None = None,
    replayed: bool = False,
    limit: int,
) -> list[Quarantined]:
    """Rows, newest first, at most ``limit``; replayed ones only if asked for."""
    rows = connection.execute(
        _LISTING, {"reason": reason, "device": device, "replayed": replayed, "limit": limit}
    )
    return [_quarantined(row) for row in rows]


def get(connection: sqlite3.Connection, key: Key) -> Quarantined | None:
    """The row of ``key``, None if it is not, or no longer, there."""
    row = connection.execute(_GET, key).fetchone()
    return _quarantined(row) if row else None


def mark_replayed(connection: sqlite3.Connection, keys: Iterable[Key], *, at_ns: int) -> None:
    """These went back into the journal."""
    connection.executemany(
        "UPDATE quarantine SET replayed_ns = ? WHERE sequence = ? AND idx = ? AND sample = ?",
        ((at_ns, *key) for key in keys),
    )


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Reason -> rows not yet replayed."""
    return dict(
        connection.execute(
            "SELECT reason, count(*) FROM quarantine WHERE replayed_ns IS NULL GROUP BY reason"
        )
    )


def bytes_used(connection: sqlite3.Connection) -> int:
    """What the bound is compared with."""
    return facts.get(connection, "quarantine_bytes") or 0


def overflow(connection: sqlite3.Connection) -> int:
    """Rows that gave way to the size bound before anyone replayed them, since the file was made."""
    return facts.get(connection, "quarantine_overflow") or 0


def _make_room(connection: sqlite3.Connection, bytes_max: int) -> None:
    excess = (facts.get(connection, "quarantine_bytes") or 0) - bytes_max
    for unreplayed, query in enumerate(_OLDEST):
        while excess > 0 and (row := connection.execute(query).fetchone()):
            connection.execute(
                "DELETE FROM quarantine WHERE sequence = ? AND idx = ? AND sample = ?", row[:3]
            )
            _add_to(connection, "quarantine_bytes", -row[3])
            _add_to(connection, "quarantine_overflow", unreplayed)
            excess -= row[3]


def _add_to(connection: sqlite3.Connection, name: str, step: int) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (name, step),
    )


def _storable(text: str) -> str:
    """``text`` without the lone surrogates SQLite would refuse."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _quarantined(row: tuple[object, ...]) -> Quarantined:
    return Quarantined(Reject(*row[:10]), *row[10:])  # type: ignore[arg-type]
