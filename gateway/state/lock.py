"""One process owns a data directory. In: the directory. Out: the lock, or DirectoryLocked with a pid.

The kernel lets go of it when the process ends, however it ends. Never deletes the file.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from gateway.errors import DirectoryLocked

LOCK: Final = "lock"
"""Name of the file; it stays when nobody holds it."""


class DirectoryLock:
    """The lock on a data directory, held from construction until ``close``; also a context manager.

    Raises DirectoryLocked naming the process that holds it, and OSError if the directory is not writable.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise DirectoryLocked(f"{directory} is in use by process {owner}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def close(self) -> None:
        """Let go; may be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
