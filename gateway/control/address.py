"""Where the control socket is. In: a path of any length. Out: one that fits into a socket address.

A Unix socket's address has 108 bytes (unix(7)); a data directory may lie deeper. Never makes a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ADDRESS_BYTES_MAX: Final = 107


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """``path``, or a short name for it that holds inside the block. OSError if its directory is not there."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
