"""Each layer of field practice has the statistics of its settings, and the truth is what is in the stream."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.decode.profile import Profile, load
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.inventory.parser import parse
from gateway.model import nanoseconds
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from simulators.city import inventory
from simulators.dense import dense
from simulators.device_clock import RESET_NS, ZONE_OFF_NS, DeviceClocks
from simulators.fault import KINDS, Fault, Targets
from simulators.joining import Joining
from simulators.lies import reality
from simulators.mishaps import mishaps
from simulators.noise import Noise
from simulators.radio import Air
from simulators.scenario import City, Clocks, Dense, Dusk, Lies, Radio, Rates, Scenario, read_scenario
from simulators.simulation import Message, Simulation, sky_of
from simulators.spans import Spans
from simulators.staging import city_inventory, stage

ROOT = Path(__file__).parents[2]
NOON = nanoseconds("2026-11-02T05:00:00Z")
DEVICES = 20_000
NONE = Rates(**dict.fromkeys(("gear", "controller", "radio", "joint", "pole", "swap", "feeder_trip"), 0.0),
             grid_cut=0.0, dip=0.0, noon_storm=0.0)  # fmt: skip


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    files = (ROOT / "device_profiles").glob("*/profile.toml")
    return {path.parent.name: load(path.read_text(encoding="utf-8"), str(path)) for path in files}


@pytest.fixture(scope="module")
def city() -> Fleet:
    return parse({name: text.encode() for name, text in inventory(200, 10, seed=3).items()})


def air(settings: Radio | None = None, seed: int = 1) -> Air:
    interval_ns = np.full(DEVICES, 15 * MINUTE_NS)
    return Air(settings or Radio(), Noise(seed), interval_ns, np.zeros(DEVICES, dtype=np.bool_))


# --- radio --------------------------------------------------------------------------------------------


def test_loss_has_the_median_tail_and_weak_devices_of_the_field() -> None:
    heard = air()
    loss = heard.loss[~heard.cellular]
    assert np.median(loss) == pytest.approx(0.02, abs=0.002)
    assert np.quantile(loss, 0.9) == pytest.approx(0.08, abs=0.008)
    assert np.mean(loss > 0.15) == pytest.approx(0.03, abs=0.01)
    assert loss.max() <= 0.35
    assert np.mean(heard.cellular) == pytest.approx(0.3, abs=0.02)
    assert np.all(heard.loss[heard.cellular] == 0.005)


def test_what_is_lost_late_and_twice_comes_at_the_rates_that_are_set() -> None:
    quiet = Radio(bursts_per_day=0, gateway_outages_per_month=0, cell_outages_per_month=0)
    heard = air(quiet)
    device = np.arange(DEVICES, dtype=np.int32)
    sent, lost, twice, late, filled = 0, 0.0, 0, 0, 0
    for report in range(8):
        time_ns = np.full(DEVICES, NOON + report * 15 * MINUTE_NS)
        arrived = heard.carry(device, time_ns)
        positions, counts = np.unique(arrived.position, return_counts=True)
        delay_ns = arrived.time_ns - time_ns[arrived.position]
        assert delay_ns.min() >= 0.3 * SECOND_NS
        assert delay_ns.max() <= 24 * HOUR_NS + 6 * SECOND_NS
        sent += DEVICES
        lost += DEVICES - len(positions)
        twice += int((counts > 1).sum())
        late += int(((delay_ns > 15 * MINUTE_NS) & (delay_ns < 23 * MINUTE_NS)).sum())
        filled += int((delay_ns > 23 * MINUTE_NS).sum())
    assert lost / sent == pytest.approx(float(heard.loss.mean()) * 0.99, rel=0.05)
    assert twice / sent == pytest.approx(0.0175 * 0.97, rel=0.1)
    assert late / sent == pytest.approx(0.01, rel=0.15)
    assert filled / sent == pytest.approx(0.01, rel=0.15)


def test_bursts_and_outages_come_as_often_and_last_as_long_as_set() -> None:
    heard = air(Radio(devices_per_gateway=100, cellular_share=0.0))
    gateways, days = DEVICES // 100, 60
    outages = [o for g in range(gateways) for o in heard.gateway_outages(g, NOON, NOON + days * DAY_NS)]
    assert len(outages) / gateways / (days / 30) == pytest.approx(0.5, rel=0.25)
    minutes = [(end - start) / MINUTE_NS for start, end in outages]
    assert 10 <= min(minutes) < max(minutes) <= 360
    start, end = outages[0]
    gateway = next(
        g for g in range(gateways) if (start, end) in heard.gateway_outages(g, NOON, NOON + days * DAY_NS)
    )
    device = np.array([gateway * 100, (gateway + 1) % gateways * 100], dtype=np.int32)
    middle = np.full(2, (start + end) // 2)
    assert heard.down(device, middle).tolist() == [True, False]
    assert (
        not len(heard.carry(device[:1], middle[:1]).position)
        or heard.carry(device[:1], middle[:1]).time_ns[0] > end - DAY_NS
    )


def test_a_message_has_one_fate_however_the_run_is_cut(profiles: dict[str, Profile]) -> None:
    scenario = Scenario(seed=5, city=City(light_points=50, sensors=5), rates=NONE)
    believed = parse(city_inventory(scenario.city))
    whole = stage(scenario, believed, profiles).messages(NOON + 30 * HOUR_NS)
    simulation = stage(scenario, believed, profiles)
    cuts = [1, 6 * 60 + 17, 11 * 60, 30 * 60]
    pieces = [simulation.messages(NOON + cut * MINUTE_NS) for cut in cuts]
    assert [message for piece in pieces for message in piece] == whole
    assert [m.time_ns for m in whole] == sorted(m.time_ns for m in whole)
    other = Scenario(seed=6, city=scenario.city, rates=NONE)
    assert stage(other, believed, profiles).messages(NOON + HOUR_NS) != [
        m for m in whole if m.time_ns < NOON + HOUR_NS
    ]


# --- dusk and clocks -------------------------------------------------------------------------------------


def test_a_full_gateway_takes_its_time_to_join() -> None:
    device = np.arange(2000, dtype=np.int32)
    cellular = device < 200
    joining = Joining(Dusk(), Noise(1), np.zeros(2000, dtype=np.int64), cellular, 1800)
    p95_min = []
    for night in range(30):
        wait_ns = joining.join_ns(device, NOON + night * DAY_NS)
        assert wait_ns[cellular].max() <= 67 * SECOND_NS
        p95_min.append(np.quantile(wait_ns[~cellular], 0.95) / MINUTE_NS)
    assert 4 <= min(p95_min) < 12
    assert 33 < max(p95_min) <= 45


def test_fixed_retries_come_in_waves() -> None:
    device = np.arange(2000, dtype=np.int32)
    gateway, cellular = np.zeros(2000, dtype=np.int64), np.zeros(2000, dtype=np.bool_)
    joining = Joining(Dusk(fixed_retry_share=1.0, boot_s=0.0), Noise(1), gateway, cellular, 2000)
    assert np.all(joining.join_ns(device, NOON) % (10 * SECOND_NS) == 0)


def test_clocks_are_wrong_at_the_shares_of_the_field() -> None:
    clocks = DeviceClocks(Clocks(), Noise(1))
    device = np.arange(200_000, dtype=np.int32)
    offset_ns = clocks.offset_ns(device)
    assert np.mean(offset_ns == ZONE_OFF_NS) == pytest.approx(0.005, rel=0.1)
    minutes = (np.abs(offset_ns) >= 5 * MINUTE_NS) & (np.abs(offset_ns) <= 60 * MINUTE_NS)
    assert np.mean(minutes) == pytest.approx(0.01, rel=0.1)
    assert np.mean(np.abs(offset_ns) > HOUR_NS) == pytest.approx(0.007, rel=0.1)
    powered_ns = np.full(len(device), NOON)
    unset = [
        float(np.mean(clocks.shown(device, powered_ns + m * MINUTE_NS, powered_ns) < RESET_NS + DAY_NS))
        for m in (0, 60, 121)
    ]
    assert unset == [pytest.approx(0.4, abs=0.01), pytest.approx(0.2, abs=0.01), 0.0]
    right = offset_ns == 0
    drift_ns = (clocks.shown(device, powered_ns + 10 * HOUR_NS, powered_ns) - powered_ns - 10 * HOUR_NS)[
        right
    ]
    assert np.abs(drift_ns).max() <= 100e-6 * 10 * HOUR_NS
    assert np.mean(np.abs(drift_ns) > 20e-6 * 10 * HOUR_NS) == pytest.approx(0.04, abs=0.01)


# --- inventory and base rates ------------------------------------------------------------------------------


def test_the_inventory_lies_as_much_as_it_is_told_to() -> None:
    believed = parse({name: text.encode() for name, text in inventory(10_000, 0, seed=3).items()})
    actual = reality(believed, Lies(), Noise(1))
    pairs = [(b, a) for b, a in zip(believed.assets, actual.assets, strict=True) if b.kind == "light_point"]

    def share(key: Any) -> float:
        return sum(key(b) != key(a) for b, a in pairs) / len(pairs)

    assert share(lambda asset: (asset.feeder, asset.phase)) == pytest.approx(0.03, abs=0.006)
    assert share(lambda asset: asset.rated_power_w) == pytest.approx(0.02, abs=0.005)
    assert share(lambda asset: asset.programme) == pytest.approx(0.05, abs=0.007)
    moved = sum(b != a for b, a in zip(believed.assignments, actual.assignments, strict=True))
    assert moved / len(pairs) == pytest.approx(0.01, abs=0.004)
    assert {a.asset for a in actual.assignments} == {a.asset for a in believed.assignments}
    assert reality(believed, Lies(0, 0, 0, 0), Noise(1)) == believed


def test_an_ordinary_month_has_as_many_faults_as_the_rates_say() -> None:
    fleet = parse({name: text.encode() for name, text in inventory(10_000, 0, seed=3).items()})
    months = 2  # November and December: half of it in the rainy season
    found = mishaps(fleet, Rates(), sky_of(fleet), Noise(1), NOON, NOON + months * 30 * DAY_NS)
    count = {kind: sum(fault.kind == kind for fault in found) for kind in KINDS}
    assert 5 <= count["lamp_failure"] <= 26  # 14 are due
    assert count["silence"] == pytest.approx(3.4 * 10 * months, rel=0.25)
    assert count["swap"] == pytest.approx(5 * 10 * months, rel=0.25)
    assert count["feeder_trip"] == pytest.approx(0.03 * 200 * 4, rel=0.4)
    assert count["supply_loss"] == pytest.approx(50 * 4, rel=0.3)
    assert count["dip"] == pytest.approx(3 * 200 * 4, rel=0.2)
    assert all(fault.to_ns - fault.from_ns <= MINUTE_NS for fault in found if fault.kind == "dip")
    assert mishaps(fleet, NONE, sky_of(fleet), Noise(1), NOON, NOON + 30 * DAY_NS) == []


def test_dense_faults_do_not_overlap() -> None:
    texts = inventory(4000, 120, seed=3, d4i_share=0.3)
    city = parse({name: text.encode() for name, text in texts.items()})
    faults = dense(city, Dense(per_kind=3), sky_of(city), 1, NOON, 6)
    count = {kind: sum(fault.kind == kind for fault in faults) for kind in KINDS}
    missing = {kind for kind in KINDS if count[kind] < 3 and kind != "noon_storm"}
    assert missing == set(), count
    by_row: dict[int, list[tuple[int, int]]] = {}
    for fault in faults:
        for row in fault.assets.tolist():
            by_row.setdefault(row, []).append((fault.from_ns, fault.to_ns))
    for windows in by_row.values():
        ordered = sorted(windows)
        assert all(one[1] <= other[0] for one, other in pairwise(ordered)), ordered
    assert max(fault.to_ns for fault in faults) < NOON + 6 * DAY_NS


def test_spans_find_the_fault_a_sample_lies_in() -> None:
    rows = np.array([0, 2], dtype=np.int32)
    spans = Spans([Fault("hot", rows, 10, 20, 5.0), Fault("hot", rows[:1], 30, 40, 7.0)], 3)
    asked = np.array([0, 0, 0, 0, 1, 2, 2], dtype=np.int32)
    times = np.array([9, 10, 20, 35, 15, 19, 35])
    assert spans.size(asked, times).tolist() == [0, 5, 0, 7, 0, 5, 0]
    assert spans.hits(asked, times).tolist() == [False, True, False, True, False, True, False]


def test_a_city_has_the_photocells_and_dropped_phases_it_asks_for() -> None:
    fleet = parse(city_inventory(City(light_points=1000, photocell_share=0.1, dropped_phase_share=0.2)))
    switched = dict(zip((a.id for a in fleet.assets), fleet.group_switched.tolist(), strict=True))
    photocells = [a for a in fleet.assets if a.programme == "photocell"]
    assert len({a.feeder for a in photocells}) == 2
    assert not any(switched[a.id] for a in photocells)
    dropped = [a for a in fleet.assets if a.programme == "dropped-phase"]
    assert len({a.feeder for a in dropped}) == 4
    assert {a.phase for a in dropped} == {"B", "C"}
    assert all(switched[a.id] for a in dropped)


# --- faults and look-alikes in the stream ---------------------------------------------------------


Reports = dict[str, list[tuple[float, dict[str, Any]]]]


def play(
    fleet: Fleet,
    profiles: dict[str, Profile],
    kind: str,
    target: str,
    hours: tuple[float, float],
    **more: Any,
) -> tuple[Fault, Reports, list[dict[str, Any]]]:
    """(fault, (hour, payload) by asset, truth) of 24 h from noon with one fault and no field practice."""
    start_ns, end_ns = (NOON + round(hour * HOUR_NS) for hour in hours)
    fault = Targets(fleet).fault(kind, target, start_ns, end_ns, **more)
    simulation = Simulation(fleet, profiles, [fault], 1, NOON)
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for message in simulation.messages(NOON + DAY_NS):
        if not message.status:
            asset = _asset(fleet, message)
            found.setdefault(asset, []).append(
                ((message.time_ns - NOON) / HOUR_NS, json.loads(message.payload))
            )
    return fault, found, list(simulation.truth(NOON + DAY_NS))


def _asset(fleet: Fleet, message: Message) -> str:
    device = np.array([fleet.device_row[message.device]], dtype=np.int32)
    return fleet.assets[fleet.assets_at(device, np.array([NOON]))[0]].id


def a_feeder(fleet: Fleet, *, switched: bool) -> tuple[str, str, list[str]]:
    feeder = next(f for f in fleet.feeders if f.group_switched is switched)
    lamps = [a.id for a in fleet.assets if a.feeder == feeder.id and a.kind == "light_point"]
    return feeder.id, feeder.cabinet, lamps


def test_a_feeder_trip_silences_its_lamps_and_takes_their_current(
    city: Fleet, profiles: dict[str, Profile]
) -> None:
    feeder, cabinet, lamps = a_feeder(city, switched=False)
    _, found, truth = play(city, profiles, "feeder_trip", feeder, (8, 11))
    for lamp in lamps:
        assert not [hour for hour, _ in found[lamp] if 8 <= hour < 11]
        assert [hour for hour, _ in found[lamp] if 11 <= hour < 12]
    watts = {hour: sum(p["p"] for p in payload["phases"]) for hour, payload in found[cabinet]}
    volts = [p["u"] for hour, payload in found[cabinet] if 8 < hour < 11 for p in payload["phases"]]
    before = np.mean([w for hour, w in watts.items() if 7 < hour < 8])
    during = np.mean([w for hour, w in watts.items() if 8.1 < hour < 10])
    assert during < 0.9 * before
    assert min(volts) > 200
    (entry,) = truth
    assert (entry["type"], entry["asset"], sorted(entry["members"])) == ("feederOpen", feeder, sorted(lamps))
    assert entry["detectable_from"] == entry["from"]
    assert nanoseconds(entry["due_by"]) == NOON + 8 * HOUR_NS + 1350 * SECOND_NS


def test_a_lost_phase_takes_the_lamps_of_that_phase_alone(city: Fleet, profiles: dict[str, Profile]) -> None:
    feeder, _, lamps = a_feeder(city, switched=False)
    _, found, (entry,) = play(city, profiles, "phase_loss", feeder, (8, 11), phase="B")
    silent = {lamp for lamp in lamps if not [hour for hour, _ in found[lamp] if 8 <= hour < 11]}
    assert (
        silent
        == set(entry["members"])
        == {a.id for a in city.assets if a.feeder == feeder and a.phase == "B"}
    )


def test_a_cut_of_the_grid_is_told_by_the_cabinet(city: Fleet, profiles: dict[str, Profile]) -> None:
    _, cabinet, _ = a_feeder(city, switched=False)
    _, found, (entry,) = play(city, profiles, "supply_loss", cabinet, (8, 10))
    dead = [p["u"] for hour, payload in found[cabinet] if 8 <= hour < 10 for p in payload["phases"]]
    assert dead
    assert set(dead) == {0}
    assert entry["type"] == "supplyLoss"
    assert not [hour for lamp in entry["members"] for hour, _ in found[lamp] if 8 <= hour < 10]


@pytest.mark.parametrize(("kind", "hours", "type_"), [
    ("contactor_welded", (19.5, 22), "switchingErrorOn"),
    ("maintenance", (20, 21.4), None),
])  # fmt: skip
def test_switched_lamps_burn_by_day_when_the_contactor_is_held(
    city: Fleet, profiles: dict[str, Profile], kind: str, hours: tuple[float, float], type_: str | None
) -> None:
    _, cabinet, _ = a_feeder(city, switched=True)
    fault, found, (entry,) = play(city, profiles, kind, cabinet, hours)
    assert entry["type"] == type_
    assert entry["members"]
    burning = [p["p"] for m in entry["members"] for hour, p in found[m] if hours[0] < hour < hours[1]]
    assert len(burning) > len(entry["members"])
    assert min(burning) > 20
    closed = {hour: payload["io"] for hour, payload in found[cabinet]}
    assert {io["contactor"] for hour, io in closed.items() if hours[0] < hour < hours[1]} == {1}
    manual = {io["selector"] for hour, io in closed.items() if hours[0] < hour < hours[1]}
    assert manual == ({"AUTO"} if kind == "contactor_welded" else {"MAN"})
    assert fault.place == city.asset_row[cabinet]


def test_a_contactor_that_stays_open_leaves_the_lamps_dark_with_live_mains(
    city: Fleet, profiles: dict[str, Profile]
) -> None:
    _, cabinet, _ = a_feeder(city, switched=True)
    _, found, (entry,) = play(city, profiles, "contactor_open", cabinet, (5, 10))
    assert entry["type"] == "switchingErrorOff"
    assert nanoseconds(entry["detectable_from"]) > NOON + 5 * HOUR_NS  # dusk: before, nobody could tell
    assert not [hour for lamp in entry["members"] for hour, _ in found[lamp] if hour < 10]
    during = [payload for hour, payload in found[cabinet] if 6 < hour < 10]
    assert {payload["io"]["contactor"] for payload in during} == {0}
    assert min(p["u"] for payload in during for p in payload["phases"]) > 200


def test_of_a_lamp_without_power_nobody_can_tell_that_its_radio_died(
    city: Fleet, profiles: dict[str, Profile]
) -> None:
    """Its silence is evidence only while the phase is energised (field notes 2)."""
    _, cabinet, (lamp, *_) = a_feeder(city, switched=False)
    row = np.array([city.asset_row[lamp]], dtype=np.int32)
    cut = Targets(city).fault("supply_loss", cabinet, NOON + 7 * HOUR_NS, NOON + 10 * HOUR_NS)
    silent = Fault("silence", row, NOON + 8 * HOUR_NS, NOON + 30 * HOUR_NS, 1.0)
    simulation = Simulation(city, profiles, [cut, silent], 1, NOON)
    found = {entry["type"]: entry for entry in simulation.truth(NOON + 24 * HOUR_NS)}
    assert nanoseconds(found["supplyLoss"]["detectable_from"]) == cut.from_ns
    assert nanoseconds(found["communicationFailure"]["detectable_from"]) == cut.to_ns


@pytest.mark.parametrize(("kind", "field", "low", "high"), [
    ("head_failure", "p", 0.4, 0.6),
    ("power_low", "p", 0.6, 0.7),
    ("power_high", "p", 1.3, 1.4),
    ("over_voltage", "u", 1.15, 1.25),
    ("under_voltage", "u", 0.75, 0.85),
    ("hot", "tc", 1.9, 3.0),
    ("metering_fault", "p", 0.0, 0.0),
])  # fmt: skip
def test_a_fault_of_a_lamp_is_as_big_as_it_says(
    city: Fleet, profiles: dict[str, Profile], kind: str, field: str, low: float, high: float
) -> None:
    lamp = next(
        a.id for a in city.assets if a.kind == "light_point" and a.programme == "all-night" and a.heads == 2
    )
    _, found, (entry,) = play(city, profiles, kind, lamp, (7, 11))
    before = np.mean([p[field] for hour, p in found[lamp] if 6.2 < hour < 7])
    during = np.mean([p[field] for hour, p in found[lamp] if 7 < hour < 11])
    assert low <= during / before <= high
    assert entry["type"] == KINDS[kind].alarm
    energy = [p["e"] for _, p in found[lamp]]
    assert energy == sorted(energy)


def test_cycling_shows_in_the_counter_alone(city: Fleet, profiles: dict[str, Profile]) -> None:
    lamp = next(a.id for a in city.assets if a.kind == "light_point" and a.programme == "all-night")
    _, found, _ = play(city, profiles, "cycling", lamp, (7, 11))
    starts = {hour: p["n"] for hour, p in found[lamp]}
    during = [n for hour, n in starts.items() if 6.9 < hour < 11.3]
    assert during[-1] - during[0] == pytest.approx(24, abs=2)
    assert min(p["p"] for hour, p in found[lamp] if 7 < hour < 11) > 20


def test_phases_dropped_by_plan_are_silent_and_no_fault(profiles: dict[str, Profile]) -> None:
    scenario = City(light_points=600, dropped_phase_share=1.0)
    fleet = parse(city_inventory(scenario))
    dropped = {a.id for a in fleet.assets if a.programme == "dropped-phase"}
    simulation = Simulation(fleet, profiles, [], 1, NOON)
    heard = {
        _asset(fleet, m)
        for m in simulation.messages(NOON + 15 * HOUR_NS)
        if m.time_ns > NOON + 11.5 * HOUR_NS and not m.status
    }
    assert dropped
    assert not dropped & heard
    feeders = {a.feeder for a in fleet.assets if a.id in dropped}
    kept = {a.id for a in fleet.assets if a.feeder in feeders and a.phase == "A"}
    assert kept.issubset(heard)


def test_counters_roll_back_by_at_most_an_hour_at_each_cut(profiles: dict[str, Profile]) -> None:
    scenario = Scenario(
        city=City(light_points=200), rates=NONE, radio=Radio(0.0, back_fill=0, reorder=0, duplicate=(0, 0))
    )
    fleet = parse(city_inventory(scenario.city))
    simulation = stage(scenario, fleet, profiles)
    energy: dict[str, list[float]] = {}
    for message in simulation.messages(NOON + 2 * DAY_NS):
        if message.topic.split("/")[2] == "luminaire" and not message.status:
            energy.setdefault(_asset(fleet, message), []).append(json.loads(message.payload)["e"])
    back = {a: float((np.maximum.accumulate(e) - e).max()) for a, e in energy.items()}
    switched = {a.id: s for a, s in zip(fleet.assets, fleet.group_switched, strict=True)}
    assert all(kwh == 0 for asset, kwh in back.items() if not switched[asset])
    fell = [kwh for asset, kwh in back.items() if switched[asset]]
    assert max(fell) <= 0.26  # an hour of the strongest lamp
    assert np.mean(np.array(fell) > 0) > 0.5


# --- scenarios ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples" / "scenarios").glob("*.toml")), ids=lambda f: f.stem
)
def test_shipped_scenarios_can_be_read(file: Path) -> None:
    scenario = read_scenario(file.read_text(encoding="utf-8"), str(file))
    assert scenario.start_ns == NOON


@pytest.mark.parametrize(("text", "said"), [
    ("[radio]\nloss = 1", "radio"),
    ("[radio]\nloss_median = 1.5", "radio.loss_median: 1.5 is no share"),
    ("[radio]\nburst_min = [9, 2]", "radio.burst_min: (9.0, 2.0) is no span"),
    ("[lies]\nswapped = -1", "lies.swapped: -1.0 is negative"),
    ('start = "noon"', "start"),
    ("days =", "not TOML"),
])  # fmt: skip
def test_a_wrong_scenario_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_scenario(text, "x.toml")
    assert said in str(caught.value)
