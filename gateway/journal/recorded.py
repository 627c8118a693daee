"""Journals made or read as plain files. In: payloads, or a directory. Out: segments, or records.

For simulated and recorded journals, without a gateway: what is written is durable only at the end, and
reading changes nothing on disk. Never used where a message waits for its acknowledgement.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from gateway.errors import JournalCorrupt, JournalError
from gateway.journal.cold import ColdReader
from gateway.journal.record import Kind, Record, frame
from gateway.journal.segment import HEAD_BYTES, SUFFIX, Segment, create, load, write_whole

SEGMENT_BYTES: Final = 64 << 20
BUFFER_BYTES_MAX: Final = 1 << 20


class JournalWriter:
    """Segment files in an empty or new ``directory``; JournalError if there is a journal in it already."""

    def __init__(self, directory: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.glob(f"*{SUFFIX}")):
            raise JournalError(f"{directory} holds a journal already; name another directory")
        self._directory, self._segment_bytes = directory, segment_bytes
        self.next = 0
        self._buffer = bytearray()
        self._segment, self._file = create(directory, 0)

    def append(self, kind: Kind, payload: bytes) -> int:
        """The sequence of the new record. Raises OSError; ValueError where ``record.frame`` does."""
        if self._segment.size + len(self._buffer) >= self._segment_bytes:
            self._end_segment()
            self._segment, self._file = create(self._directory, self.next)
        assert self._segment.seed is not None
        self._buffer += frame(self.next, kind, payload, seed=self._segment.seed)
        if len(self._buffer) >= BUFFER_BYTES_MAX:
            self._flush()
        self.next += 1
        return self.next - 1

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_segment()

    def _flush(self) -> None:
        write_whole(self._file, bytes(self._buffer))
        self._segment.size += len(self._buffer)
        self._buffer.clear()

    def _end_segment(self) -> None:
        try:
            self._flush()
            os.fsync(self._file)
        finally:
            os.close(self._file)


def walk(directory: Path, *, bytes_max: int) -> Iterator[list[Record] | JournalCorrupt]:
    """All records in order, in stretches of about ``bytes_max``; damage as the error that names what is lost.

    Raises JournalError if there is no journal, StateFormatTooNew if a later version wrote it.
    """
    try:
        segments = [load(path) for path in sorted(directory.glob(f"*{SUFFIX}")) if path.stem.isdigit()]
    except OSError as error:
        raise JournalError(f"{directory}: {error.strerror}") from error
    if not segments:
        raise JournalError(f"{directory}: no journal; its files end in {SUFFIX}")
    ends = [segment.first for segment in segments[1:]] + [segments[-1].survey().next]
    reader = ColdReader()
    for segment, end in zip(segments, ends, strict=True):
        yield from _segment(reader, segment, end, bytes_max)


def _segment(
    reader: ColdReader, segment: Segment, end: int, bytes_max: int
) -> Iterator[list[Record] | JournalCorrupt]:
    sequence = segment.first
    while sequence < end and segment.size > HEAD_BYTES:
        try:
            records = reader.read(segment, sequence, before=end, bytes_max=bytes_max)
        except JournalCorrupt as damage:
            yield damage
            sequence = damage.resume
        else:
            yield records
            sequence = records[-1].sequence + 1
