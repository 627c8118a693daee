"""Faults as recorded. In: a connection in a transaction. Out: which transitions are new; faults again.

As with alarms, a transition is inserted once, however often the journal is read again. Never changes one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from gateway.alarms import Fault, FaultState

RUNNING = (FaultState.OPEN.value, FaultState.CLAIMED.value)

_LATEST = (
    "SELECT document FROM fault JOIN fault_transition AS t"
    " ON t.fault_id = fault.fault_id AND t.number = fault.number"
)


def record(connection: sqlite3.Connection, transitions: Iterable[tuple[int, Fault]]) -> list[Fault]:
    """Keep (journal sequence, fault after its transition) pairs; return the new ones, in order."""
    return [fault for sequence, fault in transitions if _insert(connection, sequence, fault)]


def history(connection: sqlite3.Connection, fault_id: str) -> list[Fault]:
    """Every transition of one fault in order; empty if there is no such fault."""
    rows = connection.execute(
        "SELECT document FROM fault_transition WHERE fault_id = ? ORDER BY number", (fault_id,)
    )
    return [_fault(row[0]) for row in rows]


def listing(connection: sqlite3.Connection, *, running: bool, limit: int) -> list[Fault]:
    """Faults in their present state, newest first, at most ``limit``; those still running, or all."""
    where = "WHERE state IN (?, ?)" if running else ""
    rows = connection.execute(
        f"{_LATEST} {where} ORDER BY opened_ns DESC, fault.fault_id LIMIT ?",
        [*(RUNNING if running else ()), limit],
    )
    return [_fault(row[0]) for row in rows]


def forget(connection: sqlite3.Connection, *, ended_before_ns: int, limit: int) -> int:
    """Delete at most ``limit`` faults that ended before then; returns how many."""
    rows = connection.execute(
        "SELECT fault_id FROM fault WHERE ended_ns < ? LIMIT ?", (ended_before_ns, limit)
    ).fetchall()
    connection.executemany("DELETE FROM fault_transition WHERE fault_id = ?", rows)
    connection.executemany("DELETE FROM fault WHERE fault_id = ?", rows)
    return len(rows)


def _insert(connection: sqlite3.Connection, sequence: int, fault: Fault) -> bool:
    inserted = connection.execute(
        "INSERT OR IGNORE INTO fault_transition VALUES (?, ?, ?, ?)",
        (fault.id, fault.transition, sequence, msgspec.json.encode(fault).decode()),
    ).rowcount
    if inserted:
        connection.execute(
            "INSERT INTO fault VALUES (?, ?, ?, ?, ?) ON CONFLICT (fault_id) DO UPDATE"
            " SET number = excluded.number, state = excluded.state, ended_ns = excluded.ended_ns"
            " WHERE excluded.number > number",
            (fault.id, fault.transition, fault.state.value, fault.opened_ns, fault.ended_ns),
        )
    return bool(inserted)


def _fault(document: str) -> Fault:
    return msgspec.json.decode(document, type=Fault)
