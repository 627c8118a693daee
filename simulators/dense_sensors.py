"""Many of every fault of city sensors at once. In: the city, how many, a span, a seed. Out: faults.

A sensor plays one fault at a time and rests a day and a half around it, so that hours and days tell them
apart. A gauge under a leaking cabinet is flooded for the leak's sake alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np

from gateway.fleet import Asset, Fleet
from simulators.astronomy import HOUR_NS, MINUTE_NS, SECOND_NS
from simulators.fault import CABINET, KINDS, LAMP, SENSOR, Fault

NEAR_M = 100.0
_METRES_PER_DEGREE = 111_195.0
REST_NS = 36 * HOUR_NS
LEAK_REST_NS = 4 * HOUR_NS

PLAYS = {  # prefixes of ids, after dusk (else dawn), hours after it, hours it lasts
    "flood": (("SN-FL",), False, 3.0, 3.0),
    "flash_flood": (("SN-FL",), False, 8.0, 2.0),
    "smog": (("SN-AQ",), False, 1.5, 6.0),
    "drift": (("SN-AQ",), False, 3.0, 42.0),
    "noisy_night": (("SN-NS",), True, 5.0, 4.5),
    "stuck": (("SN-AQ", "SN-NS", "SN-TC"), True, 9.5, 9.0),
    "implausible": (("SN-AQ", "SN-NS", "SN-FL", "SN-WS", "SN-TC"), False, 4.0, 3.0),
    "fireworks": (("SN-NS",), True, 6.0, 0.25),
    "dry_gauge": (("SN-FL",), False, 2.0, 24.0),
    "heavy_rain": (("SN-WS",), False, 9.0, 1.5),
}

Night = tuple[int, int]


def sensor_faults(
    fleet: Fleet,
    names: Sequence[str],
    per_kind: int,
    nights: Sequence[Night],
    last_ns: int,
    random: Random,
    leaks: Sequence[Fault],
) -> Iterator[Fault]:
    """``per_kind`` of each of ``names`` that is a sensor's; ``leaks`` are those of cabinets, drawn before."""
    busy: dict[int, list[Night]] = {}
    cabinets = _near_cabinets(fleet)
    for leak in leaks:
        if leak.kind == "live_pole":
            yield _flood_under(leak, fleet, cabinets, busy)
    wet = [(fleet.assets[leak.place].id, leak.from_ns, leak.to_ns) for leak in leaks]
    for kind in (name for name in names if name in PLAYS):
        prefixes, dusk, after_h, lasts_h = PLAYS[kind]
        rows = [row for row, a in enumerate(fleet.assets) if a.kind == SENSOR and a.id.startswith(prefixes)]
        plays = [(row, night) for row in rows for night in nights]
        random.shuffle(plays)
        left = per_kind
        for row, night in plays:
            start_ns = night[0 if dusk else 1] + int(after_h * HOUR_NS)
            start_ns += random.randint(-25 * 60, 25 * 60) * SECOND_NS
            span = start_ns, start_ns + int(lasts_h * HOUR_NS)
            if not left:
                break
            leaking = any(
                name in cabinets.get(row, ()) and _meet(span, (since, until), LEAK_REST_NS)
                for name, since, until in wet
            )
            if leaking or span[1] + REST_NS > last_ns or not _free(busy, row, span):
                continue
            busy.setdefault(row, []).append(span)
            left -= 1
            yield Fault(kind, np.array([row], dtype=np.int32), *span, KINDS[kind].by)


def gauges(fleet: Fleet) -> dict[str, list[int]]:
    """Gauges of water near poles of one cabinet alone, which tell of no other: asset rows by its id."""
    found: dict[str, list[int]] = {}
    for row, names in _near_cabinets(fleet).items():
        if len(names) == 1:
            found.setdefault(next(iter(names)), []).append(row)
    return found


def _flood_under(
    leak: Fault, fleet: Fleet, cabinets: dict[int, frozenset[str]], busy: dict[int, list[Night]]
) -> Fault:
    """Water at a gauge near the leaking cabinet, deep before it leaks and after."""
    name = fleet.assets[leak.place].id
    span = leak.from_ns - 90 * MINUTE_NS, leak.to_ns + 60 * MINUTE_NS
    near = [row for row, names in sorted(cabinets.items()) if names == {name}]
    row = next((row for row in near if _free(busy, row, span)), near[0])
    busy.setdefault(row, []).append(span)
    return Fault("flood", np.array([row], dtype=np.int32), *span, KINDS["flood"].by)


def _free(busy: dict[int, list[Night]], row: int, span: Night) -> bool:
    return not any(_meet(span, other) for other in busy.get(row, ()))


def _meet(one: Night, other: Night, rest_ns: int = REST_NS) -> bool:
    return one[0] < other[1] + rest_ns and other[0] < one[1] + rest_ns


def _near_cabinets(fleet: Fleet) -> dict[int, frozenset[str]]:
    """Cabinets that have a pole, or stand, near each gauge."""
    around: dict[tuple[int, int], list[Asset]] = {}
    for asset in fleet.assets:
        if asset.kind in (LAMP, CABINET):
            around.setdefault(_cell(asset), []).append(asset)
    found: dict[int, frozenset[str]] = {}
    for row, gauge in enumerate(fleet.assets):
        if gauge.id.startswith("SN-FL"):
            x, y = _cell(gauge)
            near = (a for dx in (-1, 0, 1) for dy in (-1, 0, 1) for a in around.get((x + dx, y + dy), ()))
            found[row] = frozenset(asset.cabinet for asset in near if _apart_m(asset, gauge) <= NEAR_M)
    return found


def _cell(asset: Asset) -> tuple[int, int]:
    """A square wider than what is near, at any latitude of a city."""
    cells = _METRES_PER_DEGREE / (2 * NEAR_M)
    return math.floor(asset.longitude * cells), math.floor(asset.latitude * cells)


def _apart_m(one: Asset, other: Asset) -> float:
    north = (one.latitude - other.latitude) * _METRES_PER_DEGREE
    east = (one.longitude - other.longitude) * _METRES_PER_DEGREE * math.cos(math.radians(one.latitude))
    return math.hypot(north, east)
