"""The example city: big enough to look real, and exactly what its generator writes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gateway.fleet import Asset, Fleet
from gateway.inventory.directory import load_directory
from gateway.inventory.parser import parse
from simulators.city import inventory

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def city() -> Fleet:
    profiles = {path.name for path in (ROOT / "device_profiles").iterdir() if path.is_dir()}
    return load_directory(ROOT / "examples" / "new-city", profiles=profiles)


def test_the_committed_files_are_what_the_generator_writes() -> None:
    for name, text in inventory().items():
        assert (ROOT / "examples" / "new-city" / name).read_bytes() == text.encode(), name


def test_the_city_has_the_size_it_promises(city: Fleet) -> None:
    kinds = [asset.kind for asset in city.assets]
    counts = [kinds.count(kind) for kind in ("light_point", "cabinet", "sensor")]
    assert (*counts, len(city.feeders)) == (1200, 6, 60, 24)
    assert 0.55 < city.group_switched.sum() / 1200 < 0.75
    served = {assignment.asset for assignment in city.assignments}
    assert served == {asset.id for asset in city.assets}


def test_poles_stand_along_their_road_as_poles_do(city: Fleet) -> None:
    def metres(a: Asset, b: Asset) -> float:
        north = (b.latitude - a.latitude) * 111_195
        east = (b.longitude - a.longitude) * 111_195 * math.cos(math.radians(a.latitude))
        return math.hypot(north, east)

    for feeder in city.feeders:
        poles = [asset for asset in city.assets if asset.feeder == feeder.id]
        assert [pole.pole_sequence for pole in poles] == list(range(1, len(poles) + 1))
        assert {pole.phase for pole in poles} == set("ABC")
        if "Công viên" not in poles[0].road:  # same side of the road: every second pole
            spacing = [metres(a, b) for a, b in zip(poles, poles[2:], strict=False)]
            assert min(spacing) > 29
            assert max(spacing) < 36
    assert all(metres(asset, city.assets[0]) < 4000 for asset in city.assets)
    assert abs(city.assets[0].latitude - 11.05) < 0.03 and abs(city.assets[0].longitude - 106.68) < 0.03


@pytest.mark.parametrize(("light_points", "sensors"), [(1, 0), (20, 3), (1000, 60), (3000, 100)])
def test_a_city_of_any_size_holds_together(light_points: int, sensors: int) -> None:
    files = {name: text.encode() for name, text in inventory(light_points, sensors, seed=7).items()}
    kinds = [asset.kind for asset in parse(files).assets]
    assert kinds.count("light_point") == light_points
    assert kinds.count("sensor") == sensors
