"""Records that are no longer in memory. In: a segment and a sequence. Out: records, or JournalCorrupt.

Remembers where each reader stopped, so that reading on does not scan a file again. Never writes.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import JournalCorrupt, JournalError
from gateway.journal.record import Record
from gateway.journal.segment import HEAD_BYTES, Segment

POSITIONS_MAX: Final = 64
"""Places remembered: more than there are followers, each of which needs one."""


class ColdReader:
    """Reads segments from where the last read of the same follower ended. One thread at a time."""

    def __init__(self) -> None:
        self._positions: dict[int, tuple[int, int]] = {}  # sequence -> (first of its segment, offset)

    def read(self, segment: Segment, sequence: int, *, before: int, bytes_max: int) -> list[Record]:
        """Records of ``segment`` from ``sequence`` on, below ``before``, the sequence after its last one.

        JournalCorrupt names the first and the next sequence of what is lost; JournalError: the disk failed.
        """
        try:
            return self._read(segment, sequence, before, bytes_max)
        except FileNotFoundError as error:
            raise JournalCorrupt(
                segment.path.name, 0, sequence, "the file is missing", resume=before
            ) from error
        except OSError as error:
            raise JournalError(f"{segment.path}: {error.strerror}") from error

    def _read(self, segment: Segment, sequence: int, before: int, bytes_max: int) -> list[Record]:
        offset, at = self._start(segment, sequence)
        while True:
            due = sequence if at < sequence else before
            stretch = segment.read(offset, at, before=due, bytes_max=bytes_max)
            offset = stretch.end
            if at >= sequence and stretch.records:
                self._remember(at + len(stretch.records), segment, offset)
                return stretch.records
            at += len(stretch.records)
            if stretch.records:
                continue
            found = segment.find(offset + 1, at - 1)
            resume_offset, resume = found if found and found[1] < before else (segment.size, before)
            if resume > sequence:
                self._remember(resume, segment, resume_offset)
                problem = stretch.problem or "the file ends before them"
                raise JournalCorrupt(segment.path.name, offset, max(at, sequence), problem, resume=resume)
            offset, at = resume_offset, resume

    def _start(self, segment: Segment, sequence: int) -> tuple[int, int]:
        """(offset, sequence) to read from: where a reader stopped, else the segment's start."""
        first, offset = self._positions.get(sequence, (segment.first, 0))
        if offset and first == segment.first:
            return offset, sequence
        return HEAD_BYTES, segment.first

    def _remember(self, sequence: int, segment: Segment, offset: int) -> None:
        self._positions.pop(sequence, None)
        self._positions[sequence] = (segment.first, offset)
        if len(self._positions) > POSITIONS_MAX:
            del self._positions[next(iter(self._positions))]
