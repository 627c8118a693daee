"""The journal on one machine. In: payloads. Out: a sequence number once they are on disk; records to read.

One thread writes: it takes all that is pending, writes it at once, calls fdatasync once, and resolves the
callers. After any error of the disk nothing is accepted until ``reopen``: an fsync is never tried twice.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, Lock, Thread

from gateway.errors import JournalCorrupt, JournalError, JournalFull
from gateway.failpoints import Failpoint, passing
from gateway.journal.cold import ColdReader
from gateway.journal.opening import Opening, open_segments
from gateway.journal.options import JournalOptions
from gateway.journal.recent import Recent
from gateway.journal.record import FRAME_BYTES, PAYLOAD_BYTES_MAX, Kind, Record, frame
from gateway.journal.room import Room
from gateway.journal.segment import HEAD_BYTES, Lost, Segment, create, write_whole


@dataclass(slots=True)
class _Append:
    """One caller's payloads, and the future that tells it."""

    kind: Kind
    payloads: Sequence[bytes]
    size: int
    done: asyncio.Future[int]


class SegmentJournal:
    """A ``Journal`` of segment files. The caller holds the lock of the data directory.

    ``opening`` says what was found. ``read`` and ``trim`` may be called from any thread, the rest from one
    loop. ``floor`` is the highest cursor of any follower, see ``open_segments``.
    Raises JournalError if the directory can not be opened, StateFormatTooNew if a later version wrote it.
    """

    def __init__(self, directory: Path, options: JournalOptions | None = None, *, floor: int = 0) -> None:
        self._directory = directory
        self._options = options or JournalOptions()
        try:
            opened = open_segments(directory, floor)
        except OSError as error:
            raise JournalError(f"{directory}: {error}") from error
        self.opening: Opening = opened.report
        self.groups = 0
        """Group commits so far, each one fdatasync."""
        self._wake = Condition()  # guards everything below but the reader
        self._segments: list[Segment] = opened.segments
        self._file = opened.file
        self._recent = Recent(opened.report.next, self._options.recent_bytes_max)
        self._pending: list[_Append] = []
        self._pending_bytes = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._failure = ""
        self._closing = False
        self._reading = Lock()
        self._cold = ColdReader()
        self._room = Room(self._options.bytes_max, self._options.disk_free_bytes_min)
        self._look_for_room()
        self._writer = self._start_writer()

    @property
    def first(self) -> int:
        """Oldest sequence kept."""
        return self._segments[0].first

    @property
    def next(self) -> int:
        """The sequence after the last durable record."""
        return self._recent.next

    @property
    def bytes_used(self) -> int:
        """Durable bytes in all segments."""
        with self._wake:
            return sum(segment.size for segment in self._segments)

    @property
    def failure(self) -> str:
        """Why nothing is accepted until ``reopen``; empty while all is well."""
        return self._failure

    @property
    def full(self) -> str:
        """Why no message is taken until there is room again; empty while they are."""
        return self._room.full

    @property
    def disk_free_bytes(self) -> int:
        """Free bytes of the disk, as of the last commit."""
        return self._room.disk_free_bytes

    async def append(self, kind: Kind, payloads: Sequence[bytes]) -> int:
        """Write records and return the sequence of the last after it is durable (of none: the one before).

        JournalError: nothing is promised, though records may be there after a restart. JournalFull: there is
        no room for messages, and nothing was written. ValueError: a payload is longer than
        PAYLOAD_BYTES_MAX. Order of calls is order in the journal.
        """
        if any(len(payload) > PAYLOAD_BYTES_MAX for payload in payloads):
            raise ValueError(f"a payload is longer than {PAYLOAD_BYTES_MAX} bytes")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        size = sum(map(len, payloads)) + FRAME_BYTES * len(payloads)
        with self._wake:
            if self._failure or self._closing:
                raise JournalError(self._failure or "the journal is closed")
            if self._pending and self._pending_bytes + size > self._options.pending_bytes_max:
                raise JournalError(f"{self._pending_bytes} bytes wait for the disk already")
            if kind is Kind.MESSAGES and not self._room.takes(self._pending_bytes + size):
                raise JournalFull(f"the journal is full: {self._room.full}")
            self._pending.append(_Append(kind, payloads, size, done))
            self._pending_bytes += size
            self._wake.notify()
        return await done

    def read(self, sequence: int, *, bytes_max: int) -> list[Record]:
        """Durable records from ``sequence`` on, about ``bytes_max`` of them, at least one unless at the end.

        JournalCorrupt names lost records and where to go on; JournalError: no such sequence yet, or the
        disk failed. At the head this reads memory; behind it, a file, once per call.
        """
        with self._wake:
            if sequence >= self._recent.first:
                if sequence > self._recent.next:
                    raise JournalError(f"record {sequence} is asked for; the journal ends at {self.next}")
                return self._recent.read(sequence, bytes_max)
            position = bisect_right(self._segments, sequence, key=lambda segment: segment.first)
            if position == 0:
                oldest = self._segments[0]
                problem = "they are no longer kept"
                raise JournalCorrupt(oldest.path.name, 0, sequence, problem, resume=oldest.first)
            segment = self._segments[position - 1]
            is_tail = position == len(self._segments)
            before = self.next if is_tail else self._segments[position].first
        with self._reading:
            return self._cold.read(segment, sequence, before=before, bytes_max=bytes_max)

    async def wait(self, sequence: int) -> None:
        """Return when ``sequence`` or a later record is durable; JournalError if the journal closes."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._wake:
            if sequence < self.next:
                return
            if self._closing:
                raise JournalError("the journal is closed")
            self._waiters.append((sequence, reached))
        try:
            await reached
        finally:
            with self._wake:
                self._waiters = [waiter for waiter in self._waiters if waiter[1] is not reached]

    def extents(self, until: int) -> list[tuple[Path, int]]:
        """Files that hold the records below ``until``, and so many bytes of each; to be read untrimmed."""
        with self._wake:
            segments = [replace(segment) for segment in self._segments if segment.first < until]
        later = [segment.first for segment in segments[1:]] + [until + 1]
        return [
            (segment.path, segment.size if following <= until else segment.end_below(until))
            for segment, following in zip(segments, later, strict=True)
        ]

    def trim(self, *, keep_from: int) -> int:
        """Unlink the oldest segments while they are past a limit and hold nothing from ``keep_from`` on.

        A full journal gives up all it may. Returns bytes freed. Age is counted between last writes of files,
        so no clock is asked; the segment being written always stays. JournalError if one can not be unlinked.
        """
        freed = 0
        while (segment := self._to_trim(keep_from)) is not None:
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                raise JournalError(f"{segment.path}: {error.strerror}") from error
            passing(Failpoint.TRIM)
            with self._wake:
                self._segments = [kept for kept in self._segments if kept is not segment]
            freed += segment.size
        return freed

    def _to_trim(self, keep_from: int) -> Segment | None:
        """The oldest segment if it may and should go."""
        with self._wake:
            if len(self._segments) < 2 or self._segments[1].first > keep_from:
                return None
            oldest, newest = self._segments[0], self._segments[-1]
            if self._room.full or sum(segment.size for segment in self._segments) > self._options.keep_bytes:
                return oldest
            try:
                age_s = newest.path.stat().st_mtime - oldest.path.stat().st_mtime
            except FileNotFoundError:
                return oldest
            return oldest if age_s > self._options.keep_h * 3600 else None

    async def reopen(self) -> Opening:
        """After a failure: cut off what was never confirmed, verify the rest, go on in a new file.

        A new file, because the pages of the old one may be marked clean without being on disk. Raises
        JournalError while the disk still refuses; what it reports lost had been confirmed before.
        """
        return await asyncio.to_thread(self._reopen)

    def _reopen(self) -> Opening:
        if not self._failure or self._closing:
            raise JournalError("only a journal that has failed can be reopened")
        self._writer.join()
        tail, following = self._segments[-1], self.next
        try:
            cut = tail.path.stat().st_size - tail.size
            tail.truncate(tail.size)
            survey = tail.survey()
            segment, file = create(self._directory, following)
        except OSError as error:
            raise JournalError(f"{self._directory}: {error}") from error
        lost = survey.lost
        if survey.next < following:
            lost += (Lost(tail.path.name, survey.end, survey.next, following, "confirmed, but not there"),)
        with self._wake:
            if tail.first == following:
                self._segments.pop()
            self._segments.append(segment)
            self._file, self._failure = file, ""
        self._writer = self._start_writer()
        return Opening(self.first, following, cut, lost)

    async def close(self) -> None:
        """Write what is pending and end; waiters get JournalError. May be called again."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._writer.join)
        with self._wake:
            waiters, self._waiters = self._waiters, []
        for _, reached in waiters:
            if not reached.done():
                reached.set_exception(JournalError("the journal is closed"))

    # --- the writer thread --------------------------------------------------------------------------

    def _start_writer(self) -> Thread:
        writer = Thread(target=self._write, name="journal", daemon=True)
        writer.start()
        return writer

    def _write(self) -> None:
        group: list[_Append] = []
        try:
            while group := self._take():
                self._commit(group)
        except BaseException as error:
            self._fail(error, group)
            if not isinstance(error, OSError):
                raise
        finally:
            with suppress(OSError):
                os.close(self._file)

    def _take(self) -> list[_Append]:
        """What is pending, in order, about one group of it; empty when the journal is to close."""
        with self._wake:
            self._wake.wait_for(lambda: self._pending or self._closing)
            count = size = 0
            while count < len(self._pending) and size < self._options.group_bytes_max:
                size += self._pending[count].size
                count += 1
            group, self._pending = self._pending[:count], self._pending[count:]
            return group

    def _commit(self, group: list[_Append]) -> None:
        """Write and fdatasync ``group``, make it readable, tell its callers. Raises OSError."""
        size = self._segments[-1].size
        if size > HEAD_BYTES and (size >= self._options.segment_bytes or self._room.cut_due):
            self._rotate()
        segment, sequence = self._segments[-1], self._recent.next
        assert segment.seed is not None
        records: list[Record] = []
        told: list[tuple[asyncio.Future[int], int]] = []
        for append in group:
            for payload in append.payloads:
                records.append(Record(sequence, append.kind, payload))
                sequence += 1
            told.append((append.done, sequence - 1))
        data = b"".join(frame(r.sequence, r.kind, r.payload, seed=segment.seed) for r in records)
        write_whole(self._file, data)
        passing(Failpoint.WRITTEN)
        os.fdatasync(self._file)
        with self._wake:
            segment.size += len(data)
            self._pending_bytes -= sum(append.size for append in group)
            self._recent.extend(records)
            self.groups += 1
            reached = [future for due, future in self._waiters if due < sequence]
        self._look_for_room()

        def tell() -> None:
            for done, last in told:
                if not done.done():
                    done.set_result(last)
            for waiter in reached:
                if not waiter.done():
                    waiter.set_result(None)

        _in_loop_of(group[0].done, tell)

    def _rotate(self) -> None:
        segment, file = create(self._directory, self._recent.next)
        passing(Failpoint.ROTATION)
        full, self._file = self._file, file
        os.close(full)
        with self._wake:
            self._segments.append(segment)
            self._room.cut_due = False

    def _look_for_room(self) -> None:
        disk = os.statvfs(self._directory)
        with self._wake:
            used = sum(segment.size for segment in self._segments)
            self._room.look(used, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)

    def _fail(self, error: BaseException, group: list[_Append]) -> None:
        failure = f"{self._directory}: {error}"
        with self._wake:
            self._failure = failure
            refused = group + self._pending
            self._pending, self._pending_bytes = [], 0

        def refuse() -> None:
            for append in refused:
                if not append.done.done():
                    append.done.set_exception(JournalError(failure))

        if refused:
            _in_loop_of(refused[0].done, refuse)


def _in_loop_of(future: asyncio.Future[int], call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # a loop that has ended has nobody left to be told
        future.get_loop().call_soon_threadsafe(call)
