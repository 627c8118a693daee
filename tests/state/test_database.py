"""state.db: transactions are all or nothing, old files are brought up, newer ones left alone."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import DirectoryLocked, StateFormatTooNew
from gateway.model import Counts
from gateway.state import audit, configurations, cursors, facts
from gateway.state.database import StateDatabase, connect, migrate, transact
from gateway.state.lock import DirectoryLock
from gateway.state.schema import MIGRATIONS, SCHEMA_VERSION


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateDatabase]:
    database = await StateDatabase.open(tmp_path / "state.db")
    yield database
    await database.close()


async def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    counts = Counts(received=5, readings=4)
    first = await StateDatabase.open(tmp_path / "state.db")
    await first.transact(lambda connection: cursors.move(connection, "store", 7, counts))
    await first.close()

    again = await StateDatabase.open(tmp_path / "state.db")

    assert await again.transact(lambda connection: cursors.read(connection, "store")) == (7, counts)
    assert await again.transact(lambda connection: cursors.read(connection, "alarm")) is None
    await again.close()
    await again.close()


async def test_an_exception_in_the_middle_leaves_nothing(state: StateDatabase) -> None:
    def half(connection: sqlite3.Connection) -> None:
        cursors.move(connection, "alarm", 9, Counts())
        cursors.put_snapshot(connection, "alarm", 9, b"half")
        raise KeyError("on purpose")

    with pytest.raises(KeyError, match="on purpose"):
        await state.transact(half)

    assert await state.transact(cursors.positions) == {}
    assert await state.transact(lambda connection: cursors.read_snapshot(connection, "alarm")) is None


async def test_transactions_of_many_tasks_do_not_mix(state: StateDatabase) -> None:
    def count_up(connection: sqlite3.Connection) -> None:
        at = cursors.read(connection, "f")
        cursors.move(connection, "f", at[0] + 1 if at else 1, Counts())

    await asyncio.gather(*(state.transact(count_up) for _ in range(50)))

    assert await state.transact(cursors.positions) == {"f": 50}


def test_every_commit_is_synced_and_nobody_else_reads_the_file(tmp_path: Path) -> None:
    connection = connect(tmp_path / "new" / "state.db")

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert (tmp_path / "new" / "state.db").stat().st_mode & 0o077 == 0
    connection.close()


def test_a_killed_process_leaves_its_last_commit_and_nothing_more(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from gateway.model import Counts
        from gateway.state import cursors
        from gateway.state.database import connect, transact

        connection = connect(Path(sys.argv[1]))
        transact(connection, lambda c: cursors.move(c, "alarm", 3, Counts()))
        connection.execute("BEGIN IMMEDIATE")
        cursors.move(connection, "alarm", 4, Counts())
        os.kill(os.getpid(), 9)
    """
    path = tmp_path / "state.db"
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=False)
    assert run.returncode == -9

    connection = connect(path)

    assert cursors.positions(connection) == {"alarm": 3}
    connection.close()


def test_a_file_of_an_earlier_version_is_brought_up_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    old = sqlite3.connect(path, isolation_level=None)
    transact(old, lambda connection: migrate(connection, [["CREATE TABLE lamp (id TEXT)"]]))
    old.execute("INSERT INTO lamp VALUES ('L1')")
    following = [["never run again"], ["ALTER TABLE lamp ADD COLUMN area TEXT DEFAULT 'A'"]]

    transact(old, lambda connection: migrate(connection, following))

    assert old.execute("SELECT * FROM lamp").fetchall() == [("L1", "A")]
    assert old.execute("PRAGMA user_version").fetchone() == (2,)
    old.close()


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    connection = connect(tmp_path / "state.db")
    broken = [*MIGRATIONS, ["CREATE TABLE more (id TEXT)", "no such statement"]]

    with pytest.raises(sqlite3.OperationalError):
        transact(connection, lambda inside: migrate(inside, broken))

    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT * FROM sqlite_master WHERE name = 'more'").fetchall() == []
    connection.close()


async def test_a_newer_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    content = path.read_bytes()

    with pytest.raises(StateFormatTooNew, match=f"version {SCHEMA_VERSION + 1}"):
        await StateDatabase.open(path)

    assert path.read_bytes() == content


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database" * 100)

    with pytest.raises(sqlite3.DatabaseError):
        await StateDatabase.open(tmp_path / "state.db")


# --- cursors, configurations, audit ----------------------------------------------------------------


async def test_the_journal_must_keep_what_the_slowest_follower_and_snapshot_need(
    state: StateDatabase,
) -> None:
    def work(connection: sqlite3.Connection) -> list[int | None]:
        needed = [cursors.oldest_needed(connection)]
        cursors.move(connection, "store", 40, Counts())
        cursors.move(connection, "alarm", 50, Counts())
        needed.append(cursors.oldest_needed(connection))
        cursors.put_snapshot(connection, "alarm", 30, b"x")
        cursors.put_snapshot(connection, "alarm", 35, b"y")
        needed.append(cursors.oldest_needed(connection))
        assert cursors.read_snapshot(connection, "alarm") == (35, b"y")
        cursors.forget(connection, "alarm")
        return [*needed, cursors.oldest_needed(connection)]

    assert await state.transact(work) == [None, 40, 35, 40]


async def test_a_configuration_is_kept_once_and_found_by_its_hash(state: StateDatabase) -> None:
    def work(connection: sqlite3.Connection) -> None:
        name = configurations.put(connection, "fleet", b"a,b\n" * 1000, created_ns=1)
        assert configurations.put(connection, "fleet", b"a,b\n" * 1000, created_ns=2) == name
        assert configurations.put(connection, "profiles", b"a,b\n" * 1000, created_ns=2) != name
        assert configurations.hash_of("fleet", b"a,b\n" * 1000) == name
        assert configurations.get(connection, name) == b"a,b\n" * 1000
        assert configurations.get(connection, "0" * 64) is None
        empty = configurations.put(connection, "fleet", b"", created_ns=3)
        assert configurations.get(connection, empty) == b""

    await state.transact(work)


async def test_what_was_in_force_at_each_record_is_kept_in_order(state: StateDatabase) -> None:
    def work(connection: sqlite3.Connection) -> list[tuple[int, str]]:
        for sequence, name in [(40, "b"), (0, "a"), (40, "c")]:
            configurations.put_in_force(connection, sequence, name)
        return configurations.timeline(connection)

    assert await state.transact(work) == [(0, "a"), (40, "c")]


async def test_a_fact_is_replaced_and_zero_is_not_absence(state: StateDatabase) -> None:
    def work(connection: sqlite3.Connection) -> list[int | None]:
        seen = [facts.get(connection, "epoch")]
        for value in (0, 7):
            facts.put(connection, "epoch", value)
            seen.append(facts.get(connection, "epoch"))
        return seen

    assert await state.transact(work) == [None, 0, 7]


async def test_the_audit_lists_the_newest_first(state: StateDatabase) -> None:
    entries = [audit.Entry(n, "lan", "acknowledge", f"alarm {n}", "seen") for n in range(5)]

    def work(connection: sqlite3.Connection) -> list[audit.Entry]:
        for entry in entries:
            audit.append(connection, entry)
        return audit.listing(connection, limit=2)

    assert await state.transact(work) == [entries[4], entries[3]]


# --- the lock -----------------------------------------------------------------------------------------


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from gateway.state.lock import DirectoryLock
        lock = DirectoryLock(Path(sys.argv[1]))
        print("held", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DirectoryLocked, match=f"process {holder.pid}$"):
            DirectoryLock(tmp_path)
        holder.kill()  # the kernel lets go, whatever the process left undone

    with DirectoryLock(tmp_path), pytest.raises(DirectoryLocked):
        DirectoryLock(tmp_path)
    with DirectoryLock(tmp_path) as lock:
        lock.close()
        lock.close()
