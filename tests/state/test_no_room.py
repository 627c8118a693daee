"""state.db on a full disk: transactions wait for room and lose nothing."""

import asyncio
import sqlite3
from pathlib import Path

from gateway.state.database import StateDatabase

PAGES_MORE = 4


async def test_a_transaction_waits_for_room_and_is_whole_in_the_end(tmp_path: Path) -> None:
    """SQLite itself refuses to grow the file, with the code of a full disk."""
    state = await StateDatabase.open(tmp_path / "state.db")
    pages = await state.transact(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await state.transact(lambda c: c.execute(f"PRAGMA max_page_count = {pages + PAGES_MORE}"))

    def fill(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO audit VALUES (NULL, 1, 'a', 'b', 'c', ?, '')", ("x" * 200_000,))
        return 7

    writing = asyncio.create_task(state.transact(fill))
    async with asyncio.timeout(10):
        while not state.failure:  # noqa: ASYNC110 - a plain attribute, as figures read it
            await asyncio.sleep(0.01)
    assert "full" in state.failure
    assert not writing.done()
    rows = await asyncio.to_thread(_rows, tmp_path / "state.db")
    assert rows == 0, "nothing of it is there yet"

    await state.transact(lambda c: c.execute("PRAGMA max_page_count = 1000000"))

    assert await asyncio.wait_for(writing, 10) == 7
    assert state.failure == ""
    assert await asyncio.to_thread(_rows, tmp_path / "state.db") == 1
    await state.close()


def _rows(file: Path) -> int:
    connection = sqlite3.connect(file)
    try:
        return int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])
    finally:
        connection.close()
