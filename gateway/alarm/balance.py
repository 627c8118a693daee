"""The energy balance of cabinets, night by night. In: loads. Out: cabinets that use more than their lamps.

What the meter saw and the lamps did not tell, over the same minutes, less what is usual: the median of 14
nights (field notes 3, theft). Nights over the limit are not usual. Never judges one it heard too little of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.alarm.load import Load
from gateway.alarm.options import AlarmOptions
from gateway.model import Bools, Float64s, Int64s

THEFT: Final = "energyTheft"
NIGHTS: Final = 14
RECENT: Final = 5
OVER_MIN: Final = 3
"""Of RECENT nights: so many over the limit."""
HOURS_MIN: Final = 4.0
NONE: Final = -1
_HOUR_NS: Final = 3.6e12


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a cabinet after a night: ``raised`` while OVER_MIN of RECENT nights were over their limit."""

    cabinet: int
    raised: bool
    onset_ns: int
    excess_wh: float
    limit_wh: float


class Balance:
    """Columns per cabinet. ``lost_wh`` [NIGHTS, cabinets] of usual nights, the newest last, NaN for none.

    ``over`` int8[RECENT, cabinets]: 1 for a night over its limit, 0 for another, NONE for one not judged.
    ``sums`` [lost Wh, told Wh, hours, hours with power] of the night so far; ``onset_ns`` when the first of
    the nights over the limit ended.
    """

    def __init__(self, cabinets: int, options: AlarmOptions) -> None:
        self._options = options
        self.night: int | None = None
        self.lost_wh: Float64s = np.full((NIGHTS, cabinets), np.nan)
        self.over = np.full((RECENT, cabinets), NONE, dtype=np.int8)
        self.sums: Float64s = np.zeros((4, cabinets))
        self.onset_ns: Int64s = np.zeros(cabinets, dtype=np.int64)
        self.told_wh: Float64s = np.zeros(cabinets)  # of the last night, for an explanation only

    def step(self, load: Load, elapsed_ns: int, wall_ns: int, night: int) -> Iterator[Verdict]:
        """``elapsed_ns`` more of ``night`` (noon to noon); verdicts where one has ended."""
        if self.night is not None and night != self.night:
            yield from self._close(wall_ns)
            self.sums[:] = 0.0
        self.night = night
        hours = elapsed_ns / _HOUR_NS
        powered = load.expected_w.sum(axis=0) > self._options.load_w_min
        known = load.judged & powered & (load.heard >= self._options.balance_coverage)
        told_w = load.told_w / np.maximum(load.heard, self._options.balance_coverage)
        lost_w = load.measured_w.sum(axis=0) - told_w
        self.sums[0, known] += (lost_w * hours)[known]
        self.sums[1, known] += (told_w * hours)[known]
        self.sums[2, known] += hours
        self.sums[3, powered] += hours

    def usual_wh(self) -> tuple[Float64s, Float64s]:
        """Median and median absolute deviation of the usual nights' losses, NaN for too few nights."""
        known = (~np.isnan(self.lost_wh)).sum(axis=0) >= self._options.balance_nights_min
        median, spread = np.full(len(known), np.nan), np.full(len(known), np.nan)
        if known.any():
            lost_wh = self.lost_wh[:, known]
            median[known] = np.nanmedian(lost_wh, axis=0)
            spread[known] = np.nanmedian(np.abs(lost_wh - median[known]), axis=0)
        return median, spread

    def limit_wh(self, told_wh: Float64s, spread_wh: Float64s) -> Float64s:
        """What must be missing beyond the usual, for lamps that used ``told_wh``."""
        options = self._options
        share_wh = np.maximum(options.balance_share * told_wh, options.balance_wh_min)
        limit: Float64s = np.maximum(share_wh, options.balance_spreads * spread_wh)
        return limit

    def _close(self, wall_ns: int) -> Iterator[Verdict]:
        lost_wh, told_wh, hours, powered_h = self.sums
        enough: Bools = (hours >= HOURS_MIN) & (hours >= self._options.balance_hours_share * powered_h)
        if not enough.any():
            return
        whole = powered_h / np.maximum(hours, 1e-9)
        lost_wh, told_wh = lost_wh * whole, told_wh * whole
        median_wh, spread_wh = self.usual_wh()
        self.told_wh[enough] = told_wh[enough]
        excess_wh, limit_wh = lost_wh - median_wh, self.limit_wh(told_wh, spread_wh)
        judged: Bools = enough & ~np.isnan(median_wh)
        over = judged & (excess_wh > limit_wh)
        for column in np.flatnonzero(enough & ~over).tolist():
            self.lost_wh[:, column] = np.append(self.lost_wh[1:, column], lost_wh[column])
        quiet = ~(self.over == 1).any(axis=0)
        self.onset_ns[over & quiet] = wall_ns
        for column in np.flatnonzero(judged).tolist():
            self.over[:, column] = np.append(self.over[1:, column], np.int8(over[column]))
            count = int(np.count_nonzero(self.over[:, column] == 1))
            if count >= OVER_MIN or not count:
                onset_ns = int(self.onset_ns[column])
                yield Verdict(column, bool(count), onset_ns, excess_wh[column], limit_wh[column])
