"""Feeders of cabinets that tell nothing keep hours of their own, and these are learned from their lamps."""

from __future__ import annotations

import numpy as np
import pytest
from district import MINUTE, acquainted, local
from night_city import CABINET, LAMP, City, cabinet_says, city_of

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.options import AlarmOptions
from gateway.alarms import Alarm

NOON = local("2026-11-01 12:00")
ON, OFF = 420, 1000
"""Minutes after noon at which the time switch closes and opens: 19:00 and 04:40; by plan 17:50 and 05:30."""

SOON = AlarmOptions(learned_nights_min=3)


def own_hours(dark: int = -1, report: bool = False) -> City:
    """A feeder of 12 lamps; in the night ``dark`` it stays without power."""

    def power(minute: int, *_: str) -> bool:
        return ON <= minute % 1440 < OFF and minute // 1440 != dark

    def says(minute: int, _: str) -> dict[str, float] | None:
        return cabinet_says(closed=power(minute), watts=400.0 * power(minute)) if report else None

    city = City(city_of(1, 1, 12), NOON, power, says, loss=0.02)
    city.engine = started(city)
    return city


def started(city: City) -> AlarmEngine:
    engine = AlarmEngine(city.fleet, [LAMP, CABINET], SOON)
    acquainted(engine.watch, missed=24)
    return engine


def nights(city: City, first: int, last: int) -> list[Alarm]:
    """Dusks and dawns of the nights; the gateway stands still in the hours between."""
    before = len(city.said)
    for night in range(first, last):
        for from_min, to_min in ((0, 10), (340, 480), (960, 1050)):
            city.minute = night * 1440 + from_min
            city.run(to_min - from_min)
    return city.said[before:]


def told(alarms: list[Alarm]) -> list[tuple[str, str, str]]:
    return [(a.asset, a.type, a.event) for a in alarms if not a.quiet]


def test_hours_other_than_planned_are_told_until_they_are_known() -> None:
    city = own_hours()
    assert ("C0-F0", "feederPresumedDark", "raised") in told(nights(city, 0, 3))
    assert told([a for a in nights(city, 3, 5) if a.event == "raised"]) == []


@pytest.mark.parametrize("restart", [False, True])
def test_nobody_heard_half_an_hour_and_a_report_after_the_learned_time_is_a_dark_feeder(
    restart: bool,
) -> None:
    city = own_hours(dark=4)
    nights(city, 0, 4)
    if restart:
        engine = started(city)
        engine.restore(city.engine.snapshot())
        assert engine.snapshot() == city.engine.snapshot()
        city.engine = engine
    city.minute = 4 * 1440
    city.run(10)
    city.minute = 4 * 1440 + 340
    dusk_ns = NOON + (4 * 1440 + ON) * MINUTE
    raised = [a for a in city.run(160) if a.event == "raised" and not a.quiet]
    assert told(raised) == [("C0-F0", "feederPresumedDark", "raised")]
    assert dusk_ns + 30 * MINUTE < raised[0].raised_ns <= dusk_ns + (30 + 15 + 30) * MINUTE


def test_lamps_that_burn_by_day_are_told_by_the_learned_hours() -> None:
    city = own_hours()
    nights(city, 0, 3)
    city.minute = 3 * 1440
    city.run(10)
    city.power = lambda *_: True
    city.minute = 3 * 1440 + 960
    raised = [a for a in city.run(120) if a.event == "raised"]
    assert "switchingErrorOn" in {a.type for a in raised}


def test_a_cabinet_that_tells_is_believed_and_nothing_is_learned() -> None:
    city = own_hours(report=True)
    nights(city, 0, 2)
    assert np.isnan(city.engine.energised.times.on_s).all()
