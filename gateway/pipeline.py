"""The spine. In: a journal and the followers, handed in. Out: each follower brought to the journal's end.

A reading is written down first, then thought about: everything here only reads the journal, and a
follower that crashed or was rewound reaches the same result again. Never opens, connects or writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from gateway.clock import Clock
from gateway.errors import JournalCorrupt
from gateway.journal.record import Journal
from gateway.model import Chunk
from gateway.translation import Translator

READ_BYTES_MAX = 256 * 1024
"""Compressed; some 10,000 messages, which hold the event loop for about 40 ms."""
RECENT_READINGS_MAX = 100_000
RECENT_CHUNKS_MAX = 10_000
PRIME_RECORDS = 512
"""A translator that starts in the middle first walks so far back, for redeliveries and twin times."""


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
    """

    def __init__(self, journal: Journal, translator_at: Callable[[int], Translator], start: int) -> None:
        self._journal = journal
        self._translator_at = translator_at
        self._recent: deque[Chunk] = deque(maxlen=RECENT_CHUNKS_MAX + 1)
        self._recent_readings = 0
        self._front = self._primed(start)
        self._behind: dict[str, tuple[int, Translator]] = {}
        self.next = start

    async def read(self, name: str, position: int, readings_max: int) -> list[Chunk]:
        """Chunks from ``position`` on, at least one; waits until there is a record."""
        await self._journal.wait(position)
        if position == self.next:
            self._keep(self._advance(self._front, position, self._journal.next))
        kept_from = self._recent[0].first if self._recent else self.next
        if position >= kept_from:
            self._behind.pop(name, None)
            return self._cut(position, readings_max)
        at, translator = self._behind.get(name, (-1, self._front))
        if at != position:
            translator = self._primed(position)
        chunk = self._advance(translator, position, kept_from)
        self._behind[name] = (chunk.next, translator)
        return [chunk]

    def _advance(self, translator: Translator, position: int, until: int) -> Chunk:
        try:
            records = self._journal.read(position, bytes_max=READ_BYTES_MAX)
        except JournalCorrupt as damage:
            return translator.lost(damage)
        return translator.translate(list(takewhile(lambda record: record.sequence < until, records)))

    def _primed(self, position: int) -> Translator:
        at = max(self._journal.first, position - PRIME_RECORDS)
        translator = self._translator_at(at)
        while at < position:
            at = self._advance(translator, at, position).next
        return translator

    def _keep(self, chunk: Chunk) -> None:
        self._recent.append(chunk)
        self._recent_readings += chunk.counts.readings
        self.next = chunk.next
        while len(self._recent) > 1 and (
            self._recent_readings > RECENT_READINGS_MAX or len(self._recent) > RECENT_CHUNKS_MAX
        ):
            self._recent_readings -= self._recent.popleft().counts.readings

    def _cut(self, position: int, readings_max: int) -> list[Chunk]:
        chunks: list[Chunk] = []
        readings = 0
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
            due_ns = taken_ns + int(cadence.gather_s * 1e9)
            await asyncio.sleep(max(0.0, (due_ns - clock.monotonic_ns()) / 1e9))
        taken_ns = clock.monotonic_ns()
