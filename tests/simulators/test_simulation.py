"""The simulated city behaves as a user who knows street lights expects."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decode.profile import Profile, load
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet, Programme
from gateway.inventory.parser import parse
from gateway.model import nanoseconds, rfc3339
from simulators.astronomy import HOUR_NS, MINUTE_NS, SECOND_NS, Sky
from simulators.cabinet import LOSS, OWN_W
from simulators.city import inventory
from simulators.fault import parse_faults
from simulators.light_plan import Steps, light_plan
from simulators.simulation import Message, Simulation

ROOT = Path(__file__).parents[2]
DAY = nanoseconds("2026-11-20T17:00:00Z")  # midnight in Vietnam, 21 November
DUSK = nanoseconds("2026-11-21T10:48:00Z")  # domain.md 4.3: civil dusk about 17:48 in November


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    files = (ROOT / "device_profiles").glob("*/profile.toml")
    return {path.parent.name: load(path.read_text(encoding="utf-8"), str(path)) for path in files}


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return parse({name: text.encode() for name, text in inventory(200, 10, seed=3).items()})


def telemetry(messages: list[Message], device_class: str) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """(time, payload) by device."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for message in messages:
        if message.topic.split("/")[2] == device_class and not message.status:
            found.setdefault(message.device, []).append((message.time_ns, json.loads(message.payload)))
    return found


@pytest.fixture(scope="module")
def day(fleet: Fleet, profiles: dict[str, Profile]) -> list[Message]:
    """A whole local day and the night after it, without faults."""
    return Simulation(fleet, profiles, (), 1, DAY).messages(DAY + 32 * HOUR_NS)


def asset_of(fleet: Fleet, device: str, time_ns: int = DUSK) -> Any:
    row = fleet.assets_at(np.array([fleet.device_row[device]], dtype=np.int32), np.array([time_ns]))[0]
    return fleet.assets[row]


def simulate(
    fleet: Fleet, profiles: dict[str, Profile], faults: str, start_ns: int, hours: float, interval_s: float
) -> tuple[Simulation, list[Message]]:
    parsed = parse_faults(faults, "faults.toml", fleet, start_ns)
    simulation = Simulation(fleet, profiles, parsed, 1, start_ns, interval_s)
    return simulation, simulation.messages(start_ns + round(hours * HOUR_NS))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**63),
    st.integers(0, 24 * 60),
    st.lists(st.integers(1, 40 * 60), max_size=6).map(sorted),
)
def test_one_seed_gives_one_run_however_it_is_cut(seed: int, start_minute: int, cuts: list[int]) -> None:
    files = {path.parent.name: load(path.read_text(encoding="utf-8"), "") for path in PROFILE_FILES}
    city = parse({name: text.encode() for name, text in inventory(60, 10, seed=5).items()})
    start_ns, end_ns = DAY + start_minute * MINUTE_NS, DAY + start_minute * MINUTE_NS + 40 * MINUTE_NS
    whole = Simulation(city, files, (), seed, start_ns).messages(end_ns)
    simulation = Simulation(city, files, (), seed, start_ns)
    pieces = [simulation.messages(start_ns + cut * SECOND_NS) for cut in cuts]
    pieces.append(simulation.messages(end_ns))
    assert [message for piece in pieces for message in piece] == whole
    assert all(start_ns <= m.time_ns < end_ns for m in whole)
    assert [m.time_ns for m in whole] == sorted(m.time_ns for m in whole)


PROFILE_FILES = sorted((ROOT / "device_profiles").glob("*/profile.toml"))


def test_another_seed_gives_another_run(fleet: Fleet, profiles: dict[str, Profile]) -> None:
    runs = [Simulation(fleet, profiles, (), seed, DUSK).messages(DUSK + 10 * MINUTE_NS) for seed in (1, 2)]
    assert runs[0] != runs[1]


@pytest.mark.parametrize(
    ("day", "dusk", "dawn"),
    [
        (date(2026, 6, 20), "2026-06-20T11:41:00Z", "2026-06-20T22:08:00Z"),
        (date(2026, 12, 20), "2026-12-20T10:58:00Z", "2026-12-20T22:44:00Z"),
        (date(2026, 11, 16), "2026-11-16T10:48:00Z", None),
        (date(2026, 7, 10), "2026-07-10T11:43:00Z", None),
        (date(2026, 5, 31), None, "2026-05-31T22:06:00Z"),
        (date(2026, 1, 27), None, "2026-01-27T22:55:00Z"),
    ],
)
def test_dusk_and_dawn_of_the_new_city(day: date, dusk: str | None, dawn: str | None) -> None:
    """Against the table of civil twilight (NOAA formula, 11.05 N 106.68 E), to two minutes."""
    computed = Sky(11.05, 106.68, "Asia/Ho_Chi_Minh").night(day)
    for time_ns, expected in zip(computed, (dusk, dawn), strict=True):
        assert expected is None or abs(time_ns - nanoseconds(expected)) < 2 * MINUTE_NS, rfc3339(time_ns)


def test_a_year_of_nights_is_4065_hours() -> None:
    sky = Sky(11.05, 106.68, "Asia/Ho_Chi_Minh")
    plan = light_plan(Programme("p"), False, sky, date(2026, 1, 1), 365)
    assert plan.lit.integral_h(np.array([DAY + 365 * 24 * HOUR_NS]))[0] == pytest.approx(4065, rel=0.01)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 100)), min_size=1, max_size=8))
def test_the_integral_of_steps_is_the_sum_of_their_pieces(pieces: list[tuple[int, float]]) -> None:
    times = np.cumsum([hours for hours, _ in pieces]) * HOUR_NS
    steps = Steps(times, np.array([value for _, value in pieces]))
    fine = np.arange(times[0], times[-1] + 3 * HOUR_NS, HOUR_NS // 4)
    naive = np.concatenate(([0.0], np.cumsum(steps.at(fine)[:-1] / 4)))
    assert np.allclose(steps.integral_h(fine), naive)


def test_programmes_dim_by_local_time() -> None:
    sky = Sky(11.05, 106.68, "Asia/Ho_Chi_Minh")
    programme = Programme("p", "astronomical", ((1380, 70.0), (270, 100.0)))
    level = light_plan(programme, False, sky, date(2026, 11, 21), 1).level

    def at(local: str) -> float:
        return float(level.at(np.array([nanoseconds(f"2026-11-{local}:00Z") - 7 * HOUR_NS]))[0])

    assert [at(t) for t in ("21T17:30", "21T18:00", "21T23:01", "22T04:29", "22T04:31", "22T06:00")] == [
        0, 100, 70, 70, 100, 0,
    ]  # fmt: skip
    fixed = light_plan(Programme("f", "fixed", (), 1080, 330), False, sky, date(2026, 11, 21), 1).level
    level = fixed
    assert [at(t) for t in ("21T17:59", "21T18:00", "22T05:29", "22T05:30")] == [0, 100, 100, 0]


def test_lamps_are_dark_by_day_and_follow_their_level_by_night(fleet: Fleet, day: list[Message]) -> None:
    checked = {"dark": 0, "full": 0, "dimmed": 0}
    for device, reports in telemetry(day, "luminaire").items():
        rated = asset_of(fleet, device).rated_power_w
        for time_ns, payload in reports:
            minute = (time_ns - DAY) // MINUTE_NS % 1440
            if 6 * 60 < minute < 17 * 60 + 30:
                assert (payload["dim"], payload["p"] < 2) == (0, True)
                checked["dark"] += 1
            elif minute > 18 * 60 or minute < 5 * 60 + 20:
                assert payload["p"] == pytest.approx(rated * (0.03 + 0.97 * payload["dim"] / 100), rel=0.08)
                checked["full" if payload["dim"] == 100 else "dimmed"] += 1
            assert payload["p"] == pytest.approx(
                payload["u"] * payload["i"] * payload["pf"], rel=0.1, abs=0.2
            )
    assert min(checked.values()) > 200, checked


def test_counters_only_grow(day: list[Message]) -> None:
    for reports in telemetry(day, "luminaire").values():
        for counter in ("e", "h", "n"):
            column = [payload[counter] for _, payload in reports]
            assert column == sorted(column)
            assert column[-1] > column[0]


def test_lamps_on_a_switched_feeder_are_silent_by_day(fleet: Fleet, day: list[Message]) -> None:
    switched = {m.device for m in day if asset_of_kind(fleet, m.device) and is_switched(fleet, m.device)}
    assert switched
    noon = [m for m in day if DAY + 7 * HOUR_NS < m.time_ns < DAY + 17 * HOUR_NS and m.device in switched]
    assert noon == []
    dawn, dusk = [], []
    for message in day:
        if message.device in switched and message.status:
            (dusk if message.payload == b"online" else dawn).append(message)
    assert {m.device for m in dawn} == switched
    at_dusk = [m.time_ns for m in dusk if m.time_ns > DAY + 12 * HOUR_NS]
    assert len(at_dusk) == len(switched)
    assert max(at_dusk) - min(at_dusk) > 4 * MINUTE_NS  # boot delays of 0, 120 and 300 s


def asset_of_kind(fleet: Fleet, device: str) -> bool:
    return bool(asset_of(fleet, device).kind == "light_point")


def is_switched(fleet: Fleet, device: str) -> bool:
    return fleet.feeder_by_id[asset_of(fleet, device).feeder].group_switched


def test_every_device_says_online_before_its_first_reading(day: list[Message]) -> None:
    seen: set[str] = set()
    for message in day:
        if message.status and message.payload == b"online":
            assert message.retain
            seen.add(message.device)
        elif not message.status:
            assert message.device in seen
            assert not message.retain


def test_reports_keep_their_interval_within_five_percent(day: list[Message]) -> None:
    for reports in telemetry(day, "cabinet").values():
        gaps = np.diff([time_ns for time_ns, _ in reports]) / SECOND_NS
        assert np.all(np.abs(gaps - 300) <= 300 * 0.1)
        assert np.std(gaps) > 1


def test_the_evening_grid_is_lower_than_the_night_grid(day: list[Message]) -> None:
    evening, night = [], []
    for reports in telemetry(day, "cabinet").values():
        for time_ns, payload in reports:
            hour = (time_ns - DAY) / HOUR_NS % 24
            volts = [phase["u"] for phase in payload["phases"]]
            evening += volts if 18.6 < hour < 22 else []
            night += volts if hour > 23.1 or hour < 4 else []
    assert np.mean(evening) == pytest.approx(226, abs=1.5)
    assert np.mean(night) == pytest.approx(238, abs=1.5)


def test_a_cabinet_meters_its_lamps_and_the_losses(fleet: Fleet, profiles: dict[str, Profile]) -> None:
    """Over one evening hour: cabinet kWh = sum of its lamps x 1.02 + its own 6 W."""
    start = DUSK + HOUR_NS
    messages = Simulation(fleet, profiles, (), 1, start, 60.0).messages(start + 2 * HOUR_NS)

    def power_w(reports: list[tuple[int, dict[str, Any]]], key: list[str]) -> float:
        first, last = reports[0], reports[-1]
        read = [
            (time_ns, payload[key[0]][key[1]] if len(key) > 1 else payload[key[0]])
            for time_ns, payload in (first, last)
        ]
        return (read[1][1] - read[0][1]) * 1000 / ((read[1][0] - read[0][0]) / HOUR_NS)

    lamps = {device: power_w(reports, ["e"]) for device, reports in telemetry(messages, "luminaire").items()}
    for device, reports in telemetry(messages, "cabinet").items():
        cabinet = asset_of(fleet, device).cabinet
        below = sum(watts for lamp, watts in lamps.items() if asset_of(fleet, lamp).cabinet == cabinet)
        assert power_w(reports, ["energy", "import_kwh"]) == pytest.approx(
            below * (1 + LOSS) + OWN_W, rel=0.002
        )
        measured = sum(phase["p"] for phase in reports[5][1]["phases"]) * 1000
        assert measured == pytest.approx(below * (1 + LOSS) + OWN_W, rel=0.02)


def test_a_dead_lamp_draws_standby_and_its_energy_stands_still(
    fleet: Fleet, profiles: dict[str, Profile]
) -> None:
    lamp = fleet.assets[next(r for r, a in enumerate(fleet.assets) if a.kind == "light_point")].id
    fault = f'[[fault]]\nkind = "lamp_failure"\nasset = "{lamp}"\nfrom = "+1h"\nto = "+3h"\n'
    simulation, messages = simulate(fleet, profiles, fault, DUSK, 4, 60.0)
    (reports,) = [r for d, r in telemetry(messages, "luminaire").items() if asset_of(fleet, d).id == lamp]
    hours = np.array([(time_ns - DUSK) / HOUR_NS for time_ns, _ in reports])
    watts = np.array([payload["p"] for _, payload in reports])
    energy = np.array([payload["e"] for _, payload in reports])
    dead, alive = (hours >= 1) & (hours < 3), (hours > 3) | ((hours > 0.2) & (hours < 1))
    assert watts[dead].max() < 2
    assert watts[alive].min() > 30
    assert np.ptp(energy[dead]) < 0.004
    assert np.all(np.diff(energy) >= 0)
    (truth,) = simulation.truth()
    assert (truth["type"], truth["asset"]) == ("lampFailure", lamp)
    assert truth["detectable_from"] == rfc3339(DUSK + HOUR_NS)


def unswitched_lamp(fleet: Fleet) -> str:
    rows = zip(fleet.assets, fleet.group_switched, strict=True)
    return next(asset.id for asset, switched in rows if asset.kind == "light_point" and not switched)


def test_a_day_burner_is_on_at_noon_and_pays_for_it(fleet: Fleet, profiles: dict[str, Profile]) -> None:
    lamp, noon = unswitched_lamp(fleet), DAY + 12 * HOUR_NS
    fault = f'[[fault]]\nkind = "day_burner"\nasset = "{lamp}"\nfrom = "+30m"\nto = "+90m"\n'
    _, messages = simulate(fleet, profiles, fault, noon, 2, 60.0)
    (reports,) = [r for d, r in telemetry(messages, "luminaire").items() if asset_of(fleet, d).id == lamp]
    burning = [
        p["p"] > 30 for time_ns, p in reports if noon + 30 * MINUTE_NS <= time_ns < noon + 90 * MINUTE_NS
    ]
    assert burning
    assert all(burning)
    assert sum(p["p"] > 30 for _, p in reports) == len(burning)
    rated = next(a.rated_power_w for a in fleet.assets if a.id == lamp)
    assert (reports[-1][1]["e"] - reports[0][1]["e"]) * 1000 == pytest.approx(rated, rel=0.06)


def test_silence_wrong_clock_and_over_voltage_are_in_the_stream(
    fleet: Fleet, profiles: dict[str, Profile]
) -> None:
    feeder = fleet.feeders[0].id
    members = {a.id for a in fleet.assets if a.feeder == feeder and a.kind == "light_point"}
    start = DUSK + HOUR_NS
    sensor = next(a.id for a in fleet.assets if a.id.startswith("SN-FL"))
    other = next(a.id for a in fleet.assets if a.feeder == fleet.feeders[1].id)
    faults = f"""
        [[fault]]
        kind = "silence"
        feeder = "{feeder}"
        from = "+10m"
        to = "+20m"
        [[fault]]
        kind = "wrong_clock"
        asset = "{sensor}"
        from = "+10m"
        to = "+20m"
        [[fault]]
        kind = "over_voltage"
        asset = "{other}"
        from = 2026-11-21T18:58:00+07:00
        to = 2026-11-21T19:08:00+07:00
    """
    simulation, messages = simulate(fleet, profiles, faults, start, 0.5, 60.0)

    def minute(message: Message) -> float:
        return (message.time_ns - start) / MINUTE_NS

    of_feeder = [m for m in messages if asset_of(fleet, m.device).id in members]
    assert not [m for m in of_feeder if 10 <= minute(m) < 20 and not m.status]
    assert len([m for m in of_feeder if 9 <= minute(m) < 10 and not m.status]) >= 0.8 * len(members)
    gone = [m for m in of_feeder if m.payload == b"offline"]
    back = [m for m in of_feeder if m.payload == b"online" and minute(m) >= 20]
    assert len(gone) == len(back) == len(members)
    for message in messages:
        if asset_of(fleet, message.device).id == sensor and not message.status:
            year = int(rfc3339(json.loads(message.payload)["ns"])[:4])
            assert year == (2000 if 10 <= minute(message) < 20 else 2026)
        if asset_of(fleet, message.device).id == other and not message.status:
            assert (json.loads(message.payload)["u"] > 260) == (10 <= minute(message) < 20)
    types = [truth["type"] for truth in simulation.truth()]
    assert types == ["communicationFailure"] * len(members) + [None, "supplyVoltageTooHigh"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('kind = "x"\nasset = "LP-01-1-001"', "fault 1: kind: 'x' is no fault"),
        ('kind = "silence"\nasset = "LP-9"', "fault 1: asset: 'LP-9' has no place"),
        ('kind = "silence"', "fault 1: asset: 0 targets"),
        ('kind = "silence"\nasset = "LP-01-1-001"\nfrom = "soon"', "fault 1: from: 'soon' is no time"),
        ('kind = "silence"\nasset = "LP-01-1-001"\nfrm = 1', "fault 1: frm: unknown key"),
        ('kind = "lamp_failure"\nasset = "CB-01"', "lamp_failure is a fault of light points"),
        ('kind = "day_burner"\nfeeder = "SWITCHED"', "its feeder has no power by day"),
    ],
)
def test_a_wrong_fault_is_named(fleet: Fleet, fault: str, said: str) -> None:
    switched = next(f.id for f in fleet.feeders if f.group_switched)
    text = f"[[fault]]\n{fault}\n".replace("SWITCHED", switched)
    text += "" if "from" in fault else 'from = "+1m"\n'
    with pytest.raises(ConfigurationError) as caught:
        parse_faults(text + 'to = "+2m"\n', "faults.toml", fleet, DUSK)
    assert said in str(caught.value)


def test_topics_name_area_class_and_device(day: list[Message], fleet: Fleet) -> None:
    areas = {area.code for area in fleet.areas}
    for message in day[:500]:
        root, area, _, device, leaf = message.topic.split("/")
        assert (root, device, leaf) == ("city", message.device, "status" if message.status else "up")
        assert area in areas
        assert message.qos == 1


def test_sensors_stay_inside_what_their_profiles_call_plausible(
    day: list[Message], profiles: dict[str, Profile]
) -> None:
    noise = [float(p["laeq"]) for reports in telemetry(day, "noise").values() for _, p in reports]
    assert 30 < min(noise) < 50 < max(noise) < 70
    sun = [(t, p["sun"]) for reports in telemetry(day, "weather").values() for t, p in reports]
    assert all(watts < 80 for t, watts in sun if (t - DAY) / HOUR_NS % 24 > 19)
    assert max(watts for _, watts in sun) > 700
    assert {p["dir"] for r in telemetry(day, "traffic").values() for _, p in r} <= set("NESW")
