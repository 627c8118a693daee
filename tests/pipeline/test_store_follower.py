"""The store follower: the cursor moves behind what is stored or refused for good, and never before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from records import (
    NEW,
    OLD,
    START_NS,
    StillClock,
    block,
    configurations,
    configure,
    message,
    numbered,
    tick,
    translator,
)

from gateway.fleet import Fleet
from gateway.followers import StoreFollower
from gateway.model import Chunk, Counts, ReadingBatch, Reject
from gateway.store.outcome import WriteOutcome

START_MS = START_NS // 1_000_000


@dataclass
class Slow:
    """A store that answers as told, then takes everything. The real ones are tried in tests/store."""

    answers: list[WriteOutcome] = field(default_factory=list)
    owns_cursor: bool = False
    asked: list[tuple[tuple[int, ...], int, Counts, Fleet]] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(
        self, batches: Sequence[ReadingBatch], *, fleet: Fleet, cursor: int, counts: Counts
    ) -> WriteOutcome:
        places = tuple(int(sequence) for batch in batches for sequence in batch.sequence)
        self.asked.append((places, cursor, counts, fleet))
        answer = self.answers.pop(0) if self.answers else WriteOutcome(stored=len(places))
        if answer.pause:
            self.waiting.set()
        return answer


@dataclass
class Commits:
    """A ledger that keeps what it is given: (rejected places, position, counts)."""

    seen: list[tuple[list[tuple[int, str]], int, Counts]] = field(default_factory=list)

    async def commit(self, rejects: Sequence[Reject], position: int, counts: Counts) -> None:
        self.seen.append(([(r.sequence, r.reason) for r in rejects], position, counts))


def follower(store: Slow, ledger: Commits, position: int = 0) -> StoreFollower:
    timeline = [(0, "old"), (3, "new")]
    return StoreFollower(
        store,  # type: ignore[arg-type]  # what the follower uses of a store
        ledger,
        position=position,
        counts=Counts(),
        configurations=configurations(timeline),
        clock=StillClock(),
    )


def journal() -> Chunk:
    """0 tick, 1 two good readings and a broken one, 2 an unknown lamp, 3 its enrolment, 4 the lamp again."""
    lamp = {"ts": START_MS, "u": 230}
    good = [message("L-1", lamp), message("L-2", lamp), message("L-1", b"{")]
    strange = message("L-3", lamp)
    return translator().translate(
        numbered([tick(0), block(*good), block(strange), configure("new"), block(strange)])
    )


async def test_each_stretch_is_written_with_the_inventory_it_was_read_with() -> None:
    store, ledger = Slow(), Commits()
    own = follower(store, ledger)
    await own.take([journal()])
    assert [(places, cursor, fleet) for places, cursor, _, fleet in store.asked] == [
        ((1, 1), 3, OLD.fleet),
        ((4,), 5, NEW.fleet),
    ]
    assert [(rejects, position) for rejects, position, _ in ledger.seen] == [
        ([(1, "unparsable"), (2, "unknown_device")], 3),
        ([], 5),
    ]
    assert (own.position, own.counts.received, own.counts.quarantined) == (5, 5, 2)


@pytest.mark.parametrize("position", [3, 4])
async def test_it_starts_with_the_configuration_in_force_at_its_cursor(position: int) -> None:
    store = Slow()
    own = follower(store, Commits(), position)
    entries = numbered([tick(0), tick(1), tick(2), configure("new"), block(message("L-3", {"u": 1}))])
    in_force = OLD if position == 3 else NEW
    await own.take([translator(in_force).translate(entries[position:])])
    assert [fleet for _, _, _, fleet in store.asked] == [NEW.fleet]


async def test_a_store_that_pauses_is_asked_again_with_the_same() -> None:
    away = WriteOutcome(pause="unreachable: refused", retry_after_s=0.001)
    store, ledger = Slow([away, replace(away, pause="unreachable: timeout"), away]), Commits()
    own = follower(store, ledger)
    await own.take([journal()])
    assert [asked[:2] for asked in store.asked] == [((1, 1), 3)] * 4 + [((4,), 5)]
    assert [position for _, position, _ in ledger.seen] == [3, 5], "no cursor moved meanwhile"
    assert own.error == ""


async def test_while_it_waits_the_reason_is_shown_and_the_cursor_stays() -> None:
    store, ledger = Slow([WriteOutcome(pause="overloaded: 503", retry_after_s=3600)]), Commits()
    own = follower(store, ledger)
    taking = asyncio.create_task(own.take([journal()]))
    await asyncio.wait_for(store.waiting.wait(), 5)
    await asyncio.sleep(0)
    assert (own.error, own.position, ledger.seen) == ("overloaded: 503", 0, [])
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await own.commit()
    assert ledger.seen == [([], 0, Counts())], "a stop while waiting goes on from the same place"


async def test_what_is_refused_for_good_is_quarantined_and_counted_once_a_message() -> None:
    refused = [
        Reject(
            1, 0, START_NS, "", b"luminaire ...", "store", "type_conflict", "field type conflict", "L-1", k
        )
        for k in range(2)
    ]
    store, ledger = Slow([WriteOutcome(stored=1, rejects=tuple(refused))]), Commits()
    own = follower(store, ledger)
    await own.take([journal()])
    assert ledger.seen[0][0].count((1, "type_conflict")) == 2
    assert own.counts.quarantined == 2 + 1
    assert own.counts.received == 5


async def test_rejects_are_safe_before_a_store_with_its_own_cursor_moves_it() -> None:
    """A crash between the two must not skip them: the store's cursor would be behind them already."""
    order: list[str] = []

    class Own(Slow):
        async def write(self, batches, **told):  # type: ignore[no-untyped-def]
            order.append("write")
            return await super().write(batches, **told)

    class Ordered(Commits):
        async def commit(self, rejects: Sequence[Reject], position: int, counts: Counts) -> None:
            order.append("rejects" if rejects else "cursor")
            await super().commit(rejects, position, counts)

    ledger = Ordered()
    await follower(Own(owns_cursor=True), ledger).take([journal()])
    assert order[:2] == ["rejects", "write"]
    assert ledger.seen[0][1] == 0, "with the cursor where it was"
