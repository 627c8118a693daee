"""Transitions and the outbox: nothing is recorded or sent twice, and each alarm is told in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import exemplars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarms import Alarm, AlarmState
from gateway.state import alarms, outbox
from gateway.state.database import connect, migrate, transact
from gateway.state.schema import MIGRATIONS

RAISED = replace(exemplars.RAISED, members=("x", "y"))
CLEARED = replace(RAISED, transition=2, event="cleared", state=AlarmState.NORMAL, cleared_ns=2**62)


def connect_in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, MIGRATIONS)
    return connection


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "state.db")
    yield connection
    connection.close()


def test_reading_the_journal_again_records_nothing_twice(db: sqlite3.Connection) -> None:
    assert alarms.record(db, [(5, RAISED)]) == [RAISED]

    assert alarms.record(db, [(5, RAISED), (9, CLEARED)]) == [CLEARED]

    assert alarms.record(db, [(5, RAISED), (9, CLEARED)]) == []
    assert alarms.history(db, "a1") == [RAISED, CLEARED]
    assert alarms.history(db, "a2") == []


def test_an_alarm_is_active_until_it_is_normal(db: sqlite3.Connection) -> None:
    later = replace(RAISED, id="a2", raised_ns=30, state=AlarmState.RETURNED)
    alarms.record(db, [(6, later), (5, RAISED)])
    assert alarms.active(db) == [RAISED, later]
    assert alarms.counts(db) == {"unacknowledged": 1, "returned": 1}

    alarms.record(db, [(9, CLEARED)])

    assert alarms.active(db) == [later]
    assert alarms.listing(db, limit=10) == [later, CLEARED]
    assert alarms.listing(db, limit=1) == [later]
    assert alarms.listing(db, state=AlarmState.NORMAL, limit=10) == [CLEARED]


@given(st.permutations([replace(RAISED, transition=n, comment=str(n)) for n in range(1, 5)]))
def test_the_present_state_is_the_highest_transition_in_whatever_order(order: list[Alarm]) -> None:
    db = connect_in_memory()

    alarms.record(db, [(alarm.transition, alarm) for alarm in order])

    assert [alarm.comment for alarm in alarms.active(db)] == ["4"]
    db.close()


@dataclass(frozen=True)
class Note:
    alarm_id: str
    transition: int
    recipient: str = "ioc"
    topic: str = "ioc/events/an-phu/major"
    content_type: str = "application/json"
    body: bytes = b"{}"
    retain: bool = False

    @property
    def key(self) -> str:
        return f"{self.alarm_id}/{self.transition}"


def tell(row: outbox.DueRow) -> tuple[str, int]:
    return row.alarm_id, row.transition


def test_of_each_alarm_only_the_first_pending_row_is_due(db: sqlite3.Connection) -> None:
    notes = [Note("a", 1), Note("b", 1, retain=True), Note("a", 2), Note("a", 1, recipient="web")]
    assert outbox.add(db, notes, created_ns=100) == 4

    due = outbox.due(db, "ioc", now_ns=100, limit=10)

    assert [tell(row) for row in due] == [("a", 1), ("b", 1)]
    assert [(row.retain, row.body, row.attempts, row.created_ns) for row in due] == [
        (False, b"{}", 0, 100),
        (True, b"{}", 0, 100),
    ]
    assert outbox.due(db, "ioc", now_ns=99, limit=10) == []
    assert [tell(row) for row in outbox.due(db, "ioc", now_ns=100, limit=1)] == [("a", 1)]


def test_a_postponed_row_holds_back_its_alarm_and_no_other(db: sqlite3.Connection) -> None:
    outbox.add(db, [Note("a", 1), Note("a", 2), Note("b", 1)], created_ns=0)
    first = outbox.due(db, "ioc", now_ns=0, limit=10)[0]

    outbox.postponed(db, first.id, next_attempt_ns=50)

    assert [tell(row) for row in outbox.due(db, "ioc", now_ns=49, limit=10)] == [("b", 1)]
    again = outbox.due(db, "ioc", now_ns=50, limit=10)[0]
    assert (tell(again), again.attempts) == (("a", 1), 1)
    assert outbox.next_attempt_ns(db, "ioc") == 0
    assert outbox.next_attempt_ns(db, "nobody") is None


def test_delivered_and_failed_rows_let_the_next_one_through(db: sqlite3.Connection) -> None:
    outbox.add(db, [Note("a", 1), Note("a", 2), Note("a", 3)], created_ns=7)
    outbox.delivered(db, [outbox.due(db, "ioc", now_ns=7, limit=9)[0].id], at_ns=8)
    second = outbox.due(db, "ioc", now_ns=7, limit=9)
    assert [tell(row) for row in second] == [("a", 2)]

    outbox.failed(db, second[0].id, reason="HTTP 400")

    assert [tell(row) for row in outbox.due(db, "ioc", now_ns=7, limit=9)] == [("a", 3)]
    assert outbox.backlog(db, "ioc") == outbox.Backlog(pending=1, oldest_ns=7, failed=1)
    assert outbox.backlog(db, "web") == outbox.Backlog(pending=0, oldest_ns=None, failed=0)


def test_a_row_is_added_once_also_after_it_was_delivered(db: sqlite3.Connection) -> None:
    outbox.add(db, [Note("a", 1)], created_ns=0)
    outbox.delivered(db, [1], at_ns=1)

    assert outbox.add(db, [Note("a", 1)], created_ns=5) == 0

    assert outbox.due(db, "ioc", now_ns=9, limit=9) == []
    assert outbox.forget(db, delivered_before_ns=1) == 0
    assert outbox.forget(db, delivered_before_ns=2) == 1


def test_transitions_and_outbox_move_together_or_not_at_all(db: sqlite3.Connection) -> None:
    def half(connection: sqlite3.Connection) -> None:
        fresh = alarms.record(connection, [(5, RAISED)])
        outbox.add(connection, [Note(alarm.id, alarm.transition) for alarm in fresh], created_ns=0)
        raise OSError("on purpose")

    with pytest.raises(OSError, match="on purpose"):
        transact(db, half)

    assert alarms.active(db) == []
    assert outbox.due(db, "ioc", now_ns=9, limit=9) == []
    assert not db.in_transaction


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["ok", "later", "never"])), max_size=40),
)
def test_each_alarm_is_told_in_order_whatever_fails(
    names: list[str], outcomes: list[tuple[int, str]]
) -> None:
    db = connect_in_memory()
    outbox.add(db, [Note(name, number) for number, name in enumerate(names)], created_ns=0)
    told: list[tuple[str, int]] = []
    for pick, outcome in outcomes:
        rows = outbox.due(db, "ioc", now_ns=0, limit=9)
        if not rows:
            break
        row = rows[pick % len(rows)]
        earlier = [(name, n) for n, name in enumerate(names[: row.transition]) if name == row.alarm_id]
        assert set(earlier) <= set(told)
        if outcome == "later":
            outbox.postponed(db, row.id, next_attempt_ns=0)
            continue
        told.append(tell(row))
        if outcome == "ok":
            outbox.delivered(db, [row.id], at_ns=1)
        else:
            outbox.failed(db, row.id, reason="no")
    assert len(set(told)) == len(told)
    assert outbox.backlog(db, "ioc").pending == len(names) - len(told)
    db.close()


def test_a_clock_that_was_ahead_holds_no_alarm_back(db: sqlite3.Connection) -> None:
    """Rows written while the wall clock was an hour, or forty years, ahead are due when it is right again."""
    now_ns, hour_ns = 1_795_000_000_000_000_000, 3_600_000_000_000
    outbox.add(db, [Note("a", 1)], created_ns=now_ns + hour_ns - 5_000_000_000)
    assert [tell(row) for row in outbox.due(db, "ioc", now_ns=now_ns, limit=9)] == [("a", 1)]
