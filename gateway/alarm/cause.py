"""Groups before members. In: states of circuits, silence, cabinets. Out: groups in alarm, begun and ended.

One fault of a feeder is one alarm: what its members suffer is explained by it. A group's alarm is over when
its circuits are back, splits when only some are, and never ends because the plan switches off (field notes
2: groups before members).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from gateway.alarm import silence
from gateway.alarm.alike import ALIKE, Alike
from gateway.alarm.cabinet import NEVER_NS, CabinetReports
from gateway.alarm.circuits import Circuits
from gateway.alarm.energised import Energised
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.group import RADIO, TYPE, Group
from gateway.alarm.options import AlarmOptions
from gateway.alarm.parent import EXPLAINS, NOBODY, POWERLESS, STORM, WARD_OUTAGE, Key, Parent
from gateway.alarm.silence import SilenceWatch
from gateway.alarm.supply import NEUTRAL_LOSS, PHASE_LOSS, SWITCHING_ERROR_ON, SupplyWatch
from gateway.alarm.together import Together
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Int32s, Int64s

RADIO_BACK_SHARE: Final = 0.5
FIRST_SHARE: Final = 0.1  # of the devices a lost radio hides were missed first, beyond chance


class Causes:
    """``standing`` are the parents by key; ``pending`` since when (listening time, wall time) others hold."""

    def __init__(
        self,
        fleet: Fleet,
        circuits: Circuits,
        expectation: Expectation,
        watch: SilenceWatch,
        energised: Energised,
        reports: CabinetReports,
        evaluator: Evaluator,
        options: AlarmOptions,
    ) -> None:
        self._fleet, self._circuits, self._options = fleet, circuits, options
        self._watch, self._energised = watch, energised
        self._split_ns = round(options.split_s * 1e9)
        self.supply = SupplyWatch(circuits, reports, energised, options)
        self.together = Together(fleet, circuits, expectation, watch, energised, reports, options)
        self.alike = Alike(fleet, circuits, evaluator, options)
        self.pending: dict[Key, tuple[int, int]] = {}
        self.standing: dict[Key, Parent] = {}

    def step(self, wall_ns: int) -> tuple[list[Key], list[Key], list[Parent]]:
        """Look at all groups once; keys of parents that ended and that began, and parents of the past."""
        now_ns = self._energised.now_ns
        ended, rests = self._ended(now_ns)
        found = {condition: self._hanging_on(condition[1]) for condition in self.supply.conditions()}
        found |= {(kind, group): rows for kind, group, rows in self.together.look(wall_ns, self._accounted())}
        found |= {(kind, group): rows for kind, group, rows in self.alike.look()}
        radio = self.together.radio
        if radio.lost.any() and not self._is_over(RADIO, silence.TYPE):
            found[silence.TYPE, Group(RADIO, 0, ())] = np.flatnonzero(radio.reach).astype(np.int32)
        began = self._continued(rests, now_ns)
        keys = {self.key(kind, group): (kind, group) for kind, group in found}
        self.pending = {
            key: self.pending.get(key) or (now_ns, self._onset_ns(found[what], what[1], wall_ns))
            for key, what in keys.items()
        }
        for key, (kind, group) in keys.items():
            since, onset_ns = self.pending[key]
            standing = self.standing.get(key)
            if (standing is None or standing.ended_ns is not None) and now_ns - since >= self._hold_ns(
                kind, group.level
            ):
                self.standing[key] = parent = Parent(kind, group, found[kind, group], now_ns, onset_ns)
                self._note_end(parent)
                began.append(key)
        began += self._storms(now_ns)
        past = [k for k, p in self.standing.items() if self._is_past(p, now_ns)]
        self.mark_dark()
        return ended, began, [self.standing.pop(key) for key in past]

    def _onset_ns(self, rows: Int32s, group: Group, wall_ns: int) -> int:
        """Now; of lost radio, which is told hours later, when the first of those ``rows`` owed a report."""
        if group.level != RADIO:
            return wall_ns
        e = self._energised
        powered_ns = np.append(e.since_ns, NEVER_NS)[self._watch.circuit[rows]]
        due_ns = np.maximum(e.heard_ns[rows], powered_ns) + self._watch.interval_ns[rows]
        return wall_ns - (e.now_ns - int(np.quantile(due_ns, FIRST_SHARE)))

    def _note_end(self, parent: Parent) -> None:
        """Circuits found dark lost their power when their lamps were last heard."""
        if parent.dark and len(parent.members):
            last_ns = int(np.median(self._energised.heard_ns[parent.members]))
            self._energised.ended_ns[list(parent.group.circuits)] = last_ns

    def key(self, kind: str, group: Group) -> Key:
        """What names an alarm of ``group``: its circuit, feeder, cabinet or area."""
        if group.level == "cabinet":
            return self._fleet.cabinets[group.number].id, kind
        if group.level == "area":
            return self._fleet.areas[group.number].code, kind
        if group.level == RADIO:
            return RADIO, kind
        if group.level == TYPE:
            return f"{TYPE}:{self._fleet.luminaire_types[group.number].id}", kind
        names = self._circuits.names if group.level == "circuit" else self._circuits.feeders
        return names[group.number], kind

    def place(self, key: Key) -> tuple[str, str]:
        """(area, feeder) of a group: its cabinet's area; "" for the feeder of a cabinet or an area.

        Radio has neither, for who hangs on which gateway is not in the inventory; nor has a type of lamps.
        """
        group, c = self.standing[key].group, self._circuits
        if group.level in {RADIO, TYPE}:
            return "", ""
        if group.level == "area":
            return key[0], ""
        cabinet = group.number if group.level == "cabinet" else int(c.cabinet[group.circuits[0]])
        area = self._fleet.cabinets[cabinet].area if cabinet != BENCH else ""
        feeder = "" if group.level == "cabinet" else c.feeders[int(c.feeder[group.circuits[0]])]
        return area, feeder

    def _is_over(self, asset: str, kind: str) -> bool:
        """Whether a group's alarm ended a short while ago, and its last members may still be on their way."""
        return (asset, kind) in self.standing and not self.is_open((asset, kind))

    def is_open(self, key: Key) -> bool:
        """Whether a group is in alarm."""
        return key in self.standing and self.standing[key].ended_ns is None

    def named(self, key: Key, alarm: str) -> Parent:
        """The parent ``key`` is told the id of its alarm."""
        self.standing[key] = parent = replace(self.standing[key], alarm=alarm)
        return parent

    def parent_of(self, key: Key) -> str:
        """Id of the standing parent that accounts for an alarm of asset and type ``key``, or ""."""
        asset, kind = key
        scope = self._scope(key)
        for other, parent in self.standing.items():
            if parent.ended_ns is not None and key in self.standing:
                continue  # what is left of a group, or came again, is news
            if parent.kind == WARD_OUTAGE and not self._of_storm(parent, key):
                continue
            own = other[0] == asset or (scope and scope <= set(parent.group.circuits))
            own = own or self._of_type(parent.group, asset)
            if own and other != key and kind in EXPLAINS[parent.kind] and parent.alarm:
                return parent.alarm
        return ""

    def _of_type(self, group: Group, asset: str) -> bool:
        """Whether ``asset`` is a lamp of the type that ``group`` is."""
        row = self._fleet.asset_row.get(asset)
        if group.level != TYPE or row is None:
            return False
        return self._fleet.assets[row].luminaire_type == self._fleet.luminaire_types[group.number].id

    def _of_storm(self, storm: Parent, key: Key) -> bool:
        """Whether a group's alarm began with a storm, or soon after: what comes later is another fault."""
        began_ns = self.standing[key].began_ns if key in self.standing else self._energised.now_ns
        return began_ns - storm.began_ns <= self._options.storm_s * 1e9

    def _scope(self, key: Key) -> set[int]:
        """Circuits of a group that is in alarm, or the one of an asset."""
        if key in self.standing:
            return set(self.standing[key].group.circuits)
        row = self._fleet.asset_row.get(key[0])
        circuit = BENCH if row is None else int(self._circuits.of_asset[row])
        return set() if circuit == BENCH else {circuit}

    def member_ids(self, key: Key) -> tuple[str, ...]:
        """Asset ids of the members, in the order of the inventory."""
        rows = np.unique(self._watch.asset[self.standing[key].members])
        return tuple(self._fleet.assets[row].id for row in rows.tolist() if row != BENCH)

    def _accounted(self) -> Bools:
        """Circuits with an alarm of silence: their silent devices go on to speak for them."""
        accounted = np.zeros(len(self._circuits), dtype=np.bool_)
        for parent in self.standing.values():
            if parent.silent and parent.ended_ns is None:
                accounted[list(parent.group.circuits)] = True
        return accounted

    def _hanging_on(self, group: Group) -> Int32s:
        """Devices on the circuits of ``group``."""
        return np.flatnonzero(np.isin(self._watch.circuit, group.circuits)).astype(np.int32)

    def excused(self, rows: Int64s) -> Bools:
        """Devices that are late, and of which that is not to be said yet: groups before members."""
        unreached = np.zeros(len(self._circuits), dtype=np.bool_)
        for (_, kind), parent in self.standing.items():
            if kind == silence.TYPE and parent.ended_ns is None:
                unreached[list(parent.group.circuits)] = True
        waits = self.together.excused(rows, unreached)
        radio = self.standing.get((RADIO, silence.TYPE))
        if radio is not None and radio.ended_ns is None:
            waits |= np.isin(rows, radio.members) & (self._energised.heard_ns[rows] < radio.began_ns)
        return waits

    def _hold_ns(self, kind: str, level: str) -> int:
        options, whole = self._options, level == "cabinet"
        hold_s = options.group_hold_s
        if kind in {PHASE_LOSS, NEUTRAL_LOSS} and whole:
            hold_s = options.voltage_hold_s
        if kind == SWITCHING_ERROR_ON and not whole:
            hold_s = options.stray_hold_s
        return round(hold_s * 1e9)

    def _ended(self, now_ns: int) -> tuple[list[Key], list[tuple[Parent, list[int]]]]:
        """Keys of parents that are over, and the circuits of those that are back in part only."""
        ended, rests = [], []
        for key, parent in list(self.standing.items()):
            if parent.ended_ns is not None:
                continue
            if parent.kind == WARD_OUTAGE:
                over = not self._powerless().get(key[0])
            elif parent.group.level == RADIO:
                back = np.count_nonzero(self._energised.heard_ns[parent.members] > parent.began_ns)
                over = bool(back >= RADIO_BACK_SHARE * len(parent.members))
            elif parent.kind in ALIKE:
                over = self.alike.is_over(parent.kind, parent.group)
            elif not parent.silent:
                over = self.supply.is_over(parent.kind, parent.group)
            else:
                missing = self._not_back(parent)
                # A circuit without a member can not be heard, and is not back for that.
                speaking = np.unique(self._watch.circuit[parent.members])
                known = np.count_nonzero(np.isin(speaking, parent.group.circuits))
                if len(missing) < known and parent.back_ns is None:
                    parent = self.standing[key] = replace(parent, back_ns=now_ns)
                split = parent.back_ns is not None and now_ns - parent.back_ns >= self._split_ns
                over = not missing or split
                if missing and split:
                    rests.append((parent, missing))
            if over:
                self.standing[key] = replace(parent, ended_ns=now_ns)
                self.pending.pop(key, None)
                ended.append(key)
        return ended, rests

    def _powerless(self) -> dict[str, list[Parent]]:
        """Groups without power, by the area of their cabinet."""
        found: dict[str, list[Parent]] = {}
        for key, parent in self.standing.items():
            if parent.kind in STORM and parent.ended_ns is None and parent.group.circuits:
                found.setdefault(self.place(key)[0], []).append(parent)
        return found

    def _storms(self, now_ns: int) -> list[Key]:
        """Areas that lost several feeders of several cabinets at about one time: one incident each."""
        began, options, c = [], self._options, self._circuits
        powerless = self._powerless()
        for number, area in enumerate(self._fleet.areas if powerless else ()):
            key = area.code, WARD_OUTAGE
            lost = powerless.get(area.code, []) if not self.is_open(key) else []
            recent = [p for p in lost if now_ns - p.began_ns <= options.storm_s * 1e9]
            circuits = [n for parent in recent for n in parent.group.circuits]
            cabinets = {int(c.cabinet[n]) for n in circuits}
            if len(c.of_feeders(circuits)) < options.storm_feeders_min:
                continue
            if len(cabinets) >= options.storm_cabinets_min:
                here = {k for k, box in enumerate(self._fleet.cabinets) if box.area == area.code}
                own = [n for n in range(len(c)) if int(c.cabinet[n]) in here]
                onset_ns = min(parent.onset_ns for parent in recent)
                group = Group("area", number, tuple(own))
                rows = np.unique(np.concatenate([NOBODY, *(p.members for p in recent)]))
                self.standing[key] = Parent(WARD_OUTAGE, group, rows, now_ns, onset_ns)
                began.append(key)
        return began

    def _not_back(self, parent: Parent) -> list[int]:
        """Circuits of which too few members were heard since: two, and more than misplaced ones."""
        rows = parent.members
        circuit = self._watch.circuit[rows]
        circuit, heard_ns = circuit[circuit != BENCH], self._energised.heard_ns[rows][circuit != BENCH]
        own = np.bincount(circuit, minlength=len(self._circuits))
        heard = np.bincount(circuit[heard_ns > parent.began_ns], minlength=len(self._circuits))
        missing = heard < np.minimum(own, np.maximum(2, self._options.back_share * own))
        numbers = parent.group.circuits
        if not missing[list(numbers)].all():
            # Once part of it is back, what is planned off now owes nothing: a dropped phase is not left dark.
            missing &= self._energised.planned != Supply.OFF
        return [number for number in numbers if missing[number]]

    def _continued(self, rests: Sequence[tuple[Parent, list[int]]], now_ns: int) -> list[Key]:
        """What is left of a group when the rest is back: parents of their own, with the old onset."""
        began = []
        for parent, missing in rests:
            c = self._circuits
            left = set(missing)
            groups = []
            for feeder in sorted(c.of_feeders(missing)):
                own = [n for n in parent.group.circuits if int(c.feeder[n]) == feeder]
                if left >= set(own) and len(own) > 1:
                    groups.append(Group("feeder", feeder, tuple(own)))
                else:
                    groups += [Group("circuit", n, (n,)) for n in own if n in left]
            for group in groups:
                rows = parent.members[np.isin(self._watch.circuit[parent.members], group.circuits)]
                key = self.key(parent.kind, group)
                self.standing[key] = Parent(parent.kind, group, rows, now_ns, parent.onset_ns)
                began.append(key)
        return began

    def _is_past(self, parent: Parent, now_ns: int) -> bool:
        return parent.ended_ns is not None and now_ns - parent.ended_ns >= self._split_ns

    def mark_dark(self) -> None:
        """Tell which circuits are without power because their group is."""
        dark, held = self._energised.dark, self._energised.held
        dark[:] = held[:] = False
        for parent in self.standing.values():
            if parent.ended_ns is not None:
                continue
            if parent.dark:
                dark[self._not_back(parent)] = True
            elif parent.kind in POWERLESS:
                held[list(parent.group.circuits)] = True
