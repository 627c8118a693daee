"""What there is to know about one type of alarm. In: nothing. Out: frozen values. Never decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """How urgent an alarm is for people (field practice: who is woken)."""

    WAKE = "wake"  # somebody is called, at any hour
    MORNING = "morning"  # work for the day: on the morning list
    RECORD = "record"  # kept and shown where asked for, sent to nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """``vi``/``en`` name it; the checks say what to look at first, as one sentence without a full stop.

    ``category`` is CAP 1.2's. ``breaks_through``: told singly even in a flood of alarms. ``lamp``: of single
    lamps; wakes nobody. ``likely``: inferred, not observed (CAP certainty). ``equipment``: sends a crew, so
    the repair clock runs. ``latching``: endangers people; over, it stays until somebody there resets it.
    """

    vi: str
    en: str
    check_vi: str
    check_en: str
    delivery: Delivery
    category: str = "Infra"
    breaks_through: bool = False
    lamp: bool = False
    likely: bool = False
    equipment: bool = False
    latching: bool = False
