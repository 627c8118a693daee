"""What is over for long is forgotten; what stands, and the trail within its time, never is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from exemplars import RAISED
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.repair import Repairs
from gateway.alarms import AlarmState, Sample
from gateway.ledger import DAY_NS, Retention, believed_ns
from gateway.state import alarms, audit, faults
from gateway.state.database import connect, migrate
from gateway.state.schema import MIGRATIONS

NOW = 1000 * DAY_NS
CLEARED = replace(RAISED, transition=2, event="cleared", state=AlarmState.NORMAL)
KEEP = Retention(alarms_days=30, audit_days=60)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "state.db")
    yield connection
    connection.close()


@given(st.sampled_from(list(AlarmState)), st.integers(0, 100), st.integers(0, 100))
def test_an_alarm_is_forgotten_only_when_normal_and_over_for_its_time(
    state: AlarmState, raised: int, lasted: int
) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, MIGRATIONS)
    begun_ns = NOW - (raised + lasted) * DAY_NS
    over = None if state in {AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED} else NOW - raised * DAY_NS
    alarm = replace(RAISED, raised_ns=begun_ns, state=state, cleared_ns=over)
    alarms.record(db, [(1, replace(RAISED, raised_ns=begun_ns)), (2, replace(alarm, transition=2))])
    KEEP.forget(db, NOW)
    gone = state is AlarmState.NORMAL and raised > KEEP.alarms_days
    assert bool(alarms.history(db, RAISED.id)) is not gone
    assert len(alarms.listing(db, limit=5)) == (0 if gone else 1)
    db.close()


def test_a_fault_is_forgotten_after_its_end_and_never_while_its_clock_runs(db: sqlite3.Connection) -> None:
    repairs = Repairs()
    still = replace(RAISED, id="a2", raised_ns=0)
    healed = replace(CLEARED, cleared_ns=NOW - 31 * DAY_NS, proof=Sample("L1", NOW - 31 * DAY_NS, 80.0))
    found = repairs.follow([RAISED, still, healed], None)
    faults.record(db, [(n, fault) for n, fault in enumerate(found)])
    KEEP.forget(db, NOW)
    assert [fault.id for fault in faults.listing(db, running=False, limit=9)] == ["a2"]


def test_a_wall_clock_that_jumps_lets_nothing_go(db: sqlite3.Connection) -> None:
    """Forty years ahead and right again; a stop of a month is made up at twice the pace."""
    second = 1_000_000_000
    assert believed_ns(db, NOW, 0) == NOW
    assert believed_ns(db, NOW + 14_600 * DAY_NS, 30 * second) == NOW + 60 * second
    assert believed_ns(db, NOW - 3650 * DAY_NS, second) == NOW - 3650 * DAY_NS
    assert believed_ns(db, NOW + 40 * second, 10 * second) == NOW + 40 * second
    assert believed_ns(db, NOW + 31 * DAY_NS, DAY_NS) == NOW + 2 * DAY_NS + 60 * second


def test_leaving_the_trail_is_written_in_it_once_a_day(db: sqlite3.Connection) -> None:
    for days in (70, 61, 60, 1):
        audit.append(db, audit.Entry(NOW - days * DAY_NS, "An", "comment", f"{days}"))
    for later in range(3):
        KEEP.forget(db, NOW + later * DAY_NS // 4)
    newest, *kept = audit.listing(db, limit=9)
    assert (newest.who, newest.action, newest.detail[:9]) == ("gateway", "trim", "2 entries")
    assert [entry.subject for entry in kept] == ["1", "60"]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("DELETE FROM audit WHERE subject = '60'")
