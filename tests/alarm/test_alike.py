"""Many lamps, one cause: a joint or contactor that makes a phase flicker, a type the inventory has wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from district import MINUTE, batch, fleet, local, tick

from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm
from gateway.decode.catalog import load_file
from gateway.fleet import Fleet, LuminaireType
from gateway.model import Chunk, Counts, Run

PROFILE = Path(__file__).parents[2] / "device_profiles" / "luminaire-controller" / "profile.toml"
SPEC = load_file(PROFILE).spec
NOON, INTERVAL, LAMPS = local("2026-11-20 12:00"), 15, 10
EVENING, NEXT = 480, 1440
Fault = Callable[[int], dict[str, float]]
"""What a lamp says otherwise than a sound one, by its number."""


def sound(_: int) -> dict[str, float]:
    return {}


class Phase:
    """Ten lamps of one phase, all of one type."""

    def __init__(self) -> None:
        plain = fleet(LAMPS)
        assets = tuple(replace(a, feeder="F-live", phase="A", luminaire_type="LED-100") for a in plain.assets)
        self.fleet: Fleet = replace(plain, assets=assets, luminaire_types=(LuminaireType("LED-100"),))
        self.engine = AlarmEngine(self.fleet, [SPEC])
        self.minute, self.said = 0, list[Alarm]()
        self.starts = np.zeros(LAMPS)

    def until(self, minute: int, fault: Fault = sound) -> list[Alarm]:
        """What was told up to ``minute`` after noon, by a gateway that is restarted halfway."""
        before, restart = len(self.said), (self.minute + minute) // 2
        while self.minute < minute:
            self.minute += 1
            if self.minute % INTERVAL and self.minute % 2:
                continue
            if self.minute >= restart:
                snapshot, restart = self.engine.snapshot(), minute + 1
                self.engine = AlarmEngine(self.fleet, [SPEC])
                self.engine.restore(snapshot)
            at = NOON + self.minute * MINUTE
            parts: list[Any] = [tick(at)]
            if self.minute % INTERVAL == 0:
                rows = [self.reading(lamp, at, fault(lamp)) for lamp in range(LAMPS)]
                parts.append(Run((batch(rows, SPEC, self.minute),), (), (), Counts()))
            chunk = Chunk(self.minute, self.minute + 1, tuple(parts), (self.minute,) * len(parts))
            self.said += [alarm for _, alarm in self.engine.apply(chunk)]
        return [alarm for alarm in self.said[before:] if not alarm.quiet]

    def reading(self, lamp: int, at: int, fault: dict[str, float]) -> dict[str, Any]:
        due = self.engine.expectation.at(np.array([lamp], dtype=np.int32), np.array([at]))
        level = float(due.level_due[0])
        self.starts[lamp] += fault.get("starts", 0.0) if level else 0.0
        power = (1.0 + 0.99 * level) * fault.get("share", 1.0) if level else 1.0
        return {
            "device": lamp, "time": at, "dimming_level": level, "active_power": power,
            "supply_voltage": 230.0, "switch_on_counter": np.floor(self.starts[lamp]),
        }  # fmt: skip


def told(alarms: list[Alarm]) -> list[tuple[str, str, str]]:
    return [(alarm.asset, alarm.type, alarm.event) for alarm in alarms]


def some(count: int, **says: float) -> Fault:
    return lambda lamp: says if lamp < count else {}


def test_two_lamps_that_cycle_are_two_alarms_and_three_of_a_phase_are_one() -> None:
    pair = Phase()
    assert set(told(pair.until(NEXT + NEXT, some(2, starts=1)))) == {
        ("LP0", "cyclingFailure", "raised"),
        ("LP1", "cyclingFailure", "raised"),
    }
    joint = Phase()
    raised = joint.until(NEXT + NEXT, some(4, starts=1))
    assert told(raised) == [("F-live", "cyclingFailure", "raised")]
    assert raised[0].members == ("LP0", "LP1", "LP2", "LP3")
    held = {alarm.asset for alarm in joint.engine.active() if alarm.parent == raised[0].id}
    assert held == {"LP0", "LP1", "LP2", "LP3"}


def test_a_contactor_that_chatters_is_one_alarm_although_all_lamps_start_together() -> None:
    """Half of a circuit that starts anew is mostly the grid; 20 times in each night it is not."""
    chatter = Phase()
    assert told(chatter.until(NEXT + NEXT, some(LAMPS, starts=0.5))) == [
        ("F-live", "cyclingFailure", "raised")
    ]
    dips = Phase()
    assert told(dips.until(NEXT + NEXT, some(LAMPS, starts=0.1))) == []


def test_a_type_that_is_off_the_same_way_is_one_alarm_for_the_inventory() -> None:
    street = Phase()
    raised = street.until(EVENING + 120, some(4, share=1.4))
    assert told(raised) == [("type:LED-100", "invalidLampType", "raised")]
    assert "4 điểm" in raised[0].text_vi and "lamps of type LED-100" in raised[0].text_en
    assert (raised[0].area, raised[0].feeder) == ("", "")


def test_few_lamps_of_a_type_that_are_off_say_nothing_of_it() -> None:
    assert told(Phase().until(EVENING + 120, some(2, share=1.4))) == []


def test_what_a_new_firmware_does_to_a_type_is_one_alarm_and_over_when_it_is_back() -> None:
    street = Phase()
    assert told(street.until(EVENING)) == []  # all have shown their own power
    street.until(EVENING + 60, some(6, share=0.7))
    standing = {(alarm.asset, alarm.type, bool(alarm.parent)) for alarm in street.engine.active()}
    assert standing == {("type:LED-100", "invalidLampType", False)} | {
        (f"LP{lamp}", "lampPowerTooLow", True) for lamp in range(6)
    }
    assert ("type:LED-100", "invalidLampType", "cleared") in told(street.until(EVENING + 150))
    assert [alarm for alarm in street.engine.active() if not alarm.state.value.startswith("ret")] == []
