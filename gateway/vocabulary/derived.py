"""What rules can judge beside a profile's own fields. In: nothing. Out: names, units, fields they need.

Defined in docs/alarms.md; computed by the alarm room, named here so that profiles can be checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Derived:
    """What a rule can judge beside a profile's own fields: worked out of ``needs``, now and before.

    ``tells`` is the type of alarm that can not be observed otherwise.
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    tells: str


DERIVED: Final = {
    derived.name: derived
    for derived in (
        Derived("dimming_deviation", "%", ("dimming_level",), "dimmingFailure"),
        Derived("metering_deviation", "%", ("active_power", "active_energy"), "meteringFault"),
        Derived("energy_lost", "Wh", ("active_energy", "lamp_operating_hours"), "meteringFault"),
        Derived("starts_beyond_plan", "1", ("switch_on_counter",), "cyclingFailure"),
        Derived("power_factor_margin", "1", ("power_factor", "active_power"), "powerFactorTooLow"),
        Derived("control_gear_failures", "1", ("control_gear_failure_counter",), "controlGearFailure"),
        Derived("light_source_failures", "1", ("light_source_failure_counter",), "lightSourceFailure"),
        Derived("thermal_shutdowns", "1", ("thermal_shutdown_counter",), "thermalShutdown"),
        Derived("open_relay_power", "W", ("relay_closed", "active_power"), "relayFailure"),
        Derived(
            "gear_unsupplied", "1", ("relay_closed", "gear_comm_failure", "active_power"), "relayFailure"
        ),
        Derived("rated_power_deviation", "%", ("nominal_power",), "invalidLampType"),
    )
}

COUNTED: Final = {
    "control_gear_failures": "control_gear_failure_counter",
    "light_source_failures": "light_source_failure_counter",
    "thermal_shutdowns": "thermal_shutdown_counter",
}
"""Failures by night, and the counter of the gear whose rises they are."""
