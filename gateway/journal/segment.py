"""One segment file. In: a path, offsets. Out: its records, and what of it is damaged.

A file is a head, written twice, and frames after it. Appending is the writer's business (``segments``);
nothing here changes a file but ``create`` and ``truncate``, and nothing here decides what damage means.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from gateway.errors import JournalCorrupt, StateFormatTooNew
from gateway.journal.record import FRAME_BYTES, PAYLOAD_BYTES_MAX, Stop, Stretch, find_record, parse

FORMAT: Final = 1
SUFFIX: Final = ".segment"
WINDOW_BYTES: Final = 1 << 20

_MAGIC: Final = b"CLJOURNL"
_HEAD = struct.Struct("<8sHIQ6x")  # magic, format, seed of the CRCs, first sequence
_CHECKSUM = struct.Struct("<I")
_COPY_BYTES: Final = _HEAD.size + _CHECKSUM.size
HEAD_BYTES: Final = 2 * _COPY_BYTES
"""The head stands twice: without its seed nothing after it could be verified."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Records [first, next) can not be read: what stands at ``offset`` of ``segment`` is not them."""

    segment: str
    offset: int
    first: int
    next: int
    problem: str

    def damage(self) -> JournalCorrupt:
        """The same as whoever reads there is told."""
        return JournalCorrupt(self.segment, self.offset, self.first, self.problem, resume=self.next)


@dataclass(frozen=True, slots=True)
class Survey:
    """A segment read from end to end: the sequence after its last record, the offset after it, the damage."""

    next: int
    end: int
    lost: tuple[Lost, ...]


@dataclass(slots=True)
class Segment:
    """A file of records from ``first`` on; ``size`` counts durable bytes; no ``seed``: the head is lost."""

    path: Path
    first: int
    seed: int | None
    size: int

    def read(self, offset: int, sequence: int, *, before: int, bytes_max: int) -> Stretch:
        """Records ``sequence`` … ``before - 1`` from ``offset`` on, about ``bytes_max`` of them or one.

        ``stop`` is END also where the window or the durable part of the file ends. Raises OSError.
        """
        if self.seed is None:
            return Stretch([], offset, Stop.CORRUPT, "the head of the file is damaged")
        for window in (bytes_max, PAYLOAD_BYTES_MAX + FRAME_BYTES):
            available = self.size - offset
            buffer = self._bytes(offset, min(window, available))
            found = parse(buffer, 0, sequence, seed=self.seed, before=before)
            cut = found.stop is Stop.TORN and len(buffer) == window < available
            if found.records or not cut:
                break
        stop = Stop.END if cut else found.stop
        return Stretch(found.records, offset + found.end, stop, found.problem)

    def find(self, offset: int, above: int) -> tuple[int, int] | None:
        """(offset, sequence) of the first whole record from ``offset`` on with a sequence > ``above``."""
        if self.seed is None or offset >= self.size:
            return None
        found = find_record(self._bytes(offset, self.size - offset), 0, above, seed=self.seed)
        return found and (offset + found[0], found[1])

    def end_below(self, until: int) -> int:
        """Offset behind the last record below ``until``; of the end, where one is damaged. Raises OSError."""
        offset, sequence = HEAD_BYTES, self.first
        while offset < self.size and sequence < until:
            stretch = self.read(offset, sequence, before=until, bytes_max=WINDOW_BYTES)
            if not stretch.records:
                return self.size
            offset, sequence = stretch.end, sequence + len(stretch.records)
        return offset

    def survey(self) -> Survey:
        """Verify every byte up to ``size``. Raises OSError."""
        offset, sequence, lost = HEAD_BYTES, self.first, []
        while offset < self.size:
            stretch = self.read(offset, sequence, before=1 << 63, bytes_max=WINDOW_BYTES)
            offset, sequence = stretch.end, sequence + len(stretch.records)
            if stretch.stop is Stop.END:
                continue
            found = self.find(offset + 1, sequence - 1)
            if found is None:
                break
            if found[1] > sequence:
                lost.append(Lost(self.path.name, offset, sequence, found[1], stretch.problem))
            offset, sequence = found
        return Survey(sequence, offset, tuple(lost))

    def truncate(self, size: int) -> None:
        """Cut the file and make that durable. Raises OSError."""
        with self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())
        self.size = size

    def _bytes(self, offset: int, count: int) -> bytes:
        with self.path.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), count, offset)


def path_of(directory: Path, first: int) -> Path:
    """Where the segment that begins with ``first`` stands; names sort as their sequences do."""
    return directory / f"{first:020d}{SUFFIX}"


def create(directory: Path, first: int) -> tuple[Segment, int]:
    """A new empty segment, durable with its name, and a file descriptor to append to. Raises OSError.

    A file of that name is overwritten: it can only be what a failed creation left behind.
    """
    path = path_of(directory, first)
    seed = int.from_bytes(os.urandom(4), "little")
    head = _HEAD.pack(_MAGIC, FORMAT, seed, first)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        write_whole(file, (head + _CHECKSUM.pack(crc32(head))) * 2)
        os.fsync(file)
        sync_directory(directory)
    except OSError:
        os.close(file)
        raise
    return Segment(path, first, seed, HEAD_BYTES), file


def load(path: Path) -> Segment:
    """A segment as found on disk. Raises OSError, and StateFormatTooNew if a later version wrote it."""
    first = int(path.name.removesuffix(SUFFIX))
    with path.open("rb") as file:
        heads = file.read(HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
    for copy in (heads[:_COPY_BYTES], heads[_COPY_BYTES:]):
        if len(copy) < _COPY_BYTES or _CHECKSUM.pack(crc32(copy[: _HEAD.size])) != copy[_HEAD.size :]:
            continue
        magic, version, seed, begins = _HEAD.unpack_from(copy)
        if magic != _MAGIC or begins != first:
            continue
        if version > FORMAT:
            raise StateFormatTooNew(
                f"{path} is of journal format {version}; this version writes format {FORMAT}"
            )
        return Segment(path, first, seed, size)
    return Segment(path, first, None, size)


def write_whole(file: int, data: bytes) -> None:
    """Write all of ``data``; a full disk takes a part first and refuses the rest. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
