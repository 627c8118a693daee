"""A scenario made ready to run. In: a scenario, profiles, an inventory. Out: a simulation.

The inventory is what the gateway believes; the simulation runs what stands in the street.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.decode.profile import Profile
from gateway.fleet import Fleet
from simulators.astronomy import DAY_NS
from simulators.city import inventory
from simulators.dense import dense
from simulators.fault import Fault
from simulators.lies import reality
from simulators.mishaps import mishaps
from simulators.noise import Noise
from simulators.scenario import City, Scenario
from simulators.simulation import Simulation, sky_of


def city_inventory(city: City) -> dict[str, bytes]:
    """The inventory's files of a made-up city."""
    texts = inventory(
        city.light_points,
        city.sensors,
        city.seed,
        photocell_share=city.photocell_share,
        dropped_phase_share=city.dropped_phase_share,
        d4i_share=city.d4i_share,
    )
    return {name: text.encode() for name, text in texts.items()}


def stage(
    scenario: Scenario,
    believed: Fleet,
    profiles: Mapping[str, Profile],
    *,
    extra: Sequence[Fault] = (),
    interval_s: float | None = None,
) -> Simulation:
    """The simulation of ``scenario``; ``extra`` faults come on top of those it draws."""
    noise = Noise(scenario.seed)
    actual = reality(believed, scenario.lies, noise)
    from_ns = scenario.start_ns
    to_ns = from_ns + round(scenario.days * DAY_NS)
    sky = sky_of(believed)
    injected = dense(actual, scenario.dense, sky, scenario.seed, from_ns, int(scenario.days))
    ordinary = [
        fault
        for fault in mishaps(actual, scenario.rates, sky, noise, from_ns, to_ns)
        if not any(_meet(fault, other) for other in injected)
    ]
    faults = sorted([*injected, *ordinary, *extra], key=lambda fault: fault.from_ns)
    return Simulation(
        believed,
        profiles,
        faults,
        scenario.seed,
        from_ns,
        interval_s,
        practice=scenario,
        actual=actual,
    )


def _meet(one: Fault, other: Fault) -> bool:
    """Whether both touch an asset within a day of each other."""
    if one.from_ns > other.to_ns + DAY_NS or other.from_ns > one.to_ns + DAY_NS:
        return False
    return not set(one.assets.tolist()).isdisjoint(other.assets.tolist())
