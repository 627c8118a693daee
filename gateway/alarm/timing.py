"""When a reading was taken, as far as rules believe it. In: live readings in order. Out: times, and which.

A device's clock may be hours off for ever, or until it has synchronised; a radio hands old readings in late.
Up to the late limit a reading's own time is believed, less exactly. Beyond it two in a row with the same lag
tell a slow clock, and are judged at their receive time; one alone says nothing of now, nor do several handed
in at once (field notes 3: late limit on skew-corrected time).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gateway.alarm.options import AlarmOptions
from gateway.alarm.order import exchange
from gateway.model import Bools, Int32s, Int64s, ReadingBatch

PROMPT_NS: Final = 60_000_000_000
"""A lag that needs no explanation, and by how much two lags of one wrong clock differ."""

UNHEARD: Final = np.iinfo(np.int64).min
NO_CLOCK: Final = UNHEARD + 1


class Times(NamedTuple):
    """One entry a reading: whether rules may ``believe`` it, when it was taken, how far that may be off.

    ``own``: the time is of the device's clock and not ours; the two are not compared. ``spaced``: the device
    had a clock, right or wrong, so that the time between two of its readings is known.
    """

    believe: Bools
    time_ns: Int64s
    margin_ns: Int64s
    own: Bools
    spaced: Bools

    def take(self, at: Int64s) -> Times:
        if len(at) == len(self.believe):
            return self
        return Times(self.believe[at], self.time_ns[at], self.margin_ns[at], self.own[at], self.spaced[at])


class Timing:
    """Each device's last live reading, int64[devices]: ``lag_ns`` device less receive time, ``taken_ns``."""

    def __init__(self, devices: int, options: AlarmOptions) -> None:
        self._late_ns = round(options.late_s * 1e9)
        self._late_intervals = options.late_intervals
        self.lag_ns: Int64s = np.full(devices, UNHEARD, dtype=np.int64)
        self.taken_ns: Int64s = np.zeros(devices, dtype=np.int64)

    def of(self, batch: ReadingBatch, live: Int64s, device: Int32s, *, distinct: bool) -> Times:
        """Times of the rows ``live``, which are of ``device``; ``distinct``: of another one each."""
        interval_ns = round(batch.profile.interval_s * 1e9)
        clock, time_ns = batch.time_from_device[live], batch.time_ns[live]
        skew_ns = batch.skew_ns[live]
        if np.count_nonzero(clock) == len(clock):
            off_ns = np.abs(skew_ns)
            if np.count_nonzero(off_ns <= PROMPT_NS) == len(clock):  # mostly; then nothing before matters
                self.lag_ns[device], self.taken_ns[device] = skew_ns, time_ns
                return Times(clock, time_ns, off_ns, clock, clock)
        lag_ns = skew_ns if clock.all() else np.where(clock, skew_ns, NO_CLOCK)
        before_ns = exchange(self.lag_ns, device, lag_ns, distinct=distinct)
        since_ns = time_ns - exchange(self.taken_ns, device, time_ns, distinct=distinct)
        off_ns = np.abs(np.where(clock, skew_ns, 0))
        prompt = clock & (off_ns <= PROMPT_NS)
        known = before_ns > NO_CLOCK
        grown_ns = lag_ns - np.where(known, before_ns, 0)
        # What was kept and is handed in at once gains on us: its receive times stand while its own go on.
        again = clock & known & (np.abs(grown_ns) <= PROMPT_NS) & (2 * grown_ns <= np.maximum(since_ns, 0))
        late = clock & ~prompt & (off_ns <= max(self._late_intervals * interval_ns, self._late_ns))
        slow = clock & ~prompt & ~late & again
        received = slow | (~clock & (before_ns <= NO_CLOCK))
        times_ns = np.where(received, batch.received_ns[live], time_ns)
        own = prompt | late
        return Times(own | received, times_ns, np.where(received, 0, off_ns), own, clock)
