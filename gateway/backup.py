"""State and journal to one file and back. In: a data directory. Out: a tar under zstd, or a new directory.

The copy is one moment's: no cursor in it points past its journal, and its state knows every configuration its
journal names. Never changes what it copies, never writes into a directory that holds anything.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from gateway import __version__
from gateway.errors import OrderRefused, StateFormatTooNew
from gateway.journal import segment
from gateway.journal.segments import SegmentJournal
from gateway.model import rfc3339
from gateway.state import cursors
from gateway.state.lock import LOCK, DirectoryLock
from gateway.state.schema import SCHEMA_VERSION
from gateway.store.outcome import Store

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
MANIFEST_BYTES_MAX: Final = 16 << 20
STATE, STORE, JOURNAL = "state.db", "store.duckdb", "journal"
SCRATCH: Final = "backup.part"
LEVEL: Final = 3
COPY_BYTES: Final = 1 << 20
_MEMBER: Final = re.compile(rf"{re.escape(STATE)}|{re.escape(STORE)}|{JOURNAL}/\d{{20}}{segment.SUFFIX}")

Part = tuple[str, Path, int]
"""A file of the archive: its name there, where it stands, and how many bytes of it belong to the moment."""


async def back_up(
    file: Path,
    *,
    directory: Path,
    journal: SegmentJournal,
    store: Store,
    trimming: AbstractAsyncContextManager[Any],
    wall_ns: int,
) -> dict[str, Any]:
    """Write ``file``; readings go on coming in meanwhile. While it lasts nothing is trimmed.

    Raises OrderRefused when ``file`` exists or can not be written.
    """
    if await asyncio.to_thread(file.exists):
        raise OrderRefused(f"{file} is there already; name a new file")
    try:
        async with trimming:
            with _scratch(directory) as scratch:
                return await _copy(file, directory, scratch, journal, store, wall_ns)
    except OSError as error:
        remedy = "name a file that the gateway's own user may write, with room for it"
        raise OrderRefused(f"{error.filename or file}: {error.strerror or error}; {remedy}") from error


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A place for copies on the same disk; what a killed backup left there goes first."""
    scratch = directory / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def _copy(
    file: Path, directory: Path, scratch: Path, journal: SegmentJournal, store: Store, wall_ns: int
) -> dict[str, Any]:
    # Every configuration named before this record is in state.db already; every cursor copied after it
    # may stand later, so the journal is cut at the latest of them.
    until = journal.next
    until = max(until, await asyncio.to_thread(_copy_state, directory / STATE, scratch / STATE))
    whole = [STATE]
    if store.owns_cursor:
        from gateway.store.embedded import EmbeddedStore  # DuckDB is 12 MB that others do without

        assert isinstance(store, EmbeddedStore)
        until = max(until, (await store.copy(scratch / STORE)).cursor)
        whole.append(STORE)
    parts: list[Part] = [(name, scratch / name, (scratch / name).stat().st_size) for name in whole]
    extents = await asyncio.to_thread(journal.extents, until)
    parts += [(f"{JOURNAL}/{path.name}", path, size) for path, size in extents]
    manifest = {
        "format": FORMAT,
        "version": __version__,
        "created": rfc3339(wall_ns),
        "state_version": SCHEMA_VERSION,
        "journal_format": segment.FORMAT,
        "journal": [journal.first, until],
        "files": {name: size for name, _, size in parts},
    }
    size = await asyncio.to_thread(_write, file, manifest, parts)
    return {"file": str(file), "bytes": size, "journal": manifest["journal"]}


def _copy_state(source: Path, target: Path) -> int:
    """Copy a database that is in use; the highest cursor in the copy."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(target)) as copy,
    ):
        live.backup(copy)
        return max(cursors.positions(copy).values(), default=0)


def _write(file: Path, manifest: dict[str, Any], parts: Sequence[Part]) -> int:
    """Whole or not at all, durable, readable by its owner alone; its size. Raises OSError."""
    draft = file.with_name(f"{file.name}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "wb") as raw:
            compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
            with (
                compressor.stream_writer(raw, closefd=False) as packed,
                tarfile.open(fileobj=packed, mode="w|") as archive,
            ):
                text = json.dumps(manifest).encode()
                _add(archive, MANIFEST, io.BytesIO(text), len(text))
                for name, path, size in parts:
                    with path.open("rb") as content:
                        _add(archive, name, content, size)
            raw.flush()
            os.fsync(raw.fileno())
            size = raw.tell()
        draft.rename(file)
        segment.sync_directory(file.parent)
        return size
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, content)


# --- and back -----------------------------------------------------------------------------------------


def restore(file: Path, directory: Path) -> dict[str, Any]:
    """Fill ``directory``, which must be empty or not there, from a backup; its manifest.

    Raises OrderRefused for a directory that holds anything or a file that is no whole backup, and
    StateFormatTooNew for one of a later version. What could not be restored whole is removed again.
    """
    try:
        with _opened(file) as archive:
            members = iter(archive)
            manifest = _manifest(file, archive, members)
            if directory.exists() and any(path.name != LOCK for path in directory.iterdir()):
                raise OrderRefused(f"{directory} is not empty; restore into a new directory")
            with DirectoryLock(directory):
                (directory / JOURNAL).mkdir(mode=0o700)
                try:
                    _extract(file, archive, members, manifest["files"], directory)
                except BaseException:
                    for name in manifest["files"]:
                        (directory / name).unlink(missing_ok=True)
                    (directory / JOURNAL).rmdir()
                    raise
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise OrderRefused(f"{file} is no whole backup: {error}") from error
    return manifest


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    with (
        file.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        yield archive


def _manifest(file: Path, archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> dict[str, Any]:
    """The first member, checked before anything is touched."""
    first = next(members, None)
    content = archive.extractfile(first) if first is not None and first.name == MANIFEST else None
    if first is None or content is None or first.size > MANIFEST_BYTES_MAX:
        raise OrderRefused(f"{file} is no backup of a gateway")
    try:
        manifest: dict[str, Any] = json.loads(content.read())
        found = {name: int(manifest[name]) for name in ("format", "state_version", "journal_format")}
        files = {str(name): int(size) for name, size in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OrderRefused(f"{file} is no backup of a gateway: {error}") from error
    for name, known in (
        ("format", FORMAT),
        ("state_version", SCHEMA_VERSION),
        ("journal_format", segment.FORMAT),
    ):
        if found[name] > known:
            raise StateFormatTooNew(
                f"{file} was written by version {manifest.get('version')}: its {name} is {found[name]}, this"
                f" version reads up to {known}; restore it with that version"
            )
    if STATE not in files or not all(_MEMBER.fullmatch(name) for name in files):
        raise OrderRefused(f"{file} names files that are none of a gateway's")
    return manifest


def _extract(
    file: Path,
    archive: tarfile.TarFile,
    members: Iterator[tarfile.TarInfo],
    files: dict[str, int],
    directory: Path,
) -> None:
    missing = dict(files)
    for member in members:
        content = archive.extractfile(member) if member.isfile() else None
        if content is None or missing.pop(member.name, None) != member.size:
            raise OrderRefused(f"{file}: {member.name!r} does not belong there")
        handle = os.open(directory / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as target:
            while piece := content.read(COPY_BYTES):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
    if missing:
        raise OrderRefused(f"{file} is no whole backup: {len(missing)} files are missing")
    segment.sync_directory(directory / JOURNAL)
    segment.sync_directory(directory)
