"""The values of a JSON profile that stand on one level: once a message, or once a record of it.

In: typed structs. Out: columns by key. Plain numbers are read in one pass; no Python code runs for a value.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, starmap
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from gateway.decode import salvage, shape, times
from gateway.decode.path import Path
from gateway.decode.profile import Profile, ProfileTime
from gateway.decode.shape import Leaf, Shape
from gateway.decode.values import JsonKey, ProfileField
from gateway.model import TIME_ABSENT, FieldKind, Float64s, Int64s

TIME: Final = "$time"
ID: Final = "$id"
STRUCTS_MAX: Final = 256
"""So many are kept at a time: they stay in the cache of the processor."""

Key = int | str
"""A row of the matrix, the name of a text field, TIME or ID."""

_TEXT: Final = (
    Annotated[str, msgspec.Meta(max_length=salvage.TEXT_CHARACTERS_MAX, pattern=salvage.PRINTABLE)] | None
)
_TEXT_NUMBER: Final = Annotated[str, msgspec.Meta(pattern=salvage.NUMBER)]
_ID: Final = str | Annotated[int, msgspec.Meta(ge=0, le=salvage.ID_INTEGER_MAX)] | None
_NANOSECONDS: Final = Annotated[int, msgspec.Meta(ge=-times.TIME_LIMIT_NS, le=times.TIME_LIMIT_NS)]

Convert = Callable[[Iterable[Any], int], Any]


@dataclass(frozen=True, slots=True)
class _Value:
    """One value to read; ``convert`` None for plain ones: float | bool | None, whose column is float64."""

    key: Key
    leaf: Leaf
    convert: Convert | None = None


class Level:
    """Reads the values whose path is ``of_message`` (or is not) from structs of ``type``.

    ``extra`` is one more leaf, of the caller's own; ``get_extra`` reads it from a struct.
    """

    def __init__(self, profile: Profile, *, of_message: bool, extra: Leaf | None = None) -> None:
        values = [value for value in _values(profile) if value.leaf.path.of_message == of_message]
        values.sort(key=lambda value: value.convert is not None)
        leaves = [value.leaf for value in values] + ([extra] if extra else [])
        built = shape.build(leaves, strict_keys=profile.strict_keys)
        self.type = built.type
        self.get_extra = operator.attrgetter(built.attributes[-1]) if extra else None
        plain = sum(value.convert is None for value in values)
        self._plain_keys = [value.key for value in values[:plain]]
        self._read_plain = _reader(built, plain)
        self._others = [
            (value.key, operator.attrgetter(attribute), value.convert)
            for value, attribute in zip(values, built.attributes, strict=False)
            if value.convert is not None
        ]
        self._unit_ns = times.UNIT_NS.get(profile.time.format, 0)

    def columns(self, structs: Iterable[Any]) -> dict[Key, Any]:
        """By key: float64[n] a row, list[str | None] a text or ID, int64[n] TIME; as far as they are here.

        Structs of plain numbers alone are read as they come, so that few of them are kept.
        """
        kept = list(structs) if self._others else []
        plain = self._read_plain(kept if self._others else structs)
        found: dict[Key, Any] = dict(zip(self._plain_keys, plain, strict=True))
        if TIME in found:
            found[TIME] = times.from_epoch(found[TIME], self._unit_ns)
        for key, get, convert in self._others:
            found[key] = convert(map(get, kept), len(kept))
        return found


def _values(profile: Profile) -> list[_Value]:
    """All values of a profile, on both levels."""
    values = [_number(row, field) for row, field in enumerate(profile.numeric)]
    values += [_Value(f.name, Leaf(f.path, _TEXT), _as_list) for f in profile.texts]
    if profile.time.path is not None:
        values.append(_time(profile.time, profile.time.path))
    if profile.id_path is not None:
        values.append(_Value(ID, Leaf(profile.id_path, _ID), _as_ids))
    return values


def _number(row: int, field: ProfileField) -> _Value:
    if field.text_number and not field.codes:
        # "nan" and not None, so that one C pass makes numbers of the strings; no payload can hold it.
        return _Value(row, Leaf(field.path, _TEXT_NUMBER, "nan"), _as_text_numbers)
    if field.kind is FieldKind.BOOLEAN and set(map(type, field.codes)) == {bool} and field.codes[True] == 1:
        return _Value(row, Leaf(field.path, bool | None))
    if field.codes:
        kinds: Any = None
        for kind in {type(key) for key in field.codes}:
            kinds = kind if kinds is None else kinds | kind
        codes = _Codes({key: float(code) for key, code in field.codes.items()})
        codes[None] = np.nan
        return _Value(row, Leaf(field.path, kinds | None), codes.columns)
    return _Value(row, Leaf(field.path, float | None))


def _time(time: ProfileTime, path: Path) -> _Value:
    if time.format == "iso8601":
        return _Value(
            TIME,
            Leaf(path, datetime | None),
            lambda stamps, _: times.from_datetimes(list(stamps), time.zone),
        )
    if time.format == "epoch_ns":
        return _Value(TIME, Leaf(path, _NANOSECONDS, TIME_ABSENT), _as_int64)
    return _Value(TIME, Leaf(path, float | None))


class _Codes(dict[JsonKey | None, float]):
    """JSON value -> code; -1 for what the map does not know, which normalize takes out."""

    def __missing__(self, key: object) -> float:
        return -1.0

    def columns(self, values: Iterable[Any], n: int) -> Float64s:
        return np.fromiter(map(self.__getitem__, values), np.float64, n)


def _as_text_numbers(values: Iterable[str], n: int) -> Float64s:
    return np.array(list(values), dtype=np.str_).astype(np.float64) if n else np.empty(0, np.float64)


def _as_int64(values: Iterable[int], n: int) -> Int64s:
    return np.fromiter(values, np.int64, n)


def _as_list(values: Iterable[str | None], _: int) -> list[str | None]:
    return list(values)


def _as_ids(values: Iterable[str | int | None], _: int) -> list[str | None]:
    return [None if value is None else str(value) for value in values]


def _reader(built: Shape, plain: int) -> Callable[[Iterable[Any]], Float64s]:
    """structs -> float64[plain, n]. Where the struct is flat and all plain, it is its own row."""
    names = built.attributes[:plain]
    if plain == 0:
        return lambda _: np.empty((0, 0), np.float64)
    get: Callable[[Any], Any] = operator.attrgetter(*names)
    if plain == len(built.type.__struct_fields__) and not any("." in name for name in names):
        get = msgspec.structs.astuple
    elif plain == 1:
        return lambda structs: np.fromiter(map(get, structs), np.float64)[None, :]
    return lambda structs: _matrix(get, structs, plain)


def _matrix(get: Callable[[Any], Any], structs: Iterable[Any], width: int) -> Float64s:
    """Rows by way of their eight octets a number: half the time of an iterator over all numbers."""
    pack = struct.Struct(f"{width}d").pack
    rows: list[bytes] = []
    structs = iter(structs)
    while kept := list(islice(structs, STRUCTS_MAX)):
        rest = iter(kept)
        packed = starmap(pack, map(get, rest))
        while True:
            try:
                rows.extend(packed)
                break
            except struct.error:  # a null; rows before it are in the list already
                row = get(kept[len(kept) - 1 - operator.length_hint(rest)])
                rows.append(pack(*(np.nan if value is None else value for value in row)))
    return np.frombuffer(b"".join(rows)).reshape(-1, width).T
