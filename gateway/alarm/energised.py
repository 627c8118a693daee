"""Which circuits have power. In: plans, cabinets' reports, lamps heard. Out: on, off or unknown, and by what.

Evidence, strongest first: volts behind the contactor, the contactor, no volts before it, a group found dark,
two lamps heard, the plan or learned hours (field notes 2). Counts listening time only; never raises an alarm.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from gateway.alarm.cabinet import NEVER_NS, CabinetReports
from gateway.alarm.circuits import NO_PHASE, Circuits
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.options import AlarmOptions
from gateway.alarm.switching_times import SwitchingTimes
from gateway.fleet import BENCH
from gateway.model import Bools, Float64s, Int32s, Int64s, UInt8s

DEAD_V: Final = 50.0
LIVE_V: Final = 161.0  # 0.7 of nominal
LAMPS_MIN: Final = 2
STRAY_A: Final = 0.5
STRAY_SHARE: Final = 0.05
PLAN_GUARD_NS: Final = 1_260_000_000_000  # so far from a switching that is near now, none is near
_NOMINAL_V: Final = 230.0
_SECOND_NS: Final = 1_000_000_000


class Evidence(IntEnum):
    """What decided."""

    PLAN = 0
    LAMPS = 1
    DARK_GROUP = 2
    NO_SUPPLY = 3
    CONTACTOR = 4
    LOAD = 5


class Energised:
    """State per circuit; ``now_ns`` is the listening time so far.

    ``state`` are codes of Supply, ``by`` of Evidence; ``planned`` is what the plan says, or was learned;
    ``dark`` is set by who finds a group without power. ``heard_ns`` [devices] is when each was last heard, by
    that count.
    """

    def __init__(
        self, circuits: Circuits, devices: int, expectation: Expectation, options: AlarmOptions
    ) -> None:
        self._circuits, self._expectation = circuits, expectation
        self._settle_ns = round(options.lamp_settle_s * _SECOND_NS)
        self._guard_ns = round(options.switching_guard_s * _SECOND_NS)
        count = len(circuits)
        self.now_ns = 0
        self.state: UInt8s = np.full(count, Supply.UNKNOWN, dtype=np.uint8)
        self.by: UInt8s = np.zeros(count, dtype=np.uint8)
        self.planned: UInt8s = np.full(count, Supply.UNKNOWN, dtype=np.uint8)
        self.since_ns: Int64s = np.full(count, NEVER_NS, dtype=np.int64)
        self.off_since_ns: Int64s = np.full(count, NEVER_NS, dtype=np.int64)
        self.dark: Bools = np.zeros(count, dtype=np.bool_)
        # Without power by an alarm that stands, until a cabinet says otherwise.
        self.held: Bools = np.zeros(count, dtype=np.bool_)
        self.outage: Bools = np.zeros(count, dtype=np.bool_)  # the grid has announced that it gives none
        self.stray: Bools = np.zeros(count, dtype=np.bool_)  # power although the plan says off
        self.ended_ns: Int64s = np.full(count, NEVER_NS, dtype=np.int64)  # when power last went
        self.heard_ns: Int64s = np.full(devices, NEVER_NS, dtype=np.int64)
        self._share = options.stray_lamps_share
        self.times = SwitchingTimes(circuits, options)

    def alive(self, devices: Int32s, believed: Bools, of_device: Int32s) -> Bools:
        """Which readings are signs of life; ``of_device`` gives circuits of devices.

        A report that was held back for hours may come from a lamp that has long been dead, and where it lost
        its clock nobody can tell how old it is. The first since power returned are believed all the same.
        """
        if believed.all():
            return believed
        since_ns = np.append(self.since_ns, NEVER_NS)[of_device[devices]]
        alive: Bools = believed | (self.heard_ns[devices] < since_ns)
        return alive

    def hear(self, devices: Int32s) -> None:
        """Signs of life of ``devices``."""
        self.heard_ns[devices] = self.now_ns

    def lapse(self, circuits: Bools, last_ns: int) -> None:
        """Power of ``circuits`` went for a moment at about ``last_ns`` and is back: their lamps boot anew."""
        self.ended_ns[circuits], self.since_ns[circuits] = last_ns, self.now_ns

    def settled(self) -> Bools:
        """Circuits in which boot and self-tests are over, bool[circuits]; unknown ones count as settled."""
        since = self.now_ns - self.since_ns
        on: Bools = (self.state == Supply.ON) & (since >= self._settle_ns)
        on |= self.state == Supply.UNKNOWN
        return on

    def step(
        self, elapsed_ns: int, wall_ns: int, reports: CabinetReports, of_device: Int32s, interval_ns: Int64s
    ) -> None:
        """``elapsed_ns`` more of listening, up to ``wall_ns``; ``of_device`` gives circuits of devices."""
        self.now_ns += elapsed_ns
        before, first = self.state, not (self.planned != Supply.UNKNOWN).any()
        instant = np.full(len(self._circuits), wall_ns, dtype=np.int64)
        planned = self._expectation.at(self._circuits.asset, instant).supply_due
        blind = self.times.blind(reports)
        if blind.any():
            noon = self._expectation.night(wall_ns), self._expectation.since_noon_s(wall_ns)
            self.times.learn(elapsed_ns, noon, self.now_ns - self.heard_ns, of_device, interval_ns)
            planned = self.times.due(planned, blind, noon[1])
        planned[self.outage] = Supply.UNKNOWN
        began = (planned == Supply.OFF) & (self.planned != Supply.OFF)
        self.off_since_ns[began] = self.now_ns
        self.planned = planned
        state, by = planned.copy(), np.full(len(planned), Evidence.PLAN, dtype=np.uint8)
        stray_lamps = self._stray_lamps(of_device, interval_ns)
        state[stray_lamps], by[stray_lamps] = Supply.ON, Evidence.LAMPS
        without = self.dark | self.held
        state[without], by[without] = Supply.OFF, Evidence.DARK_GROUP
        stray_load = self._from_cabinets(state, by, reports, self._alike(planned, instant))
        rested = (planned == Supply.OFF) & (self.now_ns - self.off_since_ns >= self._guard_ns)
        self.stray = rested & (stray_lamps | stray_load | (state == Supply.ON))
        # Who was heard just before power went, by a contactor or a crew, is no sign of power after it.
        self.off_since_ns[(state == Supply.OFF) & (before != Supply.OFF)] = self.now_ns
        self.ended_ns[(state != Supply.ON) & (before == Supply.ON) & (by != Evidence.DARK_GROUP)] = (
            self.now_ns
        )
        self.state, self.by = state, by
        risen = (state == Supply.ON) & (before != Supply.ON)
        self.since_ns[risen] = NEVER_NS if first else self.now_ns

    def _stray_lamps(self, of_device: Int32s, interval_ns: Int64s) -> Bools:
        """Circuits planned off in which two lamps and a good share of all were heard since, and lately.

        Fewer of many are lamps that hang on another circuit than the inventory says.
        """
        off = np.concatenate((self.planned == Supply.OFF, [False]))[of_device]
        if not off.any():
            return np.zeros(len(self._circuits), dtype=np.bool_)
        since = np.concatenate((self.off_since_ns, [0]))[of_device] + self._guard_ns
        lately = self.now_ns - self.heard_ns <= interval_ns + interval_ns // 2
        heard = off & lately & (self.heard_ns > since)
        count = len(self._circuits)
        own = np.bincount(of_device[of_device != BENCH], minlength=count)
        lamps = np.bincount(of_device[heard], minlength=count)
        stray: Bools = (lamps >= LAMPS_MIN) & (lamps >= self._share * own)
        return stray

    def _from_cabinets(self, state: UInt8s, by: UInt8s, reports: CabinetReports, alike: Bools) -> Bools:
        """Overwrite ``state`` where a cabinet knows better; returns circuits with unplanned current."""
        c = self._circuits
        at = np.flatnonzero(c.cabinet != BENCH)
        cabinet = c.cabinet[at]
        if not len(at):
            return np.zeros(len(c), dtype=np.bool_)
        fresh = reports.fresh(self.now_ns)[cabinet]
        volts = of_phase(reports.phased("voltage"), c, at)
        load_volts = of_phase(reports.phased("load_voltage"), c, at)
        closed = np.where(alike[at], reports.contact("contactor_closed")[cabinet], np.nan)
        switched = c.switched[at]
        # A contact that says closed while nothing flows proves no power where none is due.
        idle = (self.planned[at] == Supply.OFF) & self._idle(reports)[at]
        for mask, code, evidence in (
            (~switched & (volts >= LIVE_V) & ~self.dark[at], Supply.ON, Evidence.LOAD),
            (switched & (closed == 1) & ~(volts < LIVE_V) & ~self.dark[at], Supply.ON, Evidence.CONTACTOR),
            (switched & (closed == 1) & idle, Supply.UNKNOWN, Evidence.CONTACTOR),
            (switched & (closed == 0), Supply.OFF, Evidence.CONTACTOR),
            (load_volts >= LIVE_V, Supply.ON, Evidence.LOAD),
            (load_volts < DEAD_V, Supply.OFF, Evidence.LOAD),
            (volts < DEAD_V, Supply.OFF, Evidence.NO_SUPPLY),
        ):
            hit = at[fresh & mask]
            state[hit], by[hit] = code, evidence
        stray = self._stray_load(reports)
        state[stray], by[stray] = Supply.ON, Evidence.LOAD
        return stray

    def _idle(self, reports: CabinetReports) -> Bools:
        """Circuits on a phase of their cabinet that carries next to no current, bool[circuits]."""
        c = self._circuits
        amps = np.full(len(c), np.nan)
        at = np.flatnonzero(c.cabinet != BENCH)
        amps[at] = of_phase(reports.phased("current"), c, at)
        return amps <= STRAY_A

    def _alike(self, planned: UInt8s, instant: Int64s) -> Bools:
        """Circuits whose cabinet has one plan for all it switches: only then one contactor speaks for all.

        Where phases are dropped late at night each has its own contactor, and which one reports is unknown;
        so also around the switching itself, when the plans still or already differ.
        """
        alike = self._same(planned)
        if (planned == Supply.UNKNOWN).any():
            for guard_ns in (-PLAN_GUARD_NS, PLAN_GUARD_NS):
                alike &= self._same(self._expectation.at(self._circuits.asset, instant + guard_ns).supply_due)
        return alike

    def _same(self, planned: UInt8s) -> Bools:
        """Circuits whose cabinet plans the same for all it switches, bool[circuits]."""
        c = self._circuits
        known = c.switched & (c.cabinet != BENCH)
        cabinets = int(c.cabinet.max(initial=0)) + 1
        low, high = np.full(cabinets, 255, dtype=np.uint8), np.zeros(cabinets, dtype=np.uint8)
        np.minimum.at(low, c.cabinet[known], planned[known])
        np.maximum.at(high, c.cabinet[known], planned[known])
        return np.append(low >= high, True)[c.cabinet]

    def _stray_load(self, reports: CabinetReports) -> Bools:
        """Circuits of cabinets all of whose feeders are planned off, on a phase that carries current."""
        c = self._circuits
        cabinets = reports.values.shape[1]
        known = c.cabinet != BENCH
        rest = c.switched & (self.planned == Supply.OFF) & (self.now_ns - self.off_since_ns > self._guard_ns)
        busy = np.bincount(c.cabinet[known & ~rest], minlength=cabinets) > 0
        quiet = known & ~np.concatenate((busy, [True]))[c.cabinet] & (c.phase != NO_PHASE)
        at = np.flatnonzero(quiet & np.concatenate((reports.fresh(self.now_ns), [False]))[c.cabinet])
        amps = of_phase(reports.phased("current"), c, at)
        planned_a = np.zeros((3, cabinets + 1))
        np.add.at(planned_a, (c.phase[at], c.cabinet[at]), c.rated_w[at] / _NOMINAL_V)
        limit = np.maximum(STRAY_A, STRAY_SHARE * planned_a[c.phase[at], c.cabinet[at]])
        stray = np.zeros(len(c), dtype=np.bool_)
        stray[at[amps > limit]] = True
        return stray


def of_phase(values: Float64s, circuits: Circuits, at: Int64s) -> Float64s:
    """``values`` [3, cabinets] for the phase and cabinet of each circuit ``at``; the mean for none."""
    cabinet, phase = circuits.cabinet[at], circuits.phase[at]
    if not len(at):
        return np.empty(0)
    known = np.where(phase == NO_PHASE, 0, phase)
    picked: Float64s = np.where(phase == NO_PHASE, values.mean(axis=0)[cabinet], values[known, cabinet])
    return picked
