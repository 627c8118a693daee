"""Regulation files: dated tables of limits. In: TOML text. Out: a checked Regulation.

Every mistake is a ConfigurationError with file, key and remedy. Never reads a file, never judges.
"""

from __future__ import annotations

import math
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, Strict

from gateway.decode.lines import line_of
from gateway.decode.profile import Complaint, table_of
from gateway.decode.schema import FiniteFloat, Identifier, Name, Table
from gateway.errors import ConfigurationError
from gateway.model import Severity
from gateway.regulation import AirEdition, Grade, NoiseEdition, Regulation

EDITIONS_MAX = 50
HOURS = 24

Hour = Annotated[int, Field(ge=0, lt=HOURS)]
CurveTable = Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=2, max_length=32)]


class GradeTable(Table):
    above: FiniteFloat
    severity: Annotated[Severity, Strict(False)]
    vi: Annotated[str, Field(min_length=1, max_length=60)]
    en: Annotated[str, Field(min_length=1, max_length=60)]


class LimitTable(Table):
    zone: Identifier
    from_h: Hour
    to_h: Hour
    laeq: Annotated[float, Field(gt=0, le=140)]


class EditionTable(Table):
    valid_from: date
    source: Annotated[str, Field(min_length=1, max_length=200)]
    index: CurveTable | None = None
    particles: Annotated[list[Identifier], Field(min_length=1, max_length=8)] | None = None
    points: Annotated[dict[Identifier, CurveTable], Field(min_length=1, max_length=32)] | None = None
    grade: Annotated[list[GradeTable], Field(min_length=1, max_length=16)] | None = None
    limit: Annotated[list[LimitTable], Field(min_length=1, max_length=200)] | None = None


class RegulationTable(Table):
    name: Name
    kind: Literal["air_quality_index", "noise_limit"]
    edition: Annotated[list[EditionTable], Field(min_length=1, max_length=EDITIONS_MAX)]


_AIR, _NOISE = ("index", "particles", "points", "grade"), ("limit",)


def read(text: str, file: str) -> Regulation:
    """The regulation that ``text`` describes; raises ConfigurationError."""
    table = table_of(text, file, RegulationTable)
    air: list[AirEdition] = []
    noise: list[NoiseEdition] = []
    needed = _AIR if table.kind == "air_quality_index" else _NOISE
    for number, edition in enumerate(table.edition, 1):

        def wrong(key: str, problem: str, remedy: str, at: str = f"edition.{number}") -> ConfigurationError:
            key = f"{at}.{key}"
            return ConfigurationError(file, key, problem, remedy, line=line_of(text, key))

        for key in (*_AIR, *_NOISE):
            if (getattr(edition, key) is None) is (key in needed):
                remedy = "add it" if key in needed else "remove it"
                raise wrong(key, f"does not go with kind {table.kind!r}", remedy)
        if needed is _AIR:
            air.append(_air(edition, wrong))
        else:
            noise.append(_noise(edition, wrong))
    days = [edition.valid_from for edition in table.edition]
    for number, (earlier, later) in enumerate(pairwise(days), 2):
        if earlier >= later:
            key = f"edition.{number}.valid_from"
            remedy = "list editions from the oldest to the newest"
            raise ConfigurationError(
                file, key, "is not after the one before", remedy, line=line_of(text, key)
            )
    return Regulation(table.name, tuple(air), tuple(noise))


def _air(edition: EditionTable, wrong: Complaint) -> AirEdition:
    assert edition.index is not None and edition.points is not None
    assert edition.particles is not None and edition.grade is not None
    for name, curve in (("index", edition.index), *edition.points.items()):
        key = name if name == "index" else f"points.{name}"
        if len(curve) > len(edition.index):
            raise wrong(key, "has more points than the index", "write one for each value of index, or fewer")
        if any(low >= high for low, high in pairwise(curve)):
            raise wrong(key, "does not rise", "write the points from the least to the greatest")
    for name in edition.particles:
        if name not in edition.points:
            raise wrong("particles", f"{name!r} has no points", "name pollutants that have some")
    limits = [grade.above for grade in edition.grade]
    if sorted(set(limits)) != limits:
        raise wrong("grade", "do not rise", "list grades from the least to the worst")
    return AirEdition(
        edition.valid_from,
        edition.source,
        tuple(edition.index),
        {name: tuple(curve) for name, curve in edition.points.items()},
        tuple(edition.particles),
        tuple(Grade(g.above, g.severity, g.vi, g.en) for g in edition.grade),
    )


def _noise(edition: EditionTable, wrong: Complaint) -> NoiseEdition:
    assert edition.limit is not None
    limits: dict[str, list[float]] = {}
    for limit in edition.limit:
        of_zone = limits.setdefault(limit.zone, [math.nan] * HOURS)
        hours = (limit.to_h - limit.from_h) % HOURS or HOURS
        for hour in ((limit.from_h + n) % HOURS for n in range(hours)):
            if not math.isnan(of_zone[hour]):
                problem = f"zone {limit.zone!r} has two limits at {hour} h"
                raise wrong("limit", problem, "let the hours of a zone meet, not overlap")
            of_zone[hour] = limit.laeq
    return NoiseEdition(
        edition.valid_from, edition.source, {zone: tuple(hours) for zone, hours in limits.items()}
    )
