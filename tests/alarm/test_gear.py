"""What D4i gear, its relay and its pole say: one fault one alarm, and nothing for what only looks like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from district import MINUTE, batch, fleet, local, tick
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.gear import GearMemory
from gateway.alarms import Alarm
from gateway.decode.catalog import load_file
from gateway.fleet import Device, Fleet
from gateway.model import Chunk, Counts, Run

PROFILES = Path(__file__).parents[2] / "device_profiles"
SPEC = replace(load_file(PROFILES / "luminaire-d4i" / "profile.toml").spec, silence_intervals=0)
NOON, INTERVAL, LAMP = local("2026-11-20 12:00"), 15, 1  # the lamp's feeder always has power
EVENING, NEXT = 480, 1440  # minutes after noon: 20 h, the next noon


class Pole:
    """Lamp 1 reports every 15 minutes; what it ``says`` is what a sound lamp does not."""

    def __init__(self) -> None:
        district = fleet(2)
        self.fleet: Fleet = replace(
            district, devices=tuple(Device(device.id, SPEC.name) for device in district.devices)
        )
        self.engine = AlarmEngine(self.fleet, [SPEC])
        self.minute, self.said = 0, list[Alarm]()

    def until(self, minute: int, *, again: bool = False, **says: Any) -> list[tuple[str, str]]:
        """What was raised and cleared up to ``minute`` after noon; ``again``: by a restarted engine."""
        if again:
            snapshot, self.engine = self.engine.snapshot(), AlarmEngine(self.fleet, [SPEC])
            self.engine.restore(snapshot)
        before = len(self.said)
        while self.minute < minute:
            self.minute += 1
            if self.minute % INTERVAL and self.minute % 2:
                continue
            at = NOON + self.minute * MINUTE
            parts: list[Any] = [tick(at)]
            if self.minute % INTERVAL == 0:
                made = batch([self.reading(at, says)], SPEC, self.minute)
                parts.append(Run((made,), (), (), Counts()))
            chunk = Chunk(self.minute, self.minute + 1, tuple(parts), (self.minute,) * len(parts))
            self.said += [alarm for _, alarm in self.engine.apply(chunk)]
        return [(alarm.type, alarm.event) for alarm in self.said[before:]]

    def reading(self, at: int, says: dict[str, Any]) -> dict[str, Any]:
        due = self.engine.expectation.at(np.array([LAMP], dtype=np.int32), np.array([at]))
        level = float(due.level_due[0])
        power = 1.0 + 0.99 * level if level else 1.0
        said = {
            "dimming_level": level, "active_power": power * says.get("share", 1.0) if level else 1.0,
            "supply_voltage": 230.0, "relay_closed": float(level > 0), "gear_comm_failure": 0.0,
            "control_gear_failure": 0.0, "lamp_failure": 0.0, "fade_running": 0.0, "thermal_derating": 0.0,
            "thermal_shutdown": 0.0, "light_source_failure": 0.0, "control_gear_failure_counter": 250.0,
            "light_source_failure_counter": 3.0, "thermal_shutdown_counter": 0.0, "nominal_power": 100.0,
            "tilt_angle": 0.4, "impact": 0.0,
        }  # fmt: skip
        return {"device": LAMP, "time": at} | said | {key: says[key] for key in says if key != "share"}


def acquainted() -> Pole:
    pole = Pole()
    assert pole.until(EVENING) == []
    return pole


@pytest.mark.parametrize(
    ("says", "alarm"),
    [
        ({"control_gear_failure": 1.0, "active_power": 0.9}, "controlGearFailure"),
        ({"gear_comm_failure": 1.0}, "controlGearCommFailure"),
        (
            {"gear_comm_failure": 1.0, "active_power": 0.0},
            "relayFailure",
        ),  # closed, and no supply to the gear
        ({"lamp_failure": 1.0, "active_power": 1.2}, "lampFailure"),
        ({"lamp_failure": 1.0, "light_source_failure": 1.0, "active_power": 1.2}, "lampFailure"),
        ({"light_source_failure": 1.0}, "lightSourceFailure"),
        ({"thermal_shutdown": 1.0}, "thermalShutdown"),
        ({"nominal_power": 150.0}, "invalidLampType"),
        ({"tilt_angle": 8.0}, "columnIssue"),
    ],
)
def test_one_fault_is_one_alarm_and_ends_by_a_healthy_sample(says: dict[str, float], alarm: str) -> None:
    pole = acquainted()
    assert pole.until(EVENING + 45, **says) == [(alarm, "raised")]
    assert pole.until(EVENING + 90) == [(alarm, "cleared")]


def test_a_welded_relay_is_no_day_burner() -> None:
    pole = acquainted()
    pole.until(NEXT)
    assert pole.until(NEXT + 90, active_power=99.0) == [("relayFailure", "raised")]
    assert pole.until(NEXT + 120) == [("relayFailure", "cleared")]


def test_a_pole_that_lies_is_told_at_once_and_stays_until_somebody_was_there() -> None:
    pole = acquainted()
    assert pole.until(EVENING + 15, impact=1.0, tilt_angle=78.0) == [("columnKnockedDown", "raised")]
    pole.until(EVENING + 60)
    assert [alarm.state for alarm in pole.engine.active()] == ["latched"]


@pytest.mark.parametrize("bit", ["fade_running", "thermal_derating"])
def test_power_and_level_are_not_judged_while_the_gear_fades_or_saves_itself(bit: str) -> None:
    pole = acquainted()
    found = pole.until(EVENING + 90, share=0.6, dimming_level=60.0, **{bit: 1.0})
    assert [kind for kind, _ in found if kind != "highTemperature"] == []
    assert ("lampPowerTooLow", "raised") in pole.until(EVENING + 150, share=0.6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=20), st.integers(1, 20))
def test_a_minute_after_a_fade_is_none_however_the_readings_are_cut(
    steps: list[tuple[int, bool]], cut: int
) -> None:
    times = np.cumsum([seconds for seconds, _ in steps]) * 1_000_000_000
    fades = [flag for _, flag in steps]
    made = batch(
        [{"device": 0, "time": t, "fade_running": float(f)} for t, f in zip(times, fades, strict=True)], SPEC
    )
    memory, found = GearMemory(SPEC, (), 1, 60.0), list[bool]()
    for part in (slice(0, cut), slice(cut, None)):
        local = made.device[part]
        unsteady = memory.unsteady(local, made.time_ns[part], made.values[:, part], distinct=False)
        assert unsteady is not None
        found += unsteady.tolist()
    faded = [t for t, f in zip(times, fades, strict=True) if f]
    assert found == [any(0 <= t - then < 60_000_000_000 for then in faded) for t in times]


@pytest.mark.parametrize(
    ("counter", "alarm"),
    [
        ("control_gear_failure_counter", "controlGearFailure"),
        ("thermal_shutdown_counter", "thermalShutdown"),
    ],
)
def test_a_failure_counter_tells_by_what_it_rises_until_a_whole_night_without(
    counter: str, alarm: str
) -> None:
    pole = acquainted()  # one stands at 250 already: no total is a fault
    risen = {counter: 252.0}
    assert pole.until(EVENING + 60, **risen) == [(alarm, "raised")]
    assert pole.until(NEXT + EVENING, again=True, **risen) == []
    assert pole.until(2 * NEXT + EVENING, again=True, **risen) == [(alarm, "cleared")]


def test_what_a_profile_has_no_field_for_is_said_to_be_unobservable() -> None:
    pole = acquainted()  # its gear has no counter of switch-ons
    spec = replace(SPEC, numeric=tuple(field for field in SPEC.numeric if field.name != "switch_on_counter"))
    spec = replace(spec, rules=tuple(rule for rule in spec.rules if rule.type != "cyclingFailure"))
    engine = AlarmEngine(pole.fleet, [spec])
    found = {rule["rule"]: rule for rule in engine.explain("LP1", NOON)}
    assert found["cyclingFailure"]["state"] == "not observable"
    assert found["cyclingFailure"]["why"] == "its profile has no switch_on_counter"
    assert found["relayFailure"]["state"] == "normal"


def test_a_counter_that_is_masked_or_belongs_to_new_gear_tells_nothing() -> None:
    pole = acquainted()
    pole.until(EVENING + 30, control_gear_failure_counter=float("nan"))
    pole.until(EVENING + 60, control_gear_failure_counter=0.0)
    assert [alarm.type for alarm in pole.said] == []
    assert pole.until(EVENING + 120, control_gear_failure_counter=1.0) == [("controlGearFailure", "raised")]
