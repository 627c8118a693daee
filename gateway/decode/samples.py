"""What a payload decoder gives: the samples of many payloads of one profile as columns, and the refusals.

The seam for decoders of other payload kinds: each is a PayloadDecoder. Never knows a topic or a device row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.model import WHOLE_MESSAGE, Float64s, Int32s, Int64s, UInt8s

REASONS: Final = (
    "foreign_topic",
    "bad_id",
    "unknown_device",
    "unknown_profile",
    "class_mismatch",
    "bad_status",
    "oversize",
    "bad_utf8",
    "unparsable",
    "too_deep",
    "duplicate_key",
    "unknown_key",
    "control_character",
    "too_many_records",
    "id_mismatch",
    "no_value",
)
"""Every reason decode and normalize give a Reject; docs/profiles.md says what each means."""

DETAIL_CHARACTERS_MAX: Final = 200


class Refused(Exception):
    """One payload can not become samples; ``reason`` is one of REASONS. Caught inside the room."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail[:DETAIL_CHARACTERS_MAX]
        super().__init__(f"{reason}: {detail}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """``message`` is a position among the payloads handed in; ``sample`` WHOLE_MESSAGE or a number in it."""

    message: int
    reason: str
    detail: str
    sample: int = WHOLE_MESSAGE


@dataclass(frozen=True, slots=True)
class Samples:
    """n samples in order of (message, sample).

    ``message`` int32[n] is the position among the payloads; ``raw`` float64[f, n], ``quality`` uint8[f, n]
    and ``time_ns`` int64[n] as in model.Columns; ``ids`` are device ids, None where there is none.
    """

    message: Int32s
    sample: Int32s
    time_ns: Int64s
    raw: Float64s
    quality: UInt8s
    texts: dict[str, list[str | None]]
    ids: list[str | None]


class PayloadDecoder(Protocol):
    """One payload kind of one profile."""

    def decode(self, payloads: Sequence[bytes]) -> tuple[Samples, list[Refusal]]:
        """Samples of all payloads that have any; each payload without one has at least one refusal."""
        ...
