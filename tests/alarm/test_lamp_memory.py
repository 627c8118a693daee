"""What lamps show of themselves: their own power, programme, energy and switch-ons, and rules on these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from district import MINUTE, fleet, local, tick
from district import batch as plain
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm
from gateway.decode.catalog import load_file
from gateway.fleet import Fleet, Programme
from gateway.model import Chunk, Counts, Run

PROFILE = load_file(Path(__file__).parents[2] / "device_profiles" / "luminaire-controller" / "profile.toml")
SPEC = replace(PROFILE.spec, silence_intervals=0)  # the other lamp says nothing
NOON, INTERVAL = local("2026-11-20 12:00"), 15
LAMP = 1  # on a feeder that always has power
Reading = dict[str, Any]


class Street:
    """Lamp 1 of a street reports every 15 minutes; ``says`` changes what a sound lamp would say."""

    def __init__(self, district: Fleet | None = None) -> None:
        self.fleet = district or fleet(2)
        self.engine = AlarmEngine(self.fleet, [SPEC])
        self.said: list[Alarm] = []
        self.minute, self.energy_wh, self.starts, self.hours = 0, 10_000.0, 100.0, 500.0
        self.power_w = 0.0

    def until(self, minute: int, **says: Any) -> list[tuple[str, str]]:
        """What was raised and cleared up to ``minute`` after noon of the first day."""
        before = len(self.said)
        while self.minute < minute:
            self.minute += 1
            at = NOON + self.minute * MINUTE
            due = self.minute % INTERVAL == 0
            if not due and self.minute % 2:
                continue
            parts: list[Any] = [tick(at)]
            if due:
                made = plain([self.reading(at, says)], SPEC, self.minute)
                parts.append(Run((made,), (), (), Counts()))
            chunk = Chunk(self.minute, self.minute + 1, tuple(parts), (self.minute,) * len(parts))
            self.said += [alarm for _, alarm in self.engine.apply(chunk)]
        return [(alarm.type, alarm.event) for alarm in self.said[before:]]

    def reading(self, at: int, says: dict[str, Any]) -> Reading:
        due = self.engine.expectation.at(np.array([LAMP], dtype=np.int32), np.array([at]))
        level = float(due.level_due[0])
        level = says.get("level", level) if level else level
        power = (1.0 + 99.0 * level / 100.0) * says.get("share", 1.0) if level else 1.0
        self.energy_wh += (power + self.power_w) / 2 * INTERVAL / 60
        self.hours += INTERVAL / 60 if level else 0
        self.starts += (level > 0) * (1 if self.power_w <= 1.0 else says.get("starts", 0))
        self.power_w = power
        return {
            "device": LAMP, "time": at, "dimming_level": level, "active_power": says.get("shown", power),
            "active_energy": self.energy_wh + says.get("energy", 0.0), "switch_on_counter": self.starts,
            "lamp_operating_hours": self.hours, "lamp_failure": float(says.get("bit", False)),
            "supply_voltage": 230.0,
        }  # fmt: skip


EVENING, LATE, DAWN, NEXT = 480, 690, 1080, 1440  # minutes after noon: 20 h, half past 23, 6 h, noon


def test_a_lamp_is_judged_against_its_own_power_whatever_its_type_in_the_inventory() -> None:
    street = Street()
    assert street.until(EVENING, share=1.4) == []  # a stronger lamp than the inventory says
    assert street.until(EVENING + 45, share=1.0) == [("lampPowerTooLow", "raised")]
    assert street.until(EVENING + 75, share=1.4) == [("lampPowerTooLow", "cleared")]
    assert street.until(EVENING + 120, share=1.9) == [("lampPowerTooHigh", "raised")]


def test_a_small_lamp_near_its_limit_does_not_come_and_go() -> None:
    """Of 20 W the guard of 5 W is more than 15 %: 4.5 W too little is neither a fault nor a repair."""
    district = fleet(2)
    small = tuple(replace(asset, rated_power_w=20.0) for asset in district.assets)
    street = Street(replace(district, assets=small))  # which would draw 100 W
    street.until(EVENING, share=0.20)
    assert street.until(EVENING + 45, share=0.14) == [("lampPowerTooLow", "raised")]
    assert street.until(EVENING + 75, share=0.155) == []
    assert street.until(EVENING + 105, share=0.175) == []
    assert street.until(EVENING + 135, share=0.185) == [("lampPowerTooLow", "cleared")]


def test_a_weak_lamp_dimmed_to_little_power_is_not_told_twice() -> None:
    """At 12 % it draws 3 W less than it should, which the guard of 5 W would let pass."""
    street = Street()
    street.until(EVENING, share=1.0)
    assert street.until(EVENING + 45, share=0.77) == [("lampPowerTooLow", "raised")]
    dimmed = street.until(EVENING + 105, share=0.77, level=12.0)
    assert ("lampPowerTooLow", "cleared") not in dimmed
    assert ("lampPowerTooLow", "cleared") in street.until(EVENING + 150, share=1.0)


def test_a_dead_head_of_two_is_a_lamp_failure_and_no_low_power() -> None:
    district = fleet(2)
    double = tuple(replace(asset, heads=2) for asset in district.assets)
    street = Street(replace(district, assets=double))
    assert street.until(EVENING) == []
    assert street.until(EVENING + 45, share=0.5) == [("lampFailure", "raised")]
    assert street.until(EVENING + 105) == [("lampFailure", "cleared")]


def test_the_dali_bit_needs_one_sample_and_dawn_clears_nothing() -> None:
    street = Street()
    street.until(EVENING)
    assert street.until(EVENING + 15, bit=True) == [("lampFailure", "raised")]
    assert street.until(EVENING + 30, bit=True, share=0.01) == []
    assert street.until(NEXT + EVENING - 180, share=0.01) == []  # by day it says nothing of the light
    assert street.until(NEXT + EVENING) == [("lampFailure", "cleared")]


def test_a_meter_that_shows_nothing_while_energy_counts_is_no_dead_lamp() -> None:
    street = Street()
    street.until(EVENING)
    assert street.until(EVENING + 90, shown=0.0) == [("meteringFault", "raised")]
    assert street.until(EVENING + 150) == [("meteringFault", "cleared")]


def test_a_register_that_rolls_back_by_an_hour_is_no_fault_and_by_more_is_one() -> None:
    street = Street()
    street.until(EVENING)
    assert street.until(EVENING + 15, energy=-90.0) == []
    street.energy_wh -= 90.0
    assert street.until(EVENING + 30, energy=-180.0) == []  # power was back for a moment, and gone again
    street.energy_wh -= 180.0
    assert ("meteringFault", "raised") in street.until(EVENING + 45, energy=-400.0)


def test_what_a_register_loses_at_two_cuts_in_a_row_is_no_metering_fault() -> None:
    """18 of 25 Wh were not saved when power went, between these readings and again between the next."""
    street = Street()
    street.until(EVENING)
    for minute in (EVENING + 15, EVENING + 30):
        street.energy_wh -= 18.0
        street.starts += 1
        assert street.until(minute) == []


def test_a_stuck_dimmer_is_a_fault_only_of_a_lamp_that_kept_its_programme() -> None:
    street = Street()
    assert street.until(NEXT) == []  # one night as planned
    assert street.until(NEXT + LATE + 60, level=100.0) == [("dimmingFailure", "raised")]
    assert street.until(NEXT + DAWN) == [("dimmingFailure", "cleared")]


def test_a_lamp_that_never_kept_its_programme_is_the_engineers_matter() -> None:
    street = Street()
    assert street.until(NEXT + DAWN, level=100.0) == [("programmeMismatch", "raised")]
    assert street.said[0].severity == "info"


def test_cycling_is_seen_in_the_counter_on_two_nights_of_three() -> None:
    street = Street()
    assert street.until(NEXT, starts=1) == []
    assert street.until(NEXT + NEXT, starts=1) == [("cyclingFailure", "raised")]
    assert "cyclingFailure" not in [kind for kind, _ in Street().until(2 * NEXT)]


def test_a_unit_that_tests_itself_at_each_short_loss_of_power_does_not_cycle() -> None:
    """Three starts in one reading are one return of power, before anybody else of the circuit was heard."""
    street = Street()
    for night in (0, NEXT, 2 * NEXT):
        street.until(night + LATE)
        street.until(night + LATE + INTERVAL, starts=3)
    street.until(3 * NEXT)
    assert street.said == []


@pytest.mark.parametrize(("lit", "burners"), [((1, 3, 5, 7), 0), ((1,), 1)])
def test_under_a_dark_sky_photocell_lamps_may_burn_by_day(lit: tuple[int, ...], burners: int) -> None:
    district = fleet(8, Programme("cell", "photocell"))
    engine = AlarmEngine(district, [SPEC])
    said: list[Alarm] = []
    for minute in range(180):
        at = NOON + minute * MINUTE
        parts: list[Any] = [tick(at)]
        if minute % INTERVAL == 0:
            rows = [
                {"device": d, "time": at, "active_power": 100.0 if d in lit else 1.0, "dimming_level": 100.0}
                for d in (1, 3, 5, 7)
            ]
            parts.append(Run((plain(rows, SPEC, minute),), (), (), Counts()))
        chunk = Chunk(minute, minute + 1, tuple(parts), (minute,) * len(parts))
        said += [alarm for _, alarm in engine.apply(chunk)]
    assert [alarm.type for alarm in said] == ["lampUnexpectedOn"] * burners


faults = st.fixed_dictionaries(
    {},
    optional={
        "share": st.sampled_from([0.01, 0.5, 0.7, 1.4]),
        "level": st.sampled_from([40.0, 100.0]),
        "starts": st.integers(1, 3),
        "shown": st.just(0.0),
        "energy": st.sampled_from([-50.0, -500.0]),
        "bit": st.just(True),
    },
)


@settings(max_examples=8, deadline=None)
@given(nights=st.lists(st.tuples(faults, st.integers(1, 20)), min_size=1, max_size=5))
def test_a_restart_anywhere_forgets_nothing_lamps_have_shown(
    nights: list[tuple[dict[str, Any], int]],
) -> None:
    whole, broken = Street(), Street()
    for street in (whole, broken):
        street.until(EVENING)
    for says, reports in nights:
        until = whole.minute + reports * INTERVAL
        whole.until(until, **says)
        broken.until(until, **says)
        kept = broken.engine.snapshot()
        broken.engine = AlarmEngine(broken.fleet, [SPEC])
        broken.engine.restore(kept)
        assert broken.engine.snapshot() == kept
    assert [(a.id, a.event, a.cleared_ns) for a in broken.said] == [
        (a.id, a.event, a.cleared_ns) for a in whole.said
    ]
