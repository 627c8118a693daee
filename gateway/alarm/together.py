"""Who fell silent together. In: ages, states of circuits, meters. Out: silent groups, devices to wait for.

A member is called silent only when no group of it can be: while radio fails for many, while it may still be
joining, and while a circuit it may really hang on is off (field notes 2 and 8). Raises nothing itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.alarm import silence
from gateway.alarm.cabinet import NEVER_NS, CabinetReports
from gateway.alarm.circuits import NO_PHASE, Circuits
from gateway.alarm.energised import Energised
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.group import Group, reports_missing, silent_groups
from gateway.alarm.options import AlarmOptions
from gateway.alarm.parent import FEEDER_OPEN, PRESUMED_DARK
from gateway.alarm.radio import Radio
from gateway.alarm.silence import SilenceWatch
from gateway.alarm.supply import PHASE_LOSS
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s

WAIT_REPORTS: Final = 2
"""Who was missing with many others has so long to report once they are back."""

ELSEWHERE_REPORTS: Final = 3
"""So many reports at most were lost before another circuit went off, if a lamp really hangs on that."""

FEW_SHARE: Final = 0.3

METER_TELLS_W: Final = 200.0
"""Less is lost in a three-phase meter's steps and in what controllers draw by themselves."""

SWITCHED_SLACK_NS: Final = 1_200_000_000_000
"""When a circuit is planned to go off, it is unknown for as long as the plan's guard before and after."""

_SECOND_NS: Final = 1_000_000_000


class Together:
    """``until_ns`` int64[devices], listening time: before it a device is not called silent.

    ``elsewhere`` bool[devices] fell silent with another circuit of their cabinet than the inventory says.
    """

    def __init__(
        self,
        fleet: Fleet,
        circuits: Circuits,
        expectation: Expectation,
        watch: SilenceWatch,
        energised: Energised,
        reports: CabinetReports,
        options: AlarmOptions,
    ) -> None:
        self._fleet, self._circuits, self._expectation = fleet, circuits, expectation
        self._watch, self._energised, self._reports = watch, energised, reports
        self._options = options
        self._join_ns = round((options.settle_s + options.rejoin_s) * _SECOND_NS)
        self._beside = _beside(circuits)
        placed = circuits.of_asset != BENCH
        standby_w = np.bincount(circuits.of_asset[placed], expectation.standby_w[placed], len(circuits))
        self._standby_w: Float64s = standby_w.astype(np.float64)
        self.radio = Radio(circuits, watch.interval_ns, options)
        self._powered: Bools = np.ones(len(fleet.devices), dtype=np.bool_)
        self.elsewhere: Bools = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.until_ns: Int64s = np.full(len(fleet.devices), NEVER_NS, dtype=np.int64)

    def look(self, wall_ns: int, accounted: Bools) -> list[tuple[str, Group, Int32s]]:
        """(type, group, device rows) of what is silent; ``accounted`` circuits have such an alarm already."""
        watch, circuit, now_ns = self._watch, self._watch.circuit, self._energised.now_ns
        owed = reports_missing(watch.age_ns(), watch.interval_ns)
        on = self._energised.state == Supply.ON
        self._powered = powered = np.append(on, True)[circuit]
        self.elsewhere = self._elsewhere(np.flatnonzero(powered & (owed > 0)))
        owed[self.elsewhere] = 0
        # Who was silent before has an alarm of its own and says nothing of the group.
        new = watch.watched & (~watch.silent | np.append(accounted, False)[circuit])
        loss = watch.rate
        known = new & (self._energised.heard_ns > NEVER_NS)
        self.radio.look(circuit, known & powered, owed, loss)
        missing = self.radio.missing
        self.until_ns[missing] = now_ns + WAIT_REPORTS * watch.interval_ns[missing]
        placed: Bools = new & powered & (circuit != BENCH)
        due = placed & ~missing
        if not (due & (owed > 0)).any():
            return []
        self._note_dips(due, owed, loss)
        found = []
        besides = new & powered & missing
        for group in silent_groups(self._circuits, self._options, circuit, due, owed, loss, besides):
            rows = np.flatnonzero(due & (owed > 0) & np.isin(circuit, group.circuits)).astype(np.int32)
            kind = self._kind(group, rows, wall_ns)
            if kind != silence.TYPE or not missing.any():
                found.append((kind, group, rows))
        return found

    def excused(self, rows: Int64s, unreached: Bools) -> Bools:
        """Devices that are late, and of which that is not to be said yet.

        ``unreached`` bool[circuits]: told to have power and no radio; nobody is waited for there.
        """
        waits: Bools = self.until_ns[rows] > self._energised.now_ns
        waits |= self._joining(rows) & ~np.append(unreached, False)[self._watch.circuit[rows]]
        return waits | self.elsewhere[rows] | ~self._powered[rows]

    def why(self, row: int) -> str:
        """What is waited for before a late device is called silent; "" for nothing."""
        rows = np.array([row])
        if self.elsewhere[row]:
            return "it fell silent with another circuit of its cabinet, and may really hang on that"
        if self.until_ns[row] > self._energised.now_ns:
            return "the radio fails for many at once"
        return "it may still be joining since power returned" if self._joining(rows)[0] else ""

    def _joining(self, rows: Int64s) -> Bools:
        """Not heard since power returned, and perhaps among the last to join."""
        e, circuit = self._energised, self._watch.circuit[rows]
        since_ns = np.append(e.since_ns, NEVER_NS)[circuit]
        patience_ns = self._join_ns + self._watch.limit_ns[rows]
        waiting: Bools = (e.now_ns - since_ns < patience_ns) & (e.heard_ns[rows] < since_ns)
        return waiting

    def _note_dips(self, due: Bools, owed: Int64s, loss: Float64s) -> None:
        """Feeders that lost power for a moment: nobody saw it, but many of their lamps are late at once.

        Only who was heard since power last returned speaks: a lamp that stays away tells of one dip.
        """
        e, c, options = self._energised, self._circuits, self._options
        rows = np.flatnonzero(due & (e.heard_ns > np.append(e.since_ns, NEVER_NS)[self._watch.circuit]))
        feeder, late = c.feeder[self._watch.circuit[rows]], owed[rows] > 0
        found = np.bincount(feeder[late], minlength=len(c.feeders))
        expected = np.bincount(feeder, loss[rows], len(c.feeders))
        chance = expected + options.dip_deviations * np.sqrt(expected)
        for number in np.flatnonzero(found >= chance + options.dip_lamps_min).tolist():
            heard_ns = e.heard_ns[rows[late & (feeder == number)]]
            e.lapse((c.feeder == number) & (e.state == Supply.ON), int(np.median(heard_ns)))

    def _elsewhere(self, rows: Int64s) -> Bools:
        """Of late ``rows`` those that are few of their circuit and fell silent with another; bool[devices].

        Were they many, their own circuit would have failed at the same time.
        """
        found = np.zeros(len(self.until_ns), dtype=np.bool_)
        found[rows[self._silent_with_another(rows)]] = True
        if found.any():
            circuit, count = self._watch.circuit, len(self._circuits)
            own = np.bincount(circuit[circuit != BENCH], minlength=count)
            few = np.bincount(circuit[found], minlength=count) <= np.maximum(1, FEW_SHARE * own)
            found &= np.append(few, False)[circuit]
        return found

    def _silent_with_another(self, rows: Int64s) -> Bools:
        """Last heard when another circuit of the cabinet lost power that has not been back for long since."""
        e, watch = self._energised, self._watch
        circuit = watch.circuit[rows]
        beside = self._beside[circuit]
        beside = np.where(beside == circuit[:, np.newaxis], BENCH, beside)
        ended_ns = np.append(e.ended_ns, NEVER_NS)[beside]
        heard_ns = e.heard_ns[rows, np.newaxis]
        before_ns = ELSEWHERE_REPORTS * watch.interval_ns[rows, np.newaxis]
        slack_ns = watch.interval_ns[rows, np.newaxis] // 2 + SWITCHED_SLACK_NS
        with_it: Bools = (heard_ns > ended_ns - before_ns) & (heard_ns < ended_ns + slack_ns)
        back_ns = np.append(e.since_ns, NEVER_NS)[beside]
        on = np.append(e.state == Supply.ON, True)[beside]
        recent = e.now_ns - back_ns < self._join_ns + watch.limit_ns[rows, np.newaxis]
        other: Bools = np.any(with_it & (ended_ns > NEVER_NS) & (~on | recent), axis=1)
        return other

    def _kind(self, group: Group, rows: Int32s, wall_ns: int) -> str:
        """What a silent group is: dark, if its power is missing at a fresh meter; else only out of reach.

        A feeder that draws too little for a meter to tell is dark: radio does not fail for one alone.
        """
        c = self._circuits
        own = np.array(group.circuits)
        cabinet = int(c.cabinet[own[0]])
        if cabinet == BENCH or not self._reports.fresh(self._energised.now_ns)[cabinet]:
            return PRESUMED_DARK
        phases = np.unique(c.phase[own])
        if NO_PHASE in phases:
            phases = np.arange(3)
        measured = self._reports.phased("active_power")[phases, cabinet].sum()
        if np.isnan(measured):
            return PRESUMED_DARK
        beside = np.flatnonzero((c.cabinet == cabinet) & np.isin(c.phase, [*phases, NO_PHASE]))
        beside = beside[self._energised.state[beside] == Supply.ON]
        instant = np.full(len(c), wall_ns, dtype=np.int64)
        level = self._expectation.at(c.asset, instant).level_due
        planned_w = (self._standby_w + (c.rated_w - self._standby_w) * level / 100.0)[beside].sum()
        asset = self._watch.asset[rows]
        silent_w = self._expectation.expected_power_w(asset, level[c.of_asset[asset]]).sum()
        whole = group.level != "circuit" or c.names[group.number] in c.feeders
        dark = FEEDER_OPEN if whole else PHASE_LOSS
        if silent_w < METER_TELLS_W:
            return silence.TYPE if group.level == "cabinet" or self.radio.missing.any() else dark
        return dark if planned_w - measured >= self._options.short_share * silent_w else silence.TYPE


def _beside(circuits: Circuits) -> Int32s:
    """int32[circuits + 1, n]: the circuits of each one's cabinet, padded with BENCH, as is the last row."""
    own = [
        np.flatnonzero(circuits.cabinet == cabinet) if cabinet != BENCH else np.array([row])
        for row, cabinet in enumerate(circuits.cabinet.tolist())
    ]
    beside = np.full((len(own) + 1, max(map(len, own), default=1)), BENCH, dtype=np.int32)
    for row, others in enumerate(own):
        beside[row, : len(others)] = others
    return beside
