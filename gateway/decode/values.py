"""One field of a profile: where it stands, and how its JSON value becomes a canonical number, label or text.

In: a validated ``[[field]]`` table. Out: a ProfileField, or a ConfigurationError. Never sees a payload.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from gateway.decode import path as paths
from gateway.decode import schema, units
from gateway.decode.path import Path
from gateway.errors import ConfigurationError
from gateway.model import Field, FieldKind

EXACT_INTEGER_MAX: Final = 2**53
JsonKey = str | int | bool
Complaint = Callable[[str, str, str], ConfigurationError]

_NUMBERS: Final = frozenset({FieldKind.FLOAT, FieldKind.INTEGER})
_INTEGER_KEY = re.compile(r"-?(0|[1-9]\d{0,14})")


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One ``[[field]]``. For numbers: ``raw * scale + offset`` is in ``source_unit``, stored in ``unit``.

    ``canonical`` holds both conversions as one. For enums and mapped booleans ``codes`` gives the number
    in the matrix for each JSON value a device may send; an enum's code is a position in
    ``labels``. ``text_number``: the device writes its numbers (or map keys) as JSON strings.
    """

    name: str
    path: Path
    kind: FieldKind
    unit: str
    source_unit: str
    scale: float
    offset: float
    codes: Mapping[JsonKey, int]
    labels: tuple[str, ...]
    text_number: bool
    side: schema.Side | None
    canonical: Field


def compile_field(table: schema.FieldTable, complain: Complaint) -> ProfileField:
    """Check what the keys of one field mean together. Raises what ``complain`` makes."""

    def wrong(key: str, problem: str, remedy: str) -> ConfigurationError:
        return complain(f"field.{table.name}.{key}", problem, remedy)

    _check_keys(table, wrong)
    try:
        path = paths.parse(table.path)
    except ValueError as error:
        raise wrong("path", str(error), "write object keys with dots and list positions as [0]") from None
    codes, labels = _codes(table, wrong)
    multiplier, addend, divisor = _conversion(table, wrong)
    low = -math.inf if table.min is None else table.min
    high = math.inf if table.max is None else table.max
    if low >= high:
        raise wrong("min", f"{low:g} is not below max {high:g}", "let min be the smaller one")
    return ProfileField(
        name=table.name,
        path=path,
        kind=table.type,
        unit=table.unit,
        source_unit=table.source_unit or table.unit,
        scale=1.0 if table.scale is None else table.scale,
        offset=0.0 if table.offset is None else table.offset,
        codes=MappingProxyType(codes),
        labels=labels,
        text_number=table.text_number,
        side=table.side,
        canonical=Field(
            name=table.name,
            unit=table.unit,
            kind=table.type,
            labels=labels,
            multiplier=multiplier,
            addend=addend,
            divisor=divisor,
            sentinels=tuple(table.sentinels),
            minimum=low,
            maximum=high,
        ),
    )


def _check_keys(table: schema.FieldTable, wrong: Complaint) -> None:
    """Which keys go with which type."""
    only_numbers = ("unit", "source_unit", "scale", "offset", "sentinels", "min", "max", "side")
    given = table.model_fields_set
    if table.type not in _NUMBERS:
        for key in only_numbers:
            if key in given:
                raise wrong(key, f"has no meaning for type {table.type.value}", "leave it out")
    elif not table.unit:
        raise wrong("unit", "is missing", 'name the unit the value is stored in, "1" for a plain number')
    if table.type is FieldKind.ENUM and table.map is None:
        raise wrong("map", "is missing", 'an enum needs a label for each value, as { "0" = "auto" }')
    if table.map is not None and table.type not in (FieldKind.ENUM, FieldKind.BOOLEAN):
        raise wrong("map", f"has no meaning for type {table.type.value}", "leave it out")
    if table.text_number and table.type is FieldKind.TEXT:
        raise wrong("text_number", "has no meaning for type text", "leave it out")
    if table.text_number and table.type is FieldKind.BOOLEAN and table.map is None:
        raise wrong("text_number", "needs a map on a boolean", 'add map = { "1" = true, "0" = false }')


def _codes(table: schema.FieldTable, wrong: Complaint) -> tuple[dict[JsonKey, int], tuple[str, ...]]:
    """(JSON value -> code, labels in order of first mention)."""
    if table.map is None:
        return ({True: 1, False: 0} if table.type is FieldKind.BOOLEAN else {}), ()
    wanted, what = (bool, "true or false") if table.type is FieldKind.BOOLEAN else (str, "a label")
    codes: dict[JsonKey, int] = {}
    labels: list[str] = []
    for text, meaning in table.map.items():
        if type(meaning) is not wanted:
            raise wrong(f"map.{text}", f"does not give {what}", f"write {what} on the right")
        if isinstance(meaning, str):
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", meaning):
                raise wrong(f"map.{text}", f"{meaning!r} is no label", "use a-z, 0-9 and _, a letter first")
            if meaning not in labels:
                labels.append(meaning)
        codes[_json_key(text, table.text_number)] = (
            labels.index(meaning) if isinstance(meaning, str) else int(meaning)
        )
    if {bool, int} <= {type(key) for key in codes} or len(codes) < len(table.map):
        raise wrong("map", "mixes numbers with true/false", "a device sends one or the other: keep that")
    return codes, tuple(labels)


def _json_key(text: str, text_number: bool) -> JsonKey:
    """A key of ``map`` as the JSON value it stands for: ``true``/``false``, an integer, else a string."""
    if text_number:
        return text
    if text in ("true", "false"):
        return text == "true"
    return int(text) if _INTEGER_KEY.fullmatch(text) else text


def _conversion(table: schema.FieldTable, wrong: Complaint) -> tuple[float, float, float]:
    """(multiplier, addend, divisor) of ``(raw * multiplier + addend) / divisor``.

    Whole numbers where they fit, so that 2301 at scale 0.1 gives 230.1 with one rounding, not two.
    """
    if table.type not in _NUMBERS:
        return 1.0, 0.0, 1.0
    unit, source = table.unit, table.source_unit or table.unit
    for key, symbol in (("unit", unit), ("source_unit", source)):
        if symbol not in units.UNITS:
            raise wrong(key, f"{symbol!r} is no known unit", f"use one of {', '.join(units.UNITS)}")
    if not units.UNITS[unit].canonical:
        likely = [
            s for s, u in units.UNITS.items() if u.canonical and u.quantity == units.UNITS[unit].quantity
        ]
        raise wrong(
            "unit",
            f"readings are not stored in {unit}",
            f"set unit to {' or '.join(likely)}, source_unit to {unit}",
        )
    try:
        factor, shift = units.conversion(source, unit)
    except ValueError as error:
        raise wrong("source_unit", str(error), "let both measure the same thing") from None
    scale = Fraction(1) if table.scale is None else Fraction(repr(table.scale))
    if scale == 0:
        raise wrong("scale", "is 0: every value would be the same", "give the factor from raw to source_unit")
    scale, offset = scale * factor, Fraction(repr(table.offset or 0.0)) * factor + shift
    if table.type is FieldKind.INTEGER and (scale.denominator != 1 or offset.denominator != 1):
        raise wrong("type", "whole numbers would become fractions by this conversion", 'use type = "float"')
    divisor = math.lcm(scale.denominator, offset.denominator)
    whole = (scale * divisor, offset * divisor, Fraction(divisor))
    if all(abs(number) <= EXACT_INTEGER_MAX for number in whole):
        return float(whole[0]), float(whole[1]), float(whole[2])
    return float(scale), float(offset), 1.0
