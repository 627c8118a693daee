"""What each lamp should draw. In: the inventory's luminaire types. Out: power by asset, level and age.

From standby to full power by the type's curve: a table, proportional to the level, or logarithmic where the
level is the DALI arc power level (IEC 62386-102, dimming curve). Never reads a programme.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.fleet import Fleet, LuminaireType
from gateway.model import Bools, Float64s, Int32s

STANDBY_W_PER_HEAD: Final = 1.0
ARC_MAX: Final = 254.0  # the arc power level of full light
ARC_DECADE: Final = 253.0 / 3.0  # arc power levels for ten times the light
_LEVELS: Final = np.arange(102.0)  # whole percents, and one beyond so that full light has a right neighbour


class PowerCurves:
    """``standby_w`` float64[assets], all heads together; ``of_type`` numbers each asset's curve."""

    def __init__(self, fleet: Fleet) -> None:
        types = {kind.id: number for number, kind in enumerate(fleet.luminaire_types, 1)}
        known = (LuminaireType(""), *fleet.luminaire_types)
        rows = [types.get(asset.luminaire_type, 0) for asset in fleet.assets]
        of = np.array(rows, dtype=np.int32)
        heads = np.array([asset.heads for asset in fleet.assets], dtype=np.float64)
        dark_w = np.array([_table_w(kind, 0.0, STANDBY_W_PER_HEAD) for kind in known])[of]
        full_w = heads * np.array([_table_w(kind, 100.0, np.nan) for kind in known])[of]
        full_w = np.where(np.isnan(full_w), fleet.rated_power_w, full_w)
        self.of_type: Int32s = of
        self.standby_w: Float64s = np.minimum(heads * dark_w, full_w)
        output = np.array([kind.virtual_output for kind in known])[of]
        self._span_w: Float64s = (full_w - self.standby_w) * output
        self._curve: Float64s = np.stack([_share(kind) for kind in known])
        self._proportional = all(kind.curve == "linear" for kind in known)
        self._start: Float64s = np.array([kind.constant_light_start for kind in known])
        self._hours: Float64s = np.array([max(kind.constant_light_h, 1.0) for kind in known])
        self.ages: Bools = self._start < 1.0

    def power_w(self, assets: Int32s, level: Float64s, hours: Float64s | None) -> Float64s:
        """At ``level`` %, after so many operating ``hours`` (NaN or None: not known, so half-way)."""
        share = np.clip(level, 0.0, 100.0) / 100.0
        if not self._proportional:
            share = self._shares(self.of_type[assets], share * 100.0)
        if self.ages.any():
            share = share * self._kept(self.of_type[assets], hours)
        return self.standby_w[assets] + self._span_w[assets] * share

    def _shares(self, of: Int32s, level: Float64s) -> Float64s:
        """Between the whole percents of each one's curve; NaN for an unknown level."""
        whole = np.where(np.isnan(level), 0.0, level).astype(np.int64)
        low = self._curve[of, whole]
        share: Float64s = low + (self._curve[of, whole + 1] - low) * (level - whole)
        return share

    def _kept(self, of: Int32s, hours: Float64s | None) -> Float64s:
        """Share of full power at which constant light is kept; it grows as the light source ages."""
        age: Float64s = np.full(len(of), 0.5) if hours is None else hours / self._hours[of]
        age = np.clip(np.where(np.isnan(age), 0.5, age), 0.0, 1.0)
        kept: Float64s = self._start[of] + (1.0 - self._start[of]) * age
        return kept


def _table_w(kind: LuminaireType, level: float, otherwise: float) -> float:
    """Power of one head at a level its table names."""
    return dict(kind.points).get(level, otherwise)


def _share(kind: LuminaireType) -> Float64s:
    """Share of the way from standby to full power at each of the levels; 0 in the dark."""
    levels = np.minimum(_LEVELS, 100.0)
    if kind.curve == "dali":
        light = 10.0 ** ((levels / 100.0 * ARC_MAX - 1.0) / ARC_DECADE - 3.0)
        return np.where(levels > 0.0, light, 0.0)
    if kind.curve == "table":
        at, watts = np.array(kind.points).T
        dark_w = _table_w(kind, 0.0, STANDBY_W_PER_HEAD)
        if at[0] > 0.0:
            at, watts = np.append(0.0, at), np.append(dark_w, watts)
        table: Float64s = (np.interp(levels, at, watts) - dark_w) / (watts[-1] - dark_w)
        return table
    line: Float64s = levels / 100.0
    return line
