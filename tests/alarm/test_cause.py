"""Groups before members: one fault of a feeder is one alarm, and a planned night is none."""

from __future__ import annotations

from dataclasses import replace
from time import process_time_ns

import numpy as np
import pytest
from district import MINUTE, acquainted, local
from district import chunk as chunk_of
from district import run as run_of
from night_city import CABINET, LAMP, City, cabinet_says, city_of

from gateway.alarm.circuits import circuits_of
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.group import silent_groups
from gateway.alarm.options import AlarmOptions
from gateway.alarms import Alarm, AlarmState
from gateway.model import Chunk, Control

EVENING = local("2026-11-20 20:00")
AFTERNOON = local("2026-11-20 15:00")


def told(alarms: list[Alarm]) -> list[tuple[str, str, str]]:
    return [(a.asset, a.type, a.event) for a in alarms]


def test_a_feeder_of_200_lamps_dies_one_alarm_it_comes_back_one_clear() -> None:
    city = City(
        city_of(2, 2, 200), EVENING, power=lambda m, feeder, _: not (feeder == "C0-F0" and 60 <= m < 180)
    )
    assert city.run(60) == []
    city.run(120)
    assert told(city.delivered()) == [("C0-F0", "feederPresumedDark", "raised")]
    (dark,) = city.delivered()
    assert EVENING + 60 * MINUTE < dark.onset_ns < EVENING + 85 * MINUTE
    assert dark.raised_ns <= EVENING + 90 * MINUTE
    assert len(dark.members) >= 160
    assert "20" in dark.text_en and "points" in dark.text_en
    city.run(120)
    assert told(city.delivered()) == [
        ("C0-F0", "feederPresumedDark", "raised"),
        ("C0-F0", "feederPresumedDark", "cleared"),
    ]
    assert city.delivered()[1].id == dark.id


def test_dusk_and_dawn_of_a_switched_district_of_5000_lamps_bring_no_alarm() -> None:
    def power(minute: int, *_: str) -> bool:
        # A few minutes off the plan: 17:52 to 05:30.
        return 172 <= minute < 870

    city = City(city_of(5, 5, 200), AFTERNOON, power, loss=0.02, join_min=40)
    city.run(17 * 60)
    assert city.said == []


def test_phases_that_stay_dark_are_an_alarm_of_their_own_when_the_rest_returns() -> None:
    def power(minute: int, feeder: str, phase: str) -> bool:
        if feeder != "C0-F0" or minute < 30:
            return True
        return minute >= 120 and phase != "B"

    city = City(city_of(1, 2, 60), EVENING, power)
    city.run(240)
    assert told(city.delivered()) == [
        ("C0-F0", "feederPresumedDark", "raised"),
        ("C0-F0", "feederPresumedDark", "cleared"),
        ("C0-F0/B", "feederPresumedDark", "raised"),
    ]
    whole, _, rest = city.delivered()
    assert rest.onset_ns == whole.onset_ns


def test_the_smallest_group_that_explains_the_silence_is_named() -> None:
    phase = City(city_of(2, 2, 90), EVENING, lambda m, f, p: not (f == "C1-F1" and p == "C" and m > 30))
    phase.run(90)
    assert told(phase.delivered()) == [("C1-F1/C", "feederPresumedDark", "raised")]
    cabinet = City(city_of(2, 3, 90), EVENING, lambda m, f, _: not (f.startswith("C1") and m > 30))
    cabinet.run(90)
    assert told(cabinet.delivered("feederPresumedDark")) == [("C1", "feederPresumedDark", "raised")]


def test_a_phase_is_not_named_while_its_neighbours_seem_to_lose_their_radio_as_it_dies() -> None:
    """A burst elsewhere makes two phases of a dying feeder wait; the third alone is not what failed."""
    circuits = circuits_of(city_of(1, 2, 48))
    of_device = np.repeat(np.arange(6, dtype=np.int32), 16)
    assert {circuits.names[n] for n in (0, 1, 2)} == {f"C0-F0/{phase}" for phase in "ABC"}
    due, loss = np.ones(96, dtype=np.bool_), np.full(96, 0.04)

    def found(late: tuple[int, ...], waiting: bool) -> list[str]:
        place = np.arange(96) % 16
        missing = np.array([place[n] < late[c] for n, c in enumerate(of_device)]).astype(np.int64)
        waits = (missing > 0) & (of_device > 0) & waiting
        groups = silent_groups(circuits, AlarmOptions(), of_device, due, missing, loss, waits)
        return [group.level for group in groups]

    for waiting in (False, True):
        assert found((15, 8, 7, 0, 0, 0), waiting) == []
    assert found((15, 1, 1, 0, 0, 0), True) == ["circuit"]
    assert found((15, 15, 15, 0, 0, 0), False) == ["feeder"]


def test_a_few_lamps_in_the_wrong_place_do_not_hide_a_dead_feeder() -> None:
    """Three of 60 lamps said to be on the dead feeder hang on another one, and go on reporting."""
    fleet = city_of(1, 2, 60)
    dead = {f"LP-0-0-{n:03d}" for n in range(3, 60)}
    assets = tuple(
        replace(a, feeder="C0-F0") if a.id in {"LP-0-1-000", "LP-0-1-001", "LP-0-1-002"} else a
        for a in fleet.assets
    )
    city = City(fleet, EVENING, lambda m, f, _: not (f == "C0-F0" and m > 30))
    city.engine = AlarmEngine(replace(fleet, assets=assets), [LAMP, CABINET])
    city.run(120)
    assert told(city.delivered()) == [("C0-F0", "feederPresumedDark", "raised")]
    assert dead <= set(city.delivered()[0].members)


def test_a_meter_that_misses_their_power_says_open_feeder_one_that_does_not_says_radio() -> None:
    def reports(minute: int, _: str, dark: bool) -> dict[str, float]:
        # Two feeders of 60 lamps: 2 x 20 lamps of 100 W a phase.
        return cabinet_says(watts=2000.0 if dark and minute > 30 else 4000.0)

    dead = lambda m, f, _: not (f == "C0-F0" and m > 30)  # noqa: E731
    open_feeder = City(city_of(1, 2, 60), EVENING, dead, report=lambda m, c: reports(m, c, dark=True))
    open_feeder.run(120)
    assert told(open_feeder.delivered()) == [("C0-F0", "feederOpen", "raised")]
    assert open_feeder.delivered()[0].severity.value == "critical"
    radio = City(city_of(1, 2, 60), EVENING, dead, report=lambda m, c: reports(m, c, dark=False))
    radio.run(180)
    assert told(radio.delivered()) == [("C0-F0", "communicationFailure", "raised")]
    (one,) = radio.delivered()
    hidden = [a for a in radio.said if a.quiet]
    assert {a.state for a in hidden} == {AlarmState.SUPPRESSED}
    assert {a.parent for a in hidden} == {one.id}
    assert len(hidden) == 60


def test_lamps_that_stay_silent_when_their_group_is_back_are_told_once_they_had_time() -> None:
    power = lambda m, f, _: not (f == "C0-F0" and 30 < m < 150)  # noqa: E731
    full = lambda _minute, _cabinet: cabinet_says(watts=4000.0)  # noqa: E731
    city = City(city_of(1, 2, 60), EVENING, power, report=full)
    city.run(150)
    city._silent[[7, 8]] = True
    city.run(120)
    after = [(a.asset, a.event, a.state.value) for a in city.delivered()]
    assert after == [
        ("C0-F0", "raised", "unacknowledged"),
        ("C0-F0", "cleared", "returned"),
        ("LP-0-0-007", "updated", "unacknowledged"),
        ("LP-0-0-008", "updated", "unacknowledged"),
    ]


def test_a_contactor_that_did_not_close_is_one_switching_error_and_dawn_clears_nothing() -> None:
    def report(minute: int, _: str) -> dict[str, float]:
        return cabinet_says(closed=minute >= 24 * 60 + 200)

    def power(minute: int, *_: str) -> bool:
        return minute >= 24 * 60 + 200

    city = City(city_of(1, 2, 60), AFTERNOON, power, report)
    city.run(24 * 60)
    assert told(city.delivered()) == [("C0", "switchingErrorOff", "raised")]
    assert city.delivered()[0].raised_ns < local("2026-11-20 18:10")
    city.run(400)
    assert told(city.delivered())[1:] == [("C0", "switchingErrorOff", "cleared")]


def test_lamps_heard_by_day_are_one_switching_error_and_no_day_burners() -> None:
    city = City(city_of(1, 2, 30), local("2026-11-20 05:00"), lambda m, f, _p: f == "C0-F1" or m < 33)
    city.run(240)
    assert told(city.delivered()) == [("C0-F1", "switchingErrorOn", "raised")]
    burners = [a for a in city.said if a.type == "lampUnexpectedOn"]
    assert burners == []
    assert all(a.quiet and a.parent == city.delivered()[0].id for a in burners)


def test_a_grid_cut_is_the_grids_and_a_dip_is_nothing() -> None:
    def cut(minute: int, _: str) -> dict[str, float]:
        dead = 60 <= minute < 120 or minute == 200
        return cabinet_says(volts=3.0, watts=0.0) if dead else cabinet_says(watts=2000.0)

    def power(minute: int, *_: str) -> bool:
        return not (60 <= minute < 120)

    city = City(city_of(1, 2, 30), EVENING, power, report=cut)
    city.run(240)
    assert told(city.delivered()) == [("C0", "supplyLoss", "raised"), ("C0", "supplyLoss", "cleared")]


def test_who_joins_last_after_a_dip_nobody_saw_is_waited_for_and_who_stays_away_is_told() -> None:
    """Many lamps of the feeder miss a report at once, all but two are back within the hour."""
    city = City(
        city_of(2, 2, 48),
        EVENING,
        power=lambda m, feeder, _: not (feeder == "C0-F0" and m == 60),
        join_min=45,
    )
    city._boot[:2] = 130, 10_000
    city.run(60 + 130)
    assert city.delivered() == []
    city.run(120)
    assert told(city.delivered()) == [("LP-0-0-001", "communicationFailure", "raised")]


def test_a_lost_neutral_and_a_lost_phase_are_told_apart() -> None:
    def report(volts: tuple[float, float, float]) -> dict[str, float]:
        named = {f"phase{n}_voltage": v for n, v in enumerate(volts, 1)}
        return cabinet_says(watts=1000.0) | named

    fleet = city_of(1, 1, 30)
    neutral = City(
        fleet, EVENING, lambda *_: True, lambda m, _: report((268, 171, 240) if m > 30 else (230,) * 3)
    )
    neutral.run(60)
    assert told(neutral.delivered()) == [("C0", "neutralLoss", "raised")]
    phase = City(
        fleet, EVENING, lambda *_: True, lambda m, _: report((230, 12, 231) if m > 30 else (230,) * 3)
    )
    phase.run(60)
    assert ("C0", "phaseLoss", "raised") in told(phase.delivered())


def test_weak_radios_and_lamps_nobody_hears_are_listed_in_pole_order() -> None:
    city = City(city_of(1, 2, 30), EVENING, lambda *_: True, mute=frozenset({"LP-0-1-004", "LP-0-0-017"}))
    weak = city.fleet.device_row["lamp-0-0-002"]
    city.engine.watch.loss.missed[weak] = 180  # of 600
    city.engine.watch.review()
    city.run(240)
    found = city.engine.unheard()
    assert [(row["asset"], row["state"], row["feeder"], row["pole"]) for row in found] == [
        ("LP-0-0-002", "weak", "C0-F0", 2),
        ("LP-0-0-017", "unverified", "C0-F0", 17),
        ("LP-0-1-004", "unverified", "C0-F1", 4),
    ]
    assert found[0]["loss"] > 0.2
    assert found[1]["missing"] >= found[1]["allowed"]
    assert found[1]["since"] is not None


def test_a_single_lamp_that_falls_silent_is_no_group() -> None:
    city = City(city_of(1, 1, 30), EVENING, lambda *_: True, mute=frozenset({"LP-0-0-004"}))
    city.run(200)
    assert told(city.delivered()) == [("LP-0-0-004", "communicationFailure", "raised")]


def test_a_restart_at_any_minute_and_another_cut_change_no_transition() -> None:
    """Dead feeder, split return, switching error, members under their group: restarted every 7 minutes."""

    def power(minute: int, feeder: str, phase: str) -> bool:
        if feeder == "C0-F0":
            return not 30 <= minute < 100 and not (phase == "B" and minute >= 30)
        return not 60 <= minute < 200

    def report(minute: int, _: str) -> dict[str, float]:
        return cabinet_says(watts=2000.0 if minute < 30 else 1000.0, closed=not 210 <= minute < 240)

    def city() -> City:
        return City(city_of(1, 2, 30), EVENING, power, report)

    whole, cut = city(), city()
    whole.run(280)
    for minute in range(280):
        if minute % 7 == 0:
            snapshot = cut.engine.snapshot()
            cut.engine = AlarmEngine(cut.fleet, [LAMP, CABINET])
            cut.engine.restore(snapshot)
            assert cut.engine.snapshot() == snapshot
        cut.minute += 1
        chunk = cut.chunk()
        for k, part in enumerate(chunk.parts):
            one = Chunk(chunk.sequences[k], chunk.sequences[k] + 1, (part,), (chunk.sequences[k],))
            cut.said += [a for _, a in cut.engine.apply(one)]
    assert {a.type for a in whole.said} >= {"feederOpen", "switchingErrorOff"}
    assert cut.said == whole.said


def test_an_inventory_that_loses_a_feeder_closes_its_alarm() -> None:
    fleet = city_of(1, 2, 30)
    city = City(fleet, EVENING, lambda m, f, _: not (f == "C0-F0" and m > 20))
    city.run(60)
    (dark,) = city.delivered()
    smaller = replace(
        fleet,
        feeders=fleet.feeders[1:],
        assets=tuple(replace(a, feeder="C0-F1") if a.feeder == "C0-F0" else a for a in fleet.assets),
    )
    after = AlarmEngine(smaller, [LAMP, CABINET])
    after.restore(city.engine.snapshot())
    ((_, cleared),) = after.apply(chunk_of(Control("configuration", EVENING + 61 * MINUTE, hash="new")))
    assert (cleared.id, cleared.event, cleared.comment) == (dark.id, "cleared", "configuration")


def test_a_storm_is_one_incident_of_its_ward() -> None:
    def power(minute: int, feeder: str, _: str) -> bool:
        if minute < 30 or minute >= 150 or feeder.startswith("C3"):
            return True
        return feeder == "C0-F1"

    city = City(city_of(4, 2, 45), EVENING, power)
    city.run(150)
    (ward,) = city.delivered("wardOutage")
    assert (ward.asset, ward.area, ward.severity.value) == ("ward", "ward", "critical")
    assert "Phường Hoà Phú" in ward.text_vi
    lost = {a.asset: a for a in city.said if a.type == "feederPresumedDark"}
    assert {(a.state, a.parent) for a in lost.values()} == {(AlarmState.SUPPRESSED, ward.id)}
    assert set(lost) == {"C0-F0", "C1", "C2"}
    city.run(120)
    assert told(city.delivered("wardOutage")) == [
        ("ward", "wardOutage", "raised"),
        ("ward", "wardOutage", "cleared"),
    ]
    assert [a for a in city.engine.active() if a.state is AlarmState.SUPPRESSED] == []


def test_10000_lamps_dark_in_a_second_delay_nothing_else() -> None:
    """Forty feeders lose power at once; a lamp elsewhere has too much voltage in the same minutes."""
    dies = 20
    city = City(city_of(11, 4, 250), EVENING, lambda m, f, _: f.startswith("C10-") or m < dies)
    lamp = city.fleet.device_row["lamp-10-3-249"]
    seconds, told_ns = [], []
    for minute in range(1, 61):
        city.minute = minute
        high = 270.0 if minute >= dies + 15 else 230.0
        reading = {"device": lamp, "time": EVENING + minute * MINUTE, "supply_voltage": high}
        for part in (chunk_of(run_of(reading, sequence=2 * minute), first=2 * minute), city.chunk()):
            began_ns = process_time_ns()
            alarms = [a for _, a in city.engine.apply(part)]
            seconds.append((process_time_ns() - began_ns) / 1e9)
            told_ns += [
                a.raised_ns for a in alarms if a.type == "supplyVoltageTooHigh" and a.event == "raised"
            ]
            city.said += alarms
    assert max(seconds) < 5.0
    assert told_ns[0] == EVENING + (dies + 16) * MINUTE
    assert told(city.delivered("wardOutage")) == [("ward", "wardOutage", "raised")]
    assert len(city.delivered("feederPresumedDark")) <= 40
    assert not city.delivered("communicationFailure")


def test_a_lost_radio_gateway_is_one_alarm_and_its_lamps_none() -> None:
    """Two lamps of three on every feeder are out of reach for three hours; the others go on reporting."""
    city = City(city_of(2, 2, 60), EVENING, lambda *_: True)
    lamps = [a.id for a in city.fleet.assets if a.kind == "light_point"]
    out_of_reach = {name for n, name in enumerate(lamps) if n % 20 < 13}
    city.run(60)
    city.silence(out_of_reach)
    city.run(180)
    city.silence(())
    city.run(120)
    assert told(city.said) == [
        ("radio", "communicationFailure", "raised"),
        ("radio", "communicationFailure", "cleared"),
    ]
    assert len(out_of_reach & set(city.said[0].members)) > 0.9 * len(out_of_reach)
    assert EVENING + 55 * MINUTE < city.said[0].onset_ns < EVENING + 80 * MINUTE  # not when it was told
    assert "vô tuyến" in city.said[0].text_vi
    assert "radio gateway or cell" in city.said[0].text_en


@pytest.mark.parametrize("restarted", [None, 58, 61])
def test_a_report_held_back_by_a_cabinet_without_a_believed_clock_ends_no_cut(restarted: int | None) -> None:
    """A cut from minute 30 to 150; twice it hands in what it measured three hours before."""
    ahead = 40 * 24 * 60 * MINUTE

    def report(minute: int, _: str) -> dict[str, float]:
        held_back = minute in (60, 90)
        volts = 0.0 if 30 <= minute < 150 and not held_back else 230.0
        skew = ahead - 180 * MINUTE if held_back else ahead
        return cabinet_says(volts=volts) | {"own": 0.0, "skew": skew}

    city = City(city_of(1, 2, 30), EVENING, lambda m, *_: not 30 <= m < 150, report)
    if restarted is not None:
        city.run(restarted)
        after = AlarmEngine(city.fleet, [LAMP, CABINET])
        after.restore(city.engine.snapshot())
        assert after.snapshot() == city.engine.snapshot()
        city.engine = after
    city.run(220 - city.minute)
    assert told(city.delivered()) == [("C0", "supplyLoss", "raised"), ("C0", "supplyLoss", "cleared")]


def test_lamps_on_another_feeder_than_believed_are_no_alarm_and_are_noticed() -> None:
    """Said to be always on, they fall silent each morning with the switched feeder they really hang on."""
    fleet = city_of(1, 2, 60)
    feeders = (fleet.feeders[0], replace(fleet.feeders[1], group_switched=False))
    astray = {"LP-0-0-000", "LP-0-0-001", "LP-0-0-002"}
    assets = tuple(replace(a, feeder="C0-F1") if a.id in astray else a for a in fleet.assets)

    def power(minute: int, feeder: str, _: str) -> bool:
        return feeder == "C0-F1" or not 570 <= minute < 1310  # 05:30 to 17:50

    city = City(replace(fleet, feeders=feeders), EVENING, power)
    city.engine = AlarmEngine(replace(fleet, feeders=feeders, assets=assets), [LAMP, CABINET])
    acquainted(city.engine.watch, missed=24)
    city.run(1000)
    noticed = {
        city.fleet.devices[row].id for row in np.flatnonzero(city.engine.causes.together.elsewhere).tolist()
    }
    assert noticed == {name.replace("LP", "lamp") for name in astray}
    (said,) = (r for r in city.engine.explain("LP-0-0-001", EVENING) if r["rule"] == "communicationFailure")
    assert (said["state"], "another circuit" in said["why"]) == ("pending", True)
    city.run(500)
    assert [a for a in city.said if a.type == "communicationFailure"] == []
