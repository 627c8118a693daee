"""DuckDB in the data directory. In: batches. Out: rows, the cursor and the totals, all in one transaction.

One worker thread owns the file. Never takes a stretch of the journal twice: a crash doubles nothing.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeVar

import duckdb
import msgspec

from gateway.clock import Clock
from gateway.errors import StoreError
from gateway.fleet import Fleet
from gateway.model import Counts, ProfileSpec, ReadingBatch
from gateway.store import history, table
from gateway.store.block import Places, blocks
from gateway.store.history import Question
from gateway.store.line_protocol import check_names
from gateway.store.outcome import Position, Sample, WriteOutcome

SCHEMA_VERSION: Final = 1
RETRY_S: Final = 5.0
RETENTION_CHECK_NS: Final = 3_600_000_000_000
CONFIGURATION: Final = {
    "threads": "1",
    "memory_limit": "256MB",
    "checkpoint_threshold": "32MB",
    "autoinstall_known_extensions": "false",
    "enable_external_access": "false",
    "preserve_insertion_order": "true",
}
Result = TypeVar("Result")


class EmbeddedStore:
    """A ``Store`` that keeps its cursor itself. ``retention_h`` 0 keeps everything."""

    owns_cursor = True

    def __init__(
        self, file: Path, profiles: Sequence[ProfileSpec], clock: Clock, *, retention_h: float = 0.0
    ) -> None:
        for profile in profiles:
            check_names(profile)
        self._file = file
        self._profiles = {profile.name: profile for profile in profiles}
        self._clock = clock
        self._retention_ns = int(retention_h * 3.6e12)
        self._retained_ns: int | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="duckdb")
        self._closed = False
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[str, dict[str, str]] = {}
        self._position = Position(0, 0, Counts())
        self._places: Places | None = None

    async def position(self) -> Position | None:
        """See ``Store.position``. Raises StoreError when the file can not be opened."""
        return await self._in_thread(self._read_position)

    async def probe(self) -> None:
        """Open the file, or say why it can not be. Raises StoreError."""
        await self._in_thread(self._read_position)

    async def write(
        self, batches: Sequence[ReadingBatch], *, fleet: Fleet, cursor: int, counts: Counts
    ) -> WriteOutcome:
        """See ``Store.write``; what lies before the store's own cursor is not taken again."""
        self._profiles.update((batch.profile.name, batch.profile) for batch in batches)
        try:
            return await self._in_thread(lambda: self._write(batches, fleet, cursor, counts))
        except StoreError as error:
            return WriteOutcome(pause=str(error), retry_after_s=RETRY_S)

    async def history(
        self, device: str, field: str, start_ns: int, end_ns: int, every_s: float | None = None
    ) -> list[Sample]:
        """See ``Store.history``."""
        asked = history.question(
            history.kinds(self._profiles.values()), device, field, start_ns, end_ns, every_s
        )
        return history.bounded(await self._in_thread(lambda: self._history(asked)))

    async def copy(self, file: Path) -> Position:
        """A copy of the database, and where it stands; writes wait meanwhile. Raises StoreError."""
        return await self._in_thread(lambda: self._copy(file))

    async def health(self) -> str | None:
        try:
            await self._in_thread(self._read_position)
        except StoreError as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Write the log into the file and let go of it."""
        if not self._closed:
            self._closed = True
            try:
                await self._in_thread(self._disconnect)
            finally:
                self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    # --- from here on everything runs in the one worker thread -------------------------------------------

    def _guarded(self, work: Callable[[], Result]) -> Result:
        """``work``; an error of DuckDB becomes a StoreError, and the file is opened anew afterwards."""
        try:
            return work()
        except (duckdb.Error, OSError) as error:
            self._forget()
            raise StoreError(f"{self._file.name}: {' '.join(str(error).split())}", retryable=True) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._connection = connection = duckdb.connect(str(self._file), config=dict(CONFIGURATION))
            connection.execute(
                "SET pandas_analyze_sample = 0"
            )  # object columns are text, whatever they begin with
            connection.execute("CREATE SCHEMA IF NOT EXISTS gateway")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS gateway.progress AS"
                " SELECT ?::INTEGER AS version, 0::BIGINT AS cursor, 0::BIGINT AS stored, '{}' AS counts",
                [SCHEMA_VERSION],
            )
            self._tables = table.existing(connection)
            row = connection.execute(
                "SELECT version, cursor, stored, counts FROM gateway.progress"
            ).fetchone()
            if row is None or row[0] != SCHEMA_VERSION:
                self._forget()
                problem = f"{self._file.name}: version {row and row[0]}, not {SCHEMA_VERSION}"
                raise StoreError(problem, retryable=False)
            self._position = Position(row[1], row[2], msgspec.json.decode(row[3], type=Counts))
        return self._connection

    def _read_position(self) -> Position:
        self._opened().execute("SELECT 1")
        return self._position

    def _write(
        self, batches: Sequence[ReadingBatch], fleet: Fleet, cursor: int, counts: Counts
    ) -> WriteOutcome:
        connection = self._opened()
        if cursor <= self._position.cursor:
            return WriteOutcome()
        if self._places is None or self._places.fleet is not fleet:
            self._places = Places(fleet)
        whole = blocks(batches)
        rows = sum(len(block) for block in whole)
        reached = Position(cursor, self._position.stored + rows, counts)
        connection.execute("BEGIN")
        for block in whole:
            table.insert(connection, self._tables, block, self._places)
        connection.execute(
            "UPDATE gateway.progress SET cursor = ?, stored = ?, counts = ?",
            [reached.cursor, reached.stored, msgspec.json.encode(asdict(reached.counts)).decode()],
        )
        connection.execute("COMMIT")
        self._position = reached
        self._retain(connection)
        return WriteOutcome(stored=rows)

    def _retain(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop rows beyond the retention, once an hour."""
        now_ns = self._clock.monotonic_ns()
        if not self._retention_ns or (
            self._retained_ns is not None and now_ns - self._retained_ns < RETENTION_CHECK_NS
        ):
            return
        self._retained_ns = now_ns
        table.trim(connection, self._tables, self._clock.wall_ns() - self._retention_ns)
        connection.execute("CHECKPOINT")

    def _history(self, asked: Question) -> list[Sample]:
        connection = self._opened()
        return sorted(table.samples(connection, self._tables, asked), key=lambda sample: sample[0])

    def _copy(self, file: Path) -> Position:
        self._opened().execute("CHECKPOINT")
        shutil.copyfile(self._file, file)
        return self._position

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.execute("CHECKPOINT")
        self._forget()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
