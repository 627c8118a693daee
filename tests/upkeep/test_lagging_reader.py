"""A follower far behind is given as much at once as one at the head: small reads, large writes."""

from __future__ import annotations

from typing import Any

from gateway import reader
from gateway.journal.record import Kind, Record
from gateway.model import Chunk, Counts, Run

READINGS = 100
"""Of each record."""


class Records:
    """A journal of 1,000 records that gives three at a time."""

    first, next = 0, 1000

    async def wait(self, sequence: int) -> None:
        assert sequence < self.next

    def read(self, sequence: int, *, bytes_max: int) -> list[Record]:
        assert bytes_max == reader.READ_BYTES_MAX
        return [Record(at, Kind.MESSAGES, b"") for at in range(sequence, min(sequence + 3, self.next))]


class Translated:
    def translate(self, records: list[Record]) -> Chunk:
        run = Run((), (), (), Counts(readings=READINGS * len(records)))
        last = records[-1].sequence
        return Chunk(records[0].sequence, last + 1, (run,), (last,))


async def test_small_reads_are_gathered_up_to_what_was_asked_for_and_not_past_what_is_kept() -> None:
    journal: Any = Records()
    translator_at: Any = lambda _: Translated()  # noqa: E731
    shared = reader.Reader(journal, translator_at, 900)
    await shared.read("front", 900, 5000)
    kept_from = 900

    position, sizes = 0, []
    while position < kept_from:
        chunks = await shared.read("behind", position, 5000)
        assert [chunk.first for chunk in chunks] == [position, *(chunk.next for chunk in chunks[:-1])]
        sizes.append(sum(chunk.counts.readings for chunk in chunks))
        position = chunks[-1].next

    assert position == kept_from
    assert all(5000 <= size < 5000 + 3 * READINGS for size in sizes[:-1]), sizes
