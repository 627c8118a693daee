"""communicationFailure counts powered time in which the gateway listened, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import process_time_ns

import numpy as np
from district import LUMINAIRE, MINUTE, S, acquainted, fleet, local, tick

from gateway.alarm.circuits import circuits_of
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.options import AlarmOptions
from gateway.alarm.silence import Silence, SilenceWatch
from gateway.fleet import Asset, Assignment, Device, Fleet
from gateway.model import Tick

NIGHT, NOON = local("2026-11-20 20:00"), local("2026-11-20 12:00")
SWITCHED, LIVE = 0, 1
LIMIT = 4 * 15 * MINUTE


class Watch(SilenceWatch):
    """Supply as planned, looked at with every tick."""

    def __init__(self, district: Fleet) -> None:
        self._planned = Expectation(district)
        self._tree = circuits_of(district)
        super().__init__(district, [LUMINAIRE], self._tree, AlarmOptions())

    def tick(self, at: Tick) -> list[Silence]:
        moved = self.redraw(at.wall_ns)
        wall = np.full(len(self._tree), at.wall_ns, dtype=np.int64)
        powered = self._planned.at(self._tree.asset, wall).supply_due == Supply.ON
        self.advance(self.listen(at), at.wall_ns, powered)
        return moved + self.find(at.wall_ns)


def watch(lamps: int = 2, district: Fleet | None = None) -> Watch:
    known = Watch(district or fleet(lamps))
    acquainted(known)
    return known


def ticks(start: int, minutes: float, step_s: int = 30) -> Iterator[int]:
    return iter(range(start, start + round(minutes * MINUTE) + 1, step_s * S))


def pass_time(w: Watch, start: int, minutes: float) -> list[Silence]:
    return [found for at in ticks(start, minutes) for found in w.tick(tick(at))]


def test_a_lamp_is_silent_after_its_missed_reports_and_onset_is_the_first_one_missed() -> None:
    w = watch()
    (found,) = pass_time(w, NOON, 61)
    assert (found.device, found.raised) == (LIVE, True)
    assert found.time_ns == NOON + LIMIT
    assert found.onset_ns == NOON + 15 * MINUTE


def test_a_live_reading_starts_the_count_again_and_ends_the_silence_once() -> None:
    w = watch()
    assert pass_time(w, NOON, 40) == []
    assert w.hear(np.array([LIVE], dtype=np.int32), np.array([NOON + 40 * MINUTE])) == []
    (found,) = pass_time(w, NOON + 40 * MINUTE, 61)
    assert found.time_ns == NOON + 100 * MINUTE
    twice = np.array([LIVE, LIVE], dtype=np.int32)
    ((position, heard),) = w.hear(twice, NOON + np.array([105, 106]) * MINUTE)
    assert (position, heard.raised, heard.onset_ns) == (0, False, found.onset_ns)
    assert [f.raised for f in pass_time(w, NOON + 101 * MINUTE, 61)] == [True]


def test_a_switched_lamp_is_not_silent_by_day_and_carries_its_age_across_the_day() -> None:
    w = watch()
    w.hear(np.array([SWITCHED, LIVE], dtype=np.int32), np.array([NOON, NOON]))
    # 19:00-20:00 with settle (15 min) and one interval (15 min): 30 min counted of the 60 needed.
    dusk = local("2026-11-20 17:00")
    evening = [f for at in ticks(dusk, 118) for f in w.tick(tick(at)) if f.device == SWITCHED]
    assert evening == []
    day = [
        f for at in ticks(local("2026-11-21 07:00"), 600) for f in w.tick(tick(at)) if f.device == SWITCHED
    ]
    assert day == []
    night = [
        f for at in ticks(local("2026-11-21 17:00"), 300) for f in w.tick(tick(at)) if f.device == SWITCHED
    ]
    assert len(night) == 1
    # Light is due beyond doubt from 17:59 on; 29 min were counted the first evening.
    assert local("2026-11-21 18:55") < night[0].time_ns < local("2026-11-21 19:05")
    assert local("2026-11-20 18:40") < night[0].onset_ns < local("2026-11-20 18:48")


def test_time_in_which_the_gateway_did_not_listen_does_not_count() -> None:
    w = watch()
    for at in ticks(NOON, 120):
        assert w.tick(replace(tick(at), drained=False)) == []
    for at in ticks(NOON + 120 * MINUTE, 120):
        assert w.tick(replace(tick(at), connected=False)) == []
    assert pass_time(w, NOON + 240 * MINUTE, 59) == []


def test_a_wall_clock_that_jumps_raises_nothing() -> None:
    w = watch()
    assert pass_time(w, NOON, 30) == []
    jumped = [f for at in ticks(NOON + 30 * MINUTE, 29) for f in w.tick(tick(at + 6 * 60 * MINUTE, at))]
    assert jumped == []
    (found,) = w.tick(tick(NOON + 60 * MINUTE, NOON + 60 * MINUTE))
    assert found.onset_ns == NOON + 15 * MINUTE


def test_another_boot_and_a_standstill_count_nothing() -> None:
    w = watch()
    w.tick(tick(NOON, 10 * S))
    w.tick(replace(tick(NOON + MINUTE, 10 * 3600 * S), boot_id=b"b" * 16))
    w.tick(replace(tick(NOON + 2 * MINUTE, 20 * 3600 * S), boot_id=b"b" * 16))
    assert not w.age_ns().any()


def test_an_interrupted_session_does_not_bridge_two_ticks() -> None:
    w = watch()
    w.tick(tick(NOON))
    w.interrupt()
    w.tick(tick(NOON + MINUTE))
    assert not w.age_ns().any()
    w.tick(tick(NOON + 2 * MINUTE))
    assert list(w.age_ns()) == [0, MINUTE]


def test_a_silent_device_that_is_taken_away_is_silent_no_longer() -> None:
    ends = NOON + 90 * MINUTE
    district = fleet(2, assignments=(Assignment("lamp-1", "LP1", 0, ends),))
    w = watch(district=district)
    (silent,) = pass_time(w, NOON, 80)
    (ended,) = pass_time(w, NOON + 80 * MINUTE, 30)
    assert (silent.raised, ended.raised, ended.reason) == (True, False, "configuration")
    assert pass_time(w, NOON + 110 * MINUTE, 120) == []


def test_a_tick_of_a_hundred_thousand_devices_costs_well_under_a_millisecond() -> None:
    lamp = fleet(2).assets[1]
    many = range(100_000)
    district = fleet(
        2,
        assets=tuple(Asset(f"P{n}", "light_point", lamp.area, 11.05, 106.68) for n in many),
        devices=tuple(Device(f"d{n}", LUMINAIRE.name) for n in many),
        assignments=tuple(Assignment(f"d{n}", f"P{n}", -(2**63), 2**63 - 1) for n in many),
    )
    w = watch(district=district)
    w.tick(tick(NOON))
    started = process_time_ns()
    for second in range(1, 1001):
        w.tick(tick(NOON + second * S))
    assert (process_time_ns() - started) / 1000 < 500_000
