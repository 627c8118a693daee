"""Radio that failed for many at once. In: missing reports by circuit. Out: devices to wait for, and an alarm.

A gateway or a cell that is lost takes some devices of many circuits, a cut takes all of one: so power and
radio are told apart without knowing who hangs on which gateway (field notes 2: its lamps are unknown).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.alarm.circuits import Circuits
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH
from gateway.model import Bools, Float64s, Int32s, Int64s

PARTLY_MIN: Final = 0.15
"""Of a circuit's due devices so many are missing at least when the radio failed."""

ALONE: Final = 2.0  # what hangs on no circuit has no neighbours to be told from

BEYOND_CHANCE: Final = 5.0  # standard deviations
DEVICES_MIN: Final = 5
CABINETS_MIN, BESIDE_MIN = 2, 3
"""So many cabinets with so many missing devices each: what is missing at one is its own affair."""


class Radio:
    """``missing`` are devices that are silent with many others; ``lost`` once they were so for long.

    ``reach`` are all that are silent then, also where a gateway had all lamps of a circuit.
    """

    def __init__(self, circuits: Circuits, interval_ns: Int64s, options: AlarmOptions) -> None:
        self._circuits = circuits
        # Devices that report equally often: sensors are late long before lamps are.
        self._kind = np.unique(interval_ns, return_inverse=True)[1]
        reports = np.ceil(options.radio_lost_s * 1e9 / np.maximum(interval_ns, 1))
        self._reports = np.maximum(reports, options.radio_lost_reports).astype(np.int64)
        self._most = options.silent_share
        self.missing: Bools = np.zeros(0, dtype=np.bool_)
        self.lost: Bools = np.zeros(0, dtype=np.bool_)
        self.reach: Bools = self.lost

    def look(self, circuit: Int32s, due: Bools, owed: Int64s, loss: Float64s) -> None:
        """All [devices]: their circuit or BENCH, whether reports are due, how many are missing, how often."""
        late = due & (owed > 0)
        self.missing = self.lost = np.zeros(len(due), dtype=np.bool_)
        if np.count_nonzero(late) < DEVICES_MIN:
            return
        share = self._share(circuit, due, late)
        partly = due & (share >= PARTLY_MIN)[circuit] & ((share < self._most) | (share == ALONE))[circuit]
        self.missing = self._many(partly, late, loss, circuit)
        if self.missing.any():
            self.lost = self._many(partly, owed >= self._reports, loss**self._reports, circuit)
            self.reach = late & (share >= PARTLY_MIN)[circuit]

    def _share(self, circuit: Int32s, due: Bools, late: Bools) -> Float64s:
        """Share of each circuit's devices that are missing; ALONE for BENCH, the last."""
        count = len(self._circuits)
        placed = circuit != BENCH
        own = np.bincount(circuit[due & placed], minlength=count)
        share = np.bincount(circuit[late & placed], minlength=count) / np.maximum(own, 1)
        return np.append(share, ALONE)

    def _many(self, watched: Bools, silent: Bools, chance: Float64s, circuit: Int32s) -> Bools:
        """Those of ``watched`` that are ``silent``, if they are more than chance explains, and far apart."""
        hit = watched & silent
        found = np.bincount(self._kind[hit])
        expected = np.bincount(self._kind[watched], chance[watched], len(found))[: len(found)]
        many = found >= expected + BEYOND_CHANCE * np.sqrt(expected) + DEVICES_MIN
        for kind in np.flatnonzero(many).tolist():
            places = circuit[hit & (self._kind == kind)]
            cabinet = np.append(self._circuits.cabinet, BENCH)[places]
            _, at_each = np.unique(cabinet[cabinet != BENCH], return_counts=True)
            alone = np.count_nonzero(places == BENCH)
            many[kind] = alone >= DEVICES_MIN or np.count_nonzero(at_each >= BESIDE_MIN) >= CABINETS_MIN
        hit[hit] = many[self._kind[hit]]
        return hit
