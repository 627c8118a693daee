"""City sensors' alarms. In: live readings, listening time. Out: findings for the scribe.

Readings only move columns (``sensor_class``); watches are judged at ticks, so cutting the journal into other
blocks changes nothing. An alarm begins and ends by what was measured, never by time that passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np

from gateway.alarm.delay import Delays
from gateway.alarm.finding import Finding
from gateway.alarm.hours import local_hours
from gateway.alarm.live_pole import LivePoles
from gateway.alarm.options import AlarmOptions
from gateway.alarm.order import occurrences
from gateway.alarm.scope import applicable
from gateway.alarm.sensor_class import SensorClass
from gateway.alarm.verdict import HOURLY, JUDGES, Almanac, Scene, Verdict
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch, Severity
from gateway.regulation import Regulation
from gateway.watches import Watch, WatchKind


@dataclass(frozen=True, slots=True)
class Line:
    """One watch of one profile. ``keys``, ``severities``: one, or one a grade of its index.

    ``mine`` bool[slots]: devices of the profile; ``applies`` bool[assets]; ``rows`` of the state by key.
    """

    watch: Watch
    profile: str
    keys: tuple[str, ...]
    severities: tuple[Severity, ...]
    mine: Bools
    applies: Bools
    rows: tuple[int, ...]


class ClassWatch:
    """The watches of one device class, and which of them hold: ``raised`` bool[keys, slots]."""

    def __init__(
        self, of: SensorClass, slot_of: Int32s, fleet: Fleet, almanac: Almanac, options: AlarmOptions
    ) -> None:
        self.of, self._slot_of, self._fleet = of, slot_of, fleet
        self.scene = Scene(of, almanac, options)
        keys: dict[str, int] = {}
        lines: list[Line] = []
        for name, spec in of.specs.items():
            applies = applicable(spec.watches, fleet)
            for number, watch in enumerate(spec.watches):
                if not watch.enabled:
                    continue
                named, severities = _grades(watch, almanac)
                rows = tuple(keys.setdefault(key, len(keys)) for key in named)
                # One line of bits an asset is much where there are a million of them.
                here = applies[number]
                here = np.broadcast_to(np.True_, len(here)) if here.all() else here
                lines.append(Line(watch, name, named, severities, of.profile == name, here, rows))
        self.lines, self.keys = tuple(lines), tuple(keys)
        self.raised: Bools = np.zeros((len(keys), len(of.devices)), dtype=np.bool_)
        self._drifts = sorted({n for line in lines if line.watch.kind is WatchKind.DRIFT for n in line.rows})

    def limits(self, profile: str, asset: Int32s, hour: Int64s) -> dict[str, Float64s]:
        """Limits of sound levels for readings of ``profile`` at ``asset``, by field."""
        over: dict[str, Float64s] = {}
        for line in self.lines:
            watch = line.watch
            if watch.kind is WatchKind.NOISE and line.profile == profile:
                limit = self.scene.almanac.noise_limits(watch.regulation, watch.zone, hour)
                before = over.get(watch.field, np.full(len(asset), np.nan))
                over[watch.field] = np.where(line.applies[asset], limit, before)
        return over

    def judge(self) -> Iterator[Finding]:
        """What began or ended since the last time."""
        of = self.of
        yield from self._moved()
        heard = np.flatnonzero(of.heard)
        if not len(heard):
            return
        closed = heard[of.hours.closed[heard]]
        dawned = self._dawned(closed) if len(closed) else closed
        self.doubt()
        of.heard[heard], of.hours.closed[heard] = False, False
        for line in self.lines:
            kind = line.watch.kind
            slots = dawned if kind is WatchKind.AIR_DAY else closed if kind in HOURLY else heard
            if len(slots):
                slots = slots[line.mine[slots] & line.applies[of.asset[slots]]]
            if not len(slots):
                continue
            verdicts = JUDGES[kind](self.scene, line.watch, slots)
            # The worst grade first: one alarm is raised, not a small one that grows in the same instant.
            for number, verdict in reversed(tuple(enumerate(verdicts))):
                yield from self._told(line, number, slots, verdict)

    def doubt(self) -> None:
        """Tell who is known to drift."""
        doubted: Bools = np.any(self.raised[self._drifts], axis=0)
        self.of.doubted = doubted

    def applying(self) -> Bools:
        """bool[keys, slots]: what is watched where a device stands now."""
        found, asset = np.zeros_like(self.raised), self.of.judged_at
        for line in self.lines:
            found[list(line.rows)] |= line.mine & (asset != BENCH) & line.applies[asset]
        return found

    def stands(self, device: int, key: str, asset: int) -> bool | None:
        """Whether ``key`` of a device holds at ``asset``; None if it is none of these."""
        if key not in self.keys:
            return None
        if self._fleet.devices[device].profile not in self.of.specs:
            return False
        slot, row = int(self._slot_of[device]), self.keys.index(key)
        return asset == int(self.of.judged_at[slot]) and bool(self.raised[row, slot])

    def _told(self, line: Line, number: int, slots: Int64s, verdict: Verdict) -> Iterator[Finding]:
        state = self.raised[line.rows[number]]
        was = state[slots]
        changed = np.flatnonzero(np.where(was, verdict.over, verdict.holds))
        for at in changed.tolist():
            slot, begins = int(slots[at]), not was[at]
            state[slot] = begins
            yield Finding(
                (self._fleet.devices[self.of.devices[slot]].id, line.keys[number]),
                line.watch.type,
                line.severities[number],
                int(self.of.asset[slot]),
                begins,
                int(verdict.onset_ns[at]),
                int(self.of.last_ns[slot]),
                float(verdict.value[at]),
                float(verdict.limit[at]),
                verdict.unit,
            )

    def _moved(self) -> Iterator[Finding]:
        """What held where a device stood before says nothing of where it stands now."""
        of = self.of
        moved = np.flatnonzero(of.judged_at != of.asset)
        if not len(moved):
            return
        for row, at in np.argwhere(self.raised[:, moved]).tolist():
            slot, key = int(moved[at]), self.keys[row]
            time_ns = max(int(of.last_ns[slot]), 0)
            source = self._fleet.devices[of.devices[slot]].id, key
            kind = key.split("/")[0]
            place = int(of.judged_at[slot])
            yield Finding(
                source, kind, Severity.INFO, place, False, time_ns, time_ns, None, None, "", "configuration"
            )
        self.raised[:, moved] = False
        of.judged_at[moved] = of.asset[moved]

    def _dawned(self, closed: Int64s) -> Int64s:
        """Slots for which a local day is over that was not judged yet."""
        of = self.of
        day = local_hours(self.scene.almanac.zone, of.hours.hour[closed]) // 24
        before = of.day[closed]
        of.day[closed] = day
        return closed[(day > before) & (before >= 0)]


class Sensors:
    """All classes, and the poles that may be live."""

    def __init__(
        self,
        fleet: Fleet,
        specs: Sequence[ProfileSpec],
        options: AlarmOptions,
        regulations: Mapping[str, Regulation],
    ) -> None:
        almanac = Almanac(regulations, ZoneInfo(fleet.time_zone))
        pollutants = {p for r in regulations.values() for edition in r.air for p in edition.points}
        by_class: dict[str, list[ProfileSpec]] = {}
        for spec in specs:
            if spec.watches:
                by_class.setdefault(spec.device_class, []).append(spec)
        slot_of = np.full(len(fleet.devices) if by_class else 0, -1, dtype=np.int32)
        self.classes = tuple(
            ClassWatch(
                SensorClass(name, fleet, by_class[name], pollutants, options, slot_of),
                slot_of,
                fleet,
                almanac,
                options,
            )
            for name in sorted(by_class)
        )
        self._class_of = {name: one for one in self.classes for name in one.of.specs}
        self.live_poles = LivePoles(fleet, specs, options)
        interval_s = {spec.name: spec.interval_s for spec in specs}
        profile, heard = fleet.device_table.words("profile"), {*self._class_of, *self.live_poles.profiles}
        watched = np.flatnonzero(profile.spread((name in heard for name in profile.words), np.bool_))
        own_slot = np.full(len(fleet.devices) if len(watched) else 0, -1, dtype=np.int32)
        own_slot[watched] = np.arange(len(watched))
        every_s = profile.spread((interval_s.get(name, 0.0) for name in profile.words), np.float64)[watched]
        late_s = np.maximum(options.late_intervals * every_s, options.late_s)
        self.delays = Delays(own_slot, (late_s * 1e9).astype(np.int64))
        self.waited_ns = 0  # listening time since watches were last looked at
        self._step_ns = round(options.sensor_step_s * 1e9)

    def observe(self, batch: ReadingBatch, live: Int64s, assets: Int32s) -> None:
        """Take note of the live rows of a batch, which stand at ``assets``."""
        name = batch.profile.name
        one, poles = self._class_of.get(name), name in self.live_poles.profiles
        if not len(live) or (one is None and not poles):
            return
        for at in occurrences(batch.device[live]):
            time_ns, good = self.delays.take(batch, live[at])
            rows, time_ns, asset = live[at][good], time_ns[good], assets[at][good]
            if one is not None:
                one.of.take(batch, rows, time_ns, asset, one.limits)
            if poles:
                self.live_poles.take(batch, rows, time_ns, asset)

    def step(self, elapsed_ns: int) -> Iterator[Finding]:
        """What is found after ``elapsed_ns`` more of listening, in a fixed order."""
        yield from self.live_poles.judge()
        self.waited_ns += elapsed_ns
        if self.waited_ns < self._step_ns:
            return
        self.waited_ns = 0
        for one in self.classes:
            yield from one.judge()

    def stands(self, device: int, key: str, asset: int) -> bool | None:
        """Whether what a device says by rule ``key`` holds up an alarm at ``asset``; None: not known here."""
        if key == self.live_poles.KEY:
            return self.live_poles.stands(asset)
        answers = [one.stands(device, key, asset) for one in self.classes]
        known = [answer for answer in answers if answer is not None]
        return any(known) if known else None


def _grades(watch: Watch, almanac: Almanac) -> tuple[tuple[str, ...], tuple[Severity, ...]]:
    """Keys and severities of a watch: its own, or one for each grade of each edition of its index."""
    if watch.kind not in (WatchKind.AIR_HOUR, WatchKind.AIR_DAY):
        return (watch.key,), (watch.severity,)
    editions = almanac.air(watch.regulation)
    named = [
        (f"{watch.key}{edition.valid_from:%Y%m%d}/{grade.above:g}", grade.severity)
        for edition in editions
        for grade in edition.grades
    ]
    return tuple(key for key, _ in named), tuple(severity for _, severity in named)
