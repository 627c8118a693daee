"""What happens in the demo. In: an inventory, a seed, an instant. Out: when it starts, and its faults.

One fault that comes and goes within the first minutes, then a steady trickle, so that there is always
something to see. Reads no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random

import numpy as np

from gateway.fleet import Fleet
from simulators.astronomy import HOUR_NS, MINUTE_NS, Sky
from simulators.city import LATITUDE, LONGITUDE
from simulators.fault import KINDS as FAULT_KINDS
from simulators.fault import Fault

BEFORE_DUSK_NS = 10 * MINUTE_NS
FIRST_NS, FIRST_END_NS = 2 * MINUTE_NS, 7 * MINUTE_NS
TRICKLE_NS = 15 * MINUTE_NS
NIGHTS_NS = 72 * HOUR_NS
KINDS = ("lamp_failure", "over_voltage", "silence", "lamp_failure", "over_voltage", "wrong_clock")


def dusk_start_ns(now_ns: int, time_zone: str) -> int:
    """Ten minutes before the next civil dusk at the example city, ns UTC."""
    sky = Sky(LATITUDE, LONGITUDE, time_zone)
    today = sky.local_day(now_ns)
    dusks = (sky.night(day)[0] for day in (today, today + timedelta(days=1)))
    return next(dusk_ns for dusk_ns in dusks if dusk_ns - BEFORE_DUSK_NS > now_ns) - BEFORE_DUSK_NS


def faults(fleet: Fleet, seed: int, start_ns: int) -> tuple[Fault, ...]:
    """Faults on light points for three nights from ``start_ns``."""
    return tuple(_faults(fleet, Random(seed), start_ns))


def _faults(fleet: Fleet, random: Random, start_ns: int) -> Iterator[Fault]:
    points = [row for row, asset in enumerate(fleet.assets) if asset.kind == "light_point"]
    always_on = [row for row in points if not fleet.group_switched[row]] or points
    feeder = fleet.assets[always_on[0]].feeder
    first = [row for row in always_on if fleet.assets[row].feeder == feeder][:3]
    yield _fault("over_voltage", first, start_ns + FIRST_NS, start_ns + FIRST_END_NS)
    yield _fault("silence", [random.choice(points)], start_ns + TRICKLE_NS, start_ns + 4 * HOUR_NS)
    at = start_ns + TRICKLE_NS
    while at < start_ns + NIGHTS_NS:
        kind = random.choice(KINDS)
        until = at + random.randint(30, 180) * MINUTE_NS
        yield _fault(kind, [random.choice(points)], at, until)
        at += random.randint(5, 25) * MINUTE_NS


def _fault(kind: str, rows: Sequence[int], from_ns: int, to_ns: int) -> Fault:
    return Fault(kind, np.array(rows, dtype=np.int32), from_ns, to_ns, FAULT_KINDS[kind].by)
