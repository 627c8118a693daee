"""Alarms and faults as values. In: nothing. Out: one alarm, or one fault, after one transition; their states.

What the alarm room decides, state keeps and notify sends. Never decides, never does IO.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

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
    LATCHED = "latched"
    OUT_OF_SERVICE = "out_of_service"

    @property
    def on_the_wire(self) -> str:
        """The contract's word: it has none for the last two, which ``isa_state`` tells."""
        return _ON_THE_WIRE.get(self, self).value


_ON_THE_WIRE: Final = {
    AlarmState.LATCHED: AlarmState.RETURNED,
    AlarmState.OUT_OF_SERVICE: AlarmState.SUPPRESSED,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The reading, or the return of a whole group (``device`` empty), that proves health."""

    device: str
    time_ns: int
    value: float | None = None

    def document(self) -> dict[str, Any]:
        return {"device": self.device or None, "time": rfc3339(self.time_ns), "value": self.value}


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
    proof: Sample | None = None  # what it was cleared by; None while it stands, or ended without proof

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
            "state": self.state.on_the_wire,
            "isa_state": self.state.value,
            "onset": rfc3339(self.onset_ns),
            "raised_at": rfc3339(self.raised_ns),
            "cleared_at": _time(self.cleared_ns),
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


class FaultState(StrEnum):
    """Where a repair is. Only a healthy sample makes it ``verified``; a closed ticket is a claim."""

    OPEN = "open"
    CLAIMED = "claimed"  # its ticket is closed, and no healthy sample has come
    VERIFIED = "verified"
    WITHDRAWN = "withdrawn"  # over without proof: its rule or place is gone, or its power was cut


@dataclass(frozen=True, slots=True)
class Ticket:
    """The work order as its own system tells it; times in ns UTC, empty or None where it says nothing."""

    number: str
    crew: str = ""
    eta_ns: int | None = None
    cause: str = ""
    closed_ns: int | None = None

    def document(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "crew": self.crew or None,
            "eta": _time(self.eta_ns),
            "cause": self.cause or None,
            "closed_at": _time(self.closed_ns),
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """An equipment fault as a repair sees it, after its ``transition``-th change (1 = opened).

    ``id`` is the id of the alarm that opened it. The clock runs from ``opened_ns``, when people were told,
    to ``ended_ns``, the time of the healthy sample; a ticket never stops it.
    """

    id: str
    type: str
    asset: str
    area: str
    feeder: str
    severity: Severity
    state: FaultState
    onset_ns: int
    opened_ns: int
    text_vi: str
    text_en: str
    transition: int
    event: str  # "opened" | "updated" | "verified"
    ended_ns: int | None = None
    proof: Sample | None = None
    ticket: Ticket | None = None
    by: str = ""
    comment: str = ""

    @property
    def minutes(self) -> float | None:
        """Minutes from told to proved; None until then."""
        if self.state is not FaultState.VERIFIED or self.ended_ns is None:
            return None
        return round(max(0, self.ended_ns - self.opened_ns) / 60e9, 1)

    def document(self) -> dict[str, Any]:
        """The data of ``vn.citylight.fault.*`` (docs/schemas/fault.schema.json)."""
        return {
            "id": self.id,
            "type": self.type,
            "asset": self.asset,
            "area": self.area,
            "feeder": self.feeder or None,
            "severity": self.severity.value,
            "state": self.state.value,
            "onset": rfc3339(self.onset_ns),
            "opened_at": rfc3339(self.opened_ns),
            "ended_at": _time(self.ended_ns),
            "minutes": self.minutes,
            "sample": self.proof.document() if self.proof else None,
            "ticket": self.ticket.document() if self.ticket else None,
            "text": {"vi": self.text_vi, "en": self.text_en},
            "transition": self.transition,
            "by": self.by or None,
            "comment": self.comment or None,
        }


def _time(time_ns: int | None) -> str | None:
    return None if time_ns is None else rfc3339(time_ns)
