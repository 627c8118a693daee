"""Whether the sky is dark by day. In: which photocell lamps are lit, and where. Out: where that is meant.

A storm at noon lights the photocell lamps of a whole quarter: no fault of any of them (field notes 3), nor of
a neighbour that has a photocell the inventory does not know of.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Int32s, Int64s

CELL_M: Final = 667.0
"""A cell and the eight around it reach about 1 km from a lamp."""

WIDE_M: Final = 2000.0
"""The same for 3 km, where nearer by too few photocell lamps are known: storms are as large."""

METRES_PER_DEG: Final = 111_320.0
LAMPS_MIN: Final = 3


class DarkSky:
    """``photocell`` bool[assets + 1]: who decides by the sky; the last entry stands for BENCH."""

    def __init__(self, fleet: Fleet, share: float) -> None:
        programmes = fleet.programme_by_id
        by_sky = [
            asset.programme in programmes and programmes[asset.programme].switch == "photocell"
            for asset in fleet.assets
        ]
        self.photocell: Bools = np.array([*by_sky, False], dtype=np.bool_)
        self._share = share
        self._near, self._wide = _Cells(fleet, CELL_M), _Cells(fleet, WIDE_M)

    def meant(self, asset: Int32s, lit: Bools) -> Bools:
        """Assets under a dark sky, bool[assets]; ``lit``: of the photocell lamps heard, at ``asset``."""
        if not lit.any():
            return np.zeros(len(self.photocell) - 1, dtype=np.bool_)
        known, burning = self._near.count(asset), self._near.count(asset[lit])
        few = known < LAMPS_MIN
        if few.any():
            known = np.where(few, self._wide.count(asset), known)
            burning = np.where(few, self._wide.count(asset[lit]), burning)
        dark: Bools = (burning >= self._share * known) & (burning >= LAMPS_MIN)
        return dark


class _Cells:
    """The city in squares of ``size_m``."""

    def __init__(self, fleet: Fleet, size_m: float) -> None:
        latitude = np.array([asset.latitude for asset in fleet.assets], dtype=np.float64)
        longitude = np.array([asset.longitude for asset in fleet.assets], dtype=np.float64)
        y = np.floor(latitude * METRES_PER_DEG / size_m).astype(np.int64)
        x = np.floor(longitude * METRES_PER_DEG * np.cos(np.radians(latitude)) / size_m).astype(np.int64)
        places = list(zip(x.tolist(), y.tolist(), strict=True))
        number = {place: n for n, place in enumerate(sorted(set(places)))}
        self._cell = np.array([number[place] for place in places], dtype=np.int64)
        steps = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        around = [[number.get((a + dx, b + dy), len(number)) for dx, dy in steps] for a, b in sorted(number)]
        self._around = np.array(around, dtype=np.int64).reshape(len(number), len(steps))

    def count(self, asset: Int32s) -> Int64s:
        """How many of ``asset`` stand around each of all assets."""
        each = np.append(np.bincount(self._cell[asset], minlength=len(self._around)), 0)
        found: Int64s = each[self._around].sum(axis=1)[self._cell]
        return found
