"""Readings against rules. In: batches in journal order. Out: limits crossed, and which readings were live.

First the whole (rule x reading) matrix without state; then, only for devices that break a limit or already
did, the state machine: hold, samples, hysteresis. How the journal is cut into batches changes nothing.
Never raises an alarm itself and never reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from gateway.alarm.circuits import Circuits
from gateway.alarm.crossing import Crossing, Judgement, RuleState
from gateway.alarm.expected import Expectation
from gateway.alarm.lamp_memory import LampMemory, Sight
from gateway.alarm.options import AlarmOptions
from gateway.alarm.order import live_in_order, occurrences
from gateway.alarm.rule import RuleTable, head_shares, limits, table
from gateway.alarm.scene import Circumstances, Scene, broken
from gateway.alarm.screen import BITS, STEADY, Present, Screen, View, circumstances
from gateway.alarm.timing import Times, Timing
from gateway.fleet import BENCH, Fleet
from gateway.model import (
    TIME_ABSENT,
    Bools,
    Float64s,
    Int32s,
    Int64s,
    ProfileSpec,
    ReadingBatch,
    UInt8s,
    When,
)

TOO_HIGH: Final = "lampPowerTooHigh"
TOO_LOW: Final = "lampPowerTooLow"
VOLTAGE: Final = "supply_voltage"
LONE_NS: Final = 10_800_000_000_000
LONE_INTERVALS: Final = 4
"""A single sample that broke a limit longer ago than both is not the beginning of what breaks it now."""

SAMPLES_COUNTED_MAX: Final = 60_000  # the count of a pending rule stops here


Float32s = npt.NDArray[np.float32]


class Evaluator:
    """Rule state of a whole fleet; one per configuration."""

    def __init__(
        self,
        fleet: Fleet,
        specs: Iterable[ProfileSpec],
        expectation: Expectation,
        options: AlarmOptions | None = None,
    ) -> None:
        options = options or AlarmOptions()
        self._fleet = fleet
        self.heads = head_shares(fleet, options.heads_margin)
        self._expectation = expectation
        spec_of = {spec.name: spec for spec in specs}
        self.tables = {name: table(spec, fleet, options) for name, spec in spec_of.items()}
        self.fields = {name: tuple(field.name for field in spec.numeric) for name, spec in spec_of.items()}
        self.seen: dict[str, Float32s] = {}
        self.local = np.zeros(len(fleet.devices), dtype=np.int32)  # device row -> row in its RuleState
        self.states: dict[str, RuleState] = {}
        self.memories: dict[str, LampMemory] = {}
        self.screens: dict[str, Screen] = {}
        profiles = fleet.device_table.words("profile")
        for name, rules in self.tables.items():
            rows = np.flatnonzero(profiles.equal(name)).astype(np.int32)
            self.local[rows] = np.arange(len(rows), dtype=np.int32)
            self.states[name] = RuleState.empty(rows)
            self.screens[name] = Screen(rules, self.heads)
            # What explains a verdict; no verdict rests on it, so a snapshot leaves it out.
            width = len(spec_of[name].numeric) + len(rules.derived)
            self.seen[name] = np.full((len(rows), width), np.nan, dtype=np.float32)
            if rules.remembers:
                self.memories[name] = LampMemory(spec_of[name], rules.derived, rows, fleet, options)
        # Lamps that were lit when last heard, for telling a dark sky from a fault.
        self.shining = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.timing = Timing(len(fleet.devices), options)
        self.busy = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.latest_ns = np.full(len(fleet.devices), TIME_ABSENT, dtype=np.int64)
        # Assets whose circuit has had time for boot and self-tests; before, no lamp is judged by its light.
        self.settled: Bools = np.ones(len(fleet.assets), dtype=np.bool_)
        # Assets that burn by day for a reason that is not theirs: a crew, their circuit, a dark sky.
        self.excused: Bools = np.zeros(len(fleet.assets), dtype=np.bool_)
        # Where what the inventory has at an asset really stands, once that is known to differ.
        self.places: Int32s | None = None
        self._volts = [
            (name, names.index(VOLTAGE))
            for name, spec in spec_of.items()
            if VOLTAGE in (names := [field.name for field in spec.numeric])
        ]
        self._present = Present(expectation)
        self.judged = self.late = self.replayed = self.on_bench = 0

    def judge(self, batch: ReadingBatch) -> Judgement:
        """Judge one batch; crossings come in journal order, of one reading the ends before the beginnings."""
        live, distinct = live_in_order(batch, self.latest_ns)
        replayed = int(np.count_nonzero(batch.replayed))
        self.replayed += replayed
        self.late += len(batch) - replayed - len(live)
        rules = self.tables[batch.profile.name]
        device, time_ns = batch.device[live], batch.time_ns[live]
        own = batch.time_from_device[live]
        self.latest_ns[device[own]] = time_ns[own]  # in order, so the last of a device is its latest
        asset = self._fleet.assets_at(device, time_ns)
        if self.places is not None:
            asset = self.places[asset]
        times = self.timing.of(batch, live, device, distinct=distinct)
        believed = np.flatnonzero(times.believe)
        self.late += len(live) - len(believed)
        placed = asset[believed] != BENCH
        on_bench = len(believed) - int(np.count_nonzero(placed))
        self.on_bench += on_bench
        self.judged += len(believed) - on_bench
        believe = times.believe
        if len(believed) < len(live):
            rows, device, asset_of = live[believed], device[believed], asset[believed]
            times = times.take(believed)
        else:
            rows, asset_of = live, asset
        values = batch.values if len(rows) == len(batch) else batch.values[:, rows]
        if not rules.rules or not len(rows):
            self._see(rules, values, device)
            return Judgement([], live, asset, believe)
        view = View(rules, batch, rows, device, asset_of, times, values)
        if self.screens[rules.profile].conditional:
            view = self._lit_view(view, distinct=distinct, on_bench=on_bench > 0)
        self._see(rules, view.values, device)
        suspects = self._suspects(view, distinct=distinct)
        if not len(suspects):
            return Judgement([], live, asset, believe)
        scene = self._scene(view.take(suspects))
        device = device[suspects]
        self.busy[device[scene.breach.any(axis=0)]] = True
        touched = np.flatnonzero(self.busy[device])
        if not len(touched):
            return Judgement([], live, asset, believe)
        scene = scene.take(touched)
        np.logical_and(scene.sample, ~np.isnan(scene.values), out=scene.sample)
        healthy = scene.healthy()
        moving = self._moving(scene, healthy)
        if not len(moving):
            return Judgement([], live, asset, believe)
        scene, healthy = scene.take(moving), healthy[:, moving]
        crossings: list[Crossing] = []
        for at in occurrences(batch.device[scene.rows]):
            crossings += self._advance(scene, healthy, at)
        crossings = [crossing for crossing in crossings if not crossing.rule.recorded]
        crossings.sort(key=lambda crossing: crossing.place)
        return Judgement(crossings, live, asset, believe)

    def volts(self, devices: Int64s) -> Float32s:
        """The voltage each of ``devices`` told last, NaN where none is known."""
        found = np.full(len(self.local), np.nan, dtype=np.float32)
        for name, row in self._volts:
            found[self.states[name].devices] = self.seen[name][:, row]
        return found[devices]

    def restore_volts(self, volts: Float32s) -> None:
        """Take up voltages of all devices, NaN for none."""
        for name, row in self._volts:
            self.seen[name][:, row] = volts[self.states[name].devices]

    def review(self, night: int, asset: Int32s, circuit: Int32s, circuits: Circuits) -> None:
        """Let the memories draw their conclusions; where each device stands and hangs, int32[devices]."""
        for name, memory in self.memories.items():
            memory.review(night, asset[memory.devices], circuit[memory.devices], circuits)
            memory.settle_off(self._stands(name, TOO_HIGH), self._stands(name, TOO_LOW))

    def _stands(self, profile: str, kind: str) -> Bools:
        """Of which devices of a profile a rule of that type is broken."""
        rules, state = self.tables[profile].rules, self.states[profile]
        own = [column for column, rule in enumerate(state.rules.tolist()) if rules[rule].type == kind]
        stands: Bools = np.any(state.raised[:, own], axis=1)
        return stands

    def _lit_view(self, view: View, *, distinct: bool, on_bench: bool) -> View:
        """With what is due; the memories take in the readings."""
        rules, times, values, device = view.rules, view.times, view.values, view.device
        known = np.maximum(view.asset, 0) if on_bench else view.asset
        bits, level_due = self._circumstances(known, times)
        if on_bench:
            bits = np.where(view.asset == BENCH, 0, bits)
        standby_w = self._expectation.standby_w[known]
        lamps_lit = expected_w = steady = proven = None
        if rules.power_row >= 0:
            lamps_lit = self._expectation.lit(values[rules.power_row], standby_w)
            self.shining[device] = lamps_lit
        if rules.of_expected or rules.remembers:
            level = level_due
            if rules.level_row >= 0:
                measured = values[rules.level_row]
                level = np.where(np.isnan(measured), level, measured)
            hours = values[rules.hours_row] if rules.hours_row >= 0 else None
            expected_w = self._expectation.expected_power_w(known, level, hours)
            if rules.remembers:
                memory, local = self.memories[rules.profile], self.local[device]
                factor = memory.factor[local]
                proven = ~np.isnan(factor)
                expected_w = expected_w * np.where(proven, factor, 1.0)
                steady = (bits & STEADY) != 0
                unsteady = memory.gear.unsteady(local, times.time_ns, values, distinct=distinct)
                if unsteady is not None:
                    steady = steady & ~unsteady
                judged = (bits & BITS[When.LIGHT_DUE_ON]) != 0
                sight = Sight(
                    local, known, times.time_ns, values, times.spaced, distinct, judged, steady, level,
                    level_due, expected_w, memory.followed[local],
                )  # fmt: skip
                values = np.concatenate((values, memory.derive(sight)))
        return view._replace(
            values=values, bits=bits, steady=steady, standby_w=standby_w, expected_w=expected_w,
            lit=lamps_lit, proven=proven,
        )  # fmt: skip

    def _circumstances(self, known: Int32s, times: Times) -> tuple[UInt8s, Float64s]:
        """Bits and level due of each reading; of all assets at once as long as nothing changes for any."""
        lasting = self._expectation.lasting(times.time_ns, times.margin_ns)
        if lasting is None:
            due = self._expectation.at(known, times.time_ns, times.margin_ns)
            return circumstances(due, self.settled[known], self.excused[known]), due.level_due
        bits, level_due = self._present.of(lasting, self.settled, self.excused)
        return bits[known], level_due[known]

    def _suspects(self, view: View, *, distinct: bool) -> Int64s:
        """Readings that may break a limit, and all others of devices that do or did; the rest is sound."""
        found = self.screens[view.rules.profile].suspects(view)
        busy = self.busy[view.device]
        if found is not None:
            busy |= found
        if not distinct and np.count_nonzero(busy):
            busy = np.isin(view.device, view.device[busy])
        return np.flatnonzero(busy)

    def _scene(self, view: View) -> Scene:
        """What each rule says of readings."""
        rules, asset, known = view.rules, view.asset, np.maximum(view.asset, 0)
        heads = None
        if view.bits is not None:
            told = power = programme = asset != BENCH
            if view.expected_w is not None and view.standby_w is not None:
                told = view.expected_w - view.standby_w >= rules.meter_guard_w
            if view.proven is not None and view.steady is not None:
                programme = self.memories[rules.profile].followed[self.local[view.device]]
                heads, power = self.heads[:, known] * view.proven, view.proven & view.steady
            sample = Circumstances(view.bits, power, programme, told).open(rules.gates)[rules.gate]
        else:
            sample = np.repeat((asset != BENCH)[np.newaxis], len(rules.rules), axis=0)
        values = view.values[rules.field]
        if len(rules.scoped):
            sample[rules.scoped] &= rules.applies[:, known]
        share = None if heads is None else heads[0]
        raise_at = limits(rules, view.expected_w, view.standby_w, share, clear=False)
        return Scene(
            rules, view.batch, view.rows, view.times.time_ns, view.times.own, asset, values, sample,
            broken(rules, values, raise_at, sample), view.expected_w, view.standby_w, view.lit, heads,
        )  # fmt: skip

    def _see(self, rules: RuleTable, values: Float64s, device: Int32s) -> None:
        """Keep what an explanation shows."""
        self.seen[rules.profile][self.local[device], : len(values)] = values.T

    def _moving(self, scene: Scene, healthy: Bools) -> Int64s:
        """Readings of devices whose state is not the same after this scene; a standing alarm mostly is."""
        state, device = self.states[scene.rules.profile], scene.batch.device[scene.rows]
        row = self.local[device]
        state.open(np.flatnonzero(scene.breach.any(axis=1)))
        mine, raised, pending = state.rules, state.raised[row].T, state.count[row].T > 0
        moving = scene.breach[mine] | (scene.sample[mine] & pending)
        changes = np.where(raised, healthy[mine], moving).any(axis=0)
        changes |= state.asset[row] != scene.asset
        return np.flatnonzero(np.isin(device, device[changes])) if changes.any() else np.empty(0, np.int64)

    def _advance(self, scene: Scene, all_healthy: Bools, at: Int64s) -> list[Crossing]:
        """Move the state of the distinct devices of the readings ``at`` by one reading each."""
        rules, state = scene.rules, self.states[scene.rules.profile]
        device, asset = scene.batch.device[scene.rows[at]], scene.asset[at]
        row, time_ns = self.local[device], scene.time_ns[at, np.newaxis]
        onset, count, raised, was_at = state.since[row], state.count[row], state.raised[row], state.asset[row]
        moved = (was_at != asset)[:, np.newaxis]
        left = raised & moved
        raised = raised & ~moved
        mine = np.ix_(state.rules, at)  # no other rule is broken, or was
        breach, sample, healthy = scene.breach[mine].T, scene.sample[mine].T, all_healthy[mine].T
        own = scene.own[at, np.newaxis]
        # Between two clocks, or where one went back, no time has passed that could be counted.
        turned = sample & ((state.own[row] != own) | (time_ns < onset))
        count = np.where(moved | (turned & ~raised), 0, count)
        # A lone sample of yesterday is not the beginning of what shows today.
        gap_ns = max(LONE_NS, LONE_INTERVALS * round(scene.batch.profile.interval_s * 1e9))
        count = np.where((count == 1) & (time_ns - onset > gap_ns) & breach & ~raised, 0, count)
        first = breach & (count == 0) & ~raised
        since, own = np.where(first, time_ns, onset), np.where(first, own, state.own[row])
        pending = np.where(breach, np.minimum(count + 1, SAMPLES_COUNTED_MAX), np.where(sample, 0, count))
        count = np.where(raised, count, pending)
        held, enough = rules.hold_ns[state.rules], rules.samples_min[state.rules]
        began = breach & ~raised & (time_ns - since >= held) & (count >= enough)
        ended = raised & healthy
        raised = (raised | began) & ~ended
        count[ended] = 0
        state.since[row], state.own[row], state.asset[row] = since, own, asset
        state.count[row], state.raised[row] = count, raised
        self.busy[device] = ((count > 0) | raised).any(axis=1)
        return [
            _crossing(scene, int(at[k]), int(state.rules[r]), int(place[k]), int(times[k, r]), reason)
            for mask, place, times, reason in (
                (left, was_at, onset, "configuration"),
                (ended, asset, since, ""),
                (began, asset, since, None),
            )
            for k, r in np.argwhere(mask)
        ]


def _crossing(scene: Scene, at: int, rule: int, asset: int, onset_ns: int, reason: str | None) -> Crossing:
    """Rule number ``rule`` at reading ``at``: ended for ``reason``, or begun where that is None."""
    row, raised = scene.rows[at], reason is None
    limit = scene.take(np.array([at])).limits(clear=not raised)
    return Crossing(
        place=scene.place(at),
        device=int(scene.batch.device[row]),
        asset=asset,
        rule=scene.rules.rules[rule],
        key=scene.rules.keys[rule],
        unit=scene.rules.units[rule],
        raised=raised,
        onset_ns=onset_ns,
        time_ns=int(scene.time_ns[at]),
        value=float(scene.values[rule, at]),
        limit=float(limit[rule, 0]),
        reason=reason or "",
    )
