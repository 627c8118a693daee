"""Types of luminaires. In: a line of ``luminaire_types.csv``, light points of a type. Out: a LuminaireType.

A power curve that falls, or contradicts the rated power of a light point, is a problem with file and line.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from gateway.fleet import LuminaireType
from gateway.inventory.cells import Cells

LAWS: Final = ("linear", "dali")
POINTS_MAX: Final = 101
RATED_TOLERANCE: Final = 0.15
"""A table that differs by more from the rated power of a light point describes another luminaire."""


def luminaire_type(row: Cells) -> LuminaireType:
    """The type a line describes; ``curve`` is a law, or points like ``0=1 10=14 50=52 100=103``."""
    name, curve = row.identifier("id"), row.text("curve")
    points = () if curve in LAWS else _points(row, curve)
    start_pct = row.number("constant_light_start_pct", 50, 100, 100.0)
    hours = row.number("constant_light_hours", 0, 1e6, 0.0)
    if (start_pct < 100.0) != (hours > 0.0):
        row.problem(
            "constant_light_hours", "goes with constant_light_start_pct", "write both, like 80 and 60000"
        )
    return LuminaireType(
        id=name,
        curve=curve if curve in LAWS else "table",
        points=points,
        virtual_output=row.number("virtual_output_pct", 10, 100, 100.0) / 100.0,
        constant_light_start=start_pct / 100.0,
        constant_light_h=hours,
    )


def contradicts(kind: LuminaireType, rated_w: float, heads: int) -> str:
    """Why a light point of so much rated power can not be of that type, or ""."""
    if not kind.points:
        return ""
    full_w = kind.points[-1][1] * heads
    if abs(full_w - rated_w) <= RATED_TOLERANCE * rated_w:
        return ""
    return f"{rated_w:g} W, but {heads} x {kind.id!r} draw {full_w:g} W"


def _points(row: Cells, text: str) -> tuple[tuple[float, float], ...]:
    points = []
    for point in text.split():
        level, equals, watts = point.partition("=")
        try:
            points.append((float(level.removesuffix("%")), float(watts)))
        except ValueError:
            equals = ""
        if not equals or not 0.0 <= points[-1][0] <= 100.0 or not 0.0 <= points[-1][1] <= 5000.0:
            row.problem("curve", f"{point!r} is no point", "write linear, dali, or '0=1 50=52 100=103'")
            return ()
    if len(points) > POINTS_MAX:
        row.problem("curve", f"{len(points)} points", f"write {POINTS_MAX} at most")
    elif len(points) < 2 or points[-1][0] != 100.0:
        row.problem("curve", "does not reach 100 %", "end it with the power at full light, like 100=103")
    elif any(after[0] <= before[0] for before, after in pairwise(points)):
        row.problem("curve", "its levels do not rise", "write each level once, the lowest first")
    elif any(after[1] < before[1] for before, after in pairwise(points)) or points[-1][1] <= points[0][1]:
        row.problem("curve", "is not monotonic: its power falls", "more light must not draw less")
    else:
        return tuple(points)
    return ()
