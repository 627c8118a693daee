"""A journal as its files show it. In: a directory of segments. Out: records, and where they stand.

Reads with the journal's own framing, so it sees what the gateway would. Never changes a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gateway.ingest.packets import parse_block
from gateway.journal.record import Kind, Record, Stop, decode_arrival, decode_session, frame
from gateway.journal.segment import HEAD_BYTES, Segment, load
from gateway.model import SessionEvent

WINDOW_BYTES = 1 << 20
SEQUENCES = re.compile(r"records (\d+) to (\d+) are lost")
NUMBER = re.compile(rb'"n": "?(\d+)|\\\\ (\d+)"|"v(\d+)\\n')


@dataclass(frozen=True, slots=True)
class Gap:
    """A named gap; ``gap`` is its kind."""

    gap: str
    detail: str

    def names(self, sequence: int) -> bool:
        """Whether it says that record ``sequence`` is lost."""
        return any(int(first) <= sequence <= int(last) for first, last in SEQUENCES.findall(self.detail))


@dataclass(frozen=True, slots=True)
class Found:
    """A record at ``file``[start:end]."""

    record: Record
    file: Path
    start: int
    end: int

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the readings in it."""
        return _numbers(self.record) if self.record.kind is Kind.MESSAGES else ()

    @property
    def gap(self) -> Gap | None:
        if self.record.kind is not Kind.SESSION:
            return None
        event: SessionEvent = decode_session(self.record.payload)
        return Gap(event.gap, event.detail) if event.event == "gap" else None


@lru_cache(maxsize=100_000)
def _numbers(record: Record) -> tuple[int, ...]:
    block = parse_block(decode_arrival(record.payload), record.sequence)
    found = (NUMBER.search(payload) for payload in block.payloads)
    return tuple(int(next(filter(None, one.groups()))) for one in found if one)


def records(directory: Path) -> Iterator[Found]:
    """Every whole record, file by file; damage is stepped over."""
    for path in sorted(directory.glob("*.segment")):
        try:
            yield from _of_segment(load(path))
        except FileNotFoundError:
            continue  # trimmed meanwhile


def _of_segment(segment: Segment) -> Iterator[Found]:
    offset, sequence = HEAD_BYTES, segment.first
    while segment.seed is not None and offset < segment.size:
        stretch = segment.read(offset, sequence, before=1 << 63, bytes_max=WINDOW_BYTES)
        for record in stretch.records:
            end = offset + len(frame(record.sequence, record.kind, b"")) + len(record.payload)
            yield Found(record, segment.path, offset, end)
            offset, sequence = end, record.sequence + 1
        if stretch.stop is Stop.END:
            continue
        found = segment.find(offset + 1, sequence - 1)
        if found is None:
            return
        offset, sequence = found


def gaps(directory: Path) -> int:
    """How many gaps the journal names so far."""
    return sum(found.gap is not None for found in records(directory))
