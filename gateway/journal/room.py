"""Whether messages still fit. In: bytes used and free after each commit. Out: a verdict, with its reason.

Bounds messages alone: ticks, session events and control records go on, so that a full journal can still
say that it is full. Never asks a disk.
"""

from __future__ import annotations

from typing import Final

DISK_SHARE: Final = 20
"""Of a small disk no more than one part in so many is kept free."""

RELIEF_SHARE: Final = 4
"""Messages are taken again when one part in so many of the bound has become free: more than any block
needs, else a full journal would open and close in turn and never be trimmed."""


class Room:
    """``full`` says why no message is taken, and is empty while they are. ``bytes_max`` 0 is no bound."""

    def __init__(self, bytes_max: int, disk_free_bytes_min: int) -> None:
        self.full = ""
        self.disk_free_bytes = 0
        self.cut_due = False
        """The file being written should be closed: only closed files can be given up."""
        self._bytes_max = bytes_max
        self._disk_free_bytes_min = disk_free_bytes_min
        self._used = 0

    def look(self, used: int, free: int, disk: int) -> None:
        """Take note of the journal's bytes, and of the free and all bytes of its disk."""
        self._used, self.disk_free_bytes = used, free
        least = min(self._disk_free_bytes_min, disk // DISK_SHARE)
        most = self._bytes_max
        if free < least:
            self._close(f"the disk has {free} bytes left, of which {least} are not for messages")
        elif most and used > most:
            self._close(f"its {most} bytes are used")
        elif self.full and free >= least + least // 4 and (not most or used <= most - most // RELIEF_SHARE):
            self.full = ""

    def takes(self, size: int) -> bool:
        """Whether a message block of ``size`` bytes may be written now."""
        if self._bytes_max and self._used + size > self._bytes_max:
            self._close(f"its {self._bytes_max} bytes are used")
        return not self.full

    def _close(self, reason: str) -> None:
        self.cut_due = self.cut_due or not self.full
        self.full = reason
