"""City sensors: what must be said, when, and what only looks as if it must."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from district import MINUTE, S, local, tick
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sensor_field import REGULATIONS, SPECS, Street, engine_of, events, raised, readings, street

from gateway.alarm.options import AlarmOptions
from gateway.model import Chunk, Control, Counts, Run
from gateway.regulation import AirEdition, NoiseEdition, Regulation

HOUR = 3600 * S
NOISE = street({"NS": ("noise", 0.0)})
AIR = street({"AQ": ("air-quality", 0.0)})
GAUGE = street({"FL": ("flood-level", 0.0)})


def sound(level: float) -> dict[str, Any]:
    return {"noise_level": level}


# --- noise --------------------------------------------------------------------------------------------


def test_noise_is_judged_by_the_limit_of_its_hour() -> None:
    """60 dB(A) are no matter until 21 h, and one from then on; the alarm tells the hour's limit."""
    site = Street(NOISE, local("2026-11-20 18:00"))
    assert raised(site.run(3, lambda _, hour: sound(60 + hour / 100)), "noiseTooHigh") == []
    (alarm,) = raised(site.run(2, lambda _, hour: sound(60 + hour / 100)), "noiseTooHigh")
    assert (alarm.limit, alarm.onset_ns) == (55.0, local("2026-11-20 22:00"))
    assert alarm.value == pytest.approx(60.0, abs=0.1)
    assert "dB(A)" in alarm.text_vi
    assert events(site.run(2, lambda _, hour: sound(45 + hour / 100)), "noiseTooHigh") == [
        ("cleared", "info")
    ]


def test_fireworks_are_no_noisy_hour() -> None:
    """A quarter of an hour of 90 dB(A) at midnight lifts the hour's mean to 84."""
    site = Street(NOISE, local("2027-02-05 21:00"))

    def new_year(_: str, hour: float) -> dict[str, Any]:
        return sound(90 + hour / 100 if 2.9 < hour <= 3.15 else 48 + hour / 100)

    assert site.run(6, new_year) == []


def test_a_later_edition_is_data_alone() -> None:
    stricter = NoiseEdition(date(2026, 11, 21), "a later circular", {"ordinary": (50.0,) * 24})
    limits = REGULATIONS["noise-limits"]
    editions = replace(limits, noise=(*limits.noise, stricter))
    site = Street(NOISE, local("2026-11-20 21:00"), engine_of(NOISE, regulations={"noise-limits": editions}))
    (alarm,) = raised(site.run(6, lambda _, hour: sound(53 + hour / 100)), "noiseTooHigh")
    assert (alarm.limit, alarm.onset_ns) == (50.0, local("2026-11-21 01:00"))


def test_a_hospital_has_a_zone_of_its_own() -> None:
    fleet = street({"NS": ("noise", 0.0), "NS-hospital": ("noise", 50.0)})
    (ordinary, *_) = [w for w in SPECS["noise"].watches if w.type == "noiseTooHigh"]
    special = replace(ordinary, zone="special", scope="asset:NS-hospital")
    spec = replace(SPECS["noise"], watches=(*SPECS["noise"].watches, special))
    site = Street(fleet, local("2026-11-20 08:00"), engine_of(fleet, {"noise": spec}))
    alarms = raised(site.run(3, lambda name, hour: sound(60 + hour / 100)), "noiseTooHigh")
    assert [(alarm.asset, alarm.limit) for alarm in alarms] == [("NS-hospital", 55.0)]


# --- air ----------------------------------------------------------------------------------------------


def test_air_quality_worsens_grade_by_grade_and_clears_below_the_lowest() -> None:
    """PM2.5 of 100 is an index of 164, of 200 one of 250, of 20 one of 40 (QĐ 1459, table 2)."""
    site = Street(AIR, local("2026-11-20 01:00"), every=10)

    def dust(_: str, hour: float) -> dict[str, Any]:
        level = 20 if hour < 6 or hour > 18 else 100 if hour < 12 else 200
        return {"pm2_5": level + hour / 100, "pm10": 30 + hour / 100}

    alarms = site.run(28, dust)
    told = [(a.event, a.severity.value, a.limit) for a in alarms if a.type == "airQualityHourly"]
    assert told[0][:2] == ("raised", "info") or told[0][:2] == ("raised", "minor")
    assert [severity for event, severity, _ in told if event != "cleared"][-1] == "major"
    assert told[-1][0] == "cleared"
    assert [event for event, *_ in told].count("raised") == 1
    (day,) = raised(alarms, "airQualityDaily")
    assert (day.onset_ns, day.severity.value) == (local("2026-11-21 00:00"), "minor")


def test_air_needs_dust_for_an_index() -> None:
    site = Street(AIR, local("2026-11-20 01:00"), every=10)
    assert site.run(5, lambda _, hour: {"ozone": 500 + hour / 100}) == []


def test_the_index_in_force_is_that_of_the_hour() -> None:
    aqi = REGULATIONS["vn-aqi"].air[0]
    strict = replace(aqi, valid_from=date(2026, 11, 21), points={"pm2_5": (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)})
    book = {"vn-aqi": Regulation("vn-aqi", air=(aqi, strict))}
    site = Street(AIR, local("2026-11-20 18:00"), engine_of(AIR, regulations=book), every=10)
    (alarm,) = raised(site.run(9, lambda _, hour: {"pm2_5": 12 + hour / 100}), "airQualityHourly")
    assert isinstance(strict, AirEdition)
    assert alarm.onset_ns == local("2026-11-21 01:00")


# --- water --------------------------------------------------------------------------------------------


def test_water_that_rises_fast_is_told_before_it_is_deep() -> None:
    site = Street(GAUGE, local("2026-11-20 15:00"))

    def flash(_: str, hour: float) -> dict[str, Any]:
        return {"water_level": 0.01 if hour < 1 else min(0.01 + (hour - 1) * 0.6, 0.25)}

    alarms = site.run(2, flash)
    (rising,) = raised(alarms, "floodRising")
    assert rising.limit == 0.10
    assert events(alarms, "floodRising")[-1][0] == "cleared"


def test_water_that_rises_slowly_is_a_level_and_no_flash_flood() -> None:
    site = Street(GAUGE, local("2026-11-20 15:00"))
    alarms = site.run(4, lambda _, hour: {"water_level": 0.01 + hour * 0.1})
    assert raised(alarms, "floodLevelHigh") != []
    assert raised(alarms, "floodRising") == []


# --- broken sensors -----------------------------------------------------------------------------------


def test_a_dry_gauge_is_constant_and_healthy_a_wet_one_is_stuck() -> None:
    site = Street(GAUGE, local("2026-11-20 08:00"))
    assert site.run(10, lambda *_: {"water_level": 0.0}) == []
    (stuck,) = raised(site.run(8, lambda *_: {"water_level": 0.07}), "sensorFlatLine")
    assert stuck.onset_ns == local("2026-11-20 18:05")
    assert stuck.raised_ns - stuck.onset_ns == pytest.approx(6 * HOUR, abs=10 * MINUTE)
    cleared = site.run(1, lambda _, hour: {"water_level": 0.01 + hour / 1e4})
    assert events(cleared, "sensorFlatLine") == [("cleared", "minor")]


def test_implausible_values_are_told_once_they_last() -> None:
    site = Street(NOISE, local("2026-11-20 08:00"))
    assert site.run(1, lambda _, hour: sound(50 + hour / 100)) == []
    twice: dict[str, Any] = {"noise_level": "999"}
    assert site.run(0.5, lambda *_: twice) == []
    (alarm,) = raised(site.run(1, lambda *_: twice), "sensorOutOfRange")
    assert alarm.onset_ns == local("2026-11-20 09:05")
    assert events(site.run(1, lambda _, hour: sound(50 + hour / 100)), "sensorOutOfRange")[0][0] == "cleared"


NEIGHBOURS = street({f"AQ-{n}": ("air-quality", 300.0 * n) for n in range(5)})


def dusty(drift: float, humidity: float, smog: float = 0.0) -> Any:
    def says(name: str, hour: float) -> dict[str, Any]:
        level = 20 + 5 * int(name[-1]) / 4 + smog + hour / 100 + (drift if name == "AQ-0" else 0.0)
        return {"pm2_5": level, "relative_humidity": humidity + hour / 1000}

    return says


def test_a_sensor_that_leaves_its_neighbours_drifts() -> None:
    site = Street(NEIGHBOURS, local("2026-11-20 01:00"), every=10)
    assert raised(site.run(12, dusty(0, 70)), "sensorDrift") == []
    (alarm,) = raised(site.run(24, dusty(30, 70)), "sensorDrift")
    assert (alarm.asset, alarm.severity.value) == ("AQ-0", "minor")
    assert events(site.run(24, dusty(0, 70)), "sensorDrift") == [("cleared", "minor")]


@pytest.mark.parametrize(
    ("drift", "humidity", "smog"), [(30, 90, 0), (0, 70, 30), (8, 70, 0)], ids=["humid", "smog", "small"]
)
def test_what_is_no_drift(drift: float, humidity: float, smog: float) -> None:
    """Droplets on a humid day; smog that all of them see; a difference between sites."""
    site = Street(NEIGHBOURS, local("2026-11-20 01:00"), every=10)
    assert raised(site.run(30, dusty(drift, humidity, smog)), "sensorDrift") == []


def test_neighbours_known_to_drift_do_not_make_a_healthy_one_drift() -> None:
    """Two are told; when a third of the other five follows them, they are three against two."""
    site = Street(street({f"AQ-{n}": ("air-quality", 300.0 * n) for n in range(6)}),
                  local("2026-11-20 01:00"), every=10)  # fmt: skip

    def says(drifting: tuple[str, ...]) -> Any:
        return lambda name, hour: {
            "pm2_5": 50 + int(name[-1]) / 4 + hour / 100 - (40 if name in drifting else 0),
            "relative_humidity": 70 + hour / 1000,
        }

    first, all_three = ("AQ-1", "AQ-2"), ("AQ-1", "AQ-2", "AQ-3")
    assert {a.asset for a in raised(site.run(36, says(first)), "sensorDrift")} == set(first)
    assert [a.asset for a in raised(site.run(36, says(all_three)), "sensorDrift")] == ["AQ-3"]
    ended = events(site.run(30, says(())), "sensorDrift")
    assert ended == [("cleared", "minor")] * 3


def test_two_neighbours_are_too_few_to_tell_who_is_wrong() -> None:
    fleet = street({f"AQ-{n}": ("air-quality", 300.0 * n) for n in range(3)})
    site = Street(fleet, local("2026-11-20 01:00"), every=10)
    assert raised(site.run(30, dusty(40, 70)), "sensorDrift") == []


# --- poles that may be live ---------------------------------------------------------------------------


def flooded(metres: float, poles: tuple[float, ...] = (0.0, 400.0)) -> Street:
    fleet = street({"CB": ("feeder-cabinet", 0.0), "FL": ("flood-level", metres)}, poles)
    return Street(fleet, local("2026-11-20 15:00"))


def said(leak_ma: float, level_m: float) -> Any:
    return lambda name, hour: (
        {"leakage_current": leak_ma} if name == "CB" else {"water_level": level_m + hour / 1e4}
    )


def test_a_leak_in_the_water_is_the_top_priority_until_one_of_them_is_over() -> None:
    """The gauge is 390 m from the cabinet and 10 m from one of its poles."""
    site = flooded(410.0)
    assert raised(site.run(0.5, said(45, 0.02)), "poleMayBeLive") == []
    (alarm,) = raised(site.run(0.25, said(45, 0.15)), "poleMayBeLive")
    assert (alarm.asset, alarm.severity.value, alarm.value, alarm.limit) == ("CB", "critical", 45.0, 30.0)
    assert not alarm.quiet
    assert events(site.run(0.25, said(45, 0.15)), "poleMayBeLive") == []
    assert events(site.run(0.25, said(5, 0.15)), "poleMayBeLive") == [("cleared", "critical")]


@pytest.mark.parametrize(
    ("metres", "leak_ma", "level_m"), [(600.0, 45, 0.3), (0.0, 20, 0.3), (0.0, 45, 0.08)],
    ids=["far", "small leak", "puddle"],
)  # fmt: skip
def test_what_does_not_make_a_pole_live(metres: float, leak_ma: float, level_m: float) -> None:
    assert raised(flooded(metres).run(1, said(leak_ma, level_m)), "poleMayBeLive") == []


def test_a_tripped_residual_current_device_needs_no_water() -> None:
    site = Street(street({"CB": ("feeder-cabinet", 0.0)}, (0.0,)), local("2026-11-20 15:00"))
    assert raised(site.run(0.25, lambda *_: {"residual_current_trip": 0.0}), "poleMayBeLive") == []
    (alarm,) = raised(site.run(0.25, lambda *_: {"residual_current_trip": 1.0}), "poleMayBeLive")
    assert (alarm.asset, alarm.severity.value, alarm.quiet) == ("CB", "critical", False)
    again = site.run(0.25, lambda *_: {"residual_current_trip": 0.0})
    assert [a.state.value for a in again if a.type == "poleMayBeLive"] == ["latched"]


# --- contacts and currents of a cabinet ---------------------------------------------------------------


def test_a_breaker_that_tripped_and_a_phase_over_its_rating_are_told() -> None:
    site = Street(street({"CB": ("feeder-cabinet", 0.0)}, (0.0,)), local("2026-11-20 15:00"))
    calm = {"breaker_tripped": 0.0, "phase1_current": 90.0, "phase2_current": 40.0}
    assert site.run(0.5, lambda *_: calm) == []
    assert events(site.run(0.1, lambda *_: calm | {"breaker_tripped": 1.0}), "circuitBreakerTripped") == [
        ("raised", "critical")
    ]
    assert events(site.run(0.1, lambda *_: calm), "circuitBreakerTripped") == [("cleared", "critical")]
    over = calm | {"phase1_current": 120.0, "phase2_current": 110.0}
    assert events(site.run(0.15, lambda *_: over), "overload") == []  # lamps that start draw more, too
    assert events(site.run(0.25, lambda *_: over), "overload") == [("raised", "major")]
    assert events(site.run(0.25, lambda *_: over | {"phase1_current": 60.0}), "overload") == []
    assert events(site.run(0.25, lambda *_: calm), "overload") == [("cleared", "major")]


# --- time ---------------------------------------------------------------------------------------------


def test_what_was_held_back_neither_raises_nor_clears() -> None:
    """Three hours of a stuck value and of smog, all delivered at once after an outage: nobody is told."""
    fleet = street({"NS": ("noise", 0.0), "AQ": ("air-quality", 10.0)})
    site = Street(fleet, local("2026-11-20 20:00"), every=5)

    def calm(name: str, hour: float) -> dict[str, Any]:
        return sound(45 + hour / 100) if name == "NS" else {"pm2_5": 20 + hour / 100}

    assert site.run(2, calm) == []
    outage_ns, back_ns = local("2026-11-20 22:00"), local("2026-11-21 02:00")
    held = [
        {"device": row, "time": outage_ns + k * 5 * MINUTE, "received": back_ns, **values}
        for k in range(1, 42)
        for row, values in enumerate(({"noise_level": 80.0}, {"pm2_5": 300.0}))
    ]
    run = Run(readings(fleet, held, 10_000), (), (), Counts())
    late = site.engine.apply(Chunk(10_000, 10_002, (run, tick(back_ns)), (10_000, 10_001)))
    assert late == []
    site.minute = 6 * 60
    told = site.run(2, calm)
    assert [alarm for alarm in told if alarm.type != "communicationFailure"] == []


def test_a_clock_ahead_does_not_hide_that_a_reading_was_held_back() -> None:
    """Its times are not believed, so all it says counts as said now; what is held back must not."""
    site = Street(GAUGE, local("2026-11-20 15:00"))

    def ahead(_: str, hour: float) -> dict[str, Any]:
        now_ns = local("2026-11-20 15:00") + round(hour * 60) * MINUTE
        held_back = abs(hour - 3.0) < 0.01
        taken_ns = now_ns - 3 * HOUR if held_back else now_ns
        level = 0.0 if held_back else min(0.01 + hour * 0.1, 0.25)
        return {"water_level": level, "time": taken_ns + 7 * HOUR, "received": now_ns}

    assert raised(site.run(5, ahead), "floodRising") == []


def test_a_clock_that_jumps_ahead_is_listened_to() -> None:
    """Seven hours ahead from one reading to the next; the water rises all the same."""
    site = Street(GAUGE, local("2026-11-20 15:00"))
    start_ns = local("2026-11-20 15:00")

    def reset(_: str, hour: float) -> dict[str, Any]:
        now_ns = start_ns + round(hour * 60) * MINUTE
        level = 0.01 if hour < 2 else min(0.01 + (hour - 2) * 0.6, 0.25)
        return {"water_level": level, "time": now_ns if hour < 1 else now_ns + 7 * HOUR, "received": now_ns}

    assert len(raised(site.run(3, reset), "floodRising")) == 1


def test_a_clock_seven_hours_off_does_not_move_the_night() -> None:
    """60 dB(A) at 17 h by the sun, told by a clock that says 24 h: no night limit holds."""
    site = Street(NOISE, local("2026-11-20 15:00"))

    def off(_: str, hour: float) -> dict[str, Any]:
        now_ns = local("2026-11-20 15:00") + round(hour * 60) * MINUTE
        return sound(60 + hour / 100) | {"time": now_ns - 7 * HOUR, "received": now_ns}

    assert raised(site.run(5, off), "noiseTooHigh") == []
    assert raised(site.run(4, off), "noiseTooHigh") != []


# --- however it is cut, wherever it stops -------------------------------------------------------------

MIXED = street(
    {
        "AQ-0": ("air-quality", 0.0), "AQ-1": ("air-quality", 90.0), "AQ-2": ("air-quality", 180.0),
        "AQ-3": ("air-quality", 270.0), "NS": ("noise", 0.0), "FL": ("flood-level", 60.0),
        "CB": ("feeder-cabinet", 0.0),
    },
    (0.0, 30.0),
)  # fmt: skip
CHOICES: dict[str, list[dict[str, Any]]] = {
    "air-quality": [{"pm2_5": 20.0}, {"pm2_5": 160.0}, {"pm2_5": 330.0}, {"pm2_5": "x", "pm10": 9.0}, {}],
    "noise": [sound(50.0), sound(72.0), {"noise_level": "x"}],
    "flood-level": [{"water_level": 0.0}, {"water_level": 0.2}, {"water_level": 0.12}],
    "feeder-cabinet": [{"leakage_current": 5.0}, {"leakage_current": 60.0}],
}
PACE_MIN = 30
QUIET = {name: replace(spec, silence_intervals=0) for name, spec in SPECS.items()}


def stream(number: int) -> list[Any]:
    """Some 20 hours of readings every half hour, some late, twice, replayed or held back; a tick a minute."""
    start_ns, parts = local("2026-11-20 17:00"), list[Any]()
    seed = np.random.default_rng(number)
    regime = dict.fromkeys(range(len(MIXED.devices)), 0)
    for step in range(1, 40):
        now_ns, told = start_ns + step * PACE_MIN * MINUTE, []
        for row, device in enumerate(MIXED.devices):
            if seed.random() < 0.12:
                regime[row] = int(seed.integers(len(CHOICES[device.profile])))
            for _ in range(int(seed.choice([1, 1, 1, 2, 3]))):
                late_min = int(seed.choice([0, 0, 0, 1, 5, 240]))
                values = CHOICES[device.profile][regime[row]]
                time_ns = now_ns - late_min * MINUTE
                replayed = bool(seed.random() < 0.05)
                told.append(
                    {"device": row, "time": time_ns, "received": now_ns, "replayed": replayed, **values}
                )
        parts += [readings(MIXED, told, 100 * step)]
        parts += [tick(now_ns - (PACE_MIN - minute) * MINUTE) for minute in range(1, PACE_MIN + 1)]
    return parts


def fed(engine: Any, parts: list[Any], cut: int, first: int = 0) -> list[tuple[int, Any]]:
    """What is said when batches are cut into pieces of ``cut`` readings."""
    told = []
    for number, part in enumerate(parts, first):
        if not isinstance(part, tuple):
            told += engine.apply(Chunk(number, number + 1, (part,), (number,)))
            continue
        for one in part:
            for at in range(0, len(one), cut):
                piece = one.take(np.arange(at, min(at + cut, len(one))))
                run = Run((piece,), (), (), Counts())
                told += engine.apply(Chunk(number, number + 1, (run,), (number,)))
    return told


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 2**32), st.integers(1, 5), st.floats(0, 1))
def test_cut_and_restarted_anywhere_the_same_is_said(number: int, cut: int, stop: float) -> None:
    parts = stream(number)
    options = AlarmOptions(coverage=0.3)
    whole = engine_of(MIXED, QUIET, options=options)
    expected = fed(whole, parts, 1000)
    first, at = engine_of(MIXED, QUIET, options=options), int(stop * len(parts))
    told = fed(first, parts[:at], cut)
    second = engine_of(MIXED, QUIET, options=options)
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    told += fed(second, parts[at:], cut, at)
    assert told == expected
    assert {alarm.type for _, alarm in told} & {"sensorOutOfRange", "airQualityHourly", "poleMayBeLive"}
    assert second.snapshot() == whole.snapshot()


def test_a_sensor_that_is_gone_takes_its_alarm_along() -> None:
    site = Street(GAUGE, local("2026-11-20 08:00"))
    assert raised(site.run(7, lambda *_: {"water_level": 0.07}), "sensorFlatLine") != []
    spec = replace(SPECS["flood-level"], watches=SPECS["flood-level"].watches[:1])
    without = engine_of(GAUGE, {"flood-level": spec})
    without.restore(site.engine.snapshot())
    control = Control("configuration", local("2026-11-20 15:00"), "new")
    told = without.apply(Chunk(1, 2, (control,), (1,)))
    assert [(a.type, a.event, a.comment) for _, a in told] == [("sensorFlatLine", "cleared", "configuration")]
    kept = engine_of(GAUGE)
    kept.restore(site.engine.snapshot())
    assert kept.apply(Chunk(1, 2, (control,), (1,))) == []


def test_rules_explain_tells_what_is_watched_and_why_it_is_silent() -> None:
    site = Street(NEIGHBOURS, local("2026-11-20 01:00"), every=10)
    site.run(12, dusty(0, 70, smog=80))
    documents = {(d["rule"], d["above"]): d for d in site.engine.explain("AQ-0", local("2026-11-20 13:00"))}
    assert documents["airQualityHourly", 150.0]["state"] == "raised"
    assert documents["airQualityHourly", 200.0]["why"] == "within the limit"
    flat = documents["sensorFlatLine", 6.0]
    assert (flat["unit"], flat["when"], flat["state"]) == ("h", "flat_line", "normal")
    poles = flooded(0.0)
    poles.run(0.5, said(45, 0.15))
    (live,) = [
        d for d in poles.engine.explain("CB", local("2026-11-20 16:00")) if d["rule"] == "poleMayBeLive"
    ]
    assert (live["state"], live["value"], live["above"]) == ("raised", 45.0, 30.0)
