"""Journals written and read as plain files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import JournalCorrupt, JournalError
from gateway.journal.record import Kind
from gateway.journal.recorded import JournalWriter, walk
from gateway.journal.segments import SegmentJournal

PAYLOADS = [bytes([n % 251]) * (n * 7 % 900 + 1) for n in range(500)]


def written(directory: Path) -> Path:
    with JournalWriter(directory, segment_bytes=20_000) as journal:
        for number, payload in enumerate(PAYLOADS):
            assert journal.append(Kind.TICK if number % 3 else Kind.MESSAGES, payload) == number
    return directory


@pytest.mark.parametrize("bytes_max", [1, 700, 5000, 1 << 20])
def test_what_was_written_is_read_in_order_however_it_is_cut(tmp_path: Path, bytes_max: int) -> None:
    found = [record for stretch in walk(written(tmp_path), bytes_max=bytes_max) for record in stretch]  # type: ignore[union-attr]
    assert [record.sequence for record in found] == list(range(len(PAYLOADS)))
    assert [record.payload for record in found] == PAYLOADS
    assert found[1].kind is Kind.TICK
    assert len(list(tmp_path.glob("*.segment"))) > 5


async def test_a_gateways_journal_is_the_same_kind_of_thing(tmp_path: Path) -> None:
    journal = SegmentJournal(written(tmp_path))
    assert (journal.first, journal.next) == (0, len(PAYLOADS))
    assert not journal.opening.lost
    await journal.append(Kind.TICK, [b"more"])
    await journal.close()
    stretches = await asyncio.to_thread(lambda: list(walk(tmp_path, bytes_max=1 << 20)))
    assert not isinstance(stretches[-1], JournalCorrupt)
    assert stretches[-1][-1].payload == b"more"


def test_damage_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    segment = sorted(written(tmp_path).glob("*.segment"))[2]
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    damage = [stretch for stretch in walk(tmp_path, bytes_max=4096) if isinstance(stretch, JournalCorrupt)]
    records = [r for stretch in walk(tmp_path, bytes_max=4096) if isinstance(stretch, list) for r in stretch]
    assert len(damage) == 1
    lost = set(range(damage[0].sequence, damage[0].resume))
    assert lost
    assert {record.sequence for record in records} == set(range(len(PAYLOADS))) - lost


def test_nothing_is_written_over_and_nothing_is_read_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="holds a journal already"):
        JournalWriter(written(tmp_path / "one"))
    with pytest.raises(JournalError, match="no journal"):
        list(walk(tmp_path, bytes_max=1))
