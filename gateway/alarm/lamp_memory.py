"""What each lamp has shown of itself. In: its readings, what was due. Out: values rules judge beside its own.

Counts whole numbers as readings come and draws conclusions at ticks alone: cutting the journal into other
blocks changes nothing. Never judges a reading and never reads a clock.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gateway.alarm.circuits import Circuits
from gateway.alarm.gear import GearMemory
from gateway.alarm.options import CYCLING_NIGHTS_MAX, AlarmOptions
from gateway.alarm.order import exchange
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec

HOUR_NS: Final = 3_600_000_000_000
PAIR_H_MAX: Final = 3.0
"""Readings further apart say nothing of what happened between them: a night, an outage."""

CUTS: Final = 3.0  # power may have gone so often between two readings: a recloser tries three times
SELF_TEST_STARTS: Final = 3  # a unit that tests itself after a supply loss counts so many for one
NOTED_ROWS_MAX: Final = 4096
METER_STEPS_WH: Final = 3.0  # energy expected between two readings must be told from the register's steps
DIMMED_BELOW: Final = 90.0
RATIOS: Final = (0.4, 2.2)  # beyond, a lamp is faulty and not merely another type
WEIGHT_MAX: Final = 64  # samples after which what is normal follows slowly
MATCHED_MIN, DIMMED_MIN = 4, 2  # samples of a night that followed the programme, and none that did not
CIRCUIT_MIN: Final = 4  # lamps of which half tell of a supply loss
_TIME, _POWER, _ENERGY, _HOURS, _STARTS = range(5)
_PER_MILLE: Final = 1000.0
_NO_RATIOS: Final = np.array([0, 0, np.iinfo(np.int32).max, 0], dtype=np.int64)


class Sight(NamedTuple):
    """n readings of one profile and what was due; ``local`` are rows of the memory.

    ``spaced``: the time between two readings is known. ``judged``: settled, placed, and light due on.
    ``expected_w`` is that of this very lamp at ``level``, as far as known.
    """

    local: Int32s
    asset: Int32s
    time_ns: Int64s
    values: Float64s
    spaced: Bools
    distinct: bool
    judged: Bools
    steady: Bools
    level: Float64s
    level_due: Float64s
    expected_w: Float64s
    followed: Bools


class LampMemory:
    """Of all devices of one profile.

    ``factor`` [d]: power of the lamp over what its type lets expect (unit spread, constant light, a wrong
    type in the inventory), NaN until it has shown it. ``followed`` [d]: it has kept its programme for a
    night. ``starts`` [d, CYCLING_NIGHTS_MAX]: switch-ons while light was due, tonight first; ``excess`` [d]:
    those beyond plan that as many nights as count had at least. ``chatter`` [d]: what half of its circuit had
    then, and no other feeder of its cabinet. ``off`` [d]: 1 where it draws too much, -1 too little.
    """

    def __init__(
        self,
        spec: ProfileSpec,
        derived: tuple[str, ...],
        devices: Int32s,
        fleet: Fleet,
        options: AlarmOptions,
    ) -> None:
        rows = {field.name: row for row, field in enumerate(spec.numeric)}
        names = ("active_power", "active_energy", "lamp_operating_hours", "switch_on_counter")
        self._rows = [rows.get(name, -1) for name in names]
        self._factor_row = rows.get("power_factor", -1)
        self._level_row = rows.get("dimming_level", -1)
        self._derived, self._options = derived, options
        self.devices, count = devices, len(devices)
        dimmed = {p.id for p in fleet.programmes if any(0 < level < DIMMED_BELOW for _, level in p.steps)}
        programme = fleet.asset_table.words("programme")
        dims = programme.spread((name in dimmed for name in programme.words), np.bool_)
        self._dims = dims if len(dims) else np.zeros(1, dtype=np.bool_)
        self._rated_w = np.append(fleet.rated_power_w, 0.0)
        self.last: Float64s = np.full((count, 5), np.nan)
        self.factor: Float64s = np.full(count, np.nan)
        self.weight = np.zeros(count, dtype=np.int32)
        # Power over expected, in per mille, since it was last looked at: how many, sum, least, most.
        self.ratios = np.tile(_NO_RATIOS, (count, 1))
        self.starts = np.zeros((count, CYCLING_NIGHTS_MAX), dtype=np.int32)
        self.excess: Float64s = np.zeros(count)
        self.chatter: Float64s = np.zeros(count)
        self.cycling: Int64s = np.empty(0, dtype=np.int64)  # rows, of the two before
        self.off = np.zeros(count, dtype=np.int8)
        self.concluded = 0  # how often, since this began
        self.followed: Bools = np.zeros(count, dtype=np.bool_)
        self.kept = np.zeros(
            (count, 3), dtype=np.int16
        )  # samples tonight: as due, as due and dimmed, not as due
        self.asset: Int32s = np.full(count, BENCH, dtype=np.int32)  # where all this was seen
        self.night = 0
        self.gear = GearMemory(spec, derived, count, options.fade_s)
        self._noted: list[Float64s] = []  # bounded: NOTED_ROWS_MAX and one block
        self._noted_rows = 0

    def derive(self, sight: Sight) -> Float64s:
        """Take in readings in journal order; float64[len(derived), n], NaN where nothing can be said."""
        now = np.empty((len(sight.local), 5))
        now[:, _TIME] = sight.time_ns
        for column, row in enumerate(self._rows, _POWER):
            now[:, column] = sight.values[row] if row >= 0 else np.nan
        now[~sight.judged, _STARTS] = np.nan
        if not sight.spaced.all():
            now[~sight.spaced, _ENERGY] = np.nan  # in order of arrival, which is not that of measuring
        before = exchange(self.last, sight.local, now, distinct=sight.distinct)
        hours = (now[:, _TIME] - before[:, _TIME]) / HOUR_NS
        near = (hours > 0.0) & (hours <= PAIR_H_MAX)
        self.gear.count(sight.local, sight.values, distinct=sight.distinct)
        starts = np.where(near, now[:, _STARTS] - before[:, _STARTS], np.nan)
        self._note(sight, now, starts)
        out = np.empty((len(self._derived), len(sight.local)))
        for k, name in enumerate(self._derived):
            if name == "dimming_deviation":
                out[k] = self._dimming(sight)
            elif name == "metering_deviation":
                # Where power was away in between, the register lost what it had not saved.
                whole = near & ~(starts > 0)
                out[k] = np.where(whole, _metering(before, now, hours, sight.expected_w), np.nan)
            elif name == "energy_lost":
                out[k] = self._energy_lost(sight, before, now)
            elif name == "starts_beyond_plan":
                out[k] = self.excess[sight.local]
            elif name == "power_factor_margin":
                out[k] = self._power_factor(sight, now[:, _POWER])
            else:
                rated_w, dead_w = self._rated_w[sight.asset], self._options.gear_dead_w
                out[k] = self.gear.value(name, sight.local, sight.values, rated_w, dead_w)
        return out

    def _note(self, sight: Sight, now: Float64s, starts: Float64s) -> None:
        """Keep what is to be counted; counting a few thousand readings at once costs a tenth."""
        level = sight.values[self._level_row] if self._level_row >= 0 else sight.level_due
        steady = sight.judged & sight.steady
        noted = np.empty((7, len(sight.local)))
        columns = (sight.local, starts, steady, level, sight.level_due, now[:, _POWER], sight.expected_w)
        for row, column in enumerate(columns):
            noted[row] = column
        self._noted.append(noted)
        self._noted_rows += len(sight.local)
        if self._noted_rows >= NOTED_ROWS_MAX:
            self.digest()

    def digest(self) -> None:
        """Count what was noted."""
        if not self._noted:
            return
        local, starts, steady, level, due, power_w, expected_w = np.concatenate(self._noted, axis=1)
        self._noted, self._noted_rows = [], 0
        rows = local.astype(np.int64)
        rose = np.flatnonzero(starts > 0)
        # One return of power no circuit knows of may be behind all that one reading brought: never enough.
        most = max(self._options.cycling_starts_min - 1, 1)
        counted = np.minimum(starts[rose], most).astype(np.int32)
        np.add.at(self.starts[:, 0], rows[rose], counted)
        told = (steady > 0) & ~np.isnan(level)
        wrong = np.abs(level - due) > self._options.dimming_tolerance
        for column, which in enumerate((told & ~wrong, told & ~wrong & (due < DIMMED_BELOW), told & wrong)):
            np.add.at(self.kept[:, column], rows[which], 1)
        self._learn(rows, (steady > 0) & (np.where(np.isnan(level), due, level) >= 50.0), power_w, expected_w)

    def review(self, night: int, asset: Int32s, circuit: Int32s, circuits: Circuits) -> None:
        """Draw conclusions; ``night`` numbers local noon to noon, ``asset`` and ``circuit`` [d] say where."""
        self.digest()
        self.forget(np.flatnonzero((asset != self.asset) & (self.asset != BENCH)))
        self.asset = asset
        self._settle_factors()
        passed = 0
        if night > self.night:
            matched, dimmed, deviated = self.kept.T
            whole = (dimmed >= DIMMED_MIN) | ~self._dims[np.maximum(asset, 0)]
            self.followed |= (matched >= MATCHED_MIN) & (deviated == 0) & whole & (asset != BENCH)
            self.kept[:] = 0
            shift = min(night - self.night, CYCLING_NIGHTS_MAX) if self.night else 0
            passed = shift
            self.starts = np.roll(self.starts, shift, axis=1)
            self.starts[:, :shift] = 0
            self.night = night
        self._settle_starts(circuit, circuits)
        self.gear.review(passed)

    def forget(self, local: Int64s) -> None:
        """Lamps that were moved, or that the inventory now describes otherwise, start anew."""
        self.gear.forget(local)
        self.last[local], self.factor[local], self.weight[local] = np.nan, np.nan, 0
        self.ratios[local] = _NO_RATIOS
        self.starts[local], self.excess[local], self.chatter[local] = 0, 0.0, 0.0
        self.kept[local], self.followed[local] = 0, False

    def _learn(self, local: Int64s, told: Bools, power_w: Float64s, expected_w: Float64s) -> None:
        """Ratios of lamps at half light or more, near what they had shown before."""
        known = self.factor[local]
        proven = ~np.isnan(known)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = power_w / expected_w
        ratio = np.where(proven, off * known, off)
        low, high = RATIOS
        normal = ~proven | (np.abs(off - 1.0) <= self._options.learned_tolerance)
        rows = np.flatnonzero(told & (ratio >= low) & (ratio <= high) & normal)
        local, mille = local[rows], np.rint(ratio[rows] * _PER_MILLE).astype(np.int64)
        np.add.at(self.ratios[:, 0], local, 1)
        np.add.at(self.ratios[:, 1], local, mille)
        np.minimum.at(self.ratios[:, 2], local, mille)
        np.maximum.at(self.ratios[:, 3], local, mille)

    def _settle_factors(self) -> None:
        count, total, least, most = self.ratios.T
        rows = np.flatnonzero(count > 0)
        if not len(rows):
            return
        unknown = np.isnan(self.factor[rows])
        enough = count[rows] >= self._options.learned_samples_min
        rows = rows[~unknown | enough]
        spread = (most[rows] - least[rows]) <= self._options.learned_spread * least[rows]
        mean = total[rows] / count[rows] / _PER_MILLE
        first = np.isnan(self.factor[rows])
        weight = np.minimum(self.weight[rows] + count[rows], WEIGHT_MAX)
        share = np.minimum(count[rows] / weight, 1.0)
        moved = self.factor[rows] + (mean - self.factor[rows]) * share
        self.factor[rows] = np.where(first, np.where(spread, mean, np.nan), moved)
        self.weight[rows] = np.where(first & ~spread, 0, weight)
        self.ratios[rows] = _NO_RATIOS

    def _settle_starts(self, circuit: Int32s, circuits: Circuits) -> None:
        """Starts that so many nights had at least, without those half of the circuit had: supply losses."""
        limit, nights = self._options.cycling_starts_min, self._options.cycling_nights
        candidates = np.flatnonzero((self.starts[:, :nights] >= limit).any(axis=1))
        self.excess[:], self.chatter[:] = 0.0, 0.0
        halves: dict[int, tuple[Int64s, Float64s]] = {}
        for number in np.unique(circuit[candidates]).tolist():
            rows = (
                np.flatnonzero(circuit == number)
                if number != BENCH
                else candidates[circuit[candidates] == BENCH]
            )
            beyond = self.starts[rows, :nights].astype(np.float64)
            if number != BENCH and len(rows) >= CIRCUIT_MIN:
                halves[number] = rows, np.median(beyond, axis=0)
                beyond = beyond - SELF_TEST_STARTS * halves[number][1]
            self.excess[rows] = np.sort(beyond, axis=1)[:, -self._options.cycling_nights_min]
        self._settle_chatter(halves, circuits)
        self.conclude()

    def conclude(self) -> None:
        """Which lamps cycle: by themselves, or with their circuit."""
        limit = self._options.cycling_starts_min
        self.cycling = np.flatnonzero((self.excess >= limit) | (self.chatter >= SELF_TEST_STARTS * limit))

    def _settle_chatter(self, halves: dict[int, tuple[Int64s, Float64s]], circuits: Circuits) -> None:
        """What half of a circuit had: what another feeder of its cabinet had as well was the supply's."""
        of_cabinet: dict[int, list[int]] = {}
        for number in halves:
            of_cabinet.setdefault(int(circuits.cabinet[number]), []).append(number)
        for number, (rows, half) in halves.items():
            beside = [
                halves[other][1]
                for other in of_cabinet[int(circuits.cabinet[number])]
                if circuits.feeder[other] != circuits.feeder[number]
            ]
            own = np.maximum(half - np.max(beside, axis=0), 0.0) if beside else half
            self.chatter[rows] = np.sort(own)[-self._options.cycling_nights_min]

    def settle_off(self, too_high: Bools, too_low: Bools) -> None:
        """Which lamps are off their type by their own power, or off their own by a rule that stands."""
        by = np.nan_to_num(self.factor, nan=1.0) - 1.0
        told = np.abs(by) * self._rated_w[self.asset] >= self._options.meter_guard_w
        high = too_high | (told & (by > self._options.learned_tolerance))
        low = too_low | (told & (by < -self._options.learned_tolerance))
        self.off = high.astype(np.int8) - low
        self.concluded += 1

    def _dimming(self, sight: Sight) -> Float64s:
        """Points off the level due; what is as due proves nothing of a lamp that never kept its programme.

        Neither does full light of a lamp that is to be dimmed later.
        """
        off = np.abs(sight.values[self._level_row] - sight.level_due)
        proves = sight.followed & ((sight.level_due < DIMMED_BELOW) | ~self._dims[sight.asset])
        proves |= off > self._options.dimming_tolerance
        proves &= sight.judged
        proves &= sight.steady
        return np.where(proves, off, np.nan)

    def _power_factor(self, sight: Sight, power_w: Float64s) -> Float64s:
        """Power factor above the limit of its level: TALQ has a curve, and light that tells it apart."""
        own = self._options
        told = (sight.level >= own.power_factor_light_pct) & (power_w >= own.power_factor_w_min)
        levels = own.power_factor_low_pct, own.power_factor_high_pct
        limit = np.interp(sight.level, levels, (own.power_factor_low, own.power_factor_high))
        return np.where(told, np.abs(sight.values[self._factor_row]) - limit, np.nan)

    def _energy_lost(self, sight: Sight, before: Float64s, now: Float64s) -> Float64s:
        """Wh a register went back by, beyond what a controller that saves now and then loses at cuts."""
        lost = before[:, _ENERGY] - now[:, _ENERGY]
        told = ~np.isnan(lost) & (now[:, _HOURS] >= before[:, _HOURS] - 1.0)  # a new controller counts anew
        if not (lost > 0.0).any():
            return np.where(told, 0.0, np.nan)
        factor = self.factor[sight.local]
        most_w = self._rated_w[sight.asset] * np.where(np.isnan(factor), 2.0, 1.1 * factor)
        rolled_back = lost <= most_w * CUTS * (self._options.energy_saved_s / 3600.0)
        return np.where(told, np.where(rolled_back, 0.0, lost), np.nan)


def _metering(before: Float64s, now: Float64s, hours: Float64s, expected_w: Float64s) -> Float64s:
    """% of the expected power by which the energy register says something else than both power readings."""
    energy_wh = now[:, _ENERGY] - before[:, _ENERGY]
    told = (energy_wh >= 0.0) & (expected_w * hours >= METER_STEPS_WH)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_w = energy_wh / hours
        low, high = (
            np.minimum(before[:, _POWER], now[:, _POWER]),
            np.maximum(before[:, _POWER], now[:, _POWER]),
        )
        off = np.maximum(np.maximum(mean_w - high, low - mean_w), 0.0) / expected_w * 100.0
    return np.where(told, off, np.nan)
