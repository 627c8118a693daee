"""What the harness found, each as small as it can be told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from exemplars import Remembered
from plant import write_inventory

from gateway import wiring
from gateway.configuration import Configuration, interpret
from gateway.data_directory import DataDirectory
from gateway.errors import JournalCorrupt
from gateway.followers import AlarmFollower
from gateway.journal.record import Kind, Record, decode_session, encode_tick
from gateway.model import Chunk, Counts, SessionEvent, Tick
from gateway.reader import Reader
from gateway.sections import Settings
from gateway.system_clock import SystemClock
from gateway.tasks import end
from gateway.translation import Translator

NOW_NS = 1_795_000_000_000_000_000
DAMAGE = JournalCorrupt("0.segment", 77, 2, "checksum does not match", resume=4)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_inventory(tmp_path / "inventory")
    return Settings.model_validate(
        {"gateway": {"data_dir": tmp_path / "data", "inventory": tmp_path / "inventory"}}
    )


@pytest.fixture
def configuration(settings: Settings) -> Configuration:
    return interpret(wiring.sources(settings).pack(), "")


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As ``asyncio.wait_for`` does before Python 3.12 when its future is done at that very moment."""
    monkeypatch.setattr("gateway.tasks.CANCEL_AGAIN_S", 0.01)

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 5.0)
    assert task.cancelled()


class DamagedJournal:
    """Records 0 to 5, of which 2 and 3 can not be read."""

    first, next = 0, 6

    async def wait(self, sequence: int) -> None:
        assert sequence < self.next

    def read(self, sequence: int, *, bytes_max: int) -> Sequence[Record]:
        if sequence == DAMAGE.sequence:
            raise DAMAGE
        tick = encode_tick(Tick(NOW_NS, NOW_NS, bytes(16), True, True))
        until = DAMAGE.sequence if sequence < DAMAGE.sequence else self.next
        return [Record(number, Kind.TICK, tick) for number in range(sequence, until)]


async def test_nobody_goes_on_past_damage_that_is_not_named(
    settings: Settings, configuration: Configuration
) -> None:
    """Else a store follower's cursor could pass records nobody will ever look at again."""
    named, may_go_on = asyncio.Event(), asyncio.Event()

    async def name_loss(damage: JournalCorrupt) -> None:
        assert (damage.sequence, damage.resume) == (2, 4)
        named.set()
        await may_go_on.wait()

    def translator(_: int) -> Translator:
        return Translator(wiring.translation(settings), lambda _: configuration, configuration)

    journal: Any = DamagedJournal()
    reader = Reader(journal, translator, 0, name_loss)
    assert [chunk.next for chunk in await reader.read("store", 0, 100)] == [2]
    reading = asyncio.create_task(reader.read("store", 2, 100))
    await asyncio.wait_for(named.wait(), 5.0)
    assert not reading.done()
    may_go_on.set()
    assert [(chunk.first, chunk.next) for chunk in await reading] == [(2, 4)]


async def test_damage_is_named_in_the_journal_once(settings: Settings) -> None:
    """By whichever follower meets it, at whichever start."""
    details = []
    for _ in range(2):
        async with AsyncExitStack() as stack:
            files = DataDirectory(settings, SystemClock())
            await files.open(stack)
            await asyncio.gather(*(files.name_loss(DAMAGE) for _ in range(2)))
            records = files.journal.read(files.journal.first, bytes_max=1 << 20)
            details = [decode_session(record.payload) for record in records]
    (gap,) = details
    assert (gap.event, gap.gap) == ("gap", "journal_corrupt")
    assert "records 2 to 3 are lost" in gap.detail
    assert abs(gap.wall_ns - time.time_ns()) < 60_000_000_000


def test_the_record_of_a_loss_raises_the_alarm_and_says_how_far_it_reaches(
    configuration: Configuration,
) -> None:
    """Not what a reader meets: two readers would raise it twice, and one that starts later never."""
    engine = configuration.engine()
    met = SessionEvent(0, "gap", NOW_NS, gap="journal_corrupt", detail=str(DAMAGE))
    assert engine.apply(Chunk(2, 4, (met,), (2,))) == []
    told = SessionEvent(1, "gap", NOW_NS, gap="journal_corrupt", detail=str(DAMAGE))
    (_, raised), _ = engine.apply(Chunk(4, 5, (told,), (4,)))
    assert raised.type == "dataGap"
    assert "records 2 to 3 are lost" in raised.text_en


async def test_a_stop_in_the_middle_of_a_commit_forgets_no_alarm(configuration: Configuration) -> None:
    """The task is cancelled while its transitions are being written; the last commit must still have them."""
    engine = configuration.engine()
    ledger = SlowLedger()
    follower = AlarmFollower(
        engine,
        ledger,
        position=4,
        counts=Counts(),
        rebuild=lambda engine, _: engine,
        observe=lambda _: None,
        clock=SystemClock(),
        snapshot_s=30.0,
    )
    told = SessionEvent(1, "gap", NOW_NS, gap="journal_corrupt", detail=str(DAMAGE))
    taking = asyncio.create_task(follower.take([Chunk(4, 5, (told,), (4,))]))
    await asyncio.wait_for(ledger.asked.wait(), 5.0)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    ledger.ready.set()
    await follower.commit(snapshot=True)
    assert [alarm.event for _, alarm in ledger.transitions] == ["raised", "cleared"]


class SlowLedger(Remembered):
    """Records nothing before ``ready``."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ready = asyncio.Event(), asyncio.Event()

    async def commit(self, *effects: Any) -> None:
        self.asked.set()
        await self.ready.wait()
        await super().commit(*effects)
