"""Configurations by content. In: a connection in a transaction. Out: a hash, and the content for a hash.

The journal names the configuration in force by this hash (D1, D8). Never changes or deletes one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Final

import zstandard

CONTENT_BYTES_MAX: Final = 256 << 20


def hash_of(kind: str, content: bytes) -> str:
    """The name of a configuration: 64 hex digits."""
    return hashlib.blake2b(kind.encode() + b"\0" + content, digest_size=32).hexdigest()


def put(connection: sqlite3.Connection, kind: str, content: bytes, *, created_ns: int) -> str:
    """Keep ``content`` once and return its hash. ValueError above CONTENT_BYTES_MAX."""
    if len(content) > CONTENT_BYTES_MAX:
        raise ValueError(f"configuration of {len(content)} bytes; at most {CONTENT_BYTES_MAX} are kept")
    name = hash_of(kind, content)
    connection.execute(
        "INSERT OR IGNORE INTO configuration VALUES (?, ?, ?, ?)",
        (name, kind, created_ns, zstandard.ZstdCompressor().compress(content)),
    )
    return name


def get(connection: sqlite3.Connection, name: str) -> bytes | None:
    """The content of that hash, None if it was never put."""
    row = connection.execute("SELECT content FROM configuration WHERE hash = ?", (name,)).fetchone()
    return zstandard.ZstdDecompressor().decompress(row[0]) if row else None


def put_in_force(connection: sqlite3.Connection, sequence: int, name: str) -> None:
    """From journal record ``sequence`` on, ``name`` is what messages are read with."""
    connection.execute("INSERT OR REPLACE INTO in_force VALUES (?, ?)", (sequence, name))


def timeline(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """(journal sequence, hash) of every change, in order."""
    return list(connection.execute("SELECT sequence, hash FROM in_force ORDER BY sequence"))
