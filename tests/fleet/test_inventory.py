"""An inventory a city would import: what is read, and what is said about each mistake."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError, ConfigurationErrors
from gateway.fleet import BENCH, Fleet
from gateway.inventory import schema
from gateway.inventory.difference import difference
from gateway.inventory.directory import load_directory, read_directory
from gateway.inventory.parser import parse
from gateway.model import nanoseconds

SMALL = {
    "areas.csv": "code,name,parent\ntpm,Thành phố mới,\nhoa-phu,Hòa Phú,tpm\n",
    "cabinets.csv": "id,area,latitude,longitude,name\nCB-1,hoa-phu,11.05,106.68,Tủ 1\n",
    "feeders.csv": "id,cabinet,group_switched,phases\nF1,CB-1,yes,ABC\nF2,CB-1,no,A\n",
    "programmes.csv": "id,switch,steps,on,off\nnight,astronomical,22:00=70 04:30=100,,\n"
    "fix,fixed,,18:00,05:30\n",
    "light_points.csv": (
        "id,area,latitude,longitude,feeder,phase,pole_sequence,rated_power_w,programme,road,heads\n"
        "LP-1,hoa-phu,11.0501,106.6801,F1,A,1,107,night,Lê Lợi,1\n"
        "LP-2,hoa-phu,11.0502,106.6803,F1,B,2,240.5,night,Lê Lợi,2\n"
    ),
    "sensors.csv": "id,area,latitude,longitude,road\nSN-1,hoa-phu,11.0503,106.6805,Lê Lợi\n",
    "devices.csv": "id,profile\nLC-1,luminaire-controller\n"
    "LC-2,luminaire-controller\nLC-9,luminaire-controller\n",
    "assignments.csv": (
        "device,asset,from,to\n"
        "LC-1,LP-1,,2026-06-15T09:00:00+07:00\n"
        "LC-9,LP-1,2026-06-15T09:00:00+07:00,\n"
        "LC-2,LP-2,,\n"
    ),
}


def bytes_of(texts: dict[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in texts.items()}


def small(**changes: str) -> Fleet:
    """SMALL with files replaced: ``feeders="..."`` stands for ``feeders.csv``."""
    return parse(bytes_of(SMALL | {f"{name}.csv": text for name, text in changes.items()}))


def complaint(**changes: str) -> str:
    with pytest.raises(ConfigurationErrors) as caught:
        small(**changes)
    return str(caught.value)


def test_everything_of_a_light_point_is_read() -> None:
    fleet = small()
    point = fleet.assets[fleet.asset_row["LP-2"]]
    assert (point.kind, point.area, point.road) == ("light_point", "hoa-phu", "Lê Lợi")
    assert (point.cabinet, point.feeder, point.phase, point.pole_sequence) == ("CB-1", "F1", "B", 2)
    assert (point.rated_power_w, point.heads, point.programme) == (240.5, 2, "night")
    assert fleet.programme_by_id["night"].steps == ((1320, 70.0), (270, 100.0))
    assert (fleet.programme_by_id["fix"].on_minute, fleet.programme_by_id["fix"].off_minute) == (1080, 330)
    assert fleet.area_by_code["hoa-phu"].parent == "tpm"
    assert [bool(s) for s in fleet.group_switched] == [False, True, True, False]


def test_a_device_serves_the_asset_of_its_assignment_at_that_time() -> None:
    fleet = small()
    swap = nanoseconds("2026-06-15T02:00:00Z")
    devices = np.array(
        [fleet.device_row[d] for d in ("LC-1", "LC-1", "LC-9", "LC-9", "LC-2")], dtype=np.int32
    )
    times = np.array([swap - 1, swap, swap - 1, swap, swap])
    rows = fleet.assets_at(devices, times)
    assert [fleet.assets[r].id if r != BENCH else "bench" for r in rows] == [
        "LP-1",
        "bench",
        "bench",
        "LP-1",
        "LP-2",
    ]


MISTAKES = [
    ("light_points", "F1,B,2", "F99,B,2", "light_points.csv:3: feeder: 'F99' is no feeder"),
    ("light_points", "F1,B,2", "F2,B,2", "light_points.csv:3: phase: 'B' is no phase of the feeder"),
    ("light_points", "LP-2", "LP-1", "light_points.csv:3: id: 'LP-1' is there twice"),
    (
        "light_points",
        "LP-2",
        "CB-1",
        "light_points.csv:3: id: 'CB-1' is there twice, first at cabinets.csv:2",
    ),
    ("light_points", "LP-2", "LP#2", "light_points.csv:3: id: 'LP#2' is no id"),
    ("light_points", "11.0502,106.6803", "106.6803,11.0502", "light_points.csv:3: latitude: '106.6803'"),
    ("light_points", "11.0502,106.6803", "0,0", "light_points.csv:3: latitude: 0, 0 is in the ocean"),
    ("light_points", "240.5", "nan", "light_points.csv:3: rated_power_w: 'nan' is no number"),
    ("light_points", "240.5", "-5", "light_points.csv:3: rated_power_w: '-5' is no number from 1"),
    ("light_points", "night,Lê Lợi,2", "nihgt,Lê Lợi,2", "light_points.csv:3: programme: 'nihgt' is no"),
    ("light_points", "hoa-phu,11.0502", "x,11.0502", "light_points.csv:3: area: 'x' is no area"),
    ("light_points", "Lê Lợi,2", "L§ Lîi,2", "light_points.csv:3: road: 'L§ Lîi' looks like a TCVN3 or VNI"),
    ("light_points", "Lê Lợi,2", "Leâ Lôïi Nöôùc,2", "looks like a TCVN3 or VNI font"),
    ("light_points", "Lê Lợi,2", "Lê Lợi", "light_points.csv:3: 10 cells, the header has 11"),
    ("light_points", ",heads", ",haeds", "light_points.csv:1: haeds: unknown column"),
    ("light_points", "pole_sequence,", "", "light_points.csv:1: pole_sequence: the column is missing"),
    ("cabinets", "CB-1,hoa-phu", "CB-1,nowhere", "cabinets.csv:2: area: 'nowhere' is no area"),
    (
        "feeders",
        "F1,CB-1,yes",
        "F1,CB-1,maybe",
        "feeders.csv:2: group_switched: 'maybe' is neither yes nor no",
    ),
    (
        "light_points",
        "F1,B,2,240.5,night",
        "F1,A,2,240.5,fix",
        "light_points.csv:3: programme: phase A of the switched feeder F1 has another one at 'LP-1'",
    ),
    ("feeders", "yes,ABC", "yes,ABD", "feeders.csv:2: phases: 'ABD' are no phases"),
    ("programmes", "22:00=70", "25:00=70", "programmes.csv:2: steps: '25:00' is no time of day"),
    ("programmes", "22:00=70 04:30=100", "04:30=100 22:00=70", "not in order of the evening"),
    (
        "programmes",
        "fixed,,18:00,05:30",
        "fixed,,18:00,18:00",
        "programmes.csv:3: off: the light would never",
    ),
    (
        "areas",
        "hoa-phu,Hòa Phú,tpm",
        "hoa-phu,Hòa Phú,hoa-phu",
        "areas.csv:3: parent: the areas form a circle",
    ),
    ("assignments", "LC-2,LP-2", "LC-2,LP-7", "assignments.csv:4: asset: 'LP-7' is no light point"),
    ("assignments", "LC-2,LP-2", "LC-9,LP-2", "assignments.csv:3: from: 'LC-9' is already at 'LP-2'"),
    ("assignments", ",2026-06-15T09:00:00+07:00\nLC-9", ",2026-06-15\nLC-9", "is no time with a zone"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "said"), MISTAKES)
def test_a_mistake_is_named_with_line_and_column(file: str, right: str, wrong: str, said: str) -> None:
    text = SMALL[f"{file}.csv"]
    assert right in text
    assert said in complaint(**{file: text.replace(right, wrong, 1)})


def test_an_unknown_profile_is_a_mistake_when_the_profiles_are_known() -> None:
    with pytest.raises(ConfigurationErrors, match=r"devices.csv:2: profile: 'luminaire-controller' is no"):
        parse(bytes_of(SMALL), profiles={"noise"})


def test_many_mistakes_come_in_one_go_and_are_bounded() -> None:
    header, row, _ = SMALL["light_points.csv"].split("\n", 2)
    rows = "\n".join(row.replace("LP-1", f"LP-{n}").replace(",F1,", ",F99,") for n in range(80))
    said = complaint(light_points=f"{header}\n{rows}\n").splitlines()
    assert len(said) == 51
    assert said[0].startswith("light_points.csv:2: feeder:")
    assert said[49].startswith("light_points.csv:51: feeder:") or "phase" in said[49]
    assert said[50].startswith("... and ")


def test_a_missing_and_an_unknown_file_are_named() -> None:
    files = bytes_of(SMALL)
    files["light_points.cvs"] = files.pop("light_points.csv")
    with pytest.raises(ConfigurationErrors, match=r"light_points.cvs: no file of an inventory") as caught:
        parse(files)
    assert "light_points.csv: the file is missing" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_a_vietnamese_spreadsheet_saves_is_the_same_fleet(encoding: str, separator: str) -> None:
    def saved(text: str) -> bytes:
        cells = [line.split(",") for line in text.split("\n")]
        decimal = [[c.replace(".", ",") if c.replace(".", "").isdigit() else c for c in row] for row in cells]
        decomposed = unicodedata.normalize("NFD", "\r\n".join(separator.join(row) for row in decimal))
        return decomposed.encode(encoding)

    assert parse({name: saved(text) for name, text in SMALL.items()}) == small()


def test_text_that_is_not_unicode_is_refused_with_its_line() -> None:
    files = bytes_of(SMALL)
    files["areas.csv"] = b"code,name,parent\ntpm,ok,\nx,\xb5\xa1\xff,\n"
    with pytest.raises(ConfigurationErrors, match=r"areas.csv:3: the text is not Unicode"):
        parse(files)


def geojson(*features: dict[str, object], **more: object) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)} | more, indent=1).encode()


def point(**properties: object) -> dict[str, object]:
    values = {"id": "LP-1", "area": "hoa-phu", "feeder": "F1", "phase": "A", "pole_sequence": 1}
    values |= {"rated_power_w": 107, "programme": "night", "road": "Lê Lợi", "heads": 1} | properties
    geometry = {"type": "Point", "coordinates": [106.6801, 11.0501]}
    return {"type": "Feature", "geometry": geometry, "properties": values}


def test_geojson_gives_the_same_light_point_as_csv() -> None:
    files = bytes_of(SMALL | {"assignments.csv": "device,asset,from,to\n"})
    files["light_points.csv"] = b"\n".join(files["light_points.csv"].split(b"\n")[:2]) + b"\n"
    from_csv = parse(files)
    del files["light_points.csv"]
    files["light_points.geojson"] = geojson(point())
    assert parse(files) == from_csv


def test_mistakes_in_geojson_name_line_and_feature() -> None:
    files = bytes_of(SMALL)
    del files["light_points.csv"]
    files["light_points.geojson"] = geojson(point(), point(id="LP-2", feeder="F99"))
    rows = files["light_points.geojson"].split(b"\n")
    line = [number for number, row in enumerate(rows, 1) if row == b"  {"][1]
    with pytest.raises(
        ConfigurationErrors, match=rf"light_points.geojson:{line} \(feature 2\): feeder: 'F99'"
    ):
        parse(files)
    files["light_points.geojson"] = geojson(point(), crs={"name": "VN-2000"})
    with pytest.raises(ConfigurationErrors, match="crs: a reference system is named"):
        parse(files)


@given(st.sampled_from(sorted(SMALL)), st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_configuration_error(name: str, data: bytes) -> None:
    try:
        parse(bytes_of(SMALL) | {name: data})
    except ConfigurationErrors as error:
        assert error.count >= 1


@given(st.binary(max_size=80), st.integers(0, 600))
def test_no_damaged_geojson_makes_anything_but_a_configuration_error(data: bytes, at: int) -> None:
    files = bytes_of(SMALL)
    del files["light_points.csv"]
    good = geojson(point(), point(id="LP-2"))
    try:
        parse(files | {"light_points.geojson": good[:at] + data + good[at:]})
    except ConfigurationErrors as error:
        assert error.count >= 1


def test_difference_names_what_a_reload_changes() -> None:
    before = small()
    text = SMALL["light_points.csv"].replace("107", "150").replace("LP-2", "LP-3")
    moves = SMALL["assignments.csv"].replace("LC-2,LP-2", "LC-2,LP-3")
    change = difference(before, small(light_points=text, assignments=moves))
    assert (change.assets.added, change.assets.removed, change.assets.changed) == (
        ("LP-3",),
        ("LP-2",),
        ("LP-1",),
    )
    assert change.assignments.changed == ("LC-2",)
    assert change
    assert not change.devices
    assert not difference(before, small())


def test_a_directory_is_read_by_its_known_names_only(tmp_path: Path) -> None:
    for name, text in SMALL.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "README.md").write_text("not an inventory file")
    assert load_directory(tmp_path) == small()
    assert set(read_directory(tmp_path)) == set(SMALL)
    with pytest.raises(ConfigurationError, match="no such directory"):
        load_directory(tmp_path / "elsewhere")


def test_every_column_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "inventory.md").read_text(encoding="utf-8")
    for table in schema.FILES:
        section = text.split(f"## `{table.file}`", 1)[1].split("\n## ", 1)[0]
        assert [name for name in table.columns if f"`{name}`" not in section and name != "note"] == []
