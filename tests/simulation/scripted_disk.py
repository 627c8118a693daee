"""The disk below the journal. In: system calls. Out: the same, with faults, and what of it is durable.

Files are real ones in a directory in memory; a power cut takes back what was never synced. Everything that
was once durable is remembered, so that a promise can be held against it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virtual_time import World

from gateway.journal.record import Record, find_record, parse
from gateway.journal.segment import HEAD_BYTES, load


@dataclass
class _File:
    synced: int = 0  # bytes that survive a power cut
    parsed: int = HEAD_BYTES
    next: int = -1


@dataclass
class Disk:
    """``fault``: "" | "eio" (every sync fails) | "full" (no write passes)."""

    world: World
    directory: Path
    fault: str = ""
    failed_syncs: int = 0
    crash_in_sync: bool = False
    crashed: bool = False
    records: dict[int, Record] = field(default_factory=dict)
    fresh: list[Record] = field(default_factory=list)
    """Records that became durable since the last look."""
    _files: dict[Path, _File] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """What is not scripted is the operating system's."""
        return getattr(os, name)

    def urandom(self, count: int) -> bytes:
        return self.world.rng.randbytes(count)

    def write(self, file: int, data: Any) -> int:
        if self.fault == "full" or self.crashed:
            if len(data) > 1 and self.world.chance(0.5):
                return os.write(file, data[: self.world.rng.randrange(1, len(data))])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        self.fdatasync(file)

    def fdatasync(self, file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink()
        if self.crash_in_sync:
            self.crashed, self.crash_in_sync = True, False
        if self.crashed or self.fault == "eio":
            self.failed_syncs += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path.suffix == ".segment":
            self._synced(path)

    def _synced(self, path: Path) -> None:
        known = self._files.setdefault(path, _File())
        known.synced = path.stat().st_size
        if known.parsed > known.synced:  # cut off and begun anew
            known.parsed, known.next = HEAD_BYTES, -1
        segment = load(path)
        assert segment.seed is not None
        if known.next < 0:
            known.next = segment.first
        content = path.read_bytes()
        while True:
            stretch = parse(content, known.parsed, known.next, seed=segment.seed)
            known.parsed, known.next = stretch.end, known.next + len(stretch.records)
            for record in stretch.records:
                self.records[record.sequence] = record
            self.fresh += stretch.records
            found = find_record(content, known.parsed, known.next - 1, seed=segment.seed)
            if found is None:
                return
            known.parsed, known.next = found  # what lies between was damaged

    def cut_power(self) -> None:
        """What was not synced is gone, or there in part, or garbage."""
        for path in self.directory.glob("*.segment"):
            known = self._files.get(path)
            if known is None:
                path.unlink()
                continue
            rest = path.read_bytes()[known.synced :]
            kept = rest[: self.world.rng.randrange(len(rest) + 1)]
            if kept and self.world.chance(0.3):
                kept = bytes(len(kept))
            with path.open("r+b") as file:
                file.truncate(known.synced)
                file.seek(known.synced)
                file.write(kept)
            known.parsed, known.next = HEAD_BYTES, -1

    def restart(self) -> None:
        """The process is gone, the files are as they were."""
        self.crashed = self.crash_in_sync = False
        for path in self.directory.glob("*.segment"):
            known = self._files.setdefault(path, _File())
            known.parsed, known.next = HEAD_BYTES, -1

    def flip(self) -> set[int]:
        """Damage one byte of one record that is not the last of the journal; the sequences it held."""
        last = max(self.records)
        paths = sorted(self.directory.glob("*.segment"))
        path = self.world.rng.choice(paths)
        content = bytearray(path.read_bytes())
        segment = load(path)
        if segment.seed is None:
            return set()
        at, sequence = HEAD_BYTES, segment.first
        spans = []
        while (found := parse(bytes(content), at, sequence, seed=segment.seed, before=sequence + 1)).records:
            spans.append((at, found.end, sequence))
            at, sequence = found.end, sequence + 1
        spans = [span for span in spans if span[2] < last]
        if not spans:
            return set()
        start, end, victim = self.world.rng.choice(spans)
        content[self.world.rng.randrange(start, end)] ^= self.world.rng.randrange(1, 256)
        path.write_bytes(bytes(content))
        return {victim}
