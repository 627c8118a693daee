"""How many reports may be missing. In: what each device sent and owed. Out: missed reports that mean silence.

At most FALSE_PER_NIGHT of a lamp's nights may bring a false alarm, reports being lost independently
(field notes 2: loss 1 % -> 4, 4 % -> 5, 10 % -> 7, 20 % -> 10, 30 % -> 13). Never reads a clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import Float64s, Int32s, Int64s

FALSE_PER_NIGHT: Final = 1e-5
REPORTS_A_NIGHT: Final = 44  # 11 hours of 15 minutes; also the most that may be missing
MISSED_MIN: Final = 3
PRIOR_LOSS: Final = 0.04
PRIOR_REPORTS: Final = 50
REPORTS_KEPT_MAX: Final = 14 * REPORTS_A_NIGHT
LOSS_MIN, LOSS_MAX = 1e-3, 0.95


class LossRecord:
    """Reports each device owed and missed, int32[devices]; the older half is forgotten after 14 nights."""

    def __init__(self, devices: int) -> None:
        self.due: Int32s = np.zeros(devices, dtype=np.int32)
        self.missed: Int32s = np.zeros(devices, dtype=np.int32)

    def heard(self, devices: Int32s, owed: Int64s) -> None:
        """``devices`` were heard, ``owed`` reports after the last time; one entry a device counts."""
        due = self.due[devices] + owed
        missed = self.missed[devices] + np.maximum(owed - 1, 0)
        old = due > REPORTS_KEPT_MAX
        self.due[devices] = np.where(old, due // 2, due)
        self.missed[devices] = np.where(old, missed // 2, missed)

    def rate(self) -> Float64s:
        """Share of reports lost, one standard error cautious, float64[devices]; 4 % without a record."""
        reports = self.due + PRIOR_REPORTS
        rate = (self.missed + PRIOR_LOSS * PRIOR_REPORTS) / reports
        spread = np.where(self.due > 0, np.sqrt(rate * (1.0 - rate) / reports), 0.0)
        likely: Float64s = np.clip(rate + spread, LOSS_MIN, LOSS_MAX)
        return likely

    def allowed(self, first: Int32s) -> Int32s:
        """Missed reports that mean silence, int32[devices]; ``first`` until a night's record is there."""
        known = self.due >= REPORTS_A_NIGHT
        return np.where(known, missed_allowed(self.rate()), first).astype(np.int32)


def missed_allowed(loss: Float64s) -> Int64s:
    """The least k with REPORTS_A_NIGHT (1 - p) p^k <= FALSE_PER_NIGHT, from 3 to one night."""
    chance = FALSE_PER_NIGHT / (REPORTS_A_NIGHT * (1.0 - loss))
    k = np.ceil(np.log(chance) / np.log(loss))
    return np.clip(k, MISSED_MIN, REPORTS_A_NIGHT).astype(np.int64)
