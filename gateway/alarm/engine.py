"""The alarm engine. In: a translated stretch of the journal. Out: transitions of alarms with their sequence.

Composes expected state, rule matrix, silence and life cycle; a function of the journal and the
configuration alone, wherever the journal is cut and however often it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.alarm import condition, silence, snapshot
from gateway.alarm.evaluator import Crossing, Evaluator
from gateway.alarm.expected import Expectation
from gateway.alarm.ledger import Condition, Ledger, Source
from gateway.alarm.silence import Silence, SilenceWatch
from gateway.alarm.wording import Wording
from gateway.alarms import Alarm
from gateway.errors import OrderRefused
from gateway.fleet import Fleet
from gateway.model import Chunk, Control, ProfileSpec, Run, SessionEvent, Severity, Tick

GATEWAY: Final = "gateway"
"""Asset id of the gateway itself; it has no area, and every recipient hears of it."""

DATA_GAP: Final = "dataGap"
SILENCE_SEVERITY: Final = Severity.MINOR

Transitions = list[tuple[int, Alarm]]
"""(journal sequence of the record that caused it, the alarm after it), in journal order."""


class AlarmEngine:
    """Alarms of one configuration. For another one: a new engine that restores this one's snapshot."""

    def __init__(
        self, fleet: Fleet, specs: Iterable[ProfileSpec], *, settle_s: float = silence.SETTLE_S
    ) -> None:
        specs = tuple(specs)
        self.fleet = fleet
        self.expectation = Expectation(fleet)
        self.evaluator = Evaluator(fleet, specs, self.expectation)
        self.watch = SilenceWatch(fleet, specs, self.expectation, settle_s=settle_s)
        self.ledger = Ledger(Wording(fleet))
        self._wording = Wording(fleet)
        self.refused = 0  # operators' acts that came too late or were not understood

    def active(self) -> tuple[Alarm, ...]:
        """All alarms that are not normal, oldest first."""
        return self.ledger.active()

    def apply(self, chunk: Chunk) -> Transitions:
        """Follow the journal by one stretch."""
        transitions: Transitions = []
        for sequence, part in zip(chunk.sequences, chunk.parts, strict=True):
            if isinstance(part, Run):
                transitions += self._run(part)
                continue
            if isinstance(part, Tick):
                alarms = [a for found in self.watch.tick(part) for a in self._silence(found)]
            elif isinstance(part, SessionEvent):
                alarms = self._session(part)
            else:
                alarms = self._control(part)
            transitions += [(sequence, alarm) for alarm in alarms]
        return transitions

    def snapshot(self) -> bytes:
        """Everything ``restore`` needs; equal states give equal bytes."""
        return snapshot.pack(self.fleet, self.evaluator, self.watch, self.ledger)

    def restore(self, content: bytes) -> None:
        """Take up a snapshot, also one of another configuration; only in a new engine.

        Devices and rules keep their state by name. An alarm that no device or rule of this configuration
        holds up is cleared, with reason ``configuration``, by the Control record that put it in force.
        Raises StateFormatTooNew for a snapshot of a later version.
        """
        snapshot.unpack(content, self.fleet, self.evaluator, self.watch, self.ledger)

    def _stands(self, source: Source) -> bool:
        """Whether the device and rule that hold up an alarm still exist, at the same asset."""
        device, rule = source
        if not device:
            return True
        row = self.fleet.device_row.get(device)
        if row is None:
            return False
        asset, _ = self.ledger.key_of[source]
        if rule == silence.TYPE:
            return bool(self.watch.silent[row]) and self._asset_id(int(self.watch.asset[row])) == asset
        table = self.evaluator.tables[self.fleet.devices[row].profile]
        if rule not in table.keys:
            return False
        state, local = self.evaluator.states[table.profile], self.evaluator.local[row]
        raised = state.raised[local, table.keys.index(rule)]
        return bool(raised) and self._asset_id(int(state.asset[local])) == asset

    def _asset_id(self, row: int) -> str:
        return self.fleet.assets[row].id if row >= 0 else ""

    def _run(self, run: Run) -> Transitions:
        found: list[tuple[tuple[int, int, int], Crossing | Silence]] = []
        for batch in run.batches:
            judgement = self.evaluator.judge(batch)
            live = judgement.live
            for position, heard in self.watch.hear(batch.device[live], batch.time_ns[live]):
                row = live[position]
                place = (int(batch.sequence[row]), int(batch.index[row]), int(batch.sample[row]))
                found.append((place, heard))
            found += [(crossing.place, crossing) for crossing in judgement.crossings]
        found.sort(key=lambda item: item[0])
        return [
            (place[0], alarm)
            for place, what in found
            for alarm in (self._silence(what) if isinstance(what, Silence) else self._crossing(what))
        ]

    def _crossing(self, crossing: Crossing) -> list[Alarm]:
        source = self.fleet.devices[crossing.device].id, crossing.key
        if crossing.reason:
            return self.ledger.withdraw(source, crossing.time_ns)
        if not crossing.raised:
            return self.ledger.end(source, crossing.time_ns, crossing.value, crossing.limit)
        numbers = crossing.value, crossing.limit, crossing.unit
        times = crossing.onset_ns, crossing.time_ns
        rule = crossing.rule
        return self._begin(source, rule.type, rule.severity, crossing.asset, times, numbers)

    def _silence(self, found: Silence) -> list[Alarm]:
        source = self.fleet.devices[found.device].id, silence.TYPE
        if found.reason:
            return self.ledger.withdraw(source, found.time_ns)
        if not found.raised:
            return self.ledger.end(source, found.time_ns, found.age_s, found.limit_s)
        numbers = found.age_s, found.limit_s, "s"
        times = found.onset_ns, found.time_ns
        return self._begin(source, silence.TYPE, SILENCE_SEVERITY, found.asset, times, numbers)

    def _begin(
        self,
        source: Source,
        kind: str,
        severity: Severity,
        asset_row: int,
        times: tuple[int, int],
        numbers: tuple[float, float, str],
    ) -> list[Alarm]:
        asset = self.fleet.assets[asset_row]
        onset_ns, time_ns = times
        value, limit, unit = numbers
        text = self._wording.sentence(kind, asset.id, onset_ns, value, limit, unit)
        return self.ledger.begin(
            Condition(
                source,
                kind,
                asset.id,
                asset.area,
                asset.feeder,
                severity,
                onset_ns,
                time_ns,
                value,
                limit,
                text,
            )
        )

    def _session(self, event: SessionEvent) -> list[Alarm]:
        """Every change interrupts listening; a gap is an alarm that is over at once but wants to be seen.

        What a reader met itself (epoch 0) raises nothing: a record of its own, which all read, names it.
        """
        if event.event in {"connected", "disconnected", "gap"}:
            self.watch.interrupt()
        if event.event != "gap" or event.epoch == 0:
            return []
        source = "", DATA_GAP
        at = event.wall_ns
        text = self._wording.gap(at, event.gap, event.detail)
        raised = self.ledger.begin(
            Condition(source, DATA_GAP, GATEWAY, "", "", Severity.MAJOR, at, at, None, None, text)
        )
        return raised + self.ledger.end(source, at, None, None)

    def _own(self, control: Control) -> list[Alarm]:
        """The gateway's own trouble has begun or ended; what is said twice changes nothing."""
        own = condition.read(control)
        if own is None:
            self.refused += 1
            return []
        kind, source = own.trouble.value, ("", own.trouble.value)
        if not own.holds:
            return self.ledger.end(source, control.wall_ns, None, None)
        text = self._wording.trouble(kind, own.since_ns, own.detail)
        times, severity = (own.since_ns, control.wall_ns), condition.SEVERITIES[own.trouble]
        return self.ledger.begin(Condition(source, kind, GATEWAY, "", "", severity, *times, None, None, text))

    def _control(self, control: Control) -> list[Alarm]:
        """Operators' acts, and the configuration for which the pipeline has just built this engine."""
        if control.kind == "configuration":
            gone = sorted(source for source in self.ledger.key_of if not self._stands(source))
            return [alarm for source in gone for alarm in self.ledger.withdraw(source, control.wall_ns)]
        if control.kind == condition.KIND:
            return self._own(control)
        if control.kind != "acknowledge":
            return []
        body = control.body
        try:
            return [
                self.ledger.acknowledge(
                    str(body.get("alarm", "")), str(body.get("by", "")), str(body.get("comment", ""))
                )
            ]
        except OrderRefused:
            self.refused += 1
            return []
