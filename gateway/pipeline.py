"""The spine. In: a journal and the followers, handed in. Out: each follower brought to the journal's end.

A reading is written down first, then thought about: everything here only reads the journal, and a
follower that crashed or was rewound reaches the same result again. Never opens, connects or writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import JournalCorrupt
from gateway.journal.record import Journal
from gateway.model import Chunk
from gateway.translation import Translator

READ_BYTES_MAX = 64 * 1024
"""Compressed; 1,000 to 6,000 messages, which hold the loop for 5 to 25 ms and some 30 MB as long."""
RECENT_READINGS_MAX = 50_000
RECENT_CHUNKS_MAX = 10_000
DAMAGE_MAX = 1000
PRIME_RECORDS = 512  # a translator starts so far back first, for redeliveries and twin times


class Follower(Protocol):
    """Something that is a function of the journal: alarms, the store, indicators."""

    name: str
    position: int  # sequence of the next record it needs

    async def take(self, chunks: Sequence[Chunk]) -> None:
        """Make the effect of ``chunks`` durable (sooner or later) and move ``position`` to their end."""
        ...


@dataclass(frozen=True, slots=True)
class Cadence:
    """At once when idle; under load no more often than every ``gather_s``, unless behind."""

    gather_s: float
    readings_max: int


class Reader:
    """Translates every stretch of the journal once, for whoever comes first, and keeps it for the others.

    The follower in front drives the translation; one that lags behind what is kept reads on its own.
    ``name_loss`` is awaited before anyone goes on past damaged records: no cursor may pass an unnamed loss.
    """

    def __init__(
        self,
        journal: Journal,
        translator_at: Callable[[int], Translator],
        start: int,
        name_loss: Callable[[JournalCorrupt], Awaitable[None]] | None = None,
    ) -> None:
        self._journal = journal
        self._name_loss = name_loss
        self._damage: deque[JournalCorrupt] = deque(maxlen=DAMAGE_MAX)
        self._translator_at = translator_at
        self._recent: deque[Chunk] = deque(maxlen=RECENT_CHUNKS_MAX + 1)
        self._recent_readings = 0
        *_, self._front = self._priming(start)
        self._behind: dict[str, tuple[int, Translator]] = {}
        self.next = start

    async def read(self, name: str, position: int, readings_max: int) -> list[Chunk]:
        """Chunks from ``position`` on, at least one; waits until there is a record."""
        await self._journal.wait(position)
        chunks = await self._read(name, position, readings_max)
        while self._damage:
            damage = self._damage[0]
            if self._name_loss is not None:
                await self._name_loss(damage)
            if self._damage and self._damage[0] is damage:  # another follower may have waited for it too
                self._damage.popleft()
        return chunks

    async def _read(self, name: str, position: int, readings_max: int) -> list[Chunk]:
        if position == self.next:
            self._keep(self._advance(self._front, position, self._journal.next))
        if position >= self._kept_from:
            self._behind.pop(name, None)
            return self._cut(position, readings_max)
        at, translator = self._behind.get(name, (-1, self._front))
        if at != position:
            for translator in self._priming(position):  # noqa: B007 - the last one is wanted
                await asyncio.sleep(0)  # it can be a million messages, ten seconds of work
        chunks = [self._advance(translator, position, self._kept_from)]
        while chunks[-1].next < self._kept_from and sum(c.counts.readings for c in chunks) < readings_max:
            await asyncio.sleep(0)
            chunks.append(self._advance(translator, chunks[-1].next, self._kept_from))
        self._behind[name] = (chunks[-1].next, translator)
        return chunks

    @property
    def _kept_from(self) -> int:
        return self._recent[0].first if self._recent else self.next

    def _advance(self, translator: Translator, position: int, until: int) -> Chunk:
        try:
            records = self._journal.read(position, bytes_max=READ_BYTES_MAX)
        except JournalCorrupt as found:
            damage = found.until(until)  # what comes after belongs to the next chunk
            self._damage.append(damage)
            return translator.lost(damage)
        return translator.translate(list(takewhile(lambda record: record.sequence < until, records)))

    def _priming(self, position: int) -> Iterator[Translator]:
        """A translator on its way to ``position``; there when it ends."""
        at = max(self._journal.first, position - PRIME_RECORDS)
        translator = self._translator_at(at)
        yield translator
        while at < position:
            at = self._advance(translator, at, position).next
            yield translator

    def _keep(self, chunk: Chunk) -> None:
        self._recent.append(chunk)
        self._recent_readings += chunk.counts.readings
        self.next = chunk.next
        while len(self._recent) > 1 and (
            self._recent_readings > RECENT_READINGS_MAX or len(self._recent) > RECENT_CHUNKS_MAX
        ):
            self._recent_readings -= self._recent.popleft().counts.readings

    def _cut(self, position: int, readings_max: int) -> list[Chunk]:
        chunks, readings = list[Chunk](), 0
        for chunk in self._recent:
            if chunk.first >= position and readings < readings_max:
                chunks.append(chunk)
                readings += chunk.counts.readings
        return chunks


async def follow(reader: Reader, follower: Follower, cadence: Cadence, clock: Clock) -> None:
    """Bring ``follower`` to the end of the journal and keep it there; ends only by cancellation or error."""
    taken_ns = clock.monotonic_ns()
    while True:
        chunks = await reader.read(follower.name, follower.position, cadence.readings_max)
        await follower.take(chunks)
        if sum(chunk.counts.readings for chunk in chunks) < cadence.readings_max:
            await asyncio.sleep(max(0.0, cadence.gather_s - (clock.monotonic_ns() - taken_ns) / 1e9))
        taken_ns = clock.monotonic_ns()
