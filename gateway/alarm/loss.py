"""How many reports may be missing. In: what each device sent and owed. Out: missed reports that mean silence.

At most FALSE_PER_NIGHT of a lamp's nights may bring a false alarm. Field notes 2 count with 1e-5, and losses
that are independent: 1 % -> 4, 4 % -> 5, 10 % -> 7, 20 % -> 10, 30 % -> 13. Never reads a clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import Bools, Float64s, Int32s, Int64s

FALSE_PER_NIGHT: Final = 2e-6  # a fifth of the 0.01 per 1,000 nights, as losses come in bursts, too
REPORTS_A_NIGHT: Final = 44  # 11 hours of 15 minutes; also the most that may be missing
MISSED_MIN: Final = 3
REPORTS_KEPT_MAX: Final = 14 * REPORTS_A_NIGHT
INTERVAL_S: Final = 900.0  # of those reports
BURST_S: Final = 720.0  # a burst of noise, about 8 minutes (field notes 8), hides all reports in it
WEAK_LOSS: Final = 0.2
# What a radio loses before it has shown it: median 2 %, P90 8 %, 3 % of them 15 to 35 % (field notes 8).
# Close to each other where they are many: what lies between two counts as the lesser one.
LOSSES: Final[Float64s] = np.array(
    [0.005, 0.01, 0.02, 0.04, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3, 0.35, 0.5, 0.7, 0.9]
)
_SHARES: Final[Float64s] = np.array(
    [0.1, 0.2, 0.3, 0.2, 0.12, 0.025, 0.015, 0.015, 0.01, 0.008, 0.007, 1e-4, 1e-5, 1e-6]
)
_LOG_LOSS, _LOG_KEPT = np.log(LOSSES), np.log1p(-LOSSES)


class LossRecord:
    """Reports each device owed and missed, int32[devices]; the older half is forgotten after 14 nights.

    ``interval_s`` float64[devices]: who reports more often than every 15 minutes has more chances of a row
    of lost reports a night, and loses several in one burst of noise.
    """

    def __init__(self, devices: int, interval_s: Float64s | None = None) -> None:
        interval_s = np.full(devices, INTERVAL_S) if interval_s is None else np.maximum(interval_s, 1.0)
        self._often = np.maximum(INTERVAL_S / interval_s, 1.0)
        self._burst = np.floor(BURST_S / interval_s).astype(np.int64)
        self.due: Int32s = np.zeros(devices, dtype=np.int32)
        self.missed: Int32s = np.zeros(devices, dtype=np.int32)

    def heard(self, devices: Int32s, owed: Int64s) -> None:
        """``devices`` were heard, ``owed`` reports after the last time; one entry a device counts."""
        due = np.maximum(self.due[devices] + owed, 1)
        missed = self.missed[devices] + np.maximum(owed - 1, 0)
        old = due > REPORTS_KEPT_MAX
        self.due[devices] = np.where(old, due // 2, due)
        self.missed[devices] = np.where(old, missed // 2, missed)

    def rate(self) -> Float64s:
        """Share of reports lost, float64[devices]; what radios lose in the mean without a record."""
        rate: Float64s = self._likely() @ LOSSES
        return rate

    def allowed(self, first: Int32s) -> Int32s:
        """Missed reports that mean silence, int32[devices]; at least ``first`` until a night is on record."""
        known = self.due >= REPORTS_A_NIGHT
        missed = missed_allowed(self._likely() * self._often[:, np.newaxis]) + self._burst
        missed = np.minimum(missed, REPORTS_A_NIGHT)
        allowed: Int32s = np.where(known, missed, np.maximum(missed, first)).astype(np.int32)
        return allowed

    def weak(self) -> Bools:
        """Devices that lose more than WEAK_LOSS of their reports, as a night's record or more says."""
        weak: Bools = (self.due >= REPORTS_A_NIGHT) & (self.rate() > WEAK_LOSS)
        return weak

    def _likely(self) -> Float64s:
        """How likely each of LOSSES is after what was heard, float64[devices, losses]."""
        kept = (self.due - self.missed)[:, np.newaxis]
        log = np.log(_SHARES) + self.missed[:, np.newaxis] * _LOG_LOSS + kept * _LOG_KEPT
        weight = np.exp(log - log.max(axis=1, keepdims=True))
        likely: Float64s = weight / weight.sum(axis=1, keepdims=True)
        return likely


def missed_allowed(
    likely: Float64s, losses: Float64s = LOSSES, false_per_night: float = FALSE_PER_NIGHT
) -> Int64s:
    """The least k with REPORTS_A_NIGHT (1 - p) p^k <= false_per_night, from 3 to one night; int64[n].

    ``likely`` float64[n, losses] says how likely each of ``losses`` is.
    """
    chance = REPORTS_A_NIGHT * likely * (1.0 - losses)
    k = np.full(len(likely), MISSED_MIN, dtype=np.int64)
    over = np.flatnonzero(chance @ losses**MISSED_MIN > false_per_night)
    for missed in range(MISSED_MIN + 1, REPORTS_A_NIGHT + 1):
        if not len(over):
            break
        k[over] = missed
        over = over[chance[over] @ losses**missed > false_per_night]
    return k
