"""What time is it: a Protocol. In: nothing. Out: three readings in integer nanoseconds.

Never reads a clock itself: ``app`` hands in the system clock, the demo a faster one, tests a manual one.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Three times that must not be mixed (decisions D5 and D13)."""

    def wall_ns(self) -> int:
        """UTC as nanoseconds since 1970; may jump, and runs x 60 in the demo."""
        ...

    def elapsed_ns(self) -> int:
        """Monotonic nanoseconds at the pace of the wall clock; what ticks record as journal time."""
        ...

    def monotonic_ns(self) -> int:
        """Real monotonic nanoseconds: keepalive, back-off, linger and CPU figures use only this."""
        ...
