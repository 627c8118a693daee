"""Which circuits have power: the strongest evidence decides, and time begins when power returns."""

from __future__ import annotations

import numpy as np
import pytest
from district import MINUTE, batch, local
from night_city import CABINET, LAMP, cabinet_says, city_of

from gateway.alarm.cabinet import CabinetReports
from gateway.alarm.circuits import circuits_of
from gateway.alarm.energised import Energised, Evidence
from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.options import AlarmOptions

NIGHT, NOON = local("2026-11-20 22:00"), local("2026-11-20 12:00")
DUSK_GUARD = local("2026-11-20 17:50")


class World:
    """One cabinet with one switched feeder of three lamps on each phase."""

    def __init__(self) -> None:
        self.fleet = city_of(1, 1, 9)
        self.circuits = circuits_of(self.fleet)
        self.energised = Energised(
            self.circuits, len(self.fleet.devices), Expectation(self.fleet), AlarmOptions()
        )
        self.reports = CabinetReports(self.fleet, [LAMP, CABINET])
        asset = self.fleet.assets_at(np.arange(10, dtype=np.int32), np.full(10, NIGHT))
        self.of_device = self.circuits.of_asset[asset]
        self.wall = NIGHT

    def pass_time(self, wall: int, minutes: int = 1) -> list[tuple[str, str]]:
        """State and evidence of each circuit after ``minutes`` up to ``wall``."""
        interval = np.full(10, 15 * MINUTE)
        self.wall = wall
        for k in range(minutes):
            now = wall - (minutes - 1 - k) * MINUTE
            self.energised.step(MINUTE, now, self.reports, self.of_device, interval)
        return [
            (Supply(s).name, Evidence(e).name)
            for s, e in zip(self.energised.state, self.energised.by, strict=True)
        ]

    def say(self, **values: float) -> None:
        told = batch([{"device": 9, "time": self.wall, **cabinet_says(), **values}], CABINET)
        self.reports.observe(told, np.array([0]), np.array([9], dtype=np.int32), self.energised.now_ns)


def test_without_any_report_the_plan_decides_and_around_a_switching_nobody_knows() -> None:
    world = World()
    assert world.pass_time(NIGHT) == [("ON", "PLAN")] * 3
    assert world.pass_time(NOON) == [("OFF", "PLAN")] * 3
    assert world.pass_time(DUSK_GUARD) == [("UNKNOWN", "PLAN")] * 3


@pytest.mark.parametrize(
    ("said", "state", "evidence"),
    [
        ({"contactor_closed": 0.0}, "OFF", "CONTACTOR"),
        ({"contactor_closed": 1.0}, "ON", "CONTACTOR"),
        ({f"phase{n}_voltage": 2.0 for n in (1, 2, 3)}, "OFF", "NO_SUPPLY"),
        ({"contactor_closed": float("nan")}, "ON", "PLAN"),
    ],
)
def test_the_cabinet_outweighs_the_plan(said: dict[str, float], state: str, evidence: str) -> None:
    world = World()
    world.pass_time(NIGHT)
    world.say(**said)
    assert world.pass_time(NIGHT + MINUTE) == [(state, evidence)] * 3


@pytest.mark.parametrize("ahead", [0, 7 * 60 * MINUTE, 40 * 24 * 60 * MINUTE])
def test_what_a_cabinet_held_back_is_not_what_it_says_now(ahead: int) -> None:
    """Whether its clock is right, wrong, or so wrong that nobody believes it; all handed in at once."""
    world, own = World(), ahead == 0
    for k in range(6):
        world.pass_time(NIGHT + (5 * k + 1) * MINUTE, 5)
        world.say(contactor_closed=0.0, own=own, skew=ahead)
    for late in range(180, 9, -5):
        taken = world.wall - late * MINUTE if own else world.wall
        held = {"time": taken, "received": world.wall, "own": own, "skew": ahead - late * MINUTE}
        world.say(contactor_closed=1.0, **held)
    assert world.pass_time(world.wall) == [("OFF", "CONTACTOR")] * 3
    world.pass_time(world.wall + 4 * MINUTE, 4)
    world.say(contactor_closed=1.0, own=own, skew=ahead)
    assert world.pass_time(world.wall + MINUTE) == [("ON", "CONTACTOR")] * 3


def test_a_cabinet_whose_clock_was_set_back_is_heard_again_with_its_second_report() -> None:
    world = World()
    for k in range(4):
        world.pass_time(NIGHT + (5 * k + 1) * MINUTE, 5)
        world.say(contactor_closed=0.0, own=False, skew=7 * 60 * MINUTE)
    for minutes, state in ((5, "OFF"), (10, "ON")):
        world.pass_time(NIGHT + (16 + minutes) * MINUTE, 5)
        world.say(contactor_closed=1.0, skew=0)
        assert world.pass_time(world.wall) == [(state, "CONTACTOR")] * 3


def test_a_dead_phase_is_off_and_the_others_are_not() -> None:
    world = World()
    world.say(phase2_voltage=4.0)
    assert [state for state, _ in world.pass_time(NIGHT)] == ["ON", "OFF", "ON"]


def test_a_cabinet_that_says_nothing_for_long_is_believed_no_longer() -> None:
    world = World()
    world.say(contactor_closed=0.0)
    assert world.pass_time(NIGHT, 5) == [("OFF", "CONTACTOR")] * 3
    assert world.pass_time(NIGHT + 10 * MINUTE, 10) == [("ON", "PLAN")] * 3


def test_two_lamps_heard_long_after_the_planned_end_mean_power_and_one_does_not() -> None:
    world = World()
    world.pass_time(NOON, 5)
    world.energised.hear(np.arange(9, dtype=np.int32))
    assert [s for s, _ in world.pass_time(NOON + MINUTE)] == ["OFF"] * 3  # within the guard of 15 minutes
    world.pass_time(NOON + 20 * MINUTE, 19)
    world.energised.hear(np.array([0, 3, 1], dtype=np.int32))
    assert world.pass_time(NOON + 21 * MINUTE) == [("ON", "LAMPS"), ("OFF", "PLAN"), ("OFF", "PLAN")]
    assert world.energised.stray.tolist() == [True, False, False]
    assert [s for s, _ in world.pass_time(NOON + 50 * MINUTE, 29)] == ["OFF"] * 3


def test_lamps_are_not_judged_until_they_had_power_for_eight_minutes() -> None:
    world = World()
    world.pass_time(NIGHT)
    assert world.energised.settled().all()  # a gateway that starts at night knows of no switching
    world.say(contactor_closed=0.0)
    world.pass_time(NIGHT + MINUTE)
    world.say(contactor_closed=1.0)
    world.pass_time(NIGHT + 2 * MINUTE)
    assert not world.energised.settled().any()
    world.pass_time(NIGHT + 10 * MINUTE, 8)
    assert world.energised.settled().all()
