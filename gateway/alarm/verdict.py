"""What a watch says of sensors now. In: columns of a device class, a watch. Out: values, limits, verdicts.

One function a kind; a function of the columns alone. Never keeps state, never raises an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.alarm.air_quality import DAY_HOURS, NOWCAST_HOURS, SPAN_HOURS, daily, hourly
from gateway.alarm.hours import HOUR_NS, local_hours
from gateway.alarm.neighbours import NOBODY
from gateway.alarm.options import AlarmOptions
from gateway.alarm.sensor_class import HUMIDITY, OVER, SensorClass
from gateway.model import Bools, Float64s, Int64s
from gateway.regulation import AirEdition, NoiseEdition, Regulation
from gateway.watches import Watch, WatchKind

DRIFT_HOURS: Final = 24
DRIFT_HOURS_MIN: Final = 8
"""Of the last 24 hours so many must be comparable: humid nights leave dust less than half of them."""

DRIFT_CLEAR: Final = 0.6
"""A sensor is back among its neighbours below this share of the limit."""

SAMPLES_MIN: Final = 3
"""So many readings must be the same, or implausible."""

HOUR_S: Final = 3600.0
INDEX_UNIT: Final = "VN_AQI"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of n slots: ``value``, ``limit`` in ``unit``; ``holds`` and ``over`` are False where none can tell.

    ``onset_ns`` is when what holds began to show.
    """

    unit: str
    value: Float64s
    limit: Float64s
    holds: Bools
    over: Bools
    onset_ns: Int64s

    @classmethod
    def of(
        cls, unit: str, value: Float64s, limit: Float64s | float, clear: Float64s | float, onset_ns: Int64s
    ) -> Verdict:
        """Holds above ``limit``, is over at ``clear`` and below; NaN is neither."""
        limit = limit if isinstance(limit, np.ndarray) else np.full(len(value), limit)
        return cls(unit, value, limit, value > limit, value <= clear, onset_ns)


class Almanac:
    """Editions of regulations by the hour: which was in force."""

    def __init__(self, regulations: Mapping[str, Regulation], zone: ZoneInfo) -> None:
        self.zone, self._regulations = zone, regulations
        self._since: dict[date, int] = {}

    def air(self, name: str) -> tuple[AirEdition, ...]:
        return self._regulations[name].air

    def in_force(self, editions: Sequence[AirEdition | NoiseEdition], hour: Int64s) -> Int64s:
        """Position of the edition in force in each UTC hour, -1 before the first."""
        since = [self._hour(edition.valid_from) for edition in editions]
        return np.searchsorted(np.array(since, dtype=np.int64), hour, side="right") - 1

    def noise_limits(self, name: str, zone: str, hour: Int64s) -> Float64s:
        """dB(A) that hold in each UTC hour, NaN where the regulation has none."""
        editions = self._regulations[name].noise
        tables = np.array([[np.nan] * DAY_HOURS, *(edition.limits[zone] for edition in editions)])
        found: Float64s = tables[self.in_force(editions, hour) + 1, local_hours(self.zone, hour) % DAY_HOURS]
        return found

    def _hour(self, day: date) -> int:
        if day not in self._since:
            midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
            self._since[day] = int(midnight.timestamp()) // 3600
        return self._since[day]


@dataclass(frozen=True, slots=True)
class Scene:
    """Who judges whom by what."""

    of: SensorClass
    almanac: Almanac
    options: AlarmOptions


def air_hour(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """The index of the last whole hour against each grade; a list in the order of ``grades``."""
    means = _means(scene.of, slots, NOWCAST_HOURS)
    return _graded(scene, watch, scene.of.hours.hour[slots], lambda edition: hourly(means, edition))


def air_day(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """The index of the local day before the open hour."""
    hours = scene.of.hours
    local = local_hours(scene.almanac.zone, hours.hour[slots])
    midnight = hours.hour[slots] - local % DAY_HOURS
    back = midnight[:, np.newaxis] - 1 - np.arange(DAY_HOURS + SPAN_HOURS - 1)
    found = hours.at(slots, back)
    means = {name: found[channel] for channel, name in enumerate(scene.of.channels)}
    least = round(scene.options.coverage * DAY_HOURS)
    return _graded(scene, watch, midnight, lambda edition: daily(means, edition, least))


def noise(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """Sound of the last whole hour against the limit of that hour."""
    of, hour = scene.of, scene.of.hours.hour[slots]
    energy = of.hours.last(slots, 1)[:, :, 0]
    heard = energy[of.channels.index(watch.field)]
    level = 10.0 * np.log10(np.where(heard > 0, heard, np.nan))
    limit = scene.almanac.noise_limits(watch.regulation, watch.zone, hour - 1)
    often = energy[of.channels.index(watch.field + OVER)] >= watch.share
    found = Verdict.of("dB(A)", level, limit, limit - watch.margin, hour * HOUR_NS)
    calm = found.over | (~often & ~np.isnan(level))
    return [Verdict(found.unit, found.value, found.limit, found.holds & often, calm, found.onset_ns)]


def rise(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """By how much a value rose within ``over_s``."""
    of = scene.of
    field, last_ns = of.fields.index(watch.field), of.last_ns[slots]
    recent = of.recent[field][:, slots]
    known = ~np.isnan(recent) & (last_ns - of.recent_ns[0][:, slots] <= watch.over_s * 1e9)
    lowest = np.where(known, recent, np.inf).min(axis=0)
    risen = np.where(known[0], recent[0] - lowest, np.nan)
    return [Verdict.of(_unit(of, watch.field), risen, watch.limit, watch.limit - watch.margin, last_ns)]


def flat(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """For how long a value has not changed; where that is legitimate, not at all."""
    of = scene.of
    field = of.fields.index(watch.field)
    since_ns, value = of.since_ns[field, slots], of.value[field, slots]
    lasts_h = np.where(value > watch.floor, (of.last_ns[slots] - since_ns) / HOUR_NS, 0.0)
    lasts_h[np.isnan(value)] = np.nan
    limit_h = watch.over_s / HOUR_S
    found = Verdict.of("h", lasts_h, limit_h, limit_h, since_ns)
    enough = of.same[field, slots] >= SAMPLES_MIN
    return [Verdict("h", lasts_h, found.limit, found.holds & enough, found.over, since_ns)]


def out_of_range(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """For how long no plausible value came."""
    of = scene.of
    field = of.fields.index(watch.field)
    since_ns, bad = of.bad_since_ns[field, slots], of.bad[field, slots]
    lasts_h = np.where(bad > 0, (of.last_ns[slots] - since_ns) / HOUR_NS, 0.0)
    limit = np.full(len(slots), watch.over_s / HOUR_S)
    holds = (lasts_h >= limit) & (bad >= SAMPLES_MIN)
    return [Verdict("h", lasts_h, limit, holds, bad == 0, since_ns)]


def drift(scene: Scene, watch: Watch, slots: Int64s) -> list[Verdict]:
    """How far the hours of a day lie off the median of the neighbours, as their median."""
    of = scene.of
    back = of.hours.hour[slots, np.newaxis] - 1 - np.arange(DRIFT_HOURS)
    channel = of.channels.index(watch.field)
    own = of.hours.at(slots, back)
    near, heard = _witnesses(of, slots, scene.options.neighbours_min)
    others = of.hours.at(np.maximum(near, 0), back[:, np.newaxis, :])[channel]
    others = np.where(heard[:, :, np.newaxis], others, np.nan)
    middle = median(others, 1, scene.options.neighbours_min)
    apart = own[channel] - middle
    if HUMIDITY in of.channels:
        # Optical dust sensors count droplets as dust: such hours say nothing of the sensor.
        apart = np.where(own[of.channels.index(HUMIDITY)] > watch.humidity_max, np.nan, apart)
    off = median(apart, 1, DRIFT_HOURS_MIN)
    level = median(np.where(np.isnan(apart), np.nan, middle), 1, DRIFT_HOURS_MIN)
    limit = np.maximum(watch.limit, watch.share * np.abs(level))
    onset_ns = of.hours.hour[slots] * HOUR_NS
    return [Verdict.of(_unit(of, watch.field), np.abs(off), limit, DRIFT_CLEAR * limit, onset_ns)]


def _witnesses(of: SensorClass, slots: Int64s, least: int) -> tuple[Int64s, Bools]:
    """Neighbours of each slot, and whose word counts: not that of one known to drift.

    One that drifts itself hears all of them if else too few are left: its alarm has to end some day.
    """
    near = of.near[slots]
    there = near != NOBODY
    trusted = there & ~of.doubted[np.maximum(near, 0)]
    few = of.doubted[slots] & (trusted.sum(axis=1) < least)
    return near, np.where(few[:, np.newaxis], there, trusted)


def median(values: Float64s, axis: int, least: int) -> Float64s:
    """Of what is known along ``axis``; NaN where that is less than ``least``."""
    ordered = np.sort(values, axis=axis)  # NaN last
    count = (~np.isnan(values)).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[axis] - 1), axis=axis)
    found: Float64s = np.where(count >= least, (low + high) / 2.0, np.nan).squeeze(axis)
    return found


JUDGES: Final[Mapping[WatchKind, Callable[[Scene, Watch, Int64s], list[Verdict]]]] = {
    WatchKind.AIR_HOUR: air_hour,
    WatchKind.AIR_DAY: air_day,
    WatchKind.NOISE: noise,
    WatchKind.DRIFT: drift,
    WatchKind.RISE: rise,
    WatchKind.FLAT: flat,
    WatchKind.RANGE: out_of_range,
}
HOURLY: Final = frozenset({WatchKind.AIR_HOUR, WatchKind.NOISE, WatchKind.DRIFT})
"""Judged when an hour closed; AIR_DAY when a day is over, the others with each reading."""


def _means(of: SensorClass, slots: Int64s, hours: int) -> dict[str, Float64s]:
    found = of.hours.last(slots, hours)
    return {name: found[channel] for channel, name in enumerate(of.channels)}


def _graded(
    scene: Scene, watch: Watch, hour: Int64s, index: Callable[[AirEdition], Float64s]
) -> list[Verdict]:
    """One verdict a grade of each edition; those of an edition that is not in force are over."""
    editions = scene.almanac.air(watch.regulation)
    current = scene.almanac.in_force(editions, hour - 1)
    found = []
    for number, edition in enumerate(editions):
        here, value = current == number, index(edition)
        for grade in edition.grades:
            one = Verdict.of(INDEX_UNIT, value, grade.above, grade.above - watch.margin, hour * HOUR_NS)
            found.append(
                Verdict(one.unit, value, one.limit, one.holds & here, one.over | ~here, one.onset_ns)
            )
    return found


def _unit(of: SensorClass, name: str) -> str:
    units = (field.unit for spec in of.specs.values() for field in spec.numeric if field.name == name)
    return next(units, "")
