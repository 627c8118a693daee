"""What cabinets carry beyond their lamps: loads of others, crossed phases, energy that is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from district import acquainted, local
from night_city import CABINET, LAMP, City, cabinet_says, city_of

from gateway.alarm.balance import Balance
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.load import Load
from gateway.alarm.options import AlarmOptions
from gateway.alarms import Alarm
from gateway.model import Chunk, Control

EVENING = local("2026-11-20 20:00")
NOON = local("2026-11-01 12:00")
DUSK = 352
"""Minutes after noon at which the city's lamps have power."""

FULL_W = 2000.0
"""What a phase of 20 lamps draws."""


def told(alarms: list[Alarm]) -> list[tuple[str, str, str]]:
    return [(a.asset, a.type, a.event) for a in alarms]


def watts(one: float, two: float, three: float) -> dict[str, float]:
    return cabinet_says() | {
        f"phase{n}_active_power": value * FULL_W for n, value in enumerate((one, two, three), 1)
    }


def evening(report: Callable[[int, str], dict[str, float]], **more: Any) -> City:
    return City(city_of(1, 1, 60), EVENING, lambda *_: True, report, **more)


def test_more_than_the_lamps_draw_is_told_after_half_an_hour_and_cleared_when_it_is_gone() -> None:
    city = evening(lambda m, _: watts(1.02, 1.8 if 60 <= m < 180 else 1.02, 1.02))
    city.run(85)
    assert city.said == []
    city.run(215)
    assert told(city.said) == [("C0", "unexpectedLoad", "raised"), ("C0", "unexpectedLoad", "cleared")]
    raised, cleared = city.said
    assert EVENING + 60 * 60e9 <= raised.onset_ns <= EVENING + 70 * 60e9
    assert raised.value == pytest.approx(0.84 * FULL_W, rel=0.02)
    assert raised.limit == pytest.approx(0.2 * 3 * FULL_W, rel=0.02)
    assert "W" in raised.text_en and cleared.raised_ns == raised.raised_ns


@pytest.mark.parametrize("many", [1.0, 1.1], ids=["as planned", "line losses"])
def test_what_the_lamps_themselves_draw_is_no_foreign_load(many: float) -> None:
    city = evening(lambda *_: watts(many, many, many))
    city.run(360)
    assert city.said == []


def test_load_on_other_phases_than_planned_is_told_once_no_dead_circuit_explains_it() -> None:
    city = evening(lambda m, _: watts(1.02, 1.62, 0.42) if m >= 30 else watts(1.02, 1.02, 1.02))
    city.run(140)
    assert city.said == []
    city.run(60)
    assert told(city.said) == [("C0", "phaseImbalance", "raised")]


def test_phases_dropped_late_at_night_are_no_imbalance() -> None:
    """Two phases go off at 23:00 by programme, as they do where every other lamp is spared."""
    fleet = city_of(1, 1, 60)
    night = replace(fleet.programmes[0], id="dropped", steps=((23 * 60, 0.0),))
    assets = tuple(replace(a, programme="dropped") if a.phase in ("B", "C") else a for a in fleet.assets)
    fleet = replace(fleet, assets=assets, programmes=(*fleet.programmes, night))

    def open_contactors(minute: int, _: str) -> dict[str, float]:
        said = watts(1.0, 1.0, 1.0) if minute < 180 else watts(1.0, 0.01, 0.01)
        return {name: value for name, value in said.items() if name != "contactor_closed"}

    city = City(fleet, EVENING, lambda m, _, phase: m < 180 or phase == "A", open_contactors)
    city.run(8 * 60)
    assert city.said == []


def test_photocell_lamps_nobody_hears_may_be_lit_by_a_dark_sky() -> None:
    """A storm at noon takes some radios, too: the meter sees all lamps lit, and a third does not tell."""
    fleet = city_of(1, 1, 60, switched=False)
    fleet = replace(fleet, programmes=(replace(fleet.programmes[0], switch="photocell"),))
    mute = frozenset(a.id for a in fleet.assets[:20])
    noon = local("2026-11-20 13:00")
    city = City(fleet, noon, lambda *_: True, lambda *_: watts(1.0, 1.0, 1.0), mute=mute)
    city.run(120)
    assert "unexpectedLoad" not in {a.type for a in city.said}


def test_a_crew_at_work_and_a_dead_phase_are_told_for_what_they_are() -> None:
    work = evening(lambda *_: watts(2.0, 1.0, 1.0) | {"door_open": 1.0})
    work.run(180)
    assert work.said == []
    dead = City(
        city_of(1, 1, 60),
        EVENING,
        lambda m, _, phase: phase != "B" or m < 30,
        lambda m, _: watts(1.0, 1.0 if m < 30 else 0.0, 1.0),
    )
    dead.run(300)
    assert {a.type for a in dead.delivered()} == {"phaseLoss"}


# --- energy -------------------------------------------------------------------------------------------

NIGHT_MIN = 300
"""So much of each night is listened to: the days between, and the rest, are left out."""


def dusks(city: City, first: int, last: int) -> list[Alarm]:
    """The nights from ``first`` up to before ``last``."""
    before = len(city.said)
    for night in range(first, last):
        city.minute = night * 1440 + DUSK + 60
        city.run(NIGHT_MIN)
    return city.said[before:]


def lossy(lost_w: Callable[[int], float]) -> City:
    """A switched cabinet of 15 lamps; its meter sees more than they tell."""

    def report(minute: int, _: str) -> dict[str, float]:
        return cabinet_says(watts=500.0 + lost_w(minute // 1440) / 3)

    city = City(city_of(1, 1, 15), NOON, lambda *_: True, report, loss=0.0)
    city.engine = AlarmEngine(city.fleet, [LAMP, CABINET], SOON)
    acquainted(city.engine.watch, missed=24)
    return city


SOON = AlarmOptions(balance_nights_min=2, balance_wh_min=500.0, load_w_min=200.0, unexpected_share=0.5)


@pytest.mark.parametrize("restart", [False, True])
def test_energy_that_goes_missing_is_told_after_three_nights_of_five(restart: bool) -> None:
    """Usual losses of 30 W; from the third night on somebody draws 200 W of 1.5 kW for the hours heard."""
    city = lossy(lambda night: 30.0 if night < 2 else 230.0)
    assert dusks(city, 0, 4) == []
    if restart:
        engine = AlarmEngine(city.fleet, [LAMP, CABINET], SOON)
        engine.restore(city.engine.snapshot())
        city.engine = engine
    assert told(dusks(city, 4, 6)) == [("C0", "energyTheft", "raised")]
    (alarm,) = city.said
    assert alarm.value == pytest.approx(0.95, abs=0.1)
    assert alarm.limit == pytest.approx(0.72, abs=0.05)  # 10 % of what the lamps told
    assert "kWh" in alarm.text_vi
    (document,) = [d for d in city.engine.explain("C0", NOON) if d["rule"] == "energyTheft"]
    assert document["state"] == "raised"
    assert "kWh a night can not be told" in document["why"]


def seen(lost_w: float, told_w: float = 12_000.0, heard: float = 1.0) -> Load:
    """One cabinet whose meter sees ``lost_w`` more than its lamps tell, of which the share ``heard`` told."""
    each = np.full((3, 1), (told_w + lost_w) / 3)
    told, judged = np.array([told_w * heard]), np.array([True])
    return Load(judged, judged, each, np.full((3, 1), told_w / 3), told, np.array([heard]))


def balanced(nights: Sequence[Load]) -> list[bool]:
    """What is said after each of ``nights`` of eleven hours."""
    balance = Balance(1, AlarmOptions())
    said = []
    for night, load in enumerate([*nights, seen(0.0)]):
        for step in range(132):
            time_ns = NOON + night * 86_400 * 10**9 + step * 300 * 10**9
            said += [verdict.raised for verdict in balance.step(load, 300 * 10**9, time_ns, night)]
    return said


USUAL = [seen(240.0 + 10 * n) for n in range(6)]


def test_nights_as_usual_end_it_and_never_begin_it() -> None:
    assert not any(balanced(USUAL * 4))
    said = balanced([*USUAL, *[seen(2000.0)] * 3, *USUAL])
    assert True in said
    assert not said[-1]


def test_a_loss_that_lasts_is_not_taken_for_usual() -> None:
    assert balanced([*USUAL, *[seen(2000.0)] * 20]) == [False] + [True] * 18


@pytest.mark.parametrize(
    ("load", "raised"),
    [(seen(1600.0), True), (seen(1300.0), False), (seen(340.0), False), (seen(1600.0, heard=0.9), False)],
    ids=["12 %", "less than 10 %", "a stall of 100 W on 12 kW", "too few lamps heard"],
)  # fmt: skip
def test_what_can_be_told_of_a_cabinet(load: Load, raised: bool) -> None:
    assert any(balanced([*USUAL, *[load] * 6])) is raised


def test_lamps_that_were_not_heard_are_counted_as_the_others() -> None:
    assert not any(balanced([*USUAL, *[seen(265.0, heard=0.96)] * 6]))


# --- restart ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minute", [7, 61, 88, 93, 150, 178])
def test_a_restart_anywhere_changes_nothing(minute: int) -> None:
    def report(m: int, _: str) -> dict[str, float]:
        return watts(1.02, 1.8 if 60 <= m < 180 else 1.02, 1.02)

    def once(restarts: bool) -> tuple[list[Alarm], bytes]:
        city = evening(report)
        city.run(minute)
        if restarts:
            city.engine, before = AlarmEngine(city.fleet, [LAMP, CABINET]), city.engine
            city.engine.restore(before.snapshot())
            assert city.engine.snapshot() == before.snapshot()
        city.run(240 - minute)
        return city.said, city.engine.snapshot()

    assert once(restarts=True) == once(restarts=False)


def test_a_cabinet_that_is_gone_takes_its_alarm_along() -> None:
    city = evening(lambda *_: watts(1.0, 2.0, 1.0))
    city.run(60)
    assert told(city.said) == [("C0", "unexpectedLoad", "raised")]
    fleet = city_of(2, 1, 60)
    gone = replace(
        fleet,
        cabinets=fleet.cabinets[1:],
        feeders=fleet.feeders[1:],
        assets=tuple(a for a in fleet.assets if a.cabinet == "C1"),
        assignments=tuple(a for a in fleet.assignments if not a.asset.startswith(("C0", "LP-0"))),
    )
    engine = AlarmEngine(gone, [LAMP, CABINET])
    acquainted(engine.watch, missed=24)
    engine.restore(city.engine.snapshot())
    transitions = engine.apply(Chunk(1, 2, (Control("configuration", EVENING + 3600 * 10**9, "new"),), (1,)))
    assert told([alarm for _, alarm in transitions]) == [("C0", "unexpectedLoad", "cleared")]


def test_practice_moves_the_limits() -> None:
    city = evening(lambda *_: watts(1.02, 1.8, 1.02))
    city.engine = AlarmEngine(
        city.fleet, [LAMP, CABINET], AlarmOptions(unexpected_share=0.5, imbalance_share=1.5)
    )
    city.run(240)
    assert city.said == []


def test_lamps_that_tell_of_a_step_later_than_the_meter_end_nothing() -> None:
    """At 23:00 all go to half light: for a quarter of an hour the lamps' last word is of full light."""
    fleet = city_of(1, 1, 60)
    night = replace(fleet.programmes[0], steps=((23 * 60, 50.0),))
    fleet = replace(fleet, programmes=(night,))

    def report(minute: int, _: str) -> dict[str, float]:
        return watts(1.0, 1.0 if minute < 180 else 0.1, 2.0 if minute < 180 else 1.6)

    city = City(fleet, EVENING, lambda *_: True, report)
    city.run(190)
    assert told(city.said) == [("C0", "unexpectedLoad", "raised")]
    city.run(20)
    assert len(city.said) == 1
