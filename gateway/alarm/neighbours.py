"""Who stands near whom. In: places. Out: the nearest of each, and pairs that are close.

Distances on a plane around the city's middle: a city is small enough. Never keeps state.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import Float64s, Int64s

METRES_PER_DEGREE: Final = 111_195.0
NEAREST_MAX: Final = 16
_AT_ONCE: Final = 512
NOBODY: Final = -1


def plane_m(latitude: Float64s, longitude: Float64s) -> Float64s:
    """Metres east and north, float64[n, 2]; NaN stays NaN."""
    middle = np.radians(np.nanmean(latitude)) if np.isfinite(latitude).any() else 0.0
    return np.stack((longitude * np.cos(middle), latitude), axis=1) * METRES_PER_DEGREE


def nearest(place_m: Float64s, radius_m: float) -> Int64s:
    """Up to NEAREST_MAX others within ``radius_m`` of each place, the nearest first; NOBODY fills up."""
    count = len(place_m)
    found = np.full((count, NEAREST_MAX), NOBODY, dtype=np.int64)
    for start in range(0, count, _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, count))
        apart = place_m[rows, np.newaxis] - place_m
        distance = np.sqrt((apart**2).sum(axis=2))
        distance[np.arange(len(rows)), rows] = np.inf
        distance[~(distance <= radius_m)] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST_MAX]
        near = np.isfinite(np.take_along_axis(distance, order, axis=1))
        found[rows, : order.shape[1]] = np.where(near, order, NOBODY)
    return found


def close_pairs(some_m: Float64s, others_m: Float64s, radius_m: float) -> tuple[Int64s, Int64s]:
    """(row of ``some_m``, row of ``others_m``) of all pairs at most ``radius_m`` apart."""
    cells = np.floor(others_m / radius_m).astype(np.int64)
    order = np.lexsort((cells[:, 1], cells[:, 0]))
    key = _key(cells[order])
    own = np.floor(some_m / radius_m).astype(np.int64)
    one: list[Int64s] = []
    other: list[Int64s] = []
    for east in (-1, 0, 1):
        for north in (-1, 0, 1):
            wanted = _key(own + np.array([east, north]))
            first, end = np.searchsorted(key, wanted), np.searchsorted(key, wanted, side="right")
            rows = np.repeat(np.arange(len(some_m)), end - first)
            at = np.arange(len(rows)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
            candidates = order[np.repeat(first, end - first) + at]
            near = ((some_m[rows] - others_m[candidates]) ** 2).sum(axis=1) <= radius_m**2
            one.append(rows[near])
            other.append(candidates[near])
    return np.concatenate(one), np.concatenate(other)


def _key(cells: Int64s) -> Int64s:
    return cells[:, 0] * 2**32 + cells[:, 1]
