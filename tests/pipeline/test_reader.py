"""One reader, followers at their own pace: each gets every record once, in order, read the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from records import (
    NEW,
    OLD,
    OPTIONS,
    START_NS,
    StillClock,
    block,
    configurations,
    configure,
    counts,
    message,
    readings,
    rejects,
    session,
    tick,
)

from gateway import reader as reading
from gateway.errors import JournalCorrupt
from gateway.journal.record import Kind
from gateway.journal.segments import JournalOptions, SegmentJournal
from gateway.model import Chunk, SessionEvent
from gateway.pipeline import Cadence, follow
from gateway.reader import Reader
from gateway.translation import Translator

START_MS = START_NS // 1_000_000
NAMED: list[tuple[int, int]] = []
"""Losses that readers named, [first, next) of the records."""


@pytest.fixture(params=[2000, 1 << 20], ids=["from files", "from memory"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SegmentJournal]:
    opened = SegmentJournal(tmp_path / "journal", JournalOptions(recent_bytes_max=request.param))
    yield opened
    await opened.close()


async def write(journal: SegmentJournal, *entries: tuple[Kind, bytes]) -> None:
    for kind, payload in entries:
        await journal.append(kind, [payload])


def reader(
    journal: SegmentJournal, start: int = 0, timeline: tuple[tuple[int, str], ...] = ((0, "old"),)
) -> Reader:
    known = configurations(timeline)

    async def name_loss(damage: JournalCorrupt) -> None:
        NAMED.append((damage.sequence, damage.resume))

    return Reader(journal, lambda at: Translator(OPTIONS, known.named, known.at(at)), start, name_loss)


async def everything(read_by: Reader, name: str, journal: SegmentJournal, position: int = 0) -> list[Chunk]:
    """Chunks from ``position`` to the end, without gap or overlap."""
    chunks: list[Chunk] = []
    while position < journal.next:
        for chunk in await read_by.read(name, position, 3):
            assert chunk.first == position
            assert chunk.next > position
            position = chunk.next
            chunks.append(chunk)
    assert position == journal.next
    return chunks


def lamp(number: int, **more: object) -> tuple[Kind, bytes]:
    """A block with one reading; two of them in a row have the same time."""
    document = {"ts": START_MS + number // 2 * 1000, "u": 200 + number}
    return block(message("L-1", document, packet_id=number + 1), at_s=number, **more)  # type: ignore[arg-type]


async def test_a_slow_follower_gets_what_a_fast_one_got(journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far behind what is kept, it reads on its own, and joins the others again when it has caught up."""
    monkeypatch.setattr(reading, "RECENT_CHUNKS_MAX", 5)
    shared = reader(journal)
    fast: list[Chunk] = []
    slow: list[Chunk] = []
    at = 0
    for number in range(60):
        await write(journal, tick(number) if number % 7 == 3 else lamp(number))
        fast += await shared.read("fast", fast[-1].next if fast else 0, 1000)
        if number % 10 == 9:
            slow += (await shared.read("slow", at, 3))[:1]
            at = slow[-1].next
    assert {id(chunk) for chunk in slow} - {id(chunk) for chunk in fast}, "it has read on its own"
    slow += await everything(shared, "slow", journal, at)
    alone = await everything(reader(journal), "alone", journal)
    assert readings(slow) == readings(fast) == readings(alone)
    assert [chunk.first for chunk in fast] == list(range(60))
    await write(journal, lamp(60))
    last = await shared.read("fast", 60, 1000)
    assert await shared.read("slow", 60, 1000) == last, "translated once, for both"


@pytest.mark.parametrize("journal", [1 << 20], indirect=True)
async def test_falling_behind_does_not_stop_the_others(journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Walking back to find redeliveries is long work; the loop turns meanwhile."""
    monkeypatch.setattr(reading, "READ_BYTES_MAX", 1)
    await write(journal, *(lamp(number) for number in range(40)))
    shared = reader(journal, start=40)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(others())
    (chunk,) = await shared.read("behind", 39, 10)
    turning.cancel()
    assert chunk.first == 39
    assert turns > 30


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 5])
async def test_a_restart_knows_redeliveries_and_twin_times(journal, start: int) -> None:
    again = message("L-1", {"ts": START_MS, "u": 231}, packet_id=7, duplicate=True)
    await write(
        journal,
        session("connected", 1),
        block(message("L-2", {"ts": START_MS, "u": 230}), epoch=1),
        block(message("L-1", {"ts": START_MS, "u": 231}, packet_id=7), epoch=1),
        session("connected", 2, session_present=True),
        block(again, epoch=2),
        block(message("L-1", {"ts": START_MS, "u": 232}, packet_id=8), epoch=2),
    )
    unbroken = await everything(reader(journal), "all", journal)
    restarted = await everything(reader(journal, start), "all", journal, start)
    assert readings(restarted) == [row for row in readings(unbroken) if row[0][0] >= start]
    assert counts(restarted).redelivered == (1 if start <= 4 else 0)
    (*_, last) = readings(restarted)
    assert last[1][2] == START_NS + 1, "the later of two readings in one nanosecond moves"


async def test_damage_is_a_gap_with_a_name(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    NAMED.clear()
    options = JournalOptions(segment_bytes=1)
    journal = SegmentJournal(directory, options)
    await write(journal, tick(1), *(lamp(number) for number in range(4)))
    await journal.close()
    victim = sorted(directory.glob("*"))[2]
    content = bytearray(victim.read_bytes())
    content[-3] ^= 0xFF
    victim.write_bytes(bytes(content))
    journal = SegmentJournal(directory, options, floor=journal.next)
    try:
        chunks = await everything(reader(journal), "all", journal)
    finally:
        await journal.close()
    assert NAMED == [(2, 3)], "told before anybody went on"
    (gap,) = [part for chunk in chunks for part in chunk.parts if isinstance(part, SessionEvent)]
    assert (gap.event, gap.gap, gap.wall_ns) == ("gap", "journal_corrupt", START_NS + 1_000_000_000)
    assert "records 2 to 2 are lost" in gap.detail
    assert [place[0] for place, _ in readings(chunks)] == [1, 3, 4]


async def test_a_lagging_follower_reads_with_the_configuration_of_then(
    journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RECENT_CHUNKS_MAX", 1)

    def strange(number: int) -> tuple[Kind, bytes]:
        return block(message("L-3", {"ts": START_MS + number, "u": 230}))

    shared = reader(journal)
    position = 0
    for number, entry in enumerate([strange(0), configure("new"), strange(1), configure("old"), strange(2)]):
        await write(journal, entry)
        position = (await shared.read("fast", number, 10))[-1].next
    assert position == 5
    for start in range(5):
        behind = await everything(shared, f"behind-{start}", journal, start)
        assert [place[0] for place, _ in readings(behind)] == [place for place in [2] if place >= start]
        assert [(r.sequence, r.reason) for r in rejects(behind)] == [
            (sequence, "unknown_device") for sequence in (0, 4) if sequence >= start
        ]
    timeline = ((0, "old"), (1, "new"), (3, "old"))
    for start in range(5):
        known = configurations(timeline)
        assert known.at(start) is (NEW if start in (2, 3) else OLD)
        fresh = await everything(reader(journal, start, timeline), "fresh", journal, start)
        assert [place[0] for place, _ in readings(fresh)] == [place for place in [2] if place >= start]


async def test_following_gathers_under_load_and_is_prompt_when_idle(journal) -> None:
    """A follower takes what there is at once, then not again before its cadence; nothing is skipped."""
    taken: list[list[Chunk]] = []
    reached = asyncio.Event()

    class Taker:
        name, position = "taker", 0

        async def take(self, chunks: list[Chunk]) -> None:
            assert chunks[0].first == self.position
            taken.append(list(chunks))
            self.position = chunks[-1].next
            if self.position == 21:
                reached.set()

    await write(journal, lamp(0))
    following = asyncio.create_task(follow(reader(journal), Taker(), Cadence(0.0, 4), StillClock()))
    await write(journal, *(lamp(number) for number in range(1, 21)))
    await asyncio.wait_for(reached.wait(), 10)
    following.cancel()
    chunks = [chunk for some in taken for chunk in some]
    assert [place[0] for place, _ in readings(chunks)] == list(range(21))


async def test_at_full_load_the_one_in_front_is_patient(journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower about to lose what is kept is waited for while it goes on, not when it stands still."""
    monkeypatch.setattr(reading, "RECENT_CHUNKS_MAX", 5)
    monkeypatch.setattr(reading, "PATIENCE_S", 60.0)
    monkeypatch.setattr(reading, "PATIENT_BYTES_MIN", 1)
    shared = reader(journal)
    for number in range(5):
        await write(journal, lamp(number))
        await shared.read("front", number, 10)
    (*_, last) = await shared.read("other", 0, 10)
    await write(journal, lamp(5))
    waiting = asyncio.create_task(shared.read("front", 5, 10))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not waiting.done(), "the oldest chunk is still to be taken by the other"
    kept = await shared.read("other", last.next - 2, 10)
    (newest,) = await asyncio.wait_for(waiting, 10)
    assert (newest.first, kept[0].first) == (5, 3)
    monkeypatch.setattr(reading, "PATIENCE_S", 0.01)
    for number in range(6, 12):
        await write(journal, lamp(number))
        await asyncio.wait_for(shared.read("front", number, 10), 10)
    behind = await everything(shared, "other", journal, 3)
    assert behind[0].first == 3, "nothing is skipped, it reads on its own"


async def test_one_in_front_that_keeps_up_waits_for_nobody(journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a store that falls behind, or comes near again, would hold up alarms."""
    monkeypatch.setattr(reading, "RECENT_CHUNKS_MAX", 5)
    monkeypatch.setattr(reading, "PATIENCE_S", 60.0)
    shared = reader(journal)
    for number in range(5):
        await write(journal, lamp(number))
        await shared.read("front", number, 10)
    await shared.read("other", 0, 10)
    await write(journal, lamp(5))
    (newest,) = await asyncio.wait_for(shared.read("front", 5, 10), 10)
    assert newest.first == 5
    assert next(chunk.first for chunk in await everything(shared, "other", journal)) == 0
