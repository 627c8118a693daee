"""The alarm engine. In: a translated stretch of the journal. Out: transitions of alarms with their sequence.

Composes expected state, rule matrix, silence and life cycle; a function of the journal and the
configuration alone, wherever the journal is cut and however often it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from gateway.alarm import acts, carrying, condition, excused, hearing, misplaced, repair, silence, snapshot
from gateway.alarm.cabinet import CabinetReports
from gateway.alarm.cause import Causes
from gateway.alarm.circuits import circuits_of
from gateway.alarm.crossing import Crossing
from gateway.alarm.dark_sky import DarkSky
from gateway.alarm.energised import Energised
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.explanation import explain
from gateway.alarm.finding import Finding
from gateway.alarm.ledger import OF_GROUP, Key, Ledger, Source
from gateway.alarm.load import Loads
from gateway.alarm.load_watch import LoadWatch
from gateway.alarm.options import AlarmOptions
from gateway.alarm.parent import SEVERITIES
from gateway.alarm.quiet import Quiet
from gateway.alarm.scribe import Scribe
from gateway.alarm.sensors import Sensors
from gateway.alarm.silence import Silence, SilenceWatch
from gateway.alarm.watching import explain_watches
from gateway.alarm.wording import Wording
from gateway.alarms import Alarm, Fault
from gateway.errors import OrderRefused
from gateway.fleet import BENCH, Fleet
from gateway.model import Chunk, Control, ProfileSpec, Run, SessionEvent, Severity, Tick
from gateway.regulation import Regulation

REVIEW_NS: Final = 900_000_000_000
"""How many reports a device may miss is worked out anew this often."""

SILENCE_SEVERITY: Final = Severity.MINOR

Transitions = list[tuple[int, Alarm]]
"""(journal sequence of the record that caused it, the alarm after it), in journal order."""


class AlarmEngine:
    """Alarms of one configuration. For another one: a new engine that restores this one's snapshot."""

    def __init__(
        self,
        fleet: Fleet,
        specs: Iterable[ProfileSpec],
        options: AlarmOptions | None = None,
        regulations: Mapping[str, Regulation] | None = None,
    ) -> None:
        specs, options = tuple(specs), options or AlarmOptions()
        self.fleet = fleet
        self.expectation = Expectation(fleet, options)
        self.evaluator = Evaluator(fleet, specs, self.expectation, options)
        self.sky = DarkSky(fleet, options.photocell_share)
        self.circuits = circuits = circuits_of(fleet)
        self.watch = SilenceWatch(fleet, specs, circuits, options)
        self.energised = Energised(circuits, len(fleet.devices), self.expectation, options)
        self.reports = CabinetReports(fleet, specs)
        power = circuits, self.expectation, self.watch, self.energised, self.reports
        self.causes = Causes(fleet, *power, self.evaluator, options)
        self.loads = LoadWatch(fleet, Loads(fleet, specs, *power), options)
        self.sensors = Sensors(fleet, specs, options, regulations or {})
        self.quiet = Quiet(fleet)
        self._circuit = np.append(circuits.of_asset, BENCH)
        self._step_ns = round(options.step_s * 1e9)
        self.waited_ns = 0  # listening time since groups were last looked at
        self.ledger = Ledger(Wording(fleet))
        self.scribe = Scribe(fleet, self.ledger, self._cover, self.quiet.shelves)
        self.repairs = repair.Repairs()
        self._faults: list[tuple[int, Fault]] = []  # bounded: by one ``apply``; taken by ``faults``
        self.refused = 0  # operators' acts that came too late or were not understood
        self.settle()

    def active(self) -> tuple[Alarm, ...]:
        """All alarms that are not normal, oldest first."""
        return self.ledger.active()

    def apply(self, chunk: Chunk) -> Transitions:
        """Follow the journal by one stretch."""
        transitions: Transitions = []
        for sequence, part in zip(chunk.sequences, chunk.parts, strict=True):
            if isinstance(part, Run):
                found = self._run(part)
                transitions += found
                for place, alarm in found:
                    self._faults += [(place, fault) for fault in self.repairs.follow([alarm], None)]
                continue
            if isinstance(part, Tick):
                alarms = self._tick(part)
            elif isinstance(part, SessionEvent):
                alarms = self._session(part)
            else:
                alarms = self._control(part, sequence)
            transitions += [(sequence, alarm) for alarm in alarms]
            self._faults += [(sequence, fault) for fault in self.repairs.follow(alarms, part.wall_ns)]
        return transitions

    def faults(self) -> list[tuple[int, Fault]]:
        """Transitions of faults since this was last asked, with their sequences."""
        found, self._faults = self._faults, []
        return found

    def explain(self, asset: str, now_ns: int) -> list[dict[str, Any]]:
        """Each rule of each device at ``asset``: limits, state, and why it stands there; OrderRefused."""
        found = explain(self.fleet, self.evaluator, self.expectation, asset, now_ns)
        found += explain_watches(self.sensors, self.fleet, asset, now_ns)
        found += carrying.explain(self.loads, asset)
        return found + hearing.explain(self.fleet, self.watch, self.causes.together, asset)

    def unheard(self) -> list[dict[str, Any]]:
        """Weak radios and silent devices, in pole order."""
        return hearing.unheard(self.fleet, self.watch, self.causes.together)

    def snapshot(self) -> bytes:
        """Everything ``restore`` needs; equal states give equal bytes."""
        return snapshot.pack(self)

    def restore(self, content: bytes) -> None:
        """Take up a snapshot, also one of another configuration; only in a new engine.

        Devices and rules keep their state by name. An alarm that no device or rule of this configuration
        holds up is cleared, with reason ``configuration``, by the Control record that put it in force.
        Raises StateFormatTooNew for a snapshot of a later version.
        """
        snapshot.unpack(content, self)

    def _stands(self, source: Source) -> bool:
        """Whether the device and rule that hold up an alarm still exist, at the same asset."""
        device, rule = source
        if not device:
            key = self.ledger.key_of[source]
            return OF_GROUP not in rule or self.causes.is_open(key) or self.loads.is_open(key)
        row = self.fleet.device_row.get(device)
        if row is None:
            return False
        asset, _ = self.ledger.key_of[source]
        if rule == silence.TYPE:
            return bool(self.watch.silent[row]) and self._asset_id(int(self.watch.asset[row])) == asset
        by_sensors = self.sensors.stands(row, rule, self.fleet.asset_row.get(asset, BENCH))
        if by_sensors is not None:
            return by_sensors
        table = self.evaluator.tables[self.fleet.devices[row].profile]
        if rule not in table.keys:
            return False
        state, local = self.evaluator.states[table.profile], self.evaluator.local[row]
        raised = any(state.of(local, k)[2] for k, key in enumerate(table.keys) if key == rule)
        return raised and self._asset_id(int(state.asset[local])) == asset

    def _asset_id(self, row: int) -> str:
        return self.fleet.assets[row].id if row >= 0 else ""

    def _tick(self, tick: Tick) -> list[Alarm]:
        """Groups before members: what an alarm of a group accounts for is raised under it."""
        alarms = self._silences(self.watch.redraw(tick.wall_ns))
        self.evaluator.places = self.watch.placement.exchanged
        alarms += self._turn(tick.wall_ns)
        self.waited_ns += self.watch.listen(tick)
        if self.waited_ns < self._step_ns:
            return alarms
        elapsed_ns, self.waited_ns = self.waited_ns, 0
        energised, wall_ns = self.energised, tick.wall_ns
        misplaced.take_in(self)
        energised.step(elapsed_ns, wall_ns, self.reports, self.watch.circuit, self.watch.interval_ns)
        self.settle()
        self.watch.advance(elapsed_ns, wall_ns, energised.state == Supply.ON)
        if energised.now_ns // REVIEW_NS != (energised.now_ns - elapsed_ns) // REVIEW_NS:
            self.watch.review()
            alarms += self._silences(self.watch.learn(wall_ns))
            self.evaluator.places = self.watch.placement.exchanged
            night = self.expectation.night(wall_ns)
            self.evaluator.review(night, self.watch.asset, self.watch.circuit, self.circuits)
        ended, began, past = self.causes.step(wall_ns)
        for key in ended:
            alarms += self.ledger.end(_of_group(key), wall_ns, None, None)
        for key in began:
            alarms += self._begin_group(key, wall_ns)
        for parent in past:
            alarms += self._uncover(parent.alarm)
        alarms += self._silences(self.watch.find(wall_ns, self.causes.excused))
        loads = self.loads.step(elapsed_ns, wall_ns, self.causes.supply.busy())
        found = [*self.sensors.step(elapsed_ns), *loads]
        return alarms + [alarm for one in found for alarm in self.scribe.found(one)]

    def settle(self) -> None:
        """Tell the evaluator which assets have had power for long enough, and which may burn by day."""
        self.evaluator.settled = np.append(self.energised.settled(), True)[self._circuit[:-1]]
        self.evaluator.excused = excused.by_day(self)

    def _begin_group(self, key: Key, wall_ns: int) -> list[Alarm]:
        """An alarm of a group, and what it accounts for put under it."""
        parent, members = self.causes.standing[key], self.causes.member_ids(key)
        place, times = self.causes.place(key), (parent.onset_ns, wall_ns)
        alarms = self.scribe.group(_of_group(key), key, place, SEVERITIES[parent.kind], times, members)
        identity = self.ledger.standing[key].alarm.id
        self.causes.named(key, identity)
        for other in sorted(self.ledger.standing):
            if other != key and self.causes.parent_of(other) == identity:
                alarms += self.ledger.suppress(other, identity)
        return alarms

    def _run(self, run: Run) -> Transitions:
        found: list[tuple[tuple[int, int, int], Finding]] = []
        for batch in run.batches:
            judgement = self.evaluator.judge(batch)
            live = judgement.live
            self.reports.observe(batch, live, judgement.asset, self.energised.now_ns)
            self.sensors.observe(batch, live, judgement.asset)
            device = batch.device[live]
            alive = self.energised.alive(device, judgement.believed, self.watch.circuit)
            live, device = live[alive], device[alive]
            self.energised.hear(device)
            self.loads.loads.observe(batch, live, device)
            for position, heard in self.watch.hear(device, batch.time_ns[live]):
                row = live[position]
                place = (int(batch.sequence[row]), int(batch.index[row]), int(batch.sample[row]))
                found.append((place, self._silence(heard)))
            found += [(crossing.place, self._crossing(crossing)) for crossing in judgement.crossings]
        found.sort(key=lambda item: item[0])
        return [(place[0], alarm) for place, what in found for alarm in self.scribe.found(what)]

    def _crossing(self, crossing: Crossing) -> Finding:
        rule = crossing.rule
        return Finding(
            (self.fleet.devices[crossing.device].id, crossing.key),
            rule.type,
            rule.severity,
            crossing.asset,
            crossing.raised,
            crossing.onset_ns,
            crossing.time_ns,
            crossing.value,
            crossing.limit,
            crossing.unit,
            crossing.reason,
        )

    def _silence(self, found: Silence) -> Finding:
        return Finding(
            (self.fleet.devices[found.device].id, silence.TYPE),
            silence.TYPE,
            SILENCE_SEVERITY,
            found.asset,
            found.raised,
            found.onset_ns,
            found.time_ns,
            found.age_s,
            found.limit_s,
            "s",
            found.reason,
        )

    def _silences(self, found: Iterable[Silence]) -> list[Alarm]:
        return [alarm for one in found for alarm in self.scribe.found(self._silence(one))]

    def _session(self, event: SessionEvent) -> list[Alarm]:
        """Every change interrupts listening; a gap is an alarm that is over at once but wants to be seen.

        What a reader met itself (epoch 0) raises nothing: a record of its own, which all read, names it.
        """
        if event.event in {"connected", "disconnected", "gap"}:
            self.watch.interrupt()
        if event.event != "gap" or event.epoch == 0:
            return []
        return self.scribe.gap(event)

    def _own(self, control: Control) -> list[Alarm]:
        """The gateway's own trouble has begun or ended; what is said twice changes nothing."""
        own = condition.read(control)
        if own is None:
            self.refused += 1
            return []
        return self.scribe.own(own, control.wall_ns)

    def _control(self, control: Control, sequence: int) -> list[Alarm]:
        """Operators' acts, and the configuration for which the pipeline has just built this engine."""
        if control.kind == "configuration":
            gone = sorted(source for source in self.ledger.key_of if not self._stands(source))
            return [alarm for source in gone for alarm in self.ledger.withdraw(source, control.wall_ns)]
        if control.kind == condition.KIND:
            return self._own(control)
        try:
            if control.kind == repair.TICKET:
                self._faults.append((sequence, self.repairs.take(control)))
                return []
            return acts.carry_out(control, self.ledger, self.quiet)
        except OrderRefused:
            self.refused += 1
            return []

    def _turn(self, wall_ns: int) -> list[Alarm]:
        """Windows that open or close now, shelves whose time is over."""
        opened, closed, over = self.quiet.turn(wall_ns)
        alarms: list[Alarm] = []
        if opened or closed:
            self.mark_outages()
        for window in opened:
            for key in sorted(self.ledger.standing):
                if window.scope in self.quiet.scopes(key[0]):
                    alarms += self.ledger.suppress(key, window.parent)
        for window in closed:
            alarms += self._uncover(window.parent)
        return alarms + [alarm for key in over for alarm in self.ledger.unshelve(key)]

    def mark_outages(self) -> None:
        """Tell which circuits the grid gives no power to, as it has announced."""
        outages = self.quiet.outages()
        self.energised.outage = np.array(
            [bool(outages & self.quiet.scopes(name)) for name in self.circuits.names], dtype=np.bool_
        )

    def _cover(self, key: Key) -> str:
        """What accounts for an alarm: an alarm of its group, or a window; "" for nothing."""
        return self.causes.parent_of(key) or self.quiet.window_over(key[0])

    def _uncover(self, parent: str) -> list[Alarm]:
        """``parent`` accounts for nothing any more: what stands is told, unless something else does."""
        alarms: list[Alarm] = []
        for key in self.ledger.held_by(parent):
            cover = self._cover(key)
            alarms += self.ledger.suppress(key, cover) if cover else [self.ledger.release(key)]
        return alarms


def _of_group(key: Key) -> Source:
    asset, kind = key
    return "", f"{kind}{OF_GROUP}{asset}"
