"""A table of columns is the sequence of values it was made of, whatever is asked of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.columns import NOT_THERE, Table
from gateway.fleet import Asset, Assignment, Device, Fleet, draft

NAMES = st.text("abcXYZ019_.:-", min_size=1, max_size=64)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ASSETS = st.lists(
    st.builds(
        Asset, NAMES, st.sampled_from(["light_point", "cabinet"]), TEXTS, NUMBERS, NUMBERS, TEXTS,
        pole_sequence=st.integers(0, 2**31), programme=TEXTS,
    ),
    max_size=30,
    unique_by=lambda asset: asset.id,
)  # fmt: skip


def table(assets: list[Asset]) -> Table[Asset]:
    return draft(Asset).extend(assets).table()


@given(ASSETS, st.integers(0, 30), st.integers(0, 30))
def test_what_comes_out_is_what_went_in(assets: list[Asset], first: int, end: int) -> None:
    made = table(assets)
    assert list(made) == assets
    assert [made[row] for row in range(len(made))] == assets
    assert list(made[first:end]) == assets[first:end]
    assert made == assets
    assert made[:1].words("area").words == tuple(asset.area for asset in assets[:1])
    assert made.words("area").equal("X").tolist() == [asset.area == "X" for asset in assets]
    assert made.numbers("latitude").tolist() == [asset.latitude for asset in assets]


@given(ASSETS, st.lists(NAMES, max_size=10))
def test_a_name_leads_to_its_row_and_a_strange_one_to_none(assets: list[Asset], strangers: list[str]) -> None:
    fleet = Fleet((), (), (), (), assets, (), ())
    expected = {asset.id: row for row, asset in enumerate(assets)}
    asked = [*expected, *strangers, ""]
    assert [fleet.asset_row.get(name, NOT_THERE) for name in asked] == [
        expected.get(name, NOT_THERE) for name in asked
    ]
    assert fleet.asset_row.rows(asked).tolist() == [expected.get(name, NOT_THERE) for name in asked]
    rows = np.array([*range(len(assets)), NOT_THERE])
    assert fleet.asset_ids(rows) == [*expected, ""]


def test_a_value_changed_makes_another_fleet_and_leaves_the_first() -> None:
    fleet = Fleet((), (), (), (), (), (Device("L1", "lamp"), Device("L2", "lamp")), ())
    other = replace(fleet, devices=(*fleet.devices[:1], Device("L2", "gauge")))
    assert [device.profile for device in fleet.devices] == ["lamp", "lamp"]
    assert other.devices != fleet.devices
    assert fleet.devices == (Device("L1", "lamp"), Device("L2", "lamp"))


def test_an_assignment_to_nothing_is_refused_when_it_is_looked_up() -> None:
    fleet = Fleet((), (), (), (), (), (Device("L1", "lamp"),), (Assignment("L1", "P1", 0, 1),))
    with pytest.raises(KeyError):
        fleet.assets_at(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int64))


def test_a_place_takes_less_than_a_hundred_bytes() -> None:
    count = 5000
    made = table(
        [Asset(f"LP-{n}", "light_point", f"ward-{n % 9}", 11.0, 106.0, "Lê Lợi") for n in range(count)]
    )
    columns = [made.ids("id").texts, *(made.numbers(name) for name in ("latitude", "longitude", "heads"))]
    columns += [made.numbers("pole_sequence"), made.numbers("rated_power_w")]
    columns += [made.words(name).codes for name in ("kind", "area", "road", "cabinet", "feeder", "programme")]
    assert sum(column.nbytes for column in columns) / count < 100
