"""When a lamp has power and how bright it is meant to be. In: a programme, the sky. Out: steps in time.

Everything a luminaire counts (energy, hours, starts) is an integral of these steps, so a state at any instant
is computed, not stepped to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from gateway.fleet import Programme
from gateway.model import Float64s, Int64s
from simulators.astronomy import HOUR_NS, MINUTE_NS, Sky

TWILIGHT_NS = 10 * MINUTE_NS
"""A photocell switches on this long before civil dusk and off this long after civil dawn."""

_NOON = 720
LOAD_FLOOR = 0.03
"""Share of its power a driver takes at the lowest light, beyond what the light level explains."""


class Steps:
    """A value that holds from each time to the next; the last one for ever."""

    def __init__(self, times_ns: Int64s, values: Float64s) -> None:
        self.times_ns, self.values = times_ns, values
        spans_h = np.diff(times_ns) / HOUR_NS
        self._areas = np.concatenate(([0.0], np.cumsum(values[:-1] * spans_h)))
        before = np.concatenate(([0.0], values[:-1]))
        rises = (values > 0) & (before <= 0)
        self._rises = np.cumsum(rises)
        self._risen_ns = np.maximum.accumulate(np.where(rises, times_ns, times_ns[0]))

    def at(self, time_ns: Int64s) -> Float64s:
        return self.values[self._step(time_ns)]

    def integral_h(self, time_ns: Int64s) -> Float64s:
        """Value x hours since the first step."""
        step = self._step(time_ns)
        return self._areas[step] + self.values[step] * ((time_ns - self.times_ns[step]) / HOUR_NS)

    def rises(self, time_ns: Int64s) -> Float64s:
        """How often the value has become positive since the first step."""
        return self._rises[self._step(time_ns)].astype(np.float64)

    def risen_ns(self, time_ns: Int64s) -> Int64s:
        """When the value last became positive; the first step's time if it never did."""
        return self._risen_ns[self._step(time_ns)]

    def lost_at_falls(self, supply: Steps) -> Steps:
        """The sum of this value just before each fall of ``supply``: what a counter saved hourly loses."""
        falls = (supply.values <= 0) & (np.concatenate(([0.0], supply.values[:-1])) > 0)
        lost = np.where(falls, self.at(supply.times_ns - 1), 0.0)
        return Steps(supply.times_ns, np.cumsum(lost))

    def during(self, windows: Sequence[tuple[int, int]], value: float, *, only_zero: bool = False) -> Steps:
        """The same, but ``value`` within the windows; ``only_zero``: where it was 0 before."""
        origin_ns = int(self.times_ns[0])
        clipped = [(max(start, origin_ns), end) for start, end in windows if end > origin_ns]
        if not clipped:
            return self
        times_ns = np.union1d(self.times_ns, np.array(clipped, dtype=np.int64))
        values = self.at(times_ns)
        for start, end in clipped:
            inside = (times_ns >= start) & (times_ns < end)
            values[inside & (values <= 0) if only_zero else inside] = value
        return Steps(times_ns, values)

    def after_ns(self, from_ns: int, span_ns: int) -> int:
        """When the value has been positive for ``span_ns`` since ``from_ns``."""
        for start, end in self.windows():
            begin = max(start, from_ns)
            if begin < end:
                if end - begin >= span_ns:
                    return begin + span_ns
                span_ns -= end - begin
        return int(self.times_ns[-1]) + span_ns

    def first_positive_ns(self, from_ns: int, to_ns: int) -> int | None:
        """The first time in [from_ns, to_ns) with a positive value."""
        for start, end in self.windows():
            if max(start, from_ns) < min(end, to_ns):
                return max(start, from_ns)
        return None

    def inverse(self) -> Steps:
        """1 where the value is not positive, 0 where it is."""
        return Steps(self.times_ns, (self.values <= 0).astype(np.float64))

    def times(self, factor: Steps) -> Steps:
        """The product of two functions that begin at the same time."""
        times_ns = np.union1d(self.times_ns, factor.times_ns)
        return Steps(times_ns, self.at(times_ns) * factor.at(times_ns))

    def windows(self) -> list[tuple[int, int]]:
        """Stretches [from, to) with a positive value; the last may end at the end of time."""
        ends = np.append(self.times_ns[1:], np.iinfo(np.int64).max)
        merged: list[tuple[int, int]] = []
        for start, end, value in zip(self.times_ns, ends, self.values, strict=True):
            if value > 0 and merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], int(end))
            elif value > 0:
                merged.append((int(start), int(end)))
        return merged

    def _step(self, time_ns: Int64s) -> Int64s:
        return np.maximum(np.searchsorted(self.times_ns, time_ns, side="right") - 1, 0)


@dataclass(frozen=True, slots=True)
class LightPlan:
    """``supply`` and ``lit`` are 0 or 1, ``level`` is in %, ``load`` is power relative to full light."""

    supply: Steps
    level: Steps
    load: Steps
    lit: Steps
    lost: Steps  # load just before each cut so far, summed up


Windows = Sequence[tuple[int, int]]


def light_plan(
    programme: Programme,
    group_switched: bool,
    sky: Sky,
    first: date,
    nights: int,
    dark: Windows = (),
    live: Windows = (),
) -> LightPlan:
    """The plan from noon of the local day ``first`` for so many ``nights``.

    A level of 0 % on a switched feeder is a phase that is dropped. ``dark`` are windows without power,
    ``live`` windows in which power comes out of hours and lamps burn because nobody tells them not to.
    """
    days = [first + timedelta(days=n) for n in range(nights)]
    origin_ns = sky.at_minute(first, _NOON)
    level = _steps(origin_ns, (step for day in days for step in _evening(programme, sky, day)))
    supply = Steps(np.array([origin_ns]), np.array([1.0]))
    if group_switched:
        supply = _steps(
            origin_ns, (step for day in days for step in zip(sky.night(day), (1.0, 0.0), strict=True))
        )
        level = level.times(supply)
        if any(percent <= 0 for _, percent in programme.steps):
            supply = supply.times(Steps(level.times_ns, (level.values > 0).astype(np.float64)))
        level = level.during(live, 100.0, only_zero=True)
    supply = supply.during(live, 1.0).during(dark, 0.0)
    level = level.during(dark, 0.0)
    load = Steps(level.times_ns, load_at(level.values))
    return LightPlan(
        supply=supply,
        level=level,
        load=load,
        lit=Steps(level.times_ns, (level.values > 0).astype(np.float64)),
        lost=load.lost_at_falls(supply),
    )


def load_at(level: Float64s) -> Float64s:
    """Relative power at a light level in %: nearly proportional, with the driver's own share; 0 when dark."""
    return np.where(level > 0, LOAD_FLOOR + (1.0 - LOAD_FLOOR) * level / 100.0, 0.0)


def _evening(programme: Programme, sky: Sky, day: date) -> Iterator[tuple[int, float]]:
    """(time, level) from switch-on of ``day`` to switch-off; full light until the first step is reached."""
    on_ns, off_ns = _switching(programme, sky, day)
    level, steps = 100.0, []
    for minute, percent in programme.steps:
        at_ns = sky.at_minute(day if minute >= _NOON else day + timedelta(days=1), minute)
        if at_ns <= on_ns:
            level = percent
        elif at_ns < off_ns:
            steps.append((at_ns, percent))
    yield on_ns, level
    yield from steps
    yield off_ns, 0.0


def _switching(programme: Programme, sky: Sky, day: date) -> tuple[int, int]:
    if programme.switch == "fixed":
        off_day = day if programme.off_minute > programme.on_minute else day + timedelta(days=1)
        return sky.at_minute(day, programme.on_minute), sky.at_minute(off_day, programme.off_minute)
    dusk_ns, dawn_ns = sky.night(day)
    if programme.switch == "photocell":
        return dusk_ns - TWILIGHT_NS, dawn_ns + TWILIGHT_NS
    return dusk_ns, dawn_ns


def _steps(origin_ns: int, steps: Iterator[tuple[int, float]]) -> Steps:
    pairs = [(origin_ns, 0.0), *((time, value) for time, value in steps if time > origin_ns)]
    times, values = zip(*pairs, strict=True)
    return Steps(np.array(times, dtype=np.int64), np.array(values, dtype=np.float64))
