"""The quarantine: kept once, cut with its length known, bounded, and nothing gives way uncounted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import WHOLE_MESSAGE, Reject
from gateway.state import quarantine
from gateway.state.database import connect

REJECT = Reject(5, 2, 77, "city/a/luminaire/L1/up", b"\x00{bad", "decode", "unparsable", "at byte 1", "L1")
MIB = 1 << 20


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(tmp_path / "state.db")
    yield connection
    connection.close()


def add(db: sqlite3.Connection, *rejects: Reject, payload_bytes_max: int = 1000, bytes_max: int = MIB) -> int:
    return quarantine.add(db, rejects, payload_bytes_max=payload_bytes_max, bytes_max=bytes_max)


def test_a_reject_is_kept_whole_and_once(db: sqlite3.Connection) -> None:
    one_sample = replace(REJECT, sample=3, stage="store")
    assert add(db, REJECT, one_sample) == 2

    assert add(db, REJECT, replace(REJECT, reason="other"), one_sample) == 0

    assert quarantine.get(db, (5, 2, WHOLE_MESSAGE)) == quarantine.Quarantined(REJECT, 5, None)
    assert quarantine.get(db, (5, 2, 3)) == quarantine.Quarantined(one_sample, 5, None)
    assert quarantine.get(db, (5, 2, 9)) is None
    assert quarantine.counts(db) == {"unparsable": 2}


def test_a_long_payload_is_cut_and_its_length_kept(db: sqlite3.Connection) -> None:
    add(db, replace(REJECT, payload=b"x" * 5000), payload_bytes_max=300)

    kept = quarantine.listing(db, limit=1)[0]

    assert (kept.reject.payload, kept.payload_bytes) == (b"x" * 300, 5000)


@pytest.mark.parametrize("text", ["\udcff", "a\0b", "\n" * 5000, "đèn"])
def test_any_topic_and_detail_can_be_kept(db: sqlite3.Connection, text: str) -> None:
    assert add(db, replace(REJECT, topic=text, detail=text, device=text)) == 1

    assert quarantine.listing(db, limit=1)[0].reject.payload == REJECT.payload


def test_the_listing_is_newest_first_and_filtered(db: sqlite3.Connection) -> None:
    rejects = [replace(REJECT, sequence=n, reason="unknown" if n % 2 else "foreign") for n in range(6)]
    add(db, *rejects, replace(REJECT, sequence=9, device="L2"))

    def sequences(**filters: object) -> list[int]:
        rows = quarantine.listing(db, limit=3, **filters)  # type: ignore[arg-type]
        return [row.reject.sequence for row in rows]

    assert sequences() == [9, 5, 4]
    assert sequences(reason="unknown") == [5, 3, 1]
    assert sequences(device="L1", reason="foreign") == [4, 2, 0]
    quarantine.mark_replayed(db, [(5, 2, WHOLE_MESSAGE), (9, 2, WHOLE_MESSAGE)], at_ns=123)
    assert sequences() == [4, 3, 2]
    assert sequences(replayed=True) == [9, 5, 4]
    assert quarantine.counts(db) == {"unknown": 2, "foreign": 3}


def test_a_full_quarantine_gives_up_replayed_rows_then_the_oldest_and_says_so(db: sqlite3.Connection) -> None:
    rejects = [replace(REJECT, sequence=n, payload=bytes(1000)) for n in range(20)]
    bytes_max = 10 * (1000 + len(REJECT.topic) + len(REJECT.detail) + quarantine.ROW_BYTES)

    def kept() -> list[int]:
        return [row.reject.sequence for row in quarantine.listing(db, replayed=True, limit=99)]

    add(db, *rejects[:10], bytes_max=bytes_max)
    quarantine.mark_replayed(db, [(8, 2, WHOLE_MESSAGE)], at_ns=1)
    add(db, rejects[10], bytes_max=bytes_max)
    assert (kept(), quarantine.overflow(db)) == ([10, 9, 7, 6, 5, 4, 3, 2, 1, 0], 0)

    add(db, *rejects[11:], bytes_max=bytes_max)

    assert (kept(), quarantine.overflow(db)) == (list(range(19, 9, -1)), 9)


def test_one_reject_larger_than_the_bound_leaves_an_empty_table_and_a_count(db: sqlite3.Connection) -> None:
    add(db, REJECT, bytes_max=10)

    assert quarantine.listing(db, limit=9) == []
    assert quarantine.overflow(db) == 1
    assert add(db, replace(REJECT, sequence=6)) == 1
    assert quarantine.overflow(db) == 1
