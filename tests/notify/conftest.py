"""Lets the tests of this room share ``post``; a database for the outbox."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from post import SqliteOutbox

from gateway.state.database import StateDatabase


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[SqliteOutbox]:
    """The outbox in a state.db of this test's own."""
    database = await StateDatabase.open(tmp_path / "state.db")
    try:
        yield SqliteOutbox(database)
    finally:
        await database.close()
