"""One GeoJSON file (RFC 7946) to the rows a CSV would give. In: bytes. Out: records that know their line.

A feature is a Point; its properties are the CSV columns without latitude and longitude. WGS84 only, as the
RFC demands: a ``crs`` member is refused, because ignoring it puts lamps hundreds of metres off.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gateway.inventory.problems import Problems
from gateway.inventory.schema import FileSchema
from gateway.inventory.table import Record, clean_text, decode_text, is_readable

_FEATURES = re.compile(r'"features"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def read_features(data: bytes, schema: FileSchema, problems: Problems) -> list[Record]:
    """All features as records; each that is no Point with known properties is reported with its line."""
    file = schema.geojson
    text = decode_text(data, file, problems)
    if text is None:
        return []
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        problems.add(f"{file}:{error.lineno}", "", f"not JSON: {error.msg}", "mend the syntax")
        return []
    except RecursionError:
        problems.add(f"{file}:1", "", "nested too deep", "write a plain FeatureCollection")
        return []
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        problems.add(f"{file}:1", "type", "no FeatureCollection", "export as GeoJSON FeatureCollection")
        return []
    if "crs" in document:
        problems.add(
            f"{file}:1", "crs", "a reference system is named", "export as WGS84 without it (RFC 7946)"
        )
        return []
    lines = _feature_lines(text, len(features))
    records = []
    for number, (feature, line) in enumerate(zip(features, lines, strict=True), 1):
        where = f"{file}:{line} (feature {number})"  # a whole file may stand on one line
        values = _values(feature, where, schema, problems)
        if values is not None and is_readable(values, where, problems):
            records.append(Record(where, values))
    return records


def _values(feature: Any, where: str, schema: FileSchema, problems: Problems) -> dict[str, str] | None:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    point = geometry.get("coordinates") if isinstance(geometry, dict) else None
    is_point = isinstance(geometry, dict) and geometry.get("type") == "Point"
    if not is_point or not isinstance(point, list) or len(point) < 2:
        problems.add(where, "geometry", "no Point", "give each feature a Point with [longitude, latitude]")
        return None
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        problems.add(where, "properties", "missing", "give each feature the columns of the CSV as properties")
        return None
    before = problems.count
    values = {"longitude": _cell(point[0]), "latitude": _cell(point[1])}
    for name, value in properties.items():
        if name not in schema.columns or name in values:
            problems.add(where, name, "unknown property", f"known are {', '.join(schema.columns)}")
        elif isinstance(value, dict | list):
            problems.add(where, name, "not a plain value", "write text or a number")
        else:
            values[name] = _cell(value)
    for name, needed in schema.columns.items():
        if needed and name not in values:
            problems.add(where, name, "the property is missing", "add it to the feature")
    return values if problems.count == before else None


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else clean_text(str(value))


def _feature_lines(text: str, count: int) -> list[int]:
    """Line on which each feature starts; all 1 where the array can not be told from another of its name."""
    decoder = json.JSONDecoder()
    for match in _FEATURES.finditer(text):
        lines: list[int] = []
        at, line, counted = match.end(), 1, 0
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # matches the empty string
            if text[at] == "]":
                break
            line, counted = line + text.count("\n", counted, at), at
            lines.append(line)
            at = decoder.raw_decode(text, at)[1]
        if len(lines) == count:
            return lines
    return [1] * count
