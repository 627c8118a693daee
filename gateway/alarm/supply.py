"""What cabinets' reports and plans say of groups. In: latest reports, states of circuits. Out: what is wrong.

switchingErrorOff/On (TALQ SegmentMonitor), supplyLoss, phaseLoss, neutralLoss (field notes 2 and 3). Holds,
hysteresis in time and alarms are ``cause``'s business.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.alarm.cabinet import NEVER_NS, CabinetReports
from gateway.alarm.circuits import Circuits
from gateway.alarm.energised import DEAD_V, LIVE_V, Energised, Evidence
from gateway.alarm.expected import Supply
from gateway.alarm.group import Group
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH
from gateway.model import Bools, Int64s

SUPPLY_LOSS: Final = "supplyLoss"
PHASE_LOSS: Final = "phaseLoss"
NEUTRAL_LOSS: Final = "neutralLoss"
SWITCHING_ERROR_OFF: Final = "switchingErrorOff"
SWITCHING_ERROR_ON: Final = "switchingErrorOn"

NEUTRAL_HIGH_V, NEUTRAL_LOW_V = 250.0, 200.0
CLEAR_HIGH_V, CLEAR_LOW_V = 245.0, 205.0
PHASE_BACK_V: Final = 180.0


class SupplyWatch:
    """Looks at all cabinets at once; remembers only since when a crew seems to be at work."""

    def __init__(
        self, circuits: Circuits, reports: CabinetReports, energised: Energised, options: AlarmOptions
    ) -> None:
        self._circuits, self._reports, self._energised = circuits, reports, energised
        self._work_ns_max = round(options.maintenance_s * 1e9)
        cabinets = reports.values.shape[1]
        self.work_since_ns: Int64s = np.full(cabinets, NEVER_NS, dtype=np.int64)
        self._of_cabinet = [np.flatnonzero(circuits.cabinet == k) for k in range(cabinets)]

    def conditions(self) -> dict[tuple[str, Group], None]:
        """(type, group) of everything that is wrong now, in a fixed order."""
        found: dict[tuple[str, Group], None] = {}
        fresh, volts = self._reports.fresh(self._energised.now_ns), self._reports.phased("voltage")
        self._note_work()
        known = fresh & ~np.isnan(volts).all(axis=0)
        if known.any():
            found |= self._of_voltages(known, volts)
        found |= self._of_switching(fresh)
        return found

    def is_over(self, kind: str, group: Group) -> bool:
        """Whether fresh evidence says that a standing condition has ended; planned off proves nothing."""
        own = list(group.circuits)
        e, cabinet = self._energised, self._cabinet(group)
        fresh = cabinet != BENCH and bool(self._reports.fresh(e.now_ns)[cabinet])
        if kind == SWITCHING_ERROR_ON:
            return not (e.stray[own] & (e.planned[own] == Supply.OFF)).any()
        if kind == SWITCHING_ERROR_OFF:
            return bool(((e.state[own] == Supply.ON) & (e.by[own] != Evidence.PLAN)).any())
        if not fresh:
            return False
        volts = self._reports.phased("voltage")[:, cabinet]
        volts = volts[~np.isnan(volts)]
        if not len(volts):
            return False
        if kind == SUPPLY_LOSS:
            return bool(volts.max() >= LIVE_V)
        if kind == PHASE_LOSS:
            return bool(volts.min() >= PHASE_BACK_V)
        return bool(volts.max() <= CLEAR_HIGH_V and volts.min() >= CLEAR_LOW_V)

    def at_work(self) -> Bools:
        """Cabinets whose door is open or selector on manual, for no longer than a crew needs."""
        since = self._energised.now_ns - self.work_since_ns
        return (self.work_since_ns > NEVER_NS) & (since <= self._work_ns_max)

    def busy(self) -> Bools:
        """Circuits of cabinets that are open or on manual now, however long; bool[circuits]."""
        cabinets = np.append(self.work_since_ns > NEVER_NS, False)
        return cabinets[self._circuits.cabinet]

    def _note_work(self) -> None:
        manual, door = self._reports.contact("selector_mode"), self._reports.contact("door_open")
        busy = (manual == 1) | (door == 1)
        began = busy & (self.work_since_ns == NEVER_NS)
        self.work_since_ns[began] = self._energised.now_ns
        self.work_since_ns[~busy] = NEVER_NS

    def _of_voltages(self, known: Bools, volts: np.ndarray) -> dict[tuple[str, Group], None]:
        at = np.flatnonzero(known)
        low, high = np.fmin.reduce(volts[:, at], axis=0), np.fmax.reduce(volts[:, at], axis=0)
        kinds = (
            (SUPPLY_LOSS, high < DEAD_V),
            (NEUTRAL_LOSS, (high > NEUTRAL_HIGH_V) & (low < NEUTRAL_LOW_V)),
            (PHASE_LOSS, (high >= LIVE_V) & (low < LIVE_V) & (high <= NEUTRAL_HIGH_V)),
        )
        return {
            (kind, Group("cabinet", cabinet, tuple(self._of_cabinet[cabinet].tolist()))): None
            for kind, mask in kinds
            for cabinet in at[mask].tolist()
        }

    def _of_switching(self, fresh: Bools) -> dict[tuple[str, Group], None]:
        c, e = self._circuits, self._energised
        opened = (e.by == Evidence.CONTACTOR) & (e.state == Supply.OFF) & (e.planned == Supply.ON)
        if not np.count_nonzero(e.stray) and not np.count_nonzero(opened):
            return {}
        has = c.cabinet != BENCH
        working = np.append(self.at_work(), False)[c.cabinet] & has
        closed = np.append(self._reports.contact("contactor_closed"), np.nan)[c.cabinet]
        by_contactor = (closed == 0) & (e.by == Evidence.CONTACTOR) & (e.state == Supply.OFF)
        off = np.append(fresh, False)[c.cabinet] & by_contactor
        # Without volts before the contactor it is the grid that failed.
        dead = np.append(np.fmax.reduce(self._volts(), axis=0) < DEAD_V, False)[c.cabinet]
        due = c.switched & (e.planned == Supply.ON)
        rest = c.switched & (e.planned == Supply.OFF)
        # That a cabinet left on manual burns by day is localOverride, however long.
        manual = np.append(self._reports.contact("selector_mode") == 1, False)[c.cabinet] & has
        groups = [(SWITCHING_ERROR_OFF, g) for g in self._rolled_up(due & off & ~dead & ~working, due)]
        groups += [(SWITCHING_ERROR_ON, g) for g in self._rolled_up(e.stray & ~working & ~manual, rest)]
        return dict.fromkeys(groups)

    def _volts(self) -> np.ndarray:
        volts = self._reports.phased("voltage")
        return np.where(np.isnan(volts).all(axis=0), LIVE_V, volts)

    def _rolled_up(self, hit: Bools, possible: Bools) -> list[Group]:
        """The largest groups of which every circuit that could be ``hit`` is."""
        if not hit.any():
            return []
        c = self._circuits
        groups: list[Group] = []
        left = hit.copy()
        for cabinet in sorted({int(k) for k in c.cabinet[hit]} - {BENCH}):
            own = self._of_cabinet[cabinet][possible[self._of_cabinet[cabinet]]]
            if hit[own].all() and len(c.of_feeders(own)) > 1:
                groups.append(Group("cabinet", cabinet, tuple(own.tolist())))
                left[own] = False
        for feeder in sorted(c.of_feeders(np.flatnonzero(left).tolist())):
            own = np.flatnonzero((c.feeder == feeder) & possible)
            if left[own].all():
                groups.append(Group("feeder", feeder, tuple(own.tolist())))
                left[own] = False
        return groups + [Group("circuit", n, (n,)) for n in np.flatnonzero(left).tolist()]

    def _cabinet(self, group: Group) -> int:
        if group.level == "cabinet":
            return group.number
        return int(self._circuits.cabinet[group.circuits[0]]) if group.circuits else BENCH
