"""What files an inventory has and which columns they carry. In: nothing. Out: constants.

``docs/inventory.md`` explains each column; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FileSchema:
    """A table: ``columns`` maps each column to whether it is mandatory; ``geojson`` names the alternative."""

    file: str
    columns: dict[str, bool]
    mandatory: bool = True
    geojson: str = ""

    @property
    def header(self) -> str:
        return ",".join(name for name in self.columns if name != "note")


def _columns(mandatory: str, optional: str = "") -> dict[str, bool]:
    return {
        **dict.fromkeys(mandatory.split(), True),
        **dict.fromkeys(optional.split(), False),
        "note": False,
    }


AREAS: Final = FileSchema("areas.csv", _columns("code name", "parent"))
CABINETS: Final = FileSchema(
    "cabinets.csv", _columns("id area latitude longitude", "name road"), geojson="cabinets.geojson"
)
FEEDERS: Final = FileSchema("feeders.csv", _columns("id cabinet group_switched", "phases"))
PROGRAMMES: Final = FileSchema("programmes.csv", _columns("id switch", "steps on off"))
LUMINAIRE_TYPES: Final = FileSchema(
    "luminaire_types.csv",
    _columns("id curve", "virtual_output_pct constant_light_start_pct constant_light_hours"),
    mandatory=False,
)
LIGHT_POINTS: Final = FileSchema(
    "light_points.csv",
    _columns(
        "id area latitude longitude feeder phase pole_sequence rated_power_w programme",
        "road heads luminaire_type",
    ),
    geojson="light_points.geojson",
)
SENSORS: Final = FileSchema(
    "sensors.csv",
    _columns("id area latitude longitude", "road feeder phase"),
    mandatory=False,
    geojson="sensors.geojson",
)
DEVICES: Final = FileSchema("devices.csv", _columns("id profile"))
ASSIGNMENTS: Final = FileSchema("assignments.csv", _columns("device asset", "from to"))

FILES: Final = (
    AREAS,
    CABINETS,
    FEEDERS,
    PROGRAMMES,
    LUMINAIRE_TYPES,
    LIGHT_POINTS,
    SENSORS,
    DEVICES,
    ASSIGNMENTS,
)

RULES: Final = "rules.toml"
"""Limits of the district; stands in the same directory, and is read by ``decode.rulebook``."""
