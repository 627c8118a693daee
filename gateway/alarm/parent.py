"""Alarms of groups as values. In: nothing. Out: their types, severities, what each accounts for, its facts.

Never decides when one begins or ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.alarm import silence
from gateway.alarm.alike import CYCLING, INVALID_TYPE, TOO_HIGH, TOO_LOW
from gateway.alarm.group import Group
from gateway.alarm.supply import (
    NEUTRAL_LOSS,
    PHASE_LOSS,
    SUPPLY_LOSS,
    SWITCHING_ERROR_OFF,
    SWITCHING_ERROR_ON,
)
from gateway.model import Int32s, Severity

FEEDER_OPEN: Final = "feederOpen"
PRESUMED_DARK: Final = "feederPresumedDark"
DARK: Final = frozenset({FEEDER_OPEN, PRESUMED_DARK})
WARD_OUTAGE: Final = "wardOutage"
POWERLESS: Final = DARK | {SUPPLY_LOSS, SWITCHING_ERROR_OFF}
STORM: Final = DARK | {SUPPLY_LOSS}
"""What a storm does; contactors that stay open are each a fault of its own."""

SILENT: Final = DARK | {silence.TYPE}
SEVERITIES: Final = {
    FEEDER_OPEN: Severity.CRITICAL,
    PRESUMED_DARK: Severity.CRITICAL,
    silence.TYPE: Severity.MINOR,
    SUPPLY_LOSS: Severity.CRITICAL,
    NEUTRAL_LOSS: Severity.CRITICAL,
    PHASE_LOSS: Severity.MAJOR,
    SWITCHING_ERROR_OFF: Severity.CRITICAL,
    WARD_OUTAGE: Severity.CRITICAL,
    SWITCHING_ERROR_ON: Severity.MAJOR,
    CYCLING: Severity.MINOR,
    INVALID_TYPE: Severity.MINOR,
}
NOBODY: Final = np.empty(0, dtype=np.int32)
_NO_POWER: Final = frozenset(
    {silence.TYPE, "lampFailure", "supplyVoltageTooLow", FEEDER_OPEN, PRESUMED_DARK}
    | {f"phase{n}VoltageTooLow" for n in (1, 2, 3)}
)
EXPLAINS: Final = {
    FEEDER_OPEN: _NO_POWER,
    PRESUMED_DARK: _NO_POWER,
    SUPPLY_LOSS: _NO_POWER | {PHASE_LOSS},
    PHASE_LOSS: _NO_POWER,
    SWITCHING_ERROR_OFF: _NO_POWER,
    SWITCHING_ERROR_ON: frozenset({"lampUnexpectedOn"}),
    WARD_OUTAGE: STORM,
    silence.TYPE: frozenset({silence.TYPE}),
    CYCLING: frozenset({CYCLING}),
    INVALID_TYPE: frozenset({TOO_HIGH, TOO_LOW, INVALID_TYPE}),
    NEUTRAL_LOSS: _NO_POWER
    | {PHASE_LOSS, "supplyVoltageTooHigh"}
    | {f"phase{n}VoltageTooHigh" for n in (1, 2, 3)},
}
"""Which alarms of members an alarm of their group accounts for."""


@dataclass(frozen=True, slots=True, eq=False)
class Parent:
    """An alarm of a group. ``members`` are the device rows that were silent when it began.

    ``onset_ns`` is wall time and frozen, the rest listening time: ``back_ns`` when the first circuit came
    back, ``ended_ns`` when all had; until what it accounts for has had time to settle it stays here.
    """

    kind: str
    group: Group
    members: Int32s
    began_ns: int
    onset_ns: int
    back_ns: int | None = None
    ended_ns: int | None = None
    alarm: str = ""  # its id

    @property
    def silent(self) -> bool:
        """Whether it was found by silence, and so ends when its members are heard."""
        return self.kind in SILENT or self.dark

    @property
    def dark(self) -> bool:
        """Whether its members are taken to be without power, whatever else the cabinet says."""
        return self.kind in DARK or (self.kind == PHASE_LOSS and self.group.level == "circuit")


Key = tuple[str, str]
"""Asset of the group and alarm type, as in the ledger."""
