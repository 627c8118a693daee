"""What a lamp should be doing. In: inventory, asset rows, instants. Out: supply, light, level due, and why.

Every lamp rule is judged against this and none reads sun or programme itself. Depends on the arguments
alone; the tables it keeps are a cache of one local day each.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from gateway.alarm import sun
from gateway.alarm.curves import PowerCurves
from gateway.alarm.options import AlarmOptions
from gateway.fleet import Fleet, Programme
from gateway.model import TIME_ABSENT, Bools, Float64s, Int32s, Int64s, UInt8s

CELL_DEG: Final = 0.1  # one sun for 11 km: at most 12 s wrong
DAYS_CACHED_MAX: Final = 16
_NEVER_NS: Final = 2**62
_START_OF_EVENING: Final = -1.0  # a step without a level of its own
_EPOCH: Final = date(1970, 1, 1)


class Supply(IntEnum):
    OFF = 0
    ON = 1
    UNKNOWN = 2


class Light(IntEnum):
    OFF = 0
    ON = 1
    EITHER = 2


class Why(IntEnum):
    """Which evidence decided; stronger evidence (overrides, reported reasons) takes numbers above these."""

    UNKNOWN = 0
    PHOTOCELL = 1
    PROGRAMME = 2


@dataclass(frozen=True, slots=True)
class ExpectedState:
    """One entry per (asset row, instant): codes of Supply, Light and Why, and the level due in %.

    ``steady``: neither light nor level changes within the guard, so level and power can be judged.
    """

    supply_due: UInt8s
    light_due: UInt8s
    level_due: Float64s
    why: UInt8s
    steady: Bools


@dataclass(frozen=True, slots=True)
class Lasting:
    """Light and level due, and whether steady, of each schedule from ``start_ns`` to before ``end_ns``."""

    start_ns: int
    end_ns: int
    light: UInt8s
    level: Float64s
    steady: Bools


@dataclass(frozen=True, slots=True)
class _DayTable:
    """The schedules around one local day; g schedules, k edges at most, padded with _NEVER_NS.

    Segment i of a schedule lies between edges i-1 and i; ``switching`` are the edges at which light changes.
    ``changes``: instants of this noon-to-noon at which anything changes for any schedule, and its ends.
    """

    edges: Int64s  # [g, k]
    switching: Bools  # [g, k]
    light: UInt8s  # [g, k + 1]
    level: Float64s  # [g, k + 1]
    changes: list[int]


class Expectation:
    """Expected states of ``fleet``; ``schedule`` int32[assets] numbers their (programme, 0.1° cell) pairs."""

    def __init__(self, fleet: Fleet, options: AlarmOptions | None = None) -> None:
        options = options or AlarmOptions()
        self._programme_guard_ns = round(options.programme_guard_s * 1e9)
        self._photocell_deg, self._lit_margin_w = options.photocell_sun_deg, options.lit_margin_w
        self._zone = ZoneInfo(fleet.time_zone)
        self._offset_ns = _standard_offset_ns(self._zone)
        self._group_switched = fleet.group_switched
        self._curves = PowerCurves(fleet)
        self.standby_w = self._curves.standby_w
        programmes = fleet.programme_by_id
        self.schedule, numbers = _schedules(fleet)
        self.schedule_names = tuple(f"{name}@{lat},{lon}" for name, lat, lon in numbers)
        self._programmes = [programmes.get(name) for name, _, _ in numbers]
        self._latitude = np.array([cell * CELL_DEG for _, cell, _ in numbers], dtype=np.float64)
        self._longitude = np.array([cell * CELL_DEG for _, _, cell in numbers], dtype=np.float64)
        kinds = [_why(programme) for programme in self._programmes]
        self._why = np.array(kinds, dtype=np.uint8)
        guards = [0 if kind is Why.PHOTOCELL else self._programme_guard_ns for kind in kinds]
        self._guard_ns = np.array(guards, dtype=np.int64)
        self._days: dict[int, _DayTable] = {}
        self._lasting = Lasting(0, 0, np.empty(0, np.uint8), np.empty(0), np.empty(0, np.bool_))

    def at(self, assets: Int32s, time_ns: Int64s, skew_ns: Int64s | int = 0) -> ExpectedState:
        """State due at each (asset row, ns UTC); EITHER within ±(guard + |skew_ns|) of a switching.

        Asset rows must exist (BENCH is the caller's to leave out).
        """
        schedule = self.schedule[assets]
        lasting = self.lasting(time_ns, skew_ns) if len(schedule) else None
        if lasting is None:
            light, level, steady = self._due(schedule, time_ns, skew_ns)
        else:
            light, level, steady = lasting.light[schedule], lasting.level[schedule], lasting.steady[schedule]
        supply = np.where(self._group_switched[assets], light, Supply.ON).astype(np.uint8)
        return ExpectedState(supply, light, level, self._why[schedule], steady)

    def lasting(self, time_ns: Int64s, skew_ns: Int64s | int = 0) -> Lasting | None:
        """What is due at these instants, if for no schedule it changes between the first and the last.

        The same ``Lasting`` again as long as it lasts; None around a change, or for no instants.
        """
        skew_ns = np.abs(skew_ns)
        first_ns, last_ns = int((time_ns - skew_ns).min()), int((time_ns + skew_ns).max())
        if self._lasting.start_ns <= first_ns and last_ns < self._lasting.end_ns:
            return self._lasting
        day = self.night(first_ns)
        changes = self._day(day).changes
        at = bisect_right(changes, first_ns)
        start_ns, end_ns = changes[at - 1], changes[at]
        if last_ns >= end_ns:
            return None
        schedules = np.arange(len(self._programmes))
        due = self._due(schedules, np.full(len(schedules), start_ns, dtype=np.int64), 0)
        self._lasting = Lasting(start_ns, end_ns, *due)
        return self._lasting

    def all_at(self, lasting: Lasting) -> ExpectedState:
        """State due at every asset, one entry an asset."""
        everywhere = np.arange(len(self.schedule), dtype=np.int32)
        return self.at(everywhere, np.full(len(everywhere), lasting.start_ns, dtype=np.int64))

    def _due(
        self, schedule: Int32s | Int64s, time_ns: Int64s, skew_ns: Int64s | int
    ) -> tuple[UInt8s, Float64s, Bools]:
        """Light, level and steadiness of each (schedule, instant)."""
        light = np.empty(len(schedule), dtype=np.uint8)
        level = np.empty(len(schedule), dtype=np.float64)
        steady = np.empty(len(schedule), dtype=np.bool_)
        days = (time_ns + (self._offset_ns - sun.DAY_NS // 2)) // sun.DAY_NS
        first, last = (days.min(), days.max()) if len(days) else (0, -1)
        distinct = [first] if first == last else np.unique(days)
        skew_ns = np.abs(skew_ns)
        margin, guard = self._guard_ns[schedule] + skew_ns, self._programme_guard_ns + skew_ns
        guard = np.broadcast_to(guard, schedule.shape)
        for day in distinct:
            at = slice(None) if len(distinct) == 1 else np.flatnonzero(days == day)
            due = self._day(int(day))
            group, instant = schedule[at], time_ns[at, np.newaxis]
            edges = due.edges[group]
            segment = (instant >= edges).sum(axis=1)
            gap = np.abs(instant - edges)
            near = ((gap <= margin[at, np.newaxis]) & due.switching[group]).any(axis=1)
            steady[at] = (gap > guard[at, np.newaxis]).all(axis=1)
            light[at] = np.where(near, Light.EITHER, due.light[group, segment])
            level[at] = due.level[group, segment]
        return light, level, steady

    def night(self, time_ns: int) -> int:
        """Number of the local noon-to-noon that holds an instant."""
        return (time_ns + self._offset_ns - sun.DAY_NS // 2) // sun.DAY_NS

    def since_noon_s(self, time_ns: int) -> float:
        """Seconds since the local noon that began ``night(time_ns)``."""
        return (time_ns + self._offset_ns - sun.DAY_NS // 2) % sun.DAY_NS / 1e9

    def expected_power_w(self, assets: Int32s, level: Float64s, hours: Float64s | None = None) -> Float64s:
        """Power of each asset at ``level`` % after so many operating ``hours``, all heads together."""
        return self._curves.power_w(assets, level, hours)

    def lit(self, power_w: Float64s, standby_w: Float64s) -> Bools:
        """Whether a lamp that draws ``power_w`` is lit; an unknown power (NaN) is no evidence of light."""
        return power_w > standby_w + self._lit_margin_w

    def _day(self, day: int) -> _DayTable:
        """Schedules of the local dates ``day`` and ``day`` + 1, which hold the noon-to-noon of ``day``."""
        table = self._days.get(day)
        if table is None:
            while len(self._days) >= DAYS_CACHED_MAX:
                del self._days[next(iter(self._days))]
            table = self._days[day] = self._build(day)
        return table

    def _build(self, day: int) -> _DayTable:
        suns = {
            elevation: [sun.crossings(d, self._latitude, self._longitude, elevation) for d in (day, day + 1)]
            for elevation in {sun.CIVIL_TWILIGHT_DEG, -self._photocell_deg, self._photocell_deg}
        }
        start_ns = np.full(len(self._programmes), self._local(day, 0), dtype=np.int64)
        start_deg = sun.elevation_deg(start_ns, self._latitude, self._longitude)
        schedules = []
        for group, programme in enumerate(self._programmes):
            risen = {h: [int(up[group]) for up, _ in pairs] for h, pairs in suns.items()}
            sunk = {h: [int(down[group]) for _, down in pairs] for h, pairs in suns.items()}
            dark = bool(start_deg[group] < sun.CIVIL_TWILIGHT_DEG)
            schedules.append(self._segments(programme, day, risen, sunk, dark))
        noon_ns = day * sun.DAY_NS - self._offset_ns + sun.DAY_NS // 2
        return _pad(schedules, noon_ns, self._programme_guard_ns)

    def _segments(
        self,
        programme: Programme | None,
        day: int,
        risen: dict[float, list[int]],
        sunk: dict[float, list[int]],
        dark: bool,
    ) -> _Schedule:
        """Light and level of one schedule over two local dates, from the local midnight on."""
        if programme is None:
            return _Schedule(Light.EITHER, [], [])
        dates = (day, day + 1)
        steps = [(self._local(d, minute), level) for d in dates for minute, level in programme.steps]
        # What the last night ended with must not open this one; a lamp lit at noon keeps its level.
        steps += [(self._local(d, 12 * 60), _START_OF_EVENING) for d in dates]
        if programme.switch == "fixed":
            on, off = programme.on_minute, programme.off_minute
            if on == off:
                return _Schedule(Light.ON, [], steps)
            switches = [(self._local(d, on), Light.ON) for d in dates]
            switches += [(self._local(d, off), Light.OFF) for d in dates]
            return _Schedule(Light.ON if off < on else Light.OFF, switches, steps)
        twilight = sun.CIVIL_TWILIGHT_DEG
        switches = [(t, Light.ON) for t in sunk[twilight]]
        if programme.switch == "photocell":
            low, high = -self._photocell_deg, self._photocell_deg
            switches = [(t, Light.ON) for t in sunk[low]]
            switches += [(t, Light.EITHER) for t in sunk[high] + risen[low]]
            switches += [(t, Light.OFF) for t in risen[high]]
        else:
            switches += [(t, Light.OFF) for t in risen[twilight]]
        switches = [(t, light) for t, light in switches if t != TIME_ABSENT]
        return _Schedule(Light.ON if dark else Light.OFF, switches, steps)

    def _local(self, day: int, minute: int) -> int:
        """ns UTC of a wall-clock minute of a local date."""
        wall = datetime.combine(_EPOCH + timedelta(days=day), datetime.min.time(), self._zone)
        wall += timedelta(minutes=minute)
        return int(wall.timestamp()) * 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Before the first switch the light is ``start``; an evening starts at 100 % and follows its steps."""

    start: Light
    switches: list[tuple[int, Light]]
    steps: list[tuple[int, float]]

    def changes(self) -> list[tuple[int, Light | None, float | None]]:
        """(ns UTC, light or None, level or None) in order."""
        lights = [(time_ns, light, None) for time_ns, light in self.switches]
        levels = [(time_ns, None, level) for time_ns, level in self.steps]
        return sorted([*lights, *levels], key=lambda change: change[0])


def _pad(schedules: list[_Schedule], noon_ns: int, guard_ns: int) -> _DayTable:
    """Lay schedules of different length side by side, for the day from ``noon_ns`` on."""
    width = max((len(s.switches) + len(s.steps) for s in schedules), default=0)
    edges = np.full((len(schedules), width), _NEVER_NS, dtype=np.int64)
    switching = np.zeros(edges.shape, dtype=np.bool_)
    light = np.zeros((len(schedules), width + 1), dtype=np.uint8)
    level = np.zeros((len(schedules), width + 1), dtype=np.float64)
    for row, schedule in enumerate(schedules):
        code, percent = schedule.start, 100.0
        light[row], level[row] = _light(code, percent), _due(code, percent)
        for k, (time_ns, switched, stepped) in enumerate(schedule.changes()):
            edges[row, k] = time_ns
            before = _light(code, percent)
            if switched is not None:
                switching[row, k] = True
                code = switched
            if stepped == _START_OF_EVENING:
                percent = 100.0 if code is Light.OFF else percent
            elif stepped is not None:
                percent = stepped
            due = _light(code, percent)
            if due is not before:
                switching[row, k] = True
            light[row, k + 1 :], level[row, k + 1 :] = due, _due(code, percent)
    end_ns = noon_ns + sun.DAY_NS
    # What is said changes at an edge, and where the guards around it begin and have ended.
    steps = -guard_ns, 0, 1, guard_ns + 1
    around = {at + step for at in np.unique(edges).tolist() for step in steps}
    changes = sorted({noon_ns, end_ns} | {at for at in around if noon_ns < at < end_ns})
    return _DayTable(edges, switching, light, level, changes)


def _light(light: Light, percent: float) -> Light:
    """A step to 0 % is a planned end of light: a phase that is dropped late at night."""
    return Light.OFF if light is Light.ON and percent == 0.0 else light


def _due(light: Light, percent: float) -> float:
    return 0.0 if light is Light.OFF else percent


def _why(programme: Programme | None) -> Why:
    if programme is None:
        return Why.UNKNOWN
    return Why.PHOTOCELL if programme.switch == "photocell" else Why.PROGRAMME


def _standard_offset_ns(zone: ZoneInfo) -> int:
    """Tells local days apart; summer time moves noon by an hour, which a table of two dates covers."""
    offset = datetime(2025, 1, 1, tzinfo=UTC).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) * 1_000_000_000


def _schedules(fleet: Fleet) -> tuple[Int32s, list[tuple[str, int, int]]]:
    """int32[assets], and the (programme, cell) each number stands for, in the order of their first asset."""
    table = fleet.asset_table
    programme = table.words("programme")
    planned = programme.spread((name in fleet.programme_by_id for name in programme.words), np.bool_)
    place = [np.rint(table.numbers(name) / CELL_DEG).astype(np.int64) for name in ("latitude", "longitude")]
    keys = np.where(planned, np.stack((programme.codes.astype(np.int64), *place)), [[-1], [0], [0]])
    _, first, number = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    order = np.argsort(first)
    at = keys[:, first[order]].T.tolist()
    names = [(programme.words[code] if code >= 0 else "", lat, lon) for code, lat, lon in at]
    return np.argsort(order)[number.ravel()].astype(np.int32), names
