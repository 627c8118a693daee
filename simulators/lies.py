"""Inventories lie. In: the inventory as believed, how much it lies. Out: the city as it is.

Rows of assets and devices stay what they are; phase, feeder, type, programme and who serves whom may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gateway.fleet import Asset, Assignment, Fleet
from gateway.model import rfc3339
from simulators.noise import Noise
from simulators.scenario import Lies

_CIRCUIT, _WHICH, _TYPE, _TYPE_TO, _SWAP, _STALE, _STALE_TO = range(90, 97)  # channels of noise
WRONG_TYPE_FACTORS = (0.55, 0.7, 1.4, 1.8)
"""Another lamp of the same maker's range than the inventory says."""


def reality(believed: Fleet, lies: Lies, noise: Noise) -> Fleet:
    """The fleet as it stands in the street."""
    points = np.array([r for r, a in enumerate(believed.assets) if a.kind == "light_point"], dtype=np.int64)
    assets = list(believed.assets)
    for row in points[noise.uniform(_CIRCUIT, points) < lies.wrong_circuit].tolist():
        assets[row] = _other_circuit(believed, assets[row], noise.uniform(_WHICH, row)[0])
    for row in points[noise.uniform(_TYPE, points) < lies.wrong_type].tolist():
        factor = WRONG_TYPE_FACTORS[int(noise.uniform(_TYPE_TO, row)[0] * len(WRONG_TYPE_FACTORS))]
        assets[row] = replace(assets[row], rated_power_w=assets[row].rated_power_w * factor)
    programmes = [p.id for p in believed.programmes if all(level > 0 for _, level in p.steps)]
    for row in points[noise.uniform(_STALE, points) < lies.stale_programme].tolist():
        others = [name for name in programmes if name != assets[row].programme]
        if others and assets[row].programme in programmes:
            assets[row] = replace(
                assets[row], programme=others[int(noise.uniform(_STALE_TO, row)[0] * len(others))]
            )
    assignments = _swapped(believed, points, lies.swapped, noise)
    return replace(believed, assets=tuple(assets), assignments=assignments)


def other_types(believed: Fleet, actual: Fleet, from_ns: int, until_ns: int) -> Iterator[dict[str, Any]]:
    """A truth object for each light point whose lamp is of another power than is believed.

    Whoever tells of it is right, but nobody has to: only gear that knows its power can.
    """
    for own, real in _served(believed, actual):
        if own.rated_power_w != real.rated_power_w:
            yield _may_be_told("wrong_type", "invalidLampType", own, from_ns, until_ns)


def other_programmes(believed: Fleet, actual: Fleet, from_ns: int, until_ns: int) -> Iterator[dict[str, Any]]:
    """A truth object for each light point whose device keeps another programme than is believed.

    Whoever tells of it is right, but nobody has to: when it shows depends on both programmes.
    """
    for own, real in _served(believed, actual):
        if own.programme != real.programme:
            yield _may_be_told("stale_programme", "programmeMismatch", own, from_ns, until_ns)


def _served(believed: Fleet, actual: Fleet) -> Iterator[tuple[Asset, Asset]]:
    """Each believed light point, and the one its device really serves."""
    served = {assignment.device: assignment.asset for assignment in actual.assignments}
    for assignment in believed.assignments:
        real = served.get(assignment.device, assignment.asset)
        yield (
            believed.assets[believed.asset_row[assignment.asset]],
            actual.assets[actual.asset_row[real]],
        )


def _may_be_told(fault: str, alarm: str, asset: Asset, from_ns: int, until_ns: int) -> dict[str, Any]:
    return {
        "fault": fault,
        "type": alarm,
        "asset": asset.id,
        "from": rfc3339(from_ns),
        "to": rfc3339(until_ns),
        "detectable_from": None,
        "due_by": None,
        "members": [],
    }


def _other_circuit(fleet: Fleet, asset: Asset, which: float) -> Asset:
    """Another phase of the feeder, or another feeder of the cabinet."""
    neighbours = [f.id for f in fleet.feeders if f.cabinet == asset.cabinet and f.id != asset.feeder]
    if which < 0.5 or not neighbours:
        phases = [phase for phase in "ABC" if phase != asset.phase]
        return replace(asset, phase=phases[int(which * 4) % 2])
    return replace(asset, feeder=neighbours[int((which - 0.5) * 2 * len(neighbours))])


def _swapped(
    fleet: Fleet, points: np.ndarray[tuple[int], np.dtype[np.int64]], share: float, noise: Noise
) -> tuple[Assignment, ...]:
    """Pairs of neighbours whose controllers were mounted the wrong way round."""
    chosen = points[:-1][noise.uniform(_SWAP, points[:-1]) < share / 2]
    exchange: dict[str, str] = {}
    for row in chosen.tolist():
        one, other = fleet.assets[row], fleet.assets[row + 1]
        if other.kind == "light_point" and not {one.id, other.id} & exchange.keys():
            exchange |= {one.id: other.id, other.id: one.id}
    return tuple(replace(a, asset=exchange.get(a.asset, a.asset)) for a in fleet.assignments)
