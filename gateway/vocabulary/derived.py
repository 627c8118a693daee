"""What rules can judge beside a profile's own fields. In: nothing. Out: names, units, fields they need.

Defined in docs/alarms.md; computed by the alarm room, named here so that profiles can be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Derived:
    """What a rule can judge beside a profile's own fields: worked out of ``needs``, now and before."""

    name: str
    unit: str
    needs: tuple[str, ...]


DERIVED: Final = {
    derived.name: derived
    for derived in (
        Derived("dimming_deviation", "%", ("dimming_level",)),
        Derived("metering_deviation", "%", ("active_power", "active_energy")),
        Derived("energy_lost", "Wh", ("active_energy", "lamp_operating_hours")),
        Derived("starts_beyond_plan", "1", ("switch_on_counter",)),
        Derived("power_factor_margin", "1", ("power_factor", "active_power")),
    )
}
