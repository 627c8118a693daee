"""The whole inventory. In: file contents by name. Out: a Fleet that holds together, or every mistake in it.

References are resolved here and nowhere else: a Fleet has no dangling feeder, no id twice, no device in
two places at once. Never reads a disk, never reads a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from gateway.fleet import Area, Asset, Assignment, Cabinet, Device, Feeder, Fleet, LuminaireType, Programme
from gateway.inventory import schema
from gateway.inventory.cells import Cells
from gateway.inventory.geojson import read_features
from gateway.inventory.luminaires import contradicts, luminaire_type
from gateway.inventory.problems import Problems
from gateway.inventory.schema import FileSchema
from gateway.inventory.table import Record, read_table

SWITCHES = ("astronomical", "photocell", "fixed")
ALWAYS_FROM, ALWAYS_TO = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
"""Ends of an assignment whose ``from`` or ``to`` is empty."""

_PHASES = "ABC"


@dataclass
class _Draft:
    """What has been read so far; keys are ids, so that later files can refer to earlier ones."""

    problems: Problems
    areas: dict[str, Area] = field(default_factory=dict)
    cabinets: dict[str, Cabinet] = field(default_factory=dict)
    feeders: dict[str, Feeder] = field(default_factory=dict)
    programmes: dict[str, Programme] = field(default_factory=dict)
    types: dict[str, LuminaireType] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    assignments: list[tuple[Assignment, str]] = field(default_factory=list)
    lines: dict[tuple[str, str], str] = field(default_factory=dict)

    def is_new(self, kind: str, cells: Cells, key: str, name: str) -> bool:
        """False, with a problem that names the first line, where ``name`` was taken before."""
        first = self.lines.setdefault((kind, name), cells.where)
        if first != cells.where:
            cells.problem(key, f"{name!r} is there twice, first at {first}", "give each its own id")
        return first == cells.where

    def refer(self, known: Collection[str], cells: Cells, key: str, what: str, file: str) -> str:
        """The id in column ``key``, which must be one of ``known``."""
        name = cells.text(key)
        if name not in known:
            cells.problem(key, f"{name!r} is no {what}", f"add it to {file} or mend the spelling")
        return name


def parse(
    files: Mapping[str, bytes],
    *,
    profiles: Collection[str] | None = None,
    time_zone: str = "Asia/Ho_Chi_Minh",
    problems_max: int = 50,
) -> Fleet:
    """The fleet of ``files`` (name to content, see docs/inventory.md).

    ``profiles`` are the known profile names; None leaves them unchecked. Raises ConfigurationErrors with at
    most ``problems_max`` lines like ``light_points.csv:57: feeder: 'F99' is no feeder; add it to ...``.
    """
    draft = _Draft(Problems(problems_max))
    _refuse_unknown(files, draft.problems)
    records = {table.file: _records(files, table, draft.problems) for table in schema.FILES}
    draft.problems.raise_if_any()  # a broken table would only make every reference to it look wrong

    def cells(table: FileSchema) -> Iterator[Cells]:
        return (Cells(record, draft.problems) for record in records[table.file])

    for row in cells(schema.AREAS):
        _area(draft, row)
    _check_parents(draft, records[schema.AREAS.file])
    for row in cells(schema.CABINETS):
        _cabinet(draft, row)
    for row in cells(schema.FEEDERS):
        _feeder(draft, row)
    for row in cells(schema.PROGRAMMES):
        _programme(draft, row)
    for row in cells(schema.LUMINAIRE_TYPES):
        kind = luminaire_type(row)
        if draft.is_new("luminaire type", row, "id", kind.id):
            draft.types[kind.id] = kind
    for row in cells(schema.LIGHT_POINTS):
        _light_point(draft, row)
    for row in cells(schema.SENSORS):
        _sensor(draft, row)
    for row in cells(schema.DEVICES):
        _device(draft, row, profiles)
    for row in cells(schema.ASSIGNMENTS):
        _assignment(draft, row)
    _refuse_overlaps(draft)
    _refuse_two_switchings(draft)
    draft.problems.raise_if_any()
    return Fleet(
        areas=tuple(draft.areas.values()),
        cabinets=tuple(draft.cabinets.values()),
        feeders=tuple(draft.feeders.values()),
        programmes=tuple(draft.programmes.values()),
        assets=tuple(draft.assets.values()),
        devices=tuple(draft.devices.values()),
        assignments=tuple(assignment for assignment, _ in draft.assignments),
        time_zone=time_zone,
        luminaire_types=tuple(draft.types.values()),
    )


def _refuse_unknown(files: Mapping[str, bytes], problems: Problems) -> None:
    known = {name for table in schema.FILES for name in (table.file, table.geojson) if name}
    known.add(schema.RULES)
    for name in sorted(set(files) - known):
        problems.add(name, "", "no file of an inventory", f"known are {', '.join(sorted(known))}")


def _records(files: Mapping[str, bytes], table: FileSchema, problems: Problems) -> list[Record]:
    if table.file in files and table.geojson in files:
        problems.add(table.geojson, "", f"{table.file} is there as well", "keep one of the two")
    elif table.geojson in files:
        return read_features(files[table.geojson], table, problems)
    elif table.file in files:
        return read_table(files[table.file], table, problems)
    elif table.mandatory:
        problems.add(table.file, "", "the file is missing", f"write it with the header {table.header}")
    return []


def _area(draft: _Draft, row: Cells) -> None:
    code = row.identifier("code")
    if not row.text("name"):
        row.problem("name", "empty", "name the area")
    if draft.is_new("area", row, "code", code):
        draft.areas[code] = Area(code, row.text("name"), row.text("parent"))


def _check_parents(draft: _Draft, records: list[Record]) -> None:
    for record in records:
        row = Cells(record, draft.problems)
        if row.text("parent"):
            parent = draft.refer(draft.areas, row, "parent", "area", schema.AREAS.file)
            seen = {row.text("code")}
            while parent in draft.areas and parent not in seen:
                seen.add(parent)
                parent = draft.areas[parent].parent
            if parent in seen:
                row.problem("parent", "the areas form a circle", "let the topmost area have no parent")


def _place(draft: _Draft, row: Cells) -> tuple[str, float, float]:
    """Area, latitude, longitude; catches the two coordinates swapped or left at zero."""
    area = draft.refer(draft.areas, row, "area", "area", schema.AREAS.file)
    before = draft.problems.count
    latitude, longitude = row.latitude(), row.longitude()
    if draft.problems.count == before and latitude == 0 and longitude == 0:
        row.problem("latitude", "0, 0 is in the ocean", "write the position in WGS84 degrees")
    return area, latitude, longitude


def _cabinet(draft: _Draft, row: Cells) -> None:
    name = row.identifier("id")
    area, latitude, longitude = _place(draft, row)
    if draft.is_new("asset", row, "id", name):
        draft.cabinets[name] = Cabinet(name, area, latitude, longitude, row.text("name"))
        draft.assets[name] = Asset(
            name, "cabinet", area, latitude, longitude, road=row.text("road"), cabinet=name
        )


def _feeder(draft: _Draft, row: Cells) -> None:
    name = row.identifier("id")
    cabinet = draft.refer(draft.cabinets, row, "cabinet", "cabinet", schema.CABINETS.file)
    phases = row.text("phases").upper() or _PHASES
    if not set(phases) <= set(_PHASES) or len(set(phases)) != len(phases):
        row.problem("phases", f"{phases!r} are no phases", "write A, B, C or several of them, like ABC")
    group_switched = row.boolean("group_switched")
    if draft.is_new("feeder", row, "id", name):
        draft.feeders[name] = Feeder(name, cabinet, group_switched, phases)


def _programme(draft: _Draft, row: Cells) -> None:
    name = row.identifier("id")
    switch = row.choice("switch", SWITCHES)
    steps = []
    for step in row.text("steps").split():
        clock, equals, level = step.partition("=")
        percent = level.removesuffix("%")
        if not equals or not percent.isdecimal() or int(percent) > 100:
            row.problem("steps", f"{step!r} is no step", "write steps like '22:00=70 23:30=50 04:30=100'")
            continue
        steps.append((row.minute_of("steps", clock), float(percent)))
    of_evening = [(minute - 720) % 1440 for minute, _ in steps]
    if any(later <= earlier for earlier, later in pairwise(of_evening)):
        row.problem("steps", "the steps are not in order of the evening", "begin after noon")
    on, off = 0, 0
    if switch == "fixed":
        on, off = row.minute("on"), row.minute("off")
        if on == off:
            row.problem("off", "the light would never be on", "let 'off' differ from 'on'")
    elif row.text("on") or row.text("off"):
        row.problem("on", f"has no meaning with {switch!r}", "leave 'on' and 'off' empty or write fixed")
    if draft.is_new("programme", row, "id", name):
        draft.programmes[name] = Programme(name, switch, tuple(steps), on, off)


def _light_point(draft: _Draft, row: Cells) -> None:
    name = row.identifier("id")
    area, latitude, longitude = _place(draft, row)
    feeder, phase = _circuit(draft, row)
    programme = draft.refer(draft.programmes, row, "programme", "programme", schema.PROGRAMMES.file)
    asset = Asset(
        id=name,
        kind="light_point",
        area=area,
        latitude=latitude,
        longitude=longitude,
        road=row.text("road"),
        cabinet=draft.feeders[feeder].cabinet if feeder in draft.feeders else "",
        feeder=feeder,
        phase=phase,
        pole_sequence=row.integer("pole_sequence", 0, 100_000),
        rated_power_w=row.number("rated_power_w", 1, 5000),
        heads=row.integer("heads", 1, 24, 1),
        programme=programme,
        luminaire_type=row.text("luminaire_type"),
    )
    _check_type(draft, row, asset)
    if draft.is_new("asset", row, "id", name):
        draft.assets[name] = asset


def _check_type(draft: _Draft, row: Cells, asset: Asset) -> None:
    if not asset.luminaire_type:
        return
    name = draft.refer(draft.types, row, "luminaire_type", "type of luminaire", schema.LUMINAIRE_TYPES.file)
    if name in draft.types:
        problem = contradicts(draft.types[name], asset.rated_power_w, asset.heads)
        if problem:
            row.problem("rated_power_w", problem, "mend the power, the heads or the type")


def _circuit(draft: _Draft, row: Cells) -> tuple[str, str]:
    """Feeder and phase; the phase must be one the feeder carries."""
    feeder = draft.refer(draft.feeders, row, "feeder", "feeder", schema.FEEDERS.file)
    phase = row.text("phase").upper()
    carried = draft.feeders[feeder].phases if feeder in draft.feeders else _PHASES
    if len(phase) != 1 or phase not in carried:
        row.problem("phase", f"{phase!r} is no phase of the feeder", f"write one of {', '.join(carried)}")
    return feeder, phase


def _sensor(draft: _Draft, row: Cells) -> None:
    name = row.identifier("id")
    area, latitude, longitude = _place(draft, row)
    feeder, phase = _circuit(draft, row) if row.text("feeder") else ("", "")
    cabinet = draft.feeders[feeder].cabinet if feeder in draft.feeders else ""
    if draft.is_new("asset", row, "id", name):
        draft.assets[name] = Asset(
            name,
            "sensor",
            area,
            latitude,
            longitude,
            road=row.text("road"),
            cabinet=cabinet,
            feeder=feeder,
            phase=phase,
        )


def _device(draft: _Draft, row: Cells, profiles: Collection[str] | None) -> None:
    name, profile = row.identifier("id"), row.identifier("profile")
    if profiles is not None and profile not in profiles:
        row.problem(
            "profile", f"{profile!r} is no device profile", f"known are {', '.join(sorted(profiles))}"
        )
    if draft.is_new("device", row, "id", name):
        draft.devices[name] = Device(name, profile)


def _assignment(draft: _Draft, row: Cells) -> None:
    device = draft.refer(draft.devices, row, "device", "device", schema.DEVICES.file)
    asset = draft.refer(draft.assets, row, "asset", "light point, cabinet or sensor", "the inventory")
    start, end = row.instant_ns("from", ALWAYS_FROM), row.instant_ns("to", ALWAYS_TO)
    if start >= end:
        row.problem("to", "the assignment ends before it begins", "let 'to' be later than 'from'")
    draft.assignments.append((Assignment(device, asset, start, end), row.where))


def _refuse_overlaps(draft: _Draft) -> None:
    """A device is in one place at a time; an asset may carry several devices."""
    order = sorted(draft.assignments, key=lambda item: (item[0].device, item[0].from_ns))
    for (before, first), (after, second) in pairwise(order):
        if before.device == after.device and after.from_ns < before.to_ns:
            draft.problems.add(
                second,
                "from",
                f"{after.device!r} is already at {before.asset!r} then ({first})",
                "end the earlier assignment with 'to'",
            )


def _refuse_two_switchings(draft: _Draft) -> None:
    """A switched phase has one contactor: its lamps can not be due at different times."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for asset in draft.assets.values():
        feeder, programme = draft.feeders.get(asset.feeder), draft.programmes.get(asset.programme)
        if feeder is None or programme is None or not feeder.group_switched:
            continue
        dark = [(minute, level == 0) for minute, level in programme.steps]
        edges = dark if any(off for _, off in dark) else []
        switching = f"{programme.switch} {programme.on_minute} {programme.off_minute} {edges}"
        circuit = asset.feeder, asset.phase
        before, name = first.setdefault(circuit, (switching, asset.id))
        if before != switching:
            draft.problems.add(
                draft.lines["asset", asset.id],
                "programme",
                f"phase {asset.phase} of the switched feeder {asset.feeder} has another one at {name!r}",
                "let all lamps of a switched phase have one switching, or mark the feeder as not switched",
            )
