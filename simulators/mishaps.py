"""What goes wrong in an ordinary month. In: the city, base rates, a span, a seed. Out: faults.

Every draw depends on (seed, thing, day) alone. The rainy season multiplies trips, cuts and dips. Never looks
at what an alarm engine could see of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gateway.fleet import Fleet
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Sky
from simulators.fault import CABINET, KINDS, LAMP, Fault, Targets
from simulators.noise import Noise
from simulators.scenario import Rates

MONTH_DAYS = 30.0
RAINY_MONTHS = range(5, 12)
FOR_DAYS = 30
"""A single lamp waits this long for its repair: longer than most runs."""

SWAP_NS = 45 * MINUTE_NS
TRIP_H = (1.0, 20.0)
STORM_H = (1.0, 3.0)
_CHANNEL = 130  # and the following, one a kind of mishap

_OF_LAMPS = (  # rate, kind; a driver dies dark in most cases, or gives too little
    ("gear", "lamp_failure"),
    ("controller", "silence"),
    ("radio", "silence"),
    ("joint", "silence"),
    ("pole", "silence"),
    ("swap", "swap"),
)


def mishaps(fleet: Fleet, rates: Rates, sky: Sky, noise: Noise, from_ns: int, to_ns: int) -> list[Fault]:
    """Faults that begin in the span, by time; of a lamp one at a time, of a circuit likewise."""
    drawn = [*_of_lamps(fleet, rates, noise, from_ns, to_ns)]
    drawn += _of_circuits(fleet, rates, sky, noise, from_ns, to_ns)
    drawn += _storms(fleet, rates, sky, noise, from_ns, to_ns)
    drawn.sort(key=lambda fault: (fault.from_ns, fault.kind, fault.assets.tolist()))
    free_from: dict[tuple[int, bool], int] = {}
    kept = []
    for fault in drawn:
        keys = [(row, KINDS[fault.kind].group) for row in fault.assets.tolist()]
        if all(free_from.get(key, 0) <= fault.from_ns for key in keys):
            free_from.update(dict.fromkeys(keys, fault.to_ns))
            kept.append(fault)
    return kept


def _of_lamps(fleet: Fleet, rates: Rates, noise: Noise, from_ns: int, to_ns: int) -> Iterator[Fault]:
    lamps = np.array([row for row, asset in enumerate(fleet.assets) if asset.kind == LAMP], dtype=np.int64)
    for number, (rate, kind) in enumerate(_OF_LAMPS):
        factor = rates.infant_factor if rate == "gear" else 1.0
        chance = getattr(rates, rate) * factor / 1000.0 / MONTH_DAYS
        for day in _days(from_ns, to_ns):
            for row in lamps[noise.uniform(_CHANNEL + number, lamps, day) < chance].tolist():
                start_ns = day * DAY_NS + int(noise.uniform(_CHANNEL + number, row, day, 1)[0] * DAY_NS)
                lasts_ns = SWAP_NS if kind == "swap" else FOR_DAYS * DAY_NS
                if kind == "swap":  # crews work by day
                    start_ns = day * DAY_NS + 2 * HOUR_NS + (start_ns - day * DAY_NS) // 4
                if from_ns <= start_ns < to_ns:
                    rows = np.array([row], dtype=np.int32)
                    yield Fault(kind, rows, start_ns, start_ns + lasts_ns, KINDS[kind].by)


def _of_circuits(
    fleet: Fleet, rates: Rates, sky: Sky, noise: Noise, from_ns: int, to_ns: int
) -> Iterator[Fault]:
    """Trips of feeders; cuts of the grid, which take the cabinet with them; dips shorter than a minute."""
    fed = {asset.feeder for asset in fleet.assets if asset.kind == LAMP}
    feeders = [feeder.id for feeder in fleet.feeders if feeder.id in fed]
    lit = {asset.cabinet for asset in fleet.assets if asset.kind == LAMP}
    cabinets = [asset.id for asset in fleet.assets if asset.kind == CABINET and asset.id in lit]
    plan = (
        ("feeder_trip", feeders, rates.feeder_trip / 100.0, TRIP_H),
        ("supply_loss", cabinets, rates.grid_cut, rates.grid_cut_h),
        ("dip", feeders, rates.dip, (0.0, 0.0)),
    )
    place = Targets(fleet)
    for number, (kind, targets, per_month, hours) in enumerate(plan, 10):
        which = np.arange(len(targets))
        for day in _days(from_ns, to_ns):
            chance = per_month / MONTH_DAYS * (rates.rain_factor if _rainy(sky, day) else 1.0)
            for row in which[noise.uniform(_CHANNEL + number, which, day) < chance].tolist():
                start_ns = day * DAY_NS + int(noise.uniform(_CHANNEL + number, row, day, 1)[0] * DAY_NS)
                share = noise.uniform(_CHANNEL + number, row, day, 2)[0]
                lasts_ns = int((hours[0] + share * (hours[1] - hours[0])) * HOUR_NS)
                if kind == "dip":
                    lasts_ns = int((1.0 + 59.0 * share) * SECOND_NS)
                if from_ns <= start_ns < to_ns:
                    yield place.fault(kind, targets[row], start_ns, start_ns + lasts_ns)


def _storms(fleet: Fleet, rates: Rates, sky: Sky, noise: Noise, from_ns: int, to_ns: int) -> Iterator[Fault]:
    """Dark skies between 14 and 18 h, photocells switch on; rarer in dry months."""
    photocells = {programme.id for programme in fleet.programmes if programme.switch == "photocell"}
    rows = [
        row
        for row, asset in enumerate(fleet.assets)
        if asset.programme in photocells and not fleet.group_switched[row]
    ]
    for day in _days(from_ns, to_ns):
        chance = rates.noon_storm / MONTH_DAYS / (1.0 if _rainy(sky, day) else max(rates.rain_factor, 1.0))
        drawn = noise.uniform(_CHANNEL + 20, day, np.arange(3))
        if not rows or drawn[0] >= chance:
            continue
        begins_min = int((14.0 + 2.0 * drawn[1]) * 60)
        start_ns = sky.at_minute(sky.local_day(day * DAY_NS + DAY_NS // 2), begins_min)
        end_ns = start_ns + int((STORM_H[0] + drawn[2] * (STORM_H[1] - STORM_H[0])) * HOUR_NS)
        if from_ns <= start_ns < to_ns:
            yield Fault("noon_storm", np.array(rows, dtype=np.int32), start_ns, end_ns, 1.0)


def _days(from_ns: int, to_ns: int) -> range:
    return range(from_ns // DAY_NS, to_ns // DAY_NS + 1)


def _rainy(sky: Sky, day: int) -> bool:
    local = sky.local_day(day * DAY_NS + DAY_NS // 2)
    return local.month in RAINY_MONTHS
