"""Readings against rules. In: batches in journal order. Out: limits crossed, and which readings were live.

First the whole (rule x reading) matrix without state; then, only for devices that break a limit or already
did, the state machine: hold, samples, hysteresis. How the journal is cut into batches changes nothing.
Never raises an alarm itself and never reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.alarm.expected import Expectation, ExpectedState, Light, Supply, lit
from gateway.alarm.order import live_in_order, occurrences
from gateway.alarm.rule import METER_GUARD_W, RuleTable, limits, table
from gateway.fleet import BENCH, Fleet
from gateway.model import TIME_ABSENT, Bools, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch, Rule

SAMPLES_COUNTED_MAX: Final = 60_000  # the count of a pending rule stops here


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule of a device began to hold (``raised``) or ended; "configuration": the device was moved.

    ``onset_ns`` is the first sample that broke the limit, ``time_ns`` the one that completed or ended it.
    """

    place: tuple[int, int, int]  # sequence, index, sample: where in the journal
    device: int
    asset: int
    rule: Rule
    key: str
    unit: str
    raised: bool
    onset_ns: int
    time_ns: int
    value: float
    limit: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``live`` are the batch's rows that were new, in order and not replayed: signs of life."""

    crossings: list[Crossing]
    live: Int64s
    asset: Int32s  # where each of them stood, or BENCH


@dataclass(slots=True)
class RuleState:
    """State of one profile's rules; rows are its devices, columns its rules (a device's state lies together).

    ``count`` samples in a row broke the limit since ``since``, a time of its own clock where ``own``;
    0 and not raised = nothing to remember.
    """

    devices: Int32s  # device row of each state row
    since: Int64s
    own: Bools
    count: Int32s
    raised: Bools
    asset: Int32s  # where the device stood when its state was last touched

    @classmethod
    def empty(cls, devices: Int32s, rules: int) -> RuleState:
        shape = (len(devices), rules)
        return cls(
            devices=devices,
            since=np.zeros(shape, dtype=np.int64),
            own=np.zeros(shape, dtype=np.bool_),
            count=np.zeros(shape, dtype=np.int32),
            raised=np.zeros(shape, dtype=np.bool_),
            asset=np.full(len(devices), BENCH, dtype=np.int32),
        )


@dataclass(frozen=True, slots=True)
class _Scene:
    """n readings of one profile and the stateless verdicts [rules, n] on them.

    ``sample`` was judged, ``breach`` broke the limit; powers and ``lit`` are None unless a rule asks.
    """

    rules: RuleTable
    batch: ReadingBatch
    rows: Int64s  # of the batch
    asset: Int32s
    values: Float64s
    sample: Bools
    breach: Bools
    expected_w: Float64s | None
    standby_w: Float64s | None
    lit: Bools | None

    def take(self, at: Int64s) -> _Scene:
        return _Scene(
            self.rules,
            self.batch,
            self.rows[at],
            self.asset[at],
            self.values[:, at],
            self.sample[:, at],
            self.breach[:, at],
            None if self.expected_w is None else self.expected_w[at],
            None if self.standby_w is None else self.standby_w[at],
            None if self.lit is None else self.lit[at],
        )

    def healthy(self) -> Bools:
        """Where a judged value is within the clear limit; bool[rules, n]."""
        clear_at = limits(self.rules, self.rules.clear_at, self.expected_w, self.standby_w)
        high, low = slice(0, self.rules.above), slice(self.rules.above, None)
        healthy = self.sample.copy()
        healthy[high] &= self.values[high] <= clear_at[high]
        healthy[low] &= self.values[low] >= clear_at[low]
        if self.lit is not None:
            # A lamp that is off proves no repair: only a healthy lit sample ends a night rule.
            healthy &= self.lit | ~self.rules.lit_only[:, np.newaxis]
        return healthy

    def crossing(self, at: int, rule: int, asset: int, onset_ns: int, reason: str | None) -> Crossing:
        """Rule number ``rule`` at reading ``at``: ended for ``reason``, or begun where that is None."""
        row, raised = self.rows[at], reason is None
        column = self.rules.raise_at if raised else self.rules.clear_at
        alone = self.take(np.array([at]))
        limit = limits(self.rules, column, alone.expected_w, alone.standby_w)
        return Crossing(
            place=(int(self.batch.sequence[row]), int(self.batch.index[row]), int(self.batch.sample[row])),
            device=int(self.batch.device[row]),
            asset=asset,
            rule=self.rules.rules[rule],
            key=self.rules.keys[rule],
            unit=self.rules.units[rule],
            raised=raised,
            onset_ns=onset_ns,
            time_ns=int(self.batch.time_ns[row]),
            value=float(self.values[rule, at]),
            limit=float(limit[rule, 0]),
            reason=reason or "",
        )


Float32s = npt.NDArray[np.float32]


class Evaluator:
    """Rule state of a whole fleet; one per configuration."""

    def __init__(self, fleet: Fleet, specs: Iterable[ProfileSpec], expectation: Expectation) -> None:
        self._fleet = fleet
        self._expectation = expectation
        spec_of = {spec.name: spec for spec in specs}
        self.tables = {name: table(spec, fleet) for name, spec in spec_of.items()}
        self.seen: dict[str, Float32s] = {}
        self.local = np.zeros(len(fleet.devices), dtype=np.int32)  # device row -> row in its RuleState
        self.states: dict[str, RuleState] = {}
        profiles = np.array([device.profile for device in fleet.devices], dtype=np.str_)
        for name, rules in self.tables.items():
            rows = np.flatnonzero(profiles == name).astype(np.int32)
            self.local[rows] = np.arange(len(rows), dtype=np.int32)
            self.states[name] = RuleState.empty(rows, len(rules.rules))
            # What explains a verdict; no verdict rests on it, so a snapshot leaves it out.
            self.seen[name] = np.full((len(rows), len(spec_of[name].numeric)), np.nan, dtype=np.float32)
        self.busy = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.latest_ns = np.full(len(fleet.devices), TIME_ABSENT, dtype=np.int64)
        # Assets whose circuit has had time for boot and self-tests; before, no lamp is judged by its light.
        self.settled: Bools = np.ones(len(fleet.assets), dtype=np.bool_)
        # Assets at whose cabinet a crew is at work: that they burn by day is meant.
        self.at_work: Bools = np.zeros(len(fleet.assets), dtype=np.bool_)
        self.judged = self.late = self.replayed = self.on_bench = 0

    def judge(self, batch: ReadingBatch) -> Judgement:
        """Judge one batch; crossings come in journal order, of one reading the ends before the beginnings."""
        live = live_in_order(batch, self.latest_ns)
        replayed = int(np.count_nonzero(batch.replayed))
        self.replayed += replayed
        self.late += len(batch) - replayed - len(live)
        rules = self.tables[batch.profile.name]
        device, time_ns = batch.device[live], batch.time_ns[live]
        own = batch.time_from_device[live]
        self.latest_ns[device[own]] = time_ns[own]  # in order, so the last of a device is its latest
        self.seen[batch.profile.name][self.local[device]] = batch.values[:, live].T
        asset = self._fleet.assets_at(device, time_ns)
        placed = asset != BENCH
        on_bench = len(live) - int(np.count_nonzero(placed))
        self.on_bench += on_bench
        self.judged += len(live) - on_bench
        if not rules.rules or not len(live):
            return Judgement([], live, asset)
        scene = self._scene(rules, batch, live, asset, placed)
        self.busy[device[scene.breach.any(axis=0)]] = True
        touched = np.flatnonzero(self.busy[device])
        if not len(touched):
            return Judgement([], live, asset)
        scene = scene.take(touched)
        healthy = scene.healthy()
        moving = self._moving(scene, healthy)
        if not len(moving):
            return Judgement([], live, asset)
        scene, healthy = scene.take(moving), healthy[:, moving]
        crossings: list[Crossing] = []
        for at in occurrences(batch.device[scene.rows]):
            crossings += self._advance(scene, healthy, at)
        crossings.sort(key=lambda crossing: crossing.place)
        return Judgement(crossings, live, asset)

    def unpower(self, off: Bools) -> list[tuple[int, str]]:
        """Assets ``off`` lost power by plan: nothing burns there. (device row, rule key) that ended."""
        ended = []
        for name, rules in self.tables.items():
            state = self.states[name]
            burning = state.raised & rules.dark_only
            if not burning.any():
                continue
            burning &= (off[state.asset] & (state.asset != BENCH))[:, np.newaxis]
            state.raised &= ~burning
            state.count[burning] = 0
            ended += [(int(state.devices[row]), rules.keys[k]) for row, k in np.argwhere(burning)]
        return sorted(ended)

    def _scene(
        self, rules: RuleTable, batch: ReadingBatch, live: Int64s, asset: Int32s, placed: Bools
    ) -> _Scene:
        values = batch.values if len(live) == len(batch) else batch.values[:, live]
        sample: Bools = np.broadcast_to(placed, (len(rules.rules), len(live)))
        expected_w = standby_w = lamps_lit = None
        if rules.conditional:
            known = np.maximum(asset, 0)  # BENCH is masked by ``placed``
            skew = np.where(batch.time_from_device[live], batch.skew_ns[live], 0)
            due = self._expectation.at(known, batch.time_ns[live], skew)
            sample = sample & _conditions(due)[rules.when]
            sample[rules.lit_only] &= self.settled[known]
            sample[rules.dark_only] &= ~self.at_work[known]
            standby_w = self._expectation.standby_w[known]
            if rules.power_row >= 0:
                lamps_lit = lit(values[rules.power_row], standby_w)
            if rules.of_expected:
                level = due.level_due
                if rules.level_row >= 0:
                    measured = values[rules.level_row]
                    level = np.where(np.isnan(measured), level, measured)
                expected_w = self._expectation.expected_power_w(known, level)
                sample[rules.missing] &= expected_w - standby_w >= METER_GUARD_W
        values = values[rules.field]
        sample = sample & ~np.isnan(values)
        if len(rules.scoped):
            sample[rules.scoped] &= rules.applies[:, np.maximum(asset, 0)]
        raise_at = limits(rules, rules.raise_at, expected_w, standby_w)
        breach = np.empty(values.shape, dtype=np.bool_)
        np.greater(values[: rules.above], raise_at[: rules.above], out=breach[: rules.above])
        np.less(values[rules.above :], raise_at[rules.above :], out=breach[rules.above :])
        breach &= sample
        return _Scene(rules, batch, live, asset, values, sample, breach, expected_w, standby_w, lamps_lit)

    def _moving(self, scene: _Scene, healthy: Bools) -> Int64s:
        """Readings of devices whose state is not the same after this scene; a standing alarm mostly is."""
        state, device = self.states[scene.rules.profile], scene.batch.device[scene.rows]
        row = self.local[device]
        raised, pending = state.raised[row].T, state.count[row].T > 0
        changes = np.where(raised, healthy, scene.breach | (scene.sample & pending)).any(axis=0)
        changes |= state.asset[row] != scene.asset
        return np.flatnonzero(np.isin(device, device[changes])) if changes.any() else np.empty(0, np.int64)

    def _advance(self, scene: _Scene, all_healthy: Bools, at: Int64s) -> list[Crossing]:
        """Move the state of the distinct devices of the readings ``at`` by one reading each."""
        rules, state = scene.rules, self.states[scene.rules.profile]
        device, asset = scene.batch.device[scene.rows[at]], scene.asset[at]
        row, time_ns = self.local[device], scene.batch.time_ns[scene.rows[at], np.newaxis]
        onset, count, raised, was_at = state.since[row], state.count[row], state.raised[row], state.asset[row]
        moved = (was_at != asset)[:, np.newaxis]
        left = raised & moved
        raised = raised & ~moved
        breach, sample, healthy = scene.breach[:, at].T, scene.sample[:, at].T, all_healthy[:, at].T
        own = scene.batch.time_from_device[scene.rows[at], np.newaxis]
        # Between two clocks, or where one went back, no time has passed that could be counted.
        turned = sample & ((state.own[row] != own) | (time_ns < onset))
        count = np.where(moved | (turned & ~raised), 0, count)
        first = breach & (count == 0) & ~raised
        since, own = np.where(first, time_ns, onset), np.where(first, own, state.own[row])
        pending = np.where(breach, np.minimum(count + 1, SAMPLES_COUNTED_MAX), np.where(sample, 0, count))
        count = np.where(raised, count, pending)
        began = breach & ~raised & (time_ns - since >= rules.hold_ns) & (count >= rules.samples_min)
        ended = raised & healthy
        raised = (raised | began) & ~ended
        count[ended] = 0
        state.since[row], state.own[row], state.asset[row] = since, own, asset
        state.count[row], state.raised[row] = count, raised
        self.busy[device] = ((count > 0) | raised).any(axis=1)
        return [
            scene.crossing(int(at[k]), int(r), int(place[k]), int(times[k, r]), reason)
            for mask, place, times, reason in (
                (left, was_at, onset, "configuration"),
                (ended, asset, since, ""),
                (began, asset, since, None),
            )
            for k, r in np.argwhere(mask)
        ]


def _conditions(due: ExpectedState) -> Bools:
    """For each ``When`` (in the order of WHENS) the readings at which it holds, bool[4, n]."""
    return np.stack(
        (
            np.ones(len(due.light_due), dtype=np.bool_),
            due.light_due == Light.ON,
            due.light_due == Light.OFF,
            due.supply_due == Supply.ON,
        )
    )
