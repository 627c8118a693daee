"""The gateway in a world that is only trouble, seed by seed; see docs/simulation.md.

A failing seed is printed and played again by ``python -m tests.simulation SEED``; once mended it goes into
``regressions.txt``, which is played in every run.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from scenario import play
from virtual_time import SECOND, SimulatedLoop, World

SEEDS_AT_LEAST = 6
SECONDS = float(os.environ.get("SIMULATION_S", "15"))
FIRST = int(os.environ.get("SIMULATION_SEED", "1"))
REGRESSIONS = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "regressions.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_a_seed_that_once_failed_holds(seed: int) -> None:
    play(seed)


def test_seeds_in_a_row_hold() -> None:
    """As many as fit into the time there is; SIMULATION_SEED says where they begin."""
    began, seed = time.monotonic(), FIRST
    while seed < FIRST + SEEDS_AT_LEAST or time.monotonic() - began < SECONDS:
        play(seed)
        seed += 1
    print(f"seeds {FIRST} to {seed - 1} held")


def test_the_same_seed_gives_the_same_run() -> None:
    one, two = play(7), play(7)
    assert one.judge.looks == two.judge.looks
    own = (str(one.plant.directory), str(two.plant.directory))
    assert one.happened == [line.replace(own[1], own[0]) for line in two.happened]
    assert one.plant.disk.records == two.plant.disk.records
    assert one.plant.server.points == two.plant.server.points


def test_simulated_time_moves_only_when_nothing_is_due() -> None:
    world = World(1)
    loop = world.loop = SimulatedLoop(world, lambda factory: None)
    seen: list[tuple[str, int]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, round(loop.time())))

    tasks = [loop.create_task(sleeper("year", 365 * 86_400)), loop.create_task(sleeper("hour", 3600))]
    world.after(60, lambda: seen.append(("minute", world.now_ns // SECOND)))
    while not all(task.done() for task in tasks):
        world.step()
    loop.close()
    assert seen == [("minute", 60), ("hour", 3600), ("year", 365 * 86_400)]
