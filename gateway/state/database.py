"""The one connection to state.db. In: functions that take it. Out: what they return, after the commit.

It lives in one worker thread, so the loop never waits for the disk. Never knows a table.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from gateway.errors import StateFormatTooNew
from gateway.state.schema import MIGRATIONS

T = TypeVar("T")

log = logging.getLogger("citylight.state")

BUSY_TIMEOUT_S: Final = 5.0
WAL_BYTES_MAX: Final = 64 << 20
FULL_RETRY_S: Final = 1.0
NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})
"""Refusals that leave the file as it was, so that the same transaction may be tried again."""


class StateDatabase:
    """state.db, opened or begun by ``open``; close it with ``close``."""

    def __init__(self, connection: sqlite3.Connection, worker: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._worker = worker
        self.failure = ""
        """Why transactions wait; empty while they do not."""

    @classmethod
    async def open(cls, path: Path) -> StateDatabase:
        """Open and migrate. Raises StateFormatTooNew, and sqlite3.Error for a file that is no database."""
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(worker, connect, path)
        except BaseException:
            worker.shutdown(wait=False)
            raise
        return cls(connection, worker)

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in one transaction in the worker thread and return its result once it is durable.

        An exception in ``work`` leaves nothing behind. Cancelling the caller does not stop a transaction
        that has begun. While the disk is full it waits for room, and ``work`` is run anew.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = await loop.run_in_executor(self._worker, transact, self._connection, work)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in NO_ROOM:
                    raise
                self._say(str(error))
                await asyncio.sleep(FULL_RETRY_S)
            else:
                self._say("")
                return result

    def _say(self, failure: str) -> None:
        if failure != self.failure:
            self.failure = failure
            (log.error if failure else log.info)("state.db: %s", failure or "takes transactions again")

    async def close(self) -> None:
        """Finish what was begun and close; may be called again."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._worker.shutdown(wait=True)
        self._connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode, every commit synced, brought to the schema of this version.

    It may be used by another thread than this one, by one at a time. For tools that hold the lock of the data
    directory; a gateway uses ``StateDatabase``. Raises as ``StateDatabase.open``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # payloads are nobody else's business
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StateFormatTooNew(
                f"{path} is of version {version}; this version reads up to {len(MIGRATIONS)}"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        transact(connection, lambda inside: migrate(inside, MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return connection


def bytes_used(connection: sqlite3.Connection) -> int:
    """Size of the file, without its log."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return pages * size


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]]) -> None:
    """Run the migrations the file has not seen; the caller's transaction makes it all or nothing."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for statements in migrations[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {max(version, len(migrations))}")


def transact(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """BEGIN IMMEDIATE, ``work``, COMMIT; any exception rolls back and goes on."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
