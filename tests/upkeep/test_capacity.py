"""The calculator and the formulas of guarantees.md say the same."""

from __future__ import annotations

import pytest

from gateway.capacity import BROKER_AWAY_S, JOURNAL_BYTES, MESSAGE_BYTES, capacity
from gateway.fleet import Device, Fleet
from gateway.model import ProfileSpec
from gateway.sections import Journal, Settings

GIB = 1 << 30
LAMP = ProfileSpec("lamp", "luminaire", (), (), (), interval_s=60.0, silence_intervals=3, rules=())
FLEET = Fleet((), (), (), (), (), tuple(Device(f"L{n}", "lamp") for n in range(120_000)), ())


def figures(settings: Settings, free: int) -> dict[tuple[str, str], float]:
    return {(line.what, line.unit): line.value for line in capacity(settings, FLEET, [LAMP], free)}


def test_2000_messages_a_second_for_an_hour() -> None:
    found = figures(Settings(), 100 * GIB)
    assert found["messages", "per second"] == 2000
    assert found["broker queue", "messages"] == 2000 * BROKER_AWAY_S
    assert found["broker queue", "bytes"] == pytest.approx(1.8e9)
    assert found["journal", "bytes per hour"] == pytest.approx(0.43e9, rel=0.01)
    assert MESSAGE_BYTES / JOURNAL_BYTES > 4


@pytest.mark.parametrize(
    ("bytes_max", "free", "room"),
    [
        (0, 10 * GIB, 10 * GIB - (256 << 20)),
        (GIB, 10 * GIB, GIB),
        (20 * GIB, GIB, GIB - (256 << 20)),
        (0, 1, 0),
    ],
)
def test_the_store_may_be_away_for_as_long_as_the_smaller_bound_says(
    bytes_max: int, free: int, room: int
) -> None:
    settings = Settings(journal=Journal(bytes_max=bytes_max))
    found = figures(settings, free)
    hours = found["store away", "hours"]
    assert hours == pytest.approx(room / found["journal", "bytes per hour"])
