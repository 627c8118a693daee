"""Inventories lie: what hangs elsewhere than is believed raises nothing false and hides nothing true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from district import MINUTE, acquainted, chunk, local, run
from district import fleet as fleet_of
from night_city import CABINET, LAMP, City, cabinet_says, city_of

from gateway.alarm.circuits import circuits_of
from gateway.alarm.dark_sky import DarkSky
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.group import Group, silent_groups
from gateway.alarm.misplaced import misplaced
from gateway.alarm.options import AlarmOptions
from gateway.fleet import Programme
from gateway.model import Counts, Run

EVENING = local("2026-11-20 20:00")


@pytest.mark.parametrize("clock", [False, True])
def test_one_report_held_back_from_the_night_is_no_sign_of_life_by_day(*, clock: bool) -> None:
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
    kept = replace(kept, time_from_device=np.array([clock]))
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


def wandering(minute: int, phase: int) -> float:
    """Each phase of a cabinet has its own load, and so its own voltage."""
    return 230.0 + 4.0 * float(np.sin(minute / (11.0 + 5.0 * phase) + 2.0 * phase))


def metered(minute: int, _: str) -> dict[str, float]:
    return cabinet_says(watts=1000.0) | {f"phase{p + 1}_voltage": wandering(minute, p) for p in range(3)}


def street(real_phase: dict[int, int], *, dead_phase: str = "", from_minute: int = 0) -> City:
    """Thirty lamps of one feeder, A, B, C in turn but for those of ``real_phase``, that measure volts."""

    def volts(minute: int, lamp: int) -> float:
        return wandering(minute, real_phase.get(lamp, lamp % 3)) - 0.1 * lamp

    def power(minute: int, _: str, phase: str) -> bool:
        return phase != dead_phase or minute < from_minute

    def report(minute: int, cabinet: str) -> dict[str, float]:
        dead = dead_phase and minute >= from_minute
        return metered(minute, cabinet) | (
            {f"phase{'ABC'.index(dead_phase) + 1}_active_power": 0.0} if dead else {}
        )

    return City(city_of(1, 1, 30), EVENING, power, report, volts=volts)


def test_neighbours_mounted_the_wrong_way_round_are_told_of_where_they_stand() -> None:
    """LP-004 is said to hang on phase B and follows C, LP-005 just the other way round."""
    city = street({4: 2, 5: 1})
    city.run(300)
    city.silence({"LP-0-0-004"})  # by its controller, which serves the point beside it
    city.run(120)
    assert [(a.asset, a.type, a.event) for a in city.said] == [
        ("LP-0-0-005", "communicationFailure", "raised")
    ]
    (said,) = (r for r in city.engine.explain("LP-0-0-005", EVENING) if r["rule"] == "communicationFailure")
    assert (said["device"], said["state"]) == ("lamp-0-0-004", "raised")
    listed = [(one["device"], one["asset"], one["stands_at"]) for one in misplaced(city.engine)]
    assert listed == [
        ("lamp-0-0-004", "LP-0-0-004", "LP-0-0-005"),
        ("lamp-0-0-005", "LP-0-0-005", "LP-0-0-004"),
    ]


def test_a_row_whose_phases_were_written_down_wrongly_is_not_taken_for_lamps_out_of_place() -> None:
    """B and C are exchanged all along the street: the lamps stand where they are said to."""
    city = street({n: 3 - n % 3 for n in range(30) if n % 3})
    city.run(300)
    assert city.engine.watch.placement.exchanged is None
    city.silence({"LP-0-0-004"})
    city.run(120)
    assert [(a.asset, a.type) for a in city.said] == [("LP-0-0-004", "communicationFailure")]


def test_a_voltage_that_never_moves_tells_nothing_of_phases() -> None:
    """A meter that rounds, or copies one phase to the others: all phases fit a lamp equally well."""
    city = City(city_of(1, 1, 30), EVENING, lambda *_: True, lambda *_: cabinet_says(watts=1000.0))
    city.run(300)
    assert misplaced(city.engine) == []


def test_a_lamp_on_another_phase_than_said_is_a_member_of_the_one_that_fails() -> None:
    """LP-007 is said to hang on phase B and really hangs on A, which fails."""
    city = street({7: 0}, dead_phase="A", from_minute=300)
    believed = city.fleet
    assets = [replace(a, phase="A") if a.id == "LP-0-0-007" else a for a in believed.assets]
    city.fleet = replace(believed, assets=tuple(assets))
    city.__post_init__()
    city.engine = AlarmEngine(believed, [LAMP, CABINET])
    acquainted(city.engine.watch, missed=24)
    city.run(300)
    (listed,) = misplaced(city.engine)
    assert (listed["asset"], listed["said"], listed["circuit"]) == ("LP-0-0-007", "C0-F0/B", "C0-F0/A")
    assert listed["why"] == "its voltage follows phase A"
    city.run(90)
    (dark,) = city.delivered()
    assert (dark.asset, dark.type, dark.event) == ("C0-F0/A", "phaseLoss", "raised")
    assert "LP-0-0-007" in dark.members


def test_what_voltages_have_shown_survives_a_restart_at_any_minute() -> None:
    whole, cut = street({4: 2, 5: 1, 7: 0}), street({4: 2, 5: 1, 7: 0})
    whole.run(260)
    for minute in range(260):
        if minute % 7 == 0:
            snapshot = cut.engine.snapshot()
            cut.engine = AlarmEngine(cut.fleet, [LAMP, CABINET])
            cut.engine.restore(snapshot)
            assert cut.engine.snapshot() == snapshot
        cut.run(1)
    assert whole.engine.watch.placement.exchanged is not None
    assert cut.engine.snapshot() == whole.engine.snapshot()


def test_a_lost_neutral_tells_nothing_of_phases() -> None:
    def report(minute: int, cabinet: str) -> dict[str, float]:
        told = metered(minute, cabinet)
        shift = 40.0 * (minute % 2)  # comes and goes at the meter, and not at the lamps
        return told | {"phase1_voltage": told["phase1_voltage"] + shift}

    city = street({})
    city.report = report
    city.run(300)
    shown = city.engine.watch.placement.phase
    assert set(zip(shown[:30].tolist(), [n % 3 for n in range(30)], strict=True)) <= {
        (0, 0), (1, 1), (2, 2), (-1, 0), (-1, 1), (-1, 2),
    }  # fmt: skip


def test_a_lamp_with_a_photocell_nobody_knows_of_burns_under_the_dark_sky_of_its_quarter() -> None:
    """Photocell lamps burn 2 km north of it; 11 km away the sky is another one."""
    whole = fleet_of(6, Programme("cell", "photocell"))
    places = (11.05, 11.05, 11.05, 11.05, 11.032, 10.95)
    assets = [replace(a, latitude=place) for a, place in zip(whole.assets, places, strict=True)]
    assets[4:] = [replace(a, programme="night") for a in assets[4:]]
    programmes = (*whole.programmes, Programme("night"))
    sky = DarkSky(replace(whole, assets=tuple(assets), programmes=programmes), 0.5)
    lit, dark = np.ones(4, dtype=np.bool_), np.zeros(4, dtype=np.bool_)
    photocells = np.arange(4, dtype=np.int32)
    assert sky.meant(photocells, lit).tolist() == [True] * 5 + [False]
    assert not sky.meant(photocells, dark).any()


def test_a_lamp_heard_while_its_circuit_rests_can_be_a_day_burner() -> None:
    """Said to hang on the switched feeder it really has power all day; the circuit is no excuse for it."""
    fleet = city_of(1, 2, 30)
    fleet = replace(fleet, feeders=(fleet.feeders[0], replace(fleet.feeders[1], group_switched=False)))
    assets = tuple(replace(a, feeder="C0-F0") if a.id == "LP-0-1-005" else a for a in fleet.assets)

    def power(minute: int, feeder: str, _: str) -> bool:
        return feeder == "C0-F1" or 352 <= minute < 1050  # 17:52 to 05:30

    def lit(minute: int, lamp: int) -> bool:
        return 352 <= minute < (1200 if lamp == 35 else 1050)

    city = City(fleet, local("2026-11-20 12:00"), power, lit=lit)
    city.engine = AlarmEngine(replace(fleet, assets=assets), [LAMP, CABINET])
    acquainted(city.engine.watch, missed=24)
    city.run(1190)
    assert [(a.asset, a.type) for a in city.said] == [("LP-0-1-005", "lampUnexpectedOn")]
    (listed,) = misplaced(city.engine)
    assert (listed["asset"], listed["why"]) == ("LP-0-1-005", "it was heard while its circuit had no power")


def test_a_lone_sample_of_yesterday_is_not_the_beginning_of_todays_alarm() -> None:
    """A lamp that burnt once yesterday morning, and burns again today: since today."""
    engine = AlarmEngine(fleet_of(2), [LAMP])
    said = []
    for text in ("2026-11-20 10:00", "2026-11-21 10:00", "2026-11-21 10:15", "2026-11-21 10:35"):
        reading = {"device": 1, "time": local(text), "active_power": 100.0}
        said.append([(a.type, a.onset_ns) for _, a in engine.apply(chunk(run(reading)))])
    assert said == [[], [], [], [("lampUnexpectedOn", local("2026-11-21 10:00"))]]
