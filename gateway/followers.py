"""The followers. In: chunks of the journal. Out: alarms and stored readings, through the shells handed in.

Each is a function of the journal and of its own snapshot or cursor; taking a chunk again changes nothing
that was already done. Never opens a file or a connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm, Fault
from gateway.clock import Clock
from gateway.configuration import Configurations
from gateway.failpoints import Failpoint, passing
from gateway.model import Chunk, Control, Counts, Part, ReadingBatch, Reject, Run
from gateway.store.outcome import Store, WriteOutcome

log = logging.getLogger("citylight.store")

RETRY_S_MIN, RETRY_S_MAX = 0.5, 30.0
CURSOR_S = 1.0
"""A cursor that moved without any effect is written down this often; it only keeps the journal short."""


def pack_snapshot(engine: AlarmEngine, counts: Counts) -> bytes:
    """Engine and counts as of one sequence, together: a restart goes on from both."""
    return msgspec.msgpack.encode((counts, engine.snapshot()))


def unpack_snapshot(content: bytes) -> tuple[Counts, bytes]:
    """The reverse: counts, and what ``AlarmEngine.restore`` takes."""
    return msgspec.msgpack.decode(content, type=tuple[Counts, bytes])


class AlarmLedger(Protocol):
    async def commit(
        self,
        transitions: Sequence[tuple[int, Alarm]],
        position: int,
        counts: Counts,
        snapshot: bytes | None,
        faults: Sequence[tuple[int, Fault]] = (),
    ) -> None:
        """Cursor, transitions, outbox and snapshot in one transaction; known transitions are skipped."""
        ...


class StoreLedger(Protocol):
    async def commit(self, rejects: Sequence[Reject], position: int, counts: Counts) -> None:
        """Quarantine and cursor in one transaction; rejects known already are skipped."""
        ...


class AlarmFollower:
    """Judges readings and silence, and hands transitions on. Starts at its snapshot, not at its cursor."""

    name = "alarm"

    def __init__(
        self,
        engine: AlarmEngine,
        ledger: AlarmLedger,
        *,
        position: int,
        counts: Counts,
        rebuild: Callable[[AlarmEngine, Control], AlarmEngine],
        observe: Callable[[Run], None],
        clock: Clock,
        snapshot_s: float,
    ) -> None:
        self.position = position
        self.counts = counts
        self.engine = engine
        self._ledger = ledger
        self._rebuild = rebuild
        self._observe = observe
        self._clock = clock
        self._snapshot_ns = int(snapshot_s * 1e9)
        self._unwritten: list[tuple[int, Alarm]] = []  # bounded: by one ``take``, which ends with a commit
        self._faults: list[tuple[int, Fault]] = []  # bounded: the same
        self._applying = False
        self._committed_ns = self._snapshotted_ns = clock.monotonic_ns()

    async def take(self, chunks: Sequence[Chunk]) -> None:
        self._applying = True
        for chunk in chunks:
            self._unwritten += self._apply(chunk)
            self.counts += chunk.counts
        self.position = chunks[-1].next
        self._applying = False
        now_ns = self._clock.monotonic_ns()
        snapshot_due = now_ns - self._snapshotted_ns >= self._snapshot_ns
        if self._unwritten or self._faults or snapshot_due or now_ns - self._committed_ns >= CURSOR_S * 1e9:
            await self.commit(snapshot=snapshot_due)

    async def commit(self, *, snapshot: bool) -> None:
        """Write down what there is; also at shutdown, so that the next start has nothing to repeat.

        What a commit that failed, or was cancelled, did not write is written by the next one. An engine that
        failed half way is not written down: the next start begins at the last snapshot.
        """
        if self._applying:
            return
        content = pack_snapshot(self.engine, self.counts) if snapshot else None
        await self._ledger.commit(
            tuple(self._unwritten), self.position, self.counts, content, tuple(self._faults)
        )
        self._unwritten.clear()
        self._faults.clear()
        self._committed_ns = self._clock.monotonic_ns()
        if snapshot:
            self._snapshotted_ns = self._committed_ns

    def _apply(self, chunk: Chunk) -> list[tuple[int, Alarm]]:
        transitions: list[tuple[int, Alarm]] = []
        parts: list[Part] = []
        sequences: list[int] = []
        for part, sequence in zip(chunk.parts, chunk.sequences, strict=True):
            if isinstance(part, Control) and part.kind == "configuration":
                transitions += self.engine.apply(Chunk(chunk.first, sequence, tuple(parts), tuple(sequences)))
                parts, sequences = [], []
                self._faults += self.engine.faults()
                self.engine = self._rebuild(self.engine, part)
            if isinstance(part, Run):
                self._observe(part)
            parts.append(part)
            sequences.append(sequence)
        transitions += self.engine.apply(Chunk(chunk.first, chunk.next, tuple(parts), tuple(sequences)))
        self._faults += self.engine.faults()
        return transitions


class StoreFollower:
    """Writes readings; what is refused for good goes to the quarantine, what is refused for now waits."""

    name = "store"

    def __init__(
        self,
        store: Store,
        ledger: StoreLedger,
        *,
        position: int,
        counts: Counts,
        configurations: Configurations,
        clock: Clock,
    ) -> None:
        self.position = position
        self.counts = counts
        self.error = ""
        self.thrown_away = 0
        """Rows the store answered for and did not keep, since the start."""
        self.collisions = 0
        """Readings the store can not tell apart, since the start."""
        self._store = store
        self._ledger = ledger
        self._configurations = configurations
        self._in_force = configurations.at(position)
        self._clock = clock
        self._committed_ns = clock.monotonic_ns()
        self._unwritten: list[Reject] = []  # bounded: by one stretch, which ends with a commit

    async def take(self, chunks: Sequence[Chunk]) -> None:
        runs: list[Run] = []
        for chunk in chunks:
            for part, sequence in zip(chunk.parts, chunk.sequences, strict=True):
                if isinstance(part, Run):
                    runs.append(part)
                elif isinstance(part, Control) and part.kind == "configuration":
                    await self._settle(runs, sequence)
                    runs = []
                    self._in_force = self._configurations.named(part.hash)
        await self._settle(runs, chunks[-1].next)

    async def commit(self) -> None:
        """Write down the cursor and the rejects before it, also those that a failed commit did not write."""
        await self._ledger.commit(tuple(self._unwritten), self.position, self.counts)
        self._unwritten.clear()
        self._committed_ns = self._clock.monotonic_ns()

    async def _settle(self, runs: Sequence[Run], position: int) -> None:
        """Bring ``runs``, read under one configuration, to their ends; then the cursor may move."""
        batches = [batch for run in runs for batch in run.batches]
        rejects = [reject for run in runs for reject in run.rejects]
        counts = sum((run.counts for run in runs), self.counts)
        if rejects and self._store.owns_cursor:
            # The store's cursor moves with its readings: a crash in between must not skip these.
            self._unwritten += rejects
            await self.commit()
        if batches:
            refused = await self._write(batches, position, counts)
            passing(Failpoint.STORED)
            counts += Counts(quarantined=len({(r.sequence, r.index) for r in refused}))
            rejects += refused
        self.counts, self.position = counts, position
        self._unwritten += rejects
        idle_ns = self._clock.monotonic_ns() - self._committed_ns
        if batches or rejects or idle_ns >= CURSOR_S * 1e9:
            await self.commit()
            passing(Failpoint.CURSOR_MOVED)

    async def _write(
        self, batches: Sequence[ReadingBatch], position: int, counts: Counts
    ) -> Sequence[Reject]:
        """Hand in the same batches until the store has taken or refused every reading."""
        delay_s = RETRY_S_MIN
        while True:
            outcome = await self._store.write(
                batches, fleet=self._in_force.fleet, cursor=position, counts=counts
            )
            if outcome.pause is None:
                self._say("")
                self._count(outcome)
                return outcome.rejects
            self._say(outcome.pause)
            await asyncio.sleep(outcome.retry_after_s or delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, RETRY_S_MAX)

    def _count(self, outcome: WriteOutcome) -> None:
        self.collisions += outcome.collisions
        if outcome.thrown_away:
            self.thrown_away += outcome.thrown_away
            log.error("store: threw away %d rows it had answered for", outcome.thrown_away)

    def _say(self, error: str) -> None:
        if error != self.error:
            self.error = error
            (log.warning if error else log.info)("store: %s", error or "takes readings again")
