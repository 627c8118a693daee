"""What a journal can be told. In: plain values. Out: checked bounds.

Never looks at a disk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalOptions:
    """Bounds of a journal, ValueError if they are none.

    Segments go past ``keep_h`` or ``keep_bytes`` once no follower needs them. Messages are refused above
    ``bytes_max`` (0: only the disk bounds them), and while less than ``disk_free_bytes_min`` of it are free.
    """

    segment_bytes: int = 64 << 20
    keep_h: float = 72.0
    keep_bytes: int = 20 << 30
    bytes_max: int = 0
    disk_free_bytes_min: int = 0
    recent_bytes_max: int = 4 << 20
    group_bytes_max: int = 8 << 20
    pending_bytes_max: int = 64 << 20

    def __post_init__(self) -> None:
        for name in ("segment_bytes", "recent_bytes_max", "group_bytes_max", "pending_bytes_max"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than 0")
        for name in ("keep_h", "keep_bytes", "bytes_max", "disk_free_bytes_min"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
