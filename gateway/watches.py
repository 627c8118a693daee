"""Rules over hours, as values. In: nothing. Out: what a profile asks to be watched in its sensors' readings.

A threshold on one reading is a ``model.Rule``; a Watch looks at hours, neighbours or a regulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.model import Severity


class WatchKind(StrEnum):
    """How it is judged (docs/alarms.md, "City sensors")."""

    AIR_HOUR = "air_quality_hour"
    AIR_DAY = "air_quality_day"
    NOISE = "noise_limit"
    RISE = "rise"
    FLAT = "flat_line"
    RANGE = "out_of_range"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Watch:
    """One watch on one field ("" for an index of all the fields its regulation names).

    ``limit`` and ``floor`` are in the field's unit. RISE: more than ``limit`` within ``over_s``. FLAT: no
    change for ``over_s``, above ``floor``. RANGE: implausible for ``over_s``. DRIFT: off the neighbours by
    more than ``limit`` and by more than ``share`` of their median; hours above ``humidity_max`` (%RH) do
    not count. NOISE: hourly level above the limit of ``zone``, as were ``share`` of its readings. ``margin``
    is how far below a limit a value must be to clear. ``scope`` and ``enabled`` are those of ``model.Rule``.
    """

    type: str
    kind: WatchKind
    severity: Severity
    field: str = ""
    regulation: str = ""
    zone: str = ""
    limit: float = 0.0
    share: float = 0.0
    margin: float = 0.0
    over_s: float = 0.0
    floor: float = -math.inf
    humidity_max: float = math.inf
    scope: str = ""
    enabled: bool = True

    @property
    def key(self) -> str:
        """Names it across restarts and edits of its limits."""
        return f"{self.type}/{self.kind}/{self.field}"
