"""How late readings come. In: readings of distinct devices. Out: when they were taken, which were held back.

A device's usual delay is the least seen lately, so a clock that is hours off is told from a network that kept
a reading for hours (field notes 3: "on skew-corrected time"). Never judges.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import Bools, Int32s, Int64s, ReadingBatch

NEVER_NS: Final = -(2**62)
LEAK_NS: Final = 60_000_000_000
"""The usual delay is forgotten by this much a reading, for clocks drift; not by a burst of held readings."""

KEPT_NS: Final = 300_000_000_000
"""A clock that is further off is put right by its usual delay."""

RESET_NS: Final = 48 * 3_600_000_000_000
"""Nothing is held back so long: a clock that fell back further began anew, and says nothing of the delay."""

SAME_NS: Final = 60_000_000_000
"""By how much two lags of one clock differ."""

WENT_BACK_NS: Final = 6 * 3_600_000_000_000
"""A reading so long before the last one was not late: the clock went back."""


class Delays:
    """``slot_of`` int32[devices], -1 for others; ``late_ns`` int64[slots]: later is too late."""

    def __init__(self, slot_of: Int32s, late_ns: Int64s) -> None:
        self.slot_of, self.late_ns = slot_of, late_ns
        self.usual_ns: Int64s = np.full(len(late_ns), NEVER_NS, dtype=np.int64)
        self.heard_ns: Int64s = np.full(len(late_ns), NEVER_NS, dtype=np.int64)
        self.last_ns: Int64s = np.full(len(late_ns), NEVER_NS, dtype=np.int64)
        self.lag_ns: Int64s = np.full(len(late_ns), NEVER_NS, dtype=np.int64)

    def take(self, batch: ReadingBatch, rows: Int64s) -> tuple[Int64s, Bools]:
        """Rows of a batch, each of another device: times (ns) as they were, and which are to be judged."""
        slots = self.slot_of[batch.device[rows]]
        own, skew_ns = batch.time_from_device[rows], batch.skew_ns[rows]
        received_ns = batch.received_ns[rows]
        passed_ns, grown_ns = received_ns - self.heard_ns[slots], np.abs(skew_ns - self.lag_ns[slots])
        self.heard_ns[slots], self.lag_ns[slots] = received_ns, skew_ns
        leak_ns = np.clip(passed_ns, 0, LEAK_NS)
        before_ns = self.usual_ns[slots]
        # Twice the same lag is a clock that was set back; what is handed in at once, or twice, has not that.
        again = (grown_ns <= SAME_NS) & (2 * grown_ns <= passed_ns)
        usual_ns = np.maximum(skew_ns, before_ns - leak_ns)
        usual_ns = np.where(again & (usual_ns - skew_ns > self.late_ns[slots]), skew_ns, usual_ns)
        told = (own | (skew_ns != 0)) & (skew_ns >= before_ns - RESET_NS)
        self.usual_ns[slots] = np.where(told, usual_ns, before_ns)
        good = ~told | (usual_ns - skew_ns <= self.late_ns[slots])
        off = own & (np.abs(usual_ns) > KEPT_NS)
        time_ns = batch.time_ns[rows] - np.where(off, usual_ns, 0)
        last_ns = self.last_ns[slots]
        good &= (time_ns > last_ns) | (time_ns < last_ns - WENT_BACK_NS)
        self.last_ns[slots] = np.where(good, time_ns, last_ns)
        return time_ns, good
