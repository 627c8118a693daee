"""When circuits are switched that no cabinet tells of. In: lamps heard. Out: what is due, as learned.

On and off are the medians of when lamps were first and last heard, over 14 nights from noon to noon (field
notes 2). Where a cabinet tells, nothing is learned. Never counts a night that began unheard.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.alarm.cabinet import CabinetReports
from gateway.alarm.circuits import Circuits
from gateway.alarm.expected import Supply
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH
from gateway.model import Bools, Float64s, Int32s, Int64s, UInt8s

NIGHTS: Final = 14
LOOK_NS: Final = 300_000_000_000
LAMPS_MIN: Final = 2
DAY_S: Final = 86_400.0
EDGE_S: Final = 1800.0
"""Lamps heard so close to noon burn by day: nothing is learned of that night."""
LATELY: Final = 1.5
"""Intervals within which a lamp that was heard has power."""


class SwitchingTimes:
    """Columns per circuit, seconds after noon, NaN for none: ``on_s``, ``off_s`` [NIGHTS], the newest last.

    ``first_s`` and ``last_s`` are of the night so far.
    """

    def __init__(self, circuits: Circuits, options: AlarmOptions) -> None:
        self._circuits = circuits
        self._share, self._nights_min = options.stray_lamps_share, options.learned_nights_min
        self._slack_s = options.learned_slack_s
        count = len(circuits)
        self.waited_ns = 0
        self.night: int | None = None
        self.whole = False  # this night was followed from its noon on
        self.on_s: Float64s = np.full((NIGHTS, count), np.nan)
        self.off_s: Float64s = np.full((NIGHTS, count), np.nan)
        self.first_s: Float64s = np.full(count, np.nan)
        self.last_s: Float64s = np.full(count, np.nan)
        self._known: tuple[Float64s, Float64s] | None = None

    def blind(self, reports: CabinetReports) -> Bools:
        """Switched circuits no cabinet ever told of; bool[circuits]."""
        silent = np.append(~reports.ever(), True)
        blind: Bools = self._circuits.switched & silent[self._circuits.cabinet]
        return blind

    def learn(
        self, elapsed_ns: int, noon: tuple[int, float], age_ns: Int64s, of_device: Int32s, interval_ns: Int64s
    ) -> None:
        """``elapsed_ns`` of listening passed, up to ``noon``: (number of the night, seconds since its noon).

        ``age_ns`` is how long ago each device was heard, in listening time.
        """
        self.waited_ns += elapsed_ns
        if self.waited_ns < LOOK_NS:
            return
        self.waited_ns = 0
        night, now_s = noon
        if night != self.night:
            self._close()
            self.whole = self.night is not None or now_s < EDGE_S
            self.night = night
        lately = (of_device != BENCH) & (age_ns <= LATELY * interval_ns)
        count = len(self._circuits)
        own = np.bincount(of_device[of_device != BENCH], minlength=count)
        lamps = np.bincount(of_device[lately], minlength=count)
        # A few are lamps that hang on another circuit than the inventory says.
        lit = (lamps >= LAMPS_MIN) & (lamps >= self._share * own)
        self.first_s[lit & np.isnan(self.first_s)] = now_s
        youngest_s = np.full(count, np.inf)
        np.minimum.at(youngest_s, of_device[lately], age_ns[lately] / 1e9)
        self.last_s[lit] = now_s - youngest_s[lit]

    def due(self, planned: UInt8s, blind: Bools, now_s: float) -> UInt8s:
        """``planned`` (codes of Supply), or what was learned where circuits are ``blind``, once known."""
        on_s, off_s = self._learned()
        known = blind & ~np.isnan(on_s)
        if not known.any():
            return planned
        from_on_s, past_off_s, slack_s = now_s - on_s, now_s - off_s, self._slack_s
        learned = np.full(len(planned), Supply.UNKNOWN, dtype=np.uint8)
        learned[(from_on_s < -slack_s) | (past_off_s > slack_s)] = Supply.OFF
        learned[(from_on_s >= 0.0) & (past_off_s <= -slack_s)] = Supply.ON
        due: UInt8s = np.where(known, learned, planned).astype(np.uint8)
        return due

    def restored(self) -> None:
        """Nights on record were replaced."""
        self._known = None

    def _learned(self) -> tuple[Float64s, Float64s]:
        """On and off, NaN where too few nights are on record."""
        if self._known is None:
            enough = (~np.isnan(self.on_s)).sum(axis=0) >= self._nights_min
            on_s, off_s = np.full(len(enough), np.nan), np.full(len(enough), np.nan)
            if enough.any():
                on_s[enough] = np.nanmedian(self.on_s[:, enough], axis=0)
                off_s[enough] = np.nanmedian(self.off_s[:, enough], axis=0)
            self._known = on_s, off_s
        return self._known

    def _close(self) -> None:
        """A night is over; a dark one, or one with light at noon, teaches nothing."""
        told = self.whole & (self.first_s > EDGE_S) & (self.last_s < DAY_S - EDGE_S)
        for column in np.flatnonzero(told).tolist():
            self.on_s[:, column] = np.append(self.on_s[1:, column], self.first_s[column])
            self.off_s[:, column] = np.append(self.off_s[1:, column], self.last_s[column])
        self.first_s[:] = self.last_s[:] = np.nan
        self._known = None
