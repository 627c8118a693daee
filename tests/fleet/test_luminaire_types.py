"""Types of luminaires in ``luminaire_types.csv``: what they say, and what is refused with its line."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigurationErrors
from gateway.fleet import Fleet, LuminaireType
from gateway.inventory.parser import parse

TYPES = (
    "id,curve,virtual_output_pct,constant_light_start_pct,constant_light_hours\n"
    "LED-107,0=0.8 10=12 50=55 100=107,80,,\n"
    "LED-old,dali,,80,60000\n"
)
FILES = {
    "areas.csv": "code,name\nhoa-phu,Hòa Phú\n",
    "cabinets.csv": "id,area,latitude,longitude\nCB-1,hoa-phu,11.05,106.68\n",
    "feeders.csv": "id,cabinet,group_switched\nF1,CB-1,yes\n",
    "programmes.csv": "id,switch\nnight,astronomical\n",
    "light_points.csv": (
        "id,area,latitude,longitude,feeder,phase,pole_sequence,rated_power_w,programme,heads,luminaire_type\n"
        "LP-1,hoa-phu,11.0501,106.6801,F1,A,1,214,night,2,LED-107\n"
        "LP-2,hoa-phu,11.0502,106.6803,F1,B,2,150,night,1,LED-old\n"
        "LP-3,hoa-phu,11.0503,106.6805,F1,B,3,150,night,1,\n"
    ),
    "devices.csv": "id,profile\n",
    "assignments.csv": "device,asset\n",
}


def read(types: str = TYPES, points: str = FILES["light_points.csv"]) -> Fleet:
    texts = FILES | {"luminaire_types.csv": types, "light_points.csv": points}
    return parse({name: text.encode() for name, text in texts.items()})


def test_a_table_a_law_virtual_output_and_constant_light_are_read() -> None:
    fleet = read()
    assert fleet.luminaire_types == (
        LuminaireType("LED-107", "table", ((0, 0.8), (10, 12), (50, 55), (100, 107)), 0.8),
        LuminaireType("LED-old", "dali", (), 1.0, 0.8, 60_000.0),
    )
    kinds = [asset.luminaire_type for asset in fleet.assets if asset.kind == "light_point"]
    assert kinds == ["LED-107", "LED-old", ""]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("50=55", "50=5", "luminaire_types.csv:2: curve: is not monotonic: its power falls"),
        ("0=0.8 10=12", "10=12 0=0.8", "luminaire_types.csv:2: curve: its levels do not rise"),
        (" 100=107", " 90=107", "luminaire_types.csv:2: curve: does not reach 100 %"),
        ("50=55", "50:55", "luminaire_types.csv:2: curve: '50:55' is no point"),
        ("50=55", "50=nan", "luminaire_types.csv:2: curve: '50=nan' is no point"),
        ("dali", "logarithmic", "luminaire_types.csv:3: curve: 'logarithmic' is no point"),
        (",80,60000", ",80,", "luminaire_types.csv:3: constant_light_hours: goes with"),
        (
            "107,80,",
            "107,800,",
            "luminaire_types.csv:2: virtual_output_pct: '800' is no number from 10 to 100",
        ),
        ("LED-old", "LED-107", "luminaire_types.csv:3: id: 'LED-107' is there twice"),
        ("LED-old", "LED-new", "light_points.csv:3: luminaire_type: 'LED-old' is no type of luminaire"),
        ("100=107", "100=150", "light_points.csv:2: rated_power_w: 214 W, but 2 x 'LED-107' draw 300 W"),
    ],
)
def test_a_mistake_is_named_with_line_and_column(right: str, wrong: str, said: str) -> None:
    assert right in TYPES
    with pytest.raises(ConfigurationErrors) as refused:
        read(TYPES.replace(right, wrong, 1))
    assert said in str(refused.value)
