"""The one table of all types of alarm. In: the name of a type. Out: what there is to know about it, or None.

A type of a district's own, which no table has, is shown by its name. Never decides anything.
"""

from __future__ import annotations

from typing import Final

from gateway.vocabulary.cabinet import CABINET
from gateway.vocabulary.kind import Kind
from gateway.vocabulary.lamp import LAMP
from gateway.vocabulary.own import OWN
from gateway.vocabulary.sensor import SENSOR

KINDS: Final[dict[str, Kind]] = {**LAMP, **CABINET, **SENSOR, **OWN}
"""By the type's name; TALQ's where TALQ has one."""

EQUIPMENT: Final = frozenset(name for name, kind in KINDS.items() if kind.equipment)
"""Alarms that send a crew. What the grid, the weather or people do is no fault of our equipment."""

LATCHING: Final = frozenset(name for name, kind in KINDS.items() if kind.latching)
"""Types that endanger people: over, they stay until somebody who was there resets them."""


def advice(kind: str) -> dict[str, str] | None:
    """What to check first, by language; None for a type that nothing is known of."""
    known = KINDS.get(kind)
    return None if known is None else {"vi": known.check_vi, "en": known.check_en}
