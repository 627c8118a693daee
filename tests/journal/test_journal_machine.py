"""Append, commit, crash, reopen, trim in any order: a model of the journal that only ever keeps promises.

A crash keeps what was confirmed and any number of bytes of what was being written, as a disk does.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.errors import JournalCorrupt
from gateway.journal.record import Kind, Record, frame
from gateway.journal.segment import load
from gateway.journal.segments import JournalOptions, SegmentJournal

PAYLOADS = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=120)), min_size=1, max_size=6)


class JournalMachine(RuleBasedStateMachine):
    """Real files against a list of the records that were confirmed."""

    @initialize(recent_bytes_max=st.sampled_from([1, 1000, 1 << 20]))
    def begin(self, recent_bytes_max: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="journal-"))
        self.directory = self.root / "0"
        self.options = JournalOptions(segment_bytes=300, keep_bytes=600, recent_bytes_max=recent_bytes_max)
        self.confirmed: list[Record] = []
        self.lost: set[int] = set()
        self.trimmed = 0
        self.crashes = 0
        self.journal = SegmentJournal(self.directory, self.options)

    @rule(payloads=PAYLOADS)
    def append_together(self, payloads: list[tuple[Kind, bytes]]) -> None:
        async def appends() -> list[int]:
            return await asyncio.gather(*(self.journal.append(kind, [p]) for kind, p in payloads))

        first = self.journal.next
        assert self.loop.run_until_complete(appends()) == list(range(first, first + len(payloads)))
        self.confirmed += [Record(first + i, kind, p) for i, (kind, p) in enumerate(payloads)]

    @rule()
    def restart(self) -> None:
        self.loop.run_until_complete(self.journal.close())
        self.journal = SegmentJournal(self.directory, self.options)
        assert self.journal.opening.truncated_bytes == 0

    @rule(payloads=PAYLOADS, data=st.data())
    def crash_in_a_write(self, payloads: list[tuple[Kind, bytes]], data: st.DataObject) -> None:
        tail = load(max(self.directory.glob("*.segment")))
        following = self.journal.next
        assert tail.seed is not None
        frames = [frame(following + i, kind, p, seed=tail.seed) for i, (kind, p) in enumerate(payloads)]
        cut = data.draw(st.integers(0, sum(map(len, frames))))
        self.crashes += 1
        copy = self.root / str(self.crashes)
        shutil.copytree(self.directory, copy)
        with (copy / tail.path.name).open("ab") as file:
            file.write(b"".join(frames)[:cut])
        self.loop.run_until_complete(self.journal.close())
        self.directory = copy

        self.journal = SegmentJournal(self.directory, self.options)

        ends = [sum(map(len, frames[: i + 1])) for i in range(len(frames))]
        whole = sum(end <= cut for end in ends)  # written, though nobody was told: they may stay
        assert self.journal.opening.truncated_bytes == cut - ([0, *ends])[whole]
        assert [gap for gap in self.journal.opening.lost if gap.first not in self.lost] == []
        self.confirmed += [Record(following + i, kind, p) for i, (kind, p) in enumerate(payloads[:whole])]

    @precondition(lambda self: len(self.confirmed) > self.trimmed + 1)
    @rule(data=st.data())
    def damage_a_record_that_is_not_the_last(self, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(self.confirmed[self.trimmed : -1]))
        self.loop.run_until_complete(self.journal.close())
        paths = sorted(self.directory.glob("*.segment"))
        path = max(path for path in paths if int(path.stem) <= victim.sequence)
        seed = load(path).seed
        assert seed is not None
        whole = frame(victim.sequence, victim.kind, victim.payload, seed=seed)
        content = path.read_bytes()
        at = content.find(whole)
        if at >= 0:  # else it was damaged before
            byte = at + data.draw(st.integers(0, len(whole) - 1))
            flipped = content[byte] ^ data.draw(st.integers(1, 255))
            path.write_bytes(content[:byte] + bytes([flipped]) + content[byte + 1 :])
        self.lost.add(victim.sequence)

        self.journal = SegmentJournal(self.directory, self.options)

    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        keep_from = data.draw(st.integers(0, len(self.confirmed)))
        kept = self.journal.bytes_used

        freed = self.journal.trim(keep_from=keep_from)

        assert self.journal.bytes_used == kept - freed
        assert self.trimmed <= self.journal.first <= max(keep_from, self.trimmed)
        self.trimmed = self.journal.first

    @invariant()
    def every_confirmed_record_is_read_once_and_every_loss_is_named(self) -> None:
        records: list[Record] = []
        lost: set[int] = set()
        at = self.journal.first
        while at < self.journal.next:
            try:
                found = self.journal.read(at, bytes_max=150)
            except JournalCorrupt as damage:
                assert (damage.sequence, damage.resume > at) == (at, True)
                lost |= set(range(at, damage.resume))
                at = damage.resume
                continue
            records += found
            at = found[-1].sequence + 1
        assert self.journal.next == len(self.confirmed)
        assert lost == {sequence for sequence in self.lost if sequence >= self.trimmed}
        assert records == [r for r in self.confirmed[self.trimmed :] if r.sequence not in lost]

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.loop.run_until_complete(self.journal.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.root)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
