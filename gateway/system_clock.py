"""The only place that reads a clock. In: nothing, or a pace for the demo. Out: ``Clock``s.

Never sleeps and never corrects anything: a wall clock that jumps is passed on as it is.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path


class SystemClock:
    """The machine's clocks as they are."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def elapsed_ns(self) -> int:
        return time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class PacedClock:
    """A wall clock that starts at ``start_ns`` and runs ``pace`` times as fast (decision D13)."""

    def __init__(self, start_ns: int, pace: int) -> None:
        self._start_ns = start_ns
        self._pace = pace
        self._began_ns = time.monotonic_ns()

    def wall_ns(self) -> int:
        return self._start_ns + self.elapsed_ns()

    def elapsed_ns(self) -> int:
        return (time.monotonic_ns() - self._began_ns) * self._pace

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


def boot_id() -> bytes:
    """16 bytes that change with every boot; monotonic times of two boots can not be compared."""
    file = Path("/proc/sys/kernel/random/boot_id")
    try:
        return uuid.UUID(file.read_text().strip()).bytes
    except (OSError, ValueError):
        return uuid.uuid4().bytes
