"""The segment journal on a real file system: what was confirmed is read back, once, in order."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.errors import JournalCorrupt, JournalError, StateFormatTooNew
from gateway.journal import segment
from gateway.journal.record import FRAME_BYTES, PAYLOAD_BYTES_MAX, Kind, Record, frame
from gateway.journal.segments import JournalOptions, SegmentJournal

SMALL = JournalOptions(segment_bytes=400)
COLD = JournalOptions(segment_bytes=400, recent_bytes_max=1)  # nothing but the files to read from

Begin = Callable[..., SegmentJournal]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Opens journals in the test's directory and closes them at the end."""
    opened: list[SegmentJournal] = []

    def open_journal(options: JournalOptions = SMALL, **more: int) -> SegmentJournal:
        opened.append(SegmentJournal(tmp_path / "journal", options, **more))
        return opened[-1]

    yield open_journal
    for journal in opened:
        await journal.close()


def everything(journal: SegmentJournal, sequence: int = 0, bytes_max: int = 1 << 20) -> list[Record]:
    records: list[Record] = []
    while found := journal.read(sequence, bytes_max=bytes_max):
        records += found
        sequence = found[-1].sequence + 1
    return records


def payload(number: int) -> bytes:
    return b"payload %d " % number * 4


async def fill(journal: SegmentJournal, count: int) -> list[Record]:
    """Append ``count`` records in groups of their own."""
    return [
        Record(await journal.append(Kind.MESSAGES, [payload(number)]), Kind.MESSAGES, payload(number))
        for number in range(count)
    ]


def files(directory: Path) -> list[Path]:
    return sorted((directory / "journal").glob("*.segment"))


async def test_an_append_returns_when_its_records_can_be_read(begin: Begin) -> None:
    journal = begin()

    last = await journal.append(Kind.CONTROL, [b"a", b"b", b"c"])

    assert (journal.first, last, journal.next) == (0, 2, 3)
    assert journal.read(1, bytes_max=1000) == [Record(1, Kind.CONTROL, b"b"), Record(2, Kind.CONTROL, b"c")]
    assert journal.read(3, bytes_max=1000) == []
    with pytest.raises(JournalError, match="ends at 3"):
        journal.read(4, bytes_max=1000)


@pytest.mark.parametrize("bytes_max", [1, 100, 1 << 20])
@pytest.mark.parametrize("options", [SMALL, COLD])
async def test_records_survive_a_restart_over_many_segments(
    begin: Begin, tmp_path: Path, options: JournalOptions, bytes_max: int
) -> None:
    journal = begin(options)
    written = await fill(journal, 40)
    assert everything(journal, bytes_max=bytes_max) == written
    await journal.close()
    assert len(files(tmp_path)) > 5

    again = begin(options)

    assert (again.opening.first, again.opening.next) == (0, 40)
    assert (again.opening.truncated_bytes, again.opening.lost) == (0, ())
    assert everything(again, bytes_max=bytes_max) == written
    assert again.bytes_used == sum(path.stat().st_size for path in files(tmp_path))


async def test_tasks_share_group_commits_and_each_gets_its_own_number(begin: Begin) -> None:
    journal = begin(JournalOptions())

    numbers = await asyncio.gather(*(journal.append(Kind.MESSAGES, [b"%d" % i]) for i in range(500)))

    assert numbers == list(range(500))
    assert [record.payload for record in everything(journal)] == [b"%d" % i for i in range(500)]
    assert journal.groups < 50


async def test_nothing_is_confirmed_or_readable_before_the_disk_has_it(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begin()
    syncing, synced = threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def held(file: int) -> None:
        syncing.set()
        assert synced.wait(10)
        fdatasync(file)

    monkeypatch.setattr(os, "fdatasync", held)
    append = asyncio.create_task(journal.append(Kind.TICK, [b"x"]))

    assert await asyncio.to_thread(syncing.wait, 10)

    assert not append.done()
    assert (journal.next, journal.read(0, bytes_max=100)) == (0, [])
    synced.set()
    assert await append == 0
    assert journal.read(0, bytes_max=100) == [Record(0, Kind.TICK, b"x")]


async def test_a_waiter_wakes_when_its_record_is_durable(begin: Begin) -> None:
    journal = begin()
    waiting = asyncio.create_task(journal.wait(1))
    await journal.append(Kind.TICK, [b"0"])
    assert not waiting.done()

    await journal.append(Kind.TICK, [b"1"])

    await asyncio.wait_for(waiting, 5)
    await journal.wait(0)
    assert journal.read(1, bytes_max=100)


async def test_closing_writes_what_is_pending_and_refuses_the_rest(begin: Begin) -> None:
    journal = begin()
    appends = [asyncio.create_task(journal.append(Kind.TICK, [b"x"])) for _ in range(20)]
    waiting = asyncio.create_task(journal.wait(99))
    await asyncio.sleep(0)

    await journal.close()

    assert await asyncio.gather(*appends) == list(range(20))
    with pytest.raises(JournalError, match="closed"):
        await waiting
    with pytest.raises(JournalError, match="closed"):
        await journal.append(Kind.TICK, [b"x"])
    with pytest.raises(JournalError, match="closed"):
        await journal.wait(99)
    await journal.close()


async def test_a_cancelled_append_harms_nobody(begin: Begin) -> None:
    journal = begin()
    given_up = asyncio.create_task(journal.append(Kind.TICK, [b"x"]))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await journal.append(Kind.TICK, [b"y"]) == 1
    assert given_up.cancelled()


async def test_more_pending_than_the_bound_is_refused_at_once(begin: Begin) -> None:
    journal = begin(JournalOptions(pending_bytes_max=1000, group_bytes_max=1))
    appends = [asyncio.create_task(journal.append(Kind.TICK, [bytes(300)])) for _ in range(50)]

    results = await asyncio.gather(*appends, return_exceptions=True)

    refused = [result for result in results if isinstance(result, JournalError)]
    kept = [result for result in results if isinstance(result, int)]
    assert refused and kept == list(range(50 - len(refused)))
    assert journal.next == len(kept)


async def test_a_payload_no_reader_would_take_is_refused(begin: Begin) -> None:
    with pytest.raises(ValueError, match="longer than"):
        await begin().append(Kind.MESSAGES, [bytes(PAYLOAD_BYTES_MAX + 1)])


async def test_a_record_larger_than_segment_and_window_is_read(begin: Begin) -> None:
    journal = begin(COLD)
    large = os.urandom(3 << 20)
    await journal.append(Kind.MESSAGES, [b"before", large, b"after"])
    await journal.append(Kind.MESSAGES, [b"next segment"])

    assert [r.payload for r in everything(journal, bytes_max=100)] == [
        b"before",
        large,
        b"after",
        b"next segment",
    ]


async def test_reading_on_does_not_scan_a_file_again(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = begin(JournalOptions(recent_bytes_max=1))
    await journal.append(Kind.MESSAGES, [bytes(1000)] * 1000)
    read = 0
    pread = os.pread

    def counted(file: int, count: int, offset: int) -> bytes:
        nonlocal read
        read += count
        return pread(file, count, offset)

    monkeypatch.setattr(os, "pread", counted)

    assert len(everything(journal, bytes_max=10_000)) == 1000
    assert read < 3_000_000


# --- damage ---------------------------------------------------------------------------------------


async def test_a_torn_tail_is_cut_off_and_the_numbers_go_on(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 3)
    await journal.close()
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    torn = whole[segment.HEAD_BYTES :][: FRAME_BYTES + 5]
    path.write_bytes(whole + torn)

    again = begin(JournalOptions())

    assert (again.opening.next, again.opening.truncated_bytes, again.opening.lost) == (3, len(torn), ())
    assert path.read_bytes() == whole
    assert await again.append(Kind.TICK, [b"on"]) == 3
    assert everything(again) == [*written, Record(3, Kind.TICK, b"on")]


async def test_damage_in_the_last_segment_is_reported_and_passed_over(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 6)
    await journal.close()
    (path,) = files(tmp_path)
    flip(path, path.read_bytes().index(payload(2)))
    flip(path, path.read_bytes().index(payload(3)))

    again = begin(JournalOptions())

    (lost,) = again.opening.lost
    assert (lost.segment, lost.first, lost.next) == (path.name, 2, 4)
    assert (again.opening.next, again.opening.truncated_bytes) == (6, 0)
    assert again.read(0, bytes_max=1 << 20) == written[:2]
    with pytest.raises(JournalCorrupt) as caught:
        again.read(2, bytes_max=1 << 20)
    assert (caught.value.sequence, caught.value.resume) == (2, 4)
    assert again.read(4, bytes_max=1 << 20) == written[4:]
    with pytest.raises(JournalCorrupt) as caught:
        again.read(3, bytes_max=1 << 20)
    assert (caught.value.sequence, caught.value.resume) == (3, 4)


async def test_a_damaged_length_does_not_take_the_records_behind_it(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 4)
    await journal.close()
    (path,) = files(tmp_path)
    flip(path, path.read_bytes().index(payload(1)) - FRAME_BYTES + 9, mask=0x10)  # now longer than the file

    again = begin(JournalOptions())

    assert [(lost.first, lost.next) for lost in again.opening.lost] == [(1, 2)]
    assert again.opening.truncated_bytes == 0
    assert again.read(2, bytes_max=1000) == written[2:]


async def test_damage_in_an_earlier_segment_is_reported_when_read(begin: Begin, tmp_path: Path) -> None:
    journal = begin(COLD)
    written = await fill(journal, 30)
    await journal.close()
    first, second, third, *_ = files(tmp_path)
    last_of_first = int(second.stem) - 1
    flip(first, first.read_bytes().index(payload(last_of_first)))
    third.unlink()

    again = begin(COLD)

    assert again.opening.lost == ()
    records, lost = read_past_damage(again)
    missing = {last_of_first, *range(int(third.stem), int(files(tmp_path)[2].stem))}
    assert set(lost) == missing
    assert records == [record for record in written if record.sequence not in missing]


async def test_bytes_between_records_lose_none_of_them(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 4)
    await journal.close()
    (path,) = files(tmp_path)
    content = path.read_bytes()
    between = content.index(payload(2)) - FRAME_BYTES
    path.write_bytes(content[:between] + b"stray" + content[between:])

    again = begin(JournalOptions(recent_bytes_max=1))

    assert (again.opening.next, again.opening.lost) == (4, ())
    assert everything(again) == written


async def test_a_record_that_a_later_file_replaces_is_not_read(begin: Begin, tmp_path: Path) -> None:
    journal = begin(COLD)
    written = await fill(journal, 20)
    await journal.close()
    first, second, *_ = files(tmp_path)
    following, seed = int(second.stem), segment.load(first).seed
    assert seed is not None
    stale = frame(following + 1, Kind.TICK, b"stale", seed=seed)
    first.write_bytes(first.read_bytes() + stale)
    again = begin(COLD)
    assert everything(again) == written
    await again.close()

    flip(first, first.read_bytes().index(payload(following - 1)))

    records, lost = read_past_damage(begin(COLD))
    assert lost == [following - 1]
    assert records == [record for record in written if record.sequence not in lost]


async def test_one_damaged_copy_of_a_head_costs_nothing(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 3)
    await journal.close()
    (path,) = files(tmp_path)
    flip(path, 11)

    assert everything(begin(JournalOptions())) == written


async def test_a_lost_head_loses_its_segment_by_name(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions())
    await fill(journal, 3)
    await journal.close()
    (path,) = files(tmp_path)
    flip(path, 11)
    flip(path, segment.HEAD_BYTES // 2 + 11)

    again = begin(JournalOptions())

    (lost,) = again.opening.lost
    assert (lost.first, lost.next) == (0, again.next)
    assert lost.next >= 3  # a number is never given twice
    with pytest.raises(JournalCorrupt, match="head"):
        again.read(0, bytes_max=1000)
    assert await again.append(Kind.TICK, [b"on"]) == lost.next
    assert again.read(lost.next, bytes_max=1000) == [Record(lost.next, Kind.TICK, b"on")]


@pytest.mark.parametrize("size", [0, 1, segment.HEAD_BYTES - 1])
async def test_a_file_whose_creation_was_cut_short_is_begun_again(
    begin: Begin, tmp_path: Path, size: int
) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 3)
    await journal.close()
    (path,) = files(tmp_path)
    segment.path_of(path.parent, 3).write_bytes(path.read_bytes()[:size])

    again = begin(JournalOptions())

    assert again.opening.lost == ()
    assert await again.append(Kind.TICK, [b"on"]) == 3
    assert everything(again) == [*written, Record(3, Kind.TICK, b"on")]


async def test_a_journal_shorter_than_what_followers_have_read_gives_no_number_twice(
    begin: Begin, tmp_path: Path
) -> None:
    journal = begin(JournalOptions())
    written = await fill(journal, 3)
    await journal.close()

    again = begin(JournalOptions(), floor=10)

    assert [(lost.first, lost.next) for lost in again.opening.lost] == [(3, 10)]
    assert await again.append(Kind.TICK, [b"on"]) == 10
    assert again.read(0, bytes_max=1000) == written
    records, lost = read_past_damage(again, 3)
    assert (records, lost) == ([Record(10, Kind.TICK, b"on")], list(range(3, 10)))
    await again.close()
    assert begin(JournalOptions(), floor=10).opening.lost == ()


async def test_a_later_format_is_refused(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as later:
        later.setattr(segment, "FORMAT", 2)
        await begin().close()

    with pytest.raises(StateFormatTooNew, match="format 2"):
        begin()


async def test_a_path_that_is_no_directory_is_a_journal_error(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("not a directory")

    with pytest.raises(JournalError, match="journal"):
        SegmentJournal(tmp_path / "journal")


# --- trim -----------------------------------------------------------------------------------------


async def test_trim_stops_at_the_slowest_follower_and_at_the_file_being_written(
    begin: Begin, tmp_path: Path
) -> None:
    journal = begin(JournalOptions(segment_bytes=400, keep_bytes=0, recent_bytes_max=1))
    written = await fill(journal, 40)
    second, third = (int(path.stem) for path in files(tmp_path)[1:3])
    used = journal.bytes_used

    freed = journal.trim(keep_from=third - 1)
    assert journal.first == second
    freed += journal.trim(keep_from=third)

    assert journal.first == third
    assert journal.bytes_used == used - freed
    assert everything(journal, third) == written[third:]
    with pytest.raises(JournalCorrupt) as caught:
        journal.read(third - 1, bytes_max=1000)
    assert caught.value.resume == third
    journal.trim(keep_from=10**6)
    assert [path.name for path in files(tmp_path)] == [segment.path_of(tmp_path, journal.first).name]
    assert journal.next == 40
    assert await journal.append(Kind.TICK, [b"on"]) == 40


async def test_trim_keeps_what_is_within_both_limits(begin: Begin, tmp_path: Path) -> None:
    journal = begin(JournalOptions(segment_bytes=400, keep_h=2))
    await fill(journal, 40)
    assert journal.trim(keep_from=40) == 0
    first, second, *_ = files(tmp_path)
    written = files(tmp_path)[-1].stat().st_mtime
    os.utime(first, (written - 3 * 3600, written - 3 * 3600))
    os.utime(second, (written - 3600, written - 3600))

    assert journal.trim(keep_from=40) > 0

    assert files(tmp_path)[0] == second


# --- a disk that refuses ----------------------------------------------------------------------------


REFUSING_DISK = """
    import asyncio, resource, sys
    from pathlib import Path
    from gateway.errors import JournalError
    from gateway.journal.record import Kind
    from gateway.journal.segments import JournalOptions, SegmentJournal

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def on_disk():
        return sum(path.stat().st_size for path in Path(sys.argv[1]).iterdir())

    async def main():
        journal = SegmentJournal(Path(sys.argv[1]), JournalOptions())
        kept = [await journal.append(Kind.TICK, [bytes(100)]) for _ in range(5)]
        assert kept == [0, 1, 2, 3, 4]
        limit(journal.bytes_used + 150)  # room for one record and a torn one
        results = await asyncio.gather(
            *(journal.append(Kind.TICK, [bytes(100)] * 3) for _ in range(4)), return_exceptions=True
        )
        assert all(isinstance(result, JournalError) for result in results), results
        assert "File too large" in journal.failure, journal.failure
        assert journal.next == 5 and len(journal.read(0, bytes_max=10_000)) == 5
        assert on_disk() > journal.bytes_used  # a torn record stands there now
        try:
            await journal.append(Kind.TICK, [b"x"])
        except JournalError:
            pass
        else:
            raise AssertionError("accepted after a failure")
        limit(10)
        try:
            await journal.reopen()
        except JournalError:
            pass
        else:
            raise AssertionError("reopened on a disk that refuses")
        waiting = asyncio.create_task(journal.wait(5))
        await asyncio.sleep(0)
        limit(resource.RLIM_INFINITY)
        report = await journal.reopen()
        assert report.next == 5 and report.lost == (), report
        assert on_disk() == journal.bytes_used
        assert await journal.append(Kind.TICK, [b"after"]) == 5
        await asyncio.wait_for(waiting, 5)
        await journal.close()

        again = SegmentJournal(Path(sys.argv[1]))
        assert again.opening.next == 6 and again.opening.lost == (), again.opening
        records = again.read(0, bytes_max=10_000) + again.read(5, bytes_max=10_000)
        assert [r.payload for r in records] == [bytes(100)] * 5 + [b"after"]
        await again.close()

    asyncio.run(main())
"""


def test_a_full_disk_never_resolves_an_append(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(REFUSING_DISK), str(tmp_path / "journal")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")


async def test_only_a_failed_journal_can_be_reopened(begin: Begin) -> None:
    with pytest.raises(JournalError, match="failed"):
        await begin().reopen()


@pytest.mark.parametrize(
    "name", ["segment_bytes", "recent_bytes_max", "group_bytes_max", "pending_bytes_max"]
)
def test_options_without_sense_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        JournalOptions(**{name: 0})


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


def read_past_damage(journal: SegmentJournal, sequence: int = 0) -> tuple[list[Record], list[int]]:
    """All records, and the sequences reported lost on the way."""
    records: list[Record] = []
    lost: list[int] = []
    while sequence < journal.next:
        try:
            records += journal.read(sequence, bytes_max=200)
            sequence = records[-1].sequence + 1
        except JournalCorrupt as damage:
            assert damage.sequence == sequence
            lost += range(sequence, damage.resume)
            sequence = damage.resume
    return records, lost
