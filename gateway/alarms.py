"""Alarms as values. In: nothing. Out: the record of one alarm after one transition, and its states.

What the alarm room decides, state keeps and notify sends. Never decides, never does IO.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.model import Severity, rfc3339
from gateway.vocabulary.kinds import advice


class AlarmState(StrEnum):
    """ISA-18.2 / IEC 62682 states, in the contract's words."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm after its ``transition``-th change (1 = raised). Times in ns UTC; contract: Alarm."""

    id: str
    type: str
    asset: str
    device: str
    area: str
    feeder: str
    severity: Severity
    state: AlarmState
    onset_ns: int
    raised_ns: int
    cleared_ns: int | None
    value: float | None
    limit: float | None
    text_vi: str
    text_en: str
    transition: int
    event: str  # "raised" | "updated" | "acknowledged" | "cleared"
    parent: str | None = None
    members: tuple[str, ...] = ()
    by: str = ""
    comment: str = ""
    quiet: bool = False  # nobody was told of it, so nobody need be told what becomes of it

    def document(self) -> dict[str, Any]:
        """The contract's JSON object for this transition."""
        return {
            "id": self.id,
            "type": self.type,
            "asset": self.asset,
            "device": self.device,
            "area": self.area,
            "feeder": self.feeder or None,
            "severity": self.severity.value,
            "state": self.state.value,
            "onset": rfc3339(self.onset_ns),
            "raised_at": rfc3339(self.raised_ns),
            "cleared_at": None if self.cleared_ns is None else rfc3339(self.cleared_ns),
            "parent": self.parent,
            "members": list(self.members),
            "value": self.value,
            "limit": self.limit,
            "text": {"vi": self.text_vi, "en": self.text_en},
            "check": advice(self.type) if self.cleared_ns is None else None,
            "transition": self.transition,
            "by": self.by or None,
            "comment": self.comment or None,
        }
