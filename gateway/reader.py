"""The journal read for several followers. In: a journal, a place in it. Out: chunks, each translated once.

Keeps the newest chunks for those that come a little later. Never opens, connects or writes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import takewhile

from gateway.errors import JournalCorrupt
from gateway.journal.record import Journal, Record
from gateway.model import Chunk
from gateway.translation import Translator

READ_BYTES_MAX = 64 * 1024
"""Compressed; 1,000 to 6,000 messages, which hold the loop for 5 to 25 ms and some 30 MB as long."""
RECENT_READINGS_MAX = 50_000
RECENT_CHUNKS_MAX = 10_000
PATIENCE_S = 0.15
"""So long the one in front waits before it pushes out of what is kept what another has still to take.

Some 5,000 readings are taken at a time: a follower slower than 35,000 a second is not waited for again.
"""
PATIENT_BYTES_MIN = 60 * 1024
"""Compressed, some 5,000 messages: with less to be read the one in front keeps up, and alarms come first."""
DAMAGE_MAX = 1000
PRIME_RECORDS = 512  # a translator starts so far back first, for redeliveries and twin times


class Reader:
    """Translates every stretch of the journal once, for whoever comes first, and keeps it for the others.

    The follower in front drives the translation; one that lags behind what is kept reads on its own, and
    translates a second time. So at full load, where both are short of time, the one in front is patient.
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
        self._recent: deque[tuple[Chunk, int]] = deque(maxlen=RECENT_CHUNKS_MAX + 1)  # and its readings
        self._recent_readings = 0
        *_, self._front = self._priming(start)
        self._behind: dict[str, tuple[int, Translator]] = {}
        self._positions: dict[str, int] = {}
        self._stirred = asyncio.Event()
        self.next = start

    async def read(self, name: str, position: int, readings_max: int) -> list[Chunk]:
        """Chunks from ``position`` on, at least one; waits until there is a record."""
        self._positions[name] = position
        self._stirred.set()
        await self._journal.wait(position)
        if position == self.next:
            await self._let_come_nearer(position)
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

    async def _let_come_nearer(self, position: int) -> None:
        """Wait a little for a follower that still has to take what the next chunk would push out."""
        if self._pushes_out() and self._is_much(position):
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    while self._pushes_out():
                        self._stirred.clear()
                        await self._stirred.wait()

    def _is_much(self, position: int) -> bool:
        """Whether the journal goes on for ``PATIENT_BYTES_MIN``; where it is damaged nobody needs to wait."""
        with suppress(JournalCorrupt):
            records = self._journal.read(position, bytes_max=PATIENT_BYTES_MIN)
            following = records[-1].sequence + 1
            return following < self._journal.next or sum(map(_size, records)) >= PATIENT_BYTES_MIN
        return False

    def _pushes_out(self) -> bool:
        """Whether room for two more chunks like the newest takes away what a follower has still to take."""
        if not self._recent:
            return False
        excess = self._recent_readings + 2 * self._recent[-1][1] - RECENT_READINGS_MAX
        wanted = self._positions.values()
        for number, (chunk, readings) in enumerate(self._recent):
            if excess <= 0 and len(self._recent) - number < RECENT_CHUNKS_MAX:
                return False
            if chunk.first in wanted:
                return True
            excess -= readings
        return False

    @property
    def _kept_from(self) -> int:
        return self._recent[0][0].first if self._recent else self.next

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
        readings = chunk.counts.readings
        self._recent.append((chunk, readings))
        self._recent_readings += readings
        self.next = chunk.next
        while len(self._recent) > 1 and (
            self._recent_readings > RECENT_READINGS_MAX or len(self._recent) > RECENT_CHUNKS_MAX
        ):
            self._recent_readings -= self._recent.popleft()[1]

    def _cut(self, position: int, readings_max: int) -> list[Chunk]:
        newest_first = takewhile(lambda kept: kept[0].first >= position, reversed(self._recent))
        chunks, total = list[Chunk](), 0
        for chunk, readings in reversed(list(newest_first)):
            if total >= readings_max:
                break
            chunks.append(chunk)
            total += readings
        return chunks


def _size(record: Record) -> int:
    return len(record.payload)
