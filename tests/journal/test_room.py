"""A journal without room takes no message, goes on with everything else, and takes messages again."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import JournalFull
from gateway.journal.options import JournalOptions
from gateway.journal.record import Kind
from gateway.journal.room import DISK_SHARE, Room
from gateway.journal.segments import SegmentJournal

MIB = 1 << 20
GIB = 1 << 30


def test_messages_stop_where_the_bound_would_be_passed_and_come_back_with_a_quarter_of_it_free() -> None:
    room = Room(16 * MIB, 0)
    room.look(15 * MIB, GIB, GIB)
    assert room.takes(MIB)
    assert not room.takes(MIB + 1)
    assert "16777216 bytes are used" in room.full
    room.look(13 * MIB, GIB, GIB)
    assert room.full, "one freed byte is no room"
    room.look(12 * MIB, GIB, GIB)
    assert not room.full
    assert room.takes(2 * MIB)


def test_of_the_disk_so_much_is_left_for_those_who_say_that_it_is_full() -> None:
    room = Room(0, 256 * MIB)
    room.look(0, 256 * MIB, 100 * GIB)
    assert not room.full
    room.look(0, 256 * MIB - 1, 100 * GIB)
    assert "are not for messages" in room.full
    room.look(0, 300 * MIB, 100 * GIB)
    assert room.full, "no flapping around the bound"
    room.look(0, 320 * MIB, 100 * GIB)
    assert not room.full


def test_a_small_disk_is_not_full_from_the_start() -> None:
    room = Room(0, 256 * MIB)
    room.look(0, 64 * MIB // DISK_SHARE + 1, 64 * MIB)
    assert not room.full


def test_the_file_being_written_is_cut_once_a_time_it_becomes_full() -> None:
    room = Room(16 * MIB, 0)
    room.look(17 * MIB, GIB, GIB)
    assert room.cut_due
    room.cut_due = False
    room.look(17 * MIB, GIB, GIB)
    assert not room.cut_due


@given(
    bytes_max=st.sampled_from([0, 16 * MIB, GIB]),
    least=st.sampled_from([0, 256 * MIB]),
    looks=st.lists(st.tuples(st.integers(0, 2 * GIB), st.integers(0, 2 * GIB)), min_size=1),
)
def test_what_is_taken_never_passes_the_bound_and_an_empty_journal_on_an_empty_disk_takes(
    bytes_max: int, least: int, looks: list[tuple[int, int]]
) -> None:
    room = Room(bytes_max, least)
    for used, free in looks:
        room.look(used, free, 100 * GIB)
        if room.takes(MIB):
            assert not bytes_max or used + MIB <= bytes_max
            assert free >= least
    room.look(0, 2 * GIB, 100 * GIB)
    assert room.takes(MIB)


async def test_a_full_journal_takes_ticks_gives_up_what_nobody_needs_and_takes_messages_again(
    tmp_path: Path,
) -> None:
    journal = SegmentJournal(tmp_path, JournalOptions(bytes_max=10_000))
    first = await journal.append(Kind.MESSAGES, [b"m" * 8000])
    with pytest.raises(JournalFull, match="10000 bytes are used"):
        await journal.append(Kind.MESSAGES, [b"m" * 2000])
    assert journal.full
    ticks = [await journal.append(Kind.TICK, [b"t" * 34]) for _ in range(3)]
    assert ticks == [first + 1, first + 2, first + 3], "nothing of the refused message was written"

    assert journal.trim(keep_from=first) == 0, "a follower still needs it"
    assert journal.trim(keep_from=first + 1) > 8000, "it was the newest file until it was full"
    await journal.append(Kind.TICK, [b"t" * 34])
    assert not journal.full
    assert await journal.append(Kind.MESSAGES, [b"m" * 2000]) == first + 5
    await journal.close()


async def test_blocks_that_come_at_once_can_not_pass_the_bound_together(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path, JournalOptions(bytes_max=10_000))
    results = await asyncio.gather(
        *(journal.append(Kind.MESSAGES, [b"m" * 1500]) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, JournalFull) for result in results) >= 4
    assert journal.bytes_used <= 10_000
    await journal.close()


@pytest.mark.parametrize("name", ["bytes_max", "disk_free_bytes_min"])
def test_a_bound_below_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        JournalOptions(**{name: -1})
