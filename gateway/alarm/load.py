"""What cabinets carry, and what they should. In: powers told by lamps and cabinets, circuits. Out: both.

Should: the power each lamp told of itself, and the plan for who was not heard. A circuit without power
carries nothing. Never judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.alarm.cabinet import CabinetReports
from gateway.alarm.circuits import NO_PHASE, Circuits
from gateway.alarm.energised import Energised
from gateway.alarm.expected import Expectation, Light, Supply, Why
from gateway.alarm.silence import SilenceWatch
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch

POWER_FIELD: Final = "active_power"
FRESH_INTERVALS: Final = 2.5
"""So long a lamp's word holds: one report may be lost."""
DOUBT_SHARE: Final = 0.05
"""Of a cabinet's rated power may be of lamps of which nobody knows whether they should be lit."""


@dataclass(frozen=True, slots=True)
class Load:
    """One look; columns per cabinet, W.

    ``judged``: its meter was heard, and its circuits are on as planned and settled, or off, but not all.
    ``measured_w`` and ``expected_w`` [3, cabinets]; ``phased``: every lamp's phase is known. ``told_w``: what
    the lamps told that make up the share ``heard`` of the rated power of all that have power.
    """

    judged: Bools
    phased: Bools
    measured_w: Float64s
    expected_w: Float64s
    told_w: Float64s
    heard: Float64s


class Loads:
    """``power_w`` float32[devices] is what each lamp told last, NaN where nothing."""

    def __init__(
        self,
        fleet: Fleet,
        specs: Iterable[ProfileSpec],
        circuits: Circuits,
        expectation: Expectation,
        watch: SilenceWatch,
        energised: Energised,
        reports: CabinetReports,
    ) -> None:
        self._circuits, self._expectation = circuits, expectation
        self._watch, self._energised, self._reports = watch, energised, reports
        self._row = {
            spec.name: names.index(POWER_FIELD)
            for spec in specs
            if POWER_FIELD in (names := [field.name for field in spec.numeric])
        }
        self.power_w: npt.NDArray[np.float32] = np.full(len(fleet.devices), np.nan, dtype=np.float32)
        self._assets, self._cabinets = len(fleet.assets), len(fleet.cabinets)
        at = np.append(circuits.cabinet, BENCH)[circuits.of_asset] != BENCH
        points = fleet.asset_table.words("kind").equal("light_point")
        self._lamps: Int32s = np.flatnonzero(at & points).astype(np.int32)
        self._circuit = circuits.of_asset[self._lamps]
        self._rated_w = fleet.rated_power_w[self._lamps]
        known = circuits.cabinet != BENCH
        self._known = np.flatnonzero(known)
        odd = np.bincount(circuits.cabinet[known & (circuits.phase == NO_PHASE)], minlength=self._cabinets)
        own = np.bincount(circuits.cabinet[known], minlength=self._cabinets)
        self._phased: Bools = (odd == 0) & (own > 0)

    def observe(self, batch: ReadingBatch, rows: Int64s, device: Int32s) -> None:
        """Take note of ``rows`` of a batch, live and not held back, of these devices."""
        row = self._row.get(batch.profile.name)
        if row is not None:
            self.power_w[device] = batch.values[row].take(rows)

    def when(self, wall_ns: int) -> tuple[int, int]:
        """(listening time, number of the night) at ``wall_ns``."""
        return self._energised.now_ns, self._expectation.night(wall_ns)

    def look(self, wall_ns: int, aside: Bools) -> Load:
        """As of ``wall_ns``; cabinets of the circuits ``aside`` are not judged."""
        c, lamps = self._circuits, self._lamps
        on = (self._energised.state == Supply.ON)[self._circuit]
        told_w = np.where(on, self._told()[lamps], 0.0)
        expected_w = told_w.copy()
        doubt_w = np.zeros(len(lamps))
        mute = np.flatnonzero(np.isnan(told_w))
        if len(mute):
            due = self._expectation.at(lamps[mute], np.full(len(mute), wall_ns, dtype=np.int64))
            expected_w[mute] = self._expectation.expected_power_w(lamps[mute], due.level_due)
            # A photocell lamp that is not heard by day may be lit: the sky decides.
            free = (due.why == Why.PHOTOCELL) & (due.light_due != Light.ON)
            doubt_w[mute] = np.where(free, self._rated_w[mute], 0.0)
        cabinet = c.cabinet[self._circuit]
        doubted = np.bincount(cabinet, doubt_w, self._cabinets)
        heard_w = np.bincount(cabinet, np.where(on & ~np.isnan(told_w), self._rated_w, 0.0), self._cabinets)
        due_w = np.bincount(cabinet, np.where(on, self._rated_w, 0.0), self._cabinets)
        phase = np.where(c.phase == NO_PHASE, 0, c.phase)[self._circuit]
        cell = np.bincount(phase * self._cabinets + cabinet, expected_w, 3 * self._cabinets)
        measured_w = self._reports.phased("active_power")
        known = self._reports.fresh(self._energised.now_ns) & ~np.isnan(measured_w).any(axis=0)
        return Load(
            judged=known & (due_w > 0.0) & (doubted <= DOUBT_SHARE * due_w) & ~self._unsure(aside),
            phased=self._phased,
            measured_w=measured_w,
            expected_w=cell.reshape(3, self._cabinets).astype(np.float64),
            told_w=np.bincount(cabinet, np.nan_to_num(told_w), self._cabinets).astype(np.float64),
            heard=heard_w / np.maximum(due_w, 1.0),
        )

    def _told(self) -> Float64s:
        """float64[assets]: what the lamp there told lately, NaN for nothing."""
        watch, e = self._watch, self._energised
        lately = e.now_ns - e.heard_ns <= FRESH_INTERVALS * watch.interval_ns
        at = np.flatnonzero(lately & (watch.asset != BENCH) & ~np.isnan(self.power_w))
        told = np.full(self._assets, np.nan)
        told[watch.asset[at]] = self.power_w[at]
        return told

    def _unsure(self, aside: Bools) -> Bools:
        """Cabinets with a circuit whose load can not be known, or should not be there; bool[cabinets]."""
        e = self._energised
        sure = ((e.state == Supply.ON) & (e.planned == Supply.ON) & e.settled()) | (e.state == Supply.OFF)
        unsure = self._known[(~sure | aside)[self._known]]
        found: Bools = np.bincount(self._circuits.cabinet[unsure], minlength=self._cabinets) > 0
        return found
