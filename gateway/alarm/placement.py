"""Where lamps really hang. In: their volts beside their cabinet's. Out: phases, exchanged places, circuits.

A lamp's voltage follows that of its own phase, whatever the inventory says; two neighbours that follow each
other's phase were mounted the wrong way round. Never changes the inventory, never reads a clock.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.alarm.circuits import NO_PHASE, PHASES, Circuits
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s

AWAKE_MIN: Final = 4
"""Heard so often while its circuit rested, a lamp does not hang on that."""

SAMPLES_KEPT_MAX: Final = 512.0  # beyond, the older half counts no more
_UNKNOWN: Final = -1
_AWAKE_COUNTED_MAX: Final = 10_000
Int8s = npt.NDArray[np.int8]
Float32s = npt.NDArray[np.float32]


class Placement:
    """``phase`` int8[devices]: 0, 1, 2 as shown, -1 unknown; ``places`` int32[assets + 1]: where what the
    inventory has at an asset really stands (BENCH, the last, stays).

    ``sums`` float32[devices, 7]: how many samples, and of lamp less cabinet volts the sum and the sum of
    squares for each phase. ``cabinet`` [devices] is the one they were taken beside. ``unswitched``
    bool[devices]: heard throughout the last rest of its circuit, of which ``awake`` counts the running one;
    ``resting`` bool[circuits] have been off for long.
    """

    def __init__(self, fleet: Fleet, circuits: Circuits, options: AlarmOptions) -> None:
        self._options = options
        devices = len(fleet.devices)
        self.sums: Float32s = np.zeros((devices, 7), dtype=np.float32)
        self.cabinet: Int32s = np.full(devices, BENCH, dtype=np.int32)
        self.phase: Int8s = np.full(devices, _UNKNOWN, dtype=np.int8)
        self.awake = np.zeros(devices, dtype=np.int16)
        self.unswitched: Bools = np.zeros(devices, dtype=np.bool_)
        self.resting: Bools = np.zeros(len(circuits), dtype=np.bool_)
        self._own = np.arange(len(fleet.assets) + 1, dtype=np.int32)
        self._own[-1] = BENCH
        self.places: Int32s = self._own.copy()
        self._of_asset = np.append(circuits.of_asset, BENCH)
        # Of each circuit, and as the last one of BENCH.
        self._phase = np.append(circuits.phase, np.int32(NO_PHASE))
        self._feeder = np.append(circuits.feeder, np.int32(BENCH))
        self._cabinet = np.append(circuits.cabinet, np.int32(BENCH))
        self._pairs = _neighbours(fleet, circuits)
        self._circuit_of = np.full((len(circuits.feeders) + 1, len(PHASES)), BENCH, dtype=np.int32)
        phased = np.flatnonzero(circuits.phase != NO_PHASE)
        self._circuit_of[circuits.feeder[phased], circuits.phase[phased]] = phased

    @property
    def exchanged(self) -> Int32s | None:
        """``places``, or None as long as no two lamps stand in each other's place."""
        return self.places if (self.places != self._own).any() else None

    def observe(self, devices: Int64s, circuit: Int32s, volts: Float32s, cabinets_v: Float64s) -> None:
        """``volts`` of distinct ``devices`` on ``circuit``, [n]; ``cabinets_v`` [3, cabinets], NaN: old news.

        A lost neutral, a lost phase, and a lamp whose own voltage is out of order tell nothing of phases.
        """
        cabinet = self._cabinet[circuit]
        box_v = np.append(cabinets_v, np.full((3, 1), np.nan), axis=1)[:, cabinet]
        off = volts - box_v
        with np.errstate(invalid="ignore"):
            apart = self._options.phase_apart_v
            told = (np.ptp(box_v, axis=0) < apart) & (np.abs(off.mean(axis=0)) < apart)
        devices, off, cabinet = devices[told], off[:, told].T, cabinet[told]
        moved = devices[self.cabinet[devices] != cabinet]
        self.sums[moved], self.phase[moved] = 0.0, _UNKNOWN
        self.cabinet[devices] = cabinet
        self.sums[devices] += np.concatenate((np.ones((len(off), 1)), off, off * off), axis=1)  # distinct

    def note_power(self, devices: Int64s, of_device: Int32s, resting: Bools, powered: Bools) -> None:
        """``devices`` were heard; ``resting`` circuits have been off for long, ``powered`` ones are on."""
        count = devices[np.append(resting, False)[of_device[devices]]]
        self.awake[count] = np.minimum(self.awake[count], _AWAKE_COUNTED_MAX) + 1
        over = self.resting & powered
        if over.any():
            rows = np.flatnonzero(np.append(over, False)[of_device])
            self.unswitched[rows], self.awake[rows] = self.awake[rows] >= AWAKE_MIN, 0
        self.resting = (self.resting & ~over) | resting

    def review(self, asset: Int32s) -> bool:
        """Conclude from what was seen; ``asset`` [devices] by the inventory. Whether anything is new."""
        count = self.sums[:, 0]
        old = count > SAMPLES_KEPT_MAX
        self.sums[old] /= 2.0
        before, options = self.phase.copy(), self._options
        enough = np.flatnonzero(count >= options.phase_samples_min)
        mean = self.sums[enough, 1:] / count[enough, np.newaxis]
        spread = mean[:, 3:] - mean[:, :3] ** 2
        best = spread.argmin(axis=1).astype(np.int8)
        ordered = np.sort(spread, axis=1)
        # A meter that tells one voltage for all its phases tells nothing of them.
        clear = ordered[:, 1] >= np.maximum(options.phase_ratio * ordered[:, 0], options.phase_told_v**2)
        # What was clear once stays until another phase fits better.
        self.phase[enough] = np.where(clear, best, np.where(before[enough] == best, best, _UNKNOWN))
        places = self.places
        self.settle(asset)
        turned = np.flatnonzero((before != self.phase) & (self._of_asset[asset] != BENCH))
        own = self._phase[self._of_asset[asset[turned]]]
        elsewhere = (self.phase[turned] != own) & (self.phase[turned] != _UNKNOWN)
        elsewhere |= (before[turned] != own) & (before[turned] != _UNKNOWN)
        return bool((places != self.places).any() or elsewhere.any())

    def settle(self, asset: Int32s) -> None:
        """Who stands in whose place, by the phases shown; ``asset`` [devices] by the inventory."""
        self.places = self._own.copy()
        phase = np.full(len(self._own), _UNKNOWN, dtype=np.int8)
        phase[asset] = self.phase
        phase[-1] = _UNKNOWN
        said = self._phase[self._of_asset]
        one, other = self._pairs
        fits = np.flatnonzero((phase[one] == said[other]) & (phase[other] == said[one]))
        one, other = one[fits], other[fits]
        # Where several pairs of a feeder differ alike, its phases were written down wrongly.
        feeder = self._feeder[self._of_asset]
        alike = [(int(f), *sorted(p)) for f, *p in zip(feeder[one], said[one], said[other], strict=True)]
        for k, kind in enumerate(alike):
            if alike.count(kind) == 1:
                self.places[[one[k], other[k]]] = other[k], one[k]

    def circuits_at(self, asset: Int32s) -> Int32s:
        """Circuit of each device, at ``asset`` [devices] where it really stands, by its phase if shown."""
        circuit = self._of_asset[asset]
        known = (circuit != BENCH) & (self.phase != _UNKNOWN)
        known &= self._phase[circuit] != NO_PHASE
        shown = self._circuit_of[self._feeder[circuit], self.phase]
        found: Int32s = np.where(known & (shown != BENCH), shown, circuit).astype(np.int32)
        return found


def _neighbours(fleet: Fleet, circuits: Circuits) -> tuple[Int32s, Int32s]:
    """Light points that follow each other along a feeder and are said to hang on different phases."""
    row: dict[str, list[tuple[int, int]]] = {}
    for number, asset in enumerate(fleet.assets):
        if asset.kind == "light_point" and asset.feeder and asset.phase in PHASES:
            row.setdefault(asset.feeder, []).append((asset.pole_sequence, number))
    ordered = [[number for _, number in sorted(points)] for points in row.values()]
    pairs = [pair for points in ordered for pair in pairwise(points)]
    found = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    phase = circuits.phase[circuits.of_asset[found]]
    found = found[phase[:, 0] != phase[:, 1]]
    return found[:, 0], found[:, 1]
