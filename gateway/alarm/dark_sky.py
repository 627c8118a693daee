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
        by_sky = {programme.id for programme in fleet.programmes if programme.switch == "photocell"}
        programme = fleet.asset_table.words("programme")
        lamps = programme.spread((name in by_sky for name in programme.words), np.bool_)
        self.photocell: Bools = np.append(lamps, False)
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
        latitude, longitude = (fleet.asset_table.numbers(name) for name in ("latitude", "longitude"))
        y = np.floor(latitude * METRES_PER_DEG / size_m).astype(np.int64)
        x = np.floor(longitude * METRES_PER_DEG * np.cos(np.radians(latitude)) / size_m).astype(np.int64)
        places, cell = np.unique(np.stack((x, y)), axis=1, return_inverse=True)
        number = {(a, b): n for n, (a, b) in enumerate(places.T.tolist())}
        self._cell = cell.ravel().astype(np.int32)
        steps = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        around = [[number.get((a + dx, b + dy), len(number)) for dx, dy in steps] for a, b in sorted(number)]
        self._around = np.array(around, dtype=np.int64).reshape(len(number), len(steps))

    def count(self, asset: Int32s) -> Int64s:
        """How many of ``asset`` stand around each of all assets."""
        each = np.append(np.bincount(self._cell[asset], minlength=len(self._around)), 0)
        found: Int64s = each[self._around].sum(axis=1)[self._cell]
        return found
