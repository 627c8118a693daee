"""Inventories lie: what hangs elsewhere than is believed raises nothing false and hides nothing true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from district import MINUTE, acquainted, chunk, local
from night_city import CABINET, LAMP, City, city_of

from gateway.alarm.circuits import circuits_of
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.group import Group, silent_groups
from gateway.alarm.options import AlarmOptions
from gateway.model import Counts, Run

EVENING = local("2026-11-20 20:00")


def test_a_report_held_back_until_its_clock_was_lost_is_no_sign_of_life_by_day() -> None:
    """Believed always on, really switched: silent since dawn, and at 08:30 a report of the night comes in."""
    fleet = city_of(1, 2, 60)
    fleet = replace(fleet, feeders=(fleet.feeders[0], replace(fleet.feeders[1], group_switched=False)))
    astray = ("LP-0-0-000", "LP-0-0-001")
    assets = tuple(replace(a, feeder="C0-F1") if a.id in astray else a for a in fleet.assets)
    city = City(fleet, EVENING, lambda m, f, _: f == "C0-F1" or not 570 <= m < 1310)  # 05:30 to 17:50
    city.engine = AlarmEngine(replace(fleet, assets=assets), [LAMP, CABINET])
    acquainted(city.engine.watch, missed=24)
    city.run(750)
    now_ns = EVENING + 750 * MINUTE
    kept = city.reading(0, now_ns)
    kept = replace(kept, time_from_device=np.array([False]))
    city.said += [a for _, a in city.engine.apply(chunk(Run((kept,), (), (), Counts()), first=1501))]
    city.run(500)
    assert [a for a in city.said if a.type == "communicationFailure"] == []


def test_a_phase_is_not_named_while_its_feeder_may_be_the_cause_though_radio_fails_nearby() -> None:
    fleet = city_of(1, 2, 30)
    circuits = circuits_of(fleet)
    of_device = circuits.of_asset[:60]
    feeder, phase = circuits.feeder[of_device], circuits.phase[of_device]
    missing = np.where(feeder == 0, 2, 0)
    missing[np.flatnonzero((feeder == 0) & (phase == 2))[:6]] = 0  # of ten, four are missing so far
    by_radio = (feeder == 0) & (phase == 2) & (missing > 0)
    loss = np.full(60, 0.02)
    nobody = np.zeros(60, dtype=np.bool_)
    options = AlarmOptions()

    def found(besides: np.ndarray) -> list[Group]:
        return silent_groups(circuits, options, of_device, ~by_radio, missing, loss, besides)

    assert [group.level for group in found(nobody)] == ["circuit", "circuit"]
    assert found(by_radio) == []
