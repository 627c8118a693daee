"""The slow path for one JSON payload the typed decode did not take: keep what is good of it, or say why not.

In: the bytes of one payload. Out: a row a sample, each value with its quality, or Refused. A second parser on
purpose: the standard library's, which knows duplicate keys and numbers beyond float64.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.decode import times
from gateway.decode.path import Path
from gateway.decode.profile import Profile
from gateway.decode.samples import Refused
from gateway.decode.values import ProfileField
from gateway.model import TIME_ABSENT, Quality

DEPTH_MAX: Final = 64
SHALLOW_BYTES_MAX: Final = 512
"""A payload this short can not nest deep enough to exhaust a parser's stack, so its depth is not counted."""

TEXT_CHARACTERS_MAX: Final = 256
PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
NUMBER: Final = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?\Z"
ID_INTEGER_MAX: Final = 2**63 - 1

_ABSENT: Final = object()
_INTEGER_DIGITS_MAX = 30


@dataclass(frozen=True, slots=True)
class Row:
    """One sample; ``raw`` and ``quality`` have an entry a numeric field, ``texts`` one a text field."""

    raw: list[float]
    quality: list[int]
    texts: list[str | None]
    time_ns: int
    id: str | None


class Salvage:
    """The slow path of one profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._numeric = [(field, _key(field.path, profile)) for field in profile.numeric]
        self._texts = [field.path for field in profile.texts]
        self._known = _tree([field.path for field in profile.fields], profile)

    def rows(self, payload: bytes) -> list[Row]:
        """At least one row; Refused when the whole payload must go to the quarantine."""
        document = parse(payload, unique_keys=self._profile.strict_keys)
        if self._profile.strict_keys:
            _check_keys(document, self._known, "")
        records = self._records(document)
        return [self._row(document, record) for record in records]

    def _records(self, document: dict[str, Any]) -> list[Any]:
        if self._profile.records is None:
            return [document]
        records = _find(document, self._profile.records)
        if not isinstance(records, list) or not records:
            raise Refused("no_value", f"{self._profile.records} is no list with a record in it")
        if len(records) > self._profile.records_max:
            raise Refused("too_many_records", f"{len(records)} records, at most {self._profile.records_max}")
        return records

    def _row(self, document: dict[str, Any], record: Any) -> Row:
        def find(path: Path) -> Any:
            return _find(document if path.of_message else record, path)

        profile = self._profile
        here = record.get if isinstance(record, dict) else None
        numbers = [
            _number(here(key, _ABSENT) if here and key is not None else find(field.path), field)
            for field, key in self._numeric
        ]
        return Row(
            raw=[raw for raw, _ in numbers],
            quality=[int(quality) for _, quality in numbers],
            texts=[_text(find(path)) for path in self._texts],
            time_ns=TIME_ABSENT if profile.time.path is None else _time(find(profile.time.path), profile),
            id=None if profile.id_path is None else _id(find(profile.id_path)),
        )


def _key(path: Path, profile: Profile) -> str | None:
    """The key of a value that stands in its record itself, or in a message without records."""
    of_record = profile.records is None or not path.of_message
    return path.steps[0] if of_record and len(path.steps) == 1 and isinstance(path.steps[0], str) else None


def parse(payload: bytes, *, unique_keys: bool) -> dict[str, Any]:
    """The JSON object in ``payload``; Refused when it is none."""
    text = check_text(payload)
    try:
        document = (_UNIQUE if unique_keys else _PLAIN).decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Refused("unparsable", str(error)) from None
    if "\\u" in text:
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Refused("bad_utf8", "half of a surrogate pair") from None
    if not isinstance(document, dict):
        raise Refused("unparsable", "the payload is no JSON object")
    return document


def check_text(payload: bytes) -> str:
    """The payload as text; Refused for bad UTF-8 and for nesting that could exhaust a parser."""
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise Refused("bad_utf8", str(error)) from None
    if len(payload) > SHALLOW_BYTES_MAX and payload.count(b"[") + payload.count(b"{") > DEPTH_MAX:
        depth = deepest = 0
        for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|([\[\]{}])', text, re.DOTALL):
            if bracket:
                depth += 1 if bracket in "[{" else -1
            deepest = max(deepest, depth)
        if deepest > DEPTH_MAX:
            raise Refused("too_deep", f"nested {deepest} deep, at most {DEPTH_MAX}")
    return text


def _integer(digits: str) -> int | float:
    # int() of thousands of digits is refused by Python, and quadratic.
    return int(digits) if len(digits) <= _INTEGER_DIGITS_MAX else float(digits)


def _no_constant(name: str) -> float:
    raise Refused("unparsable", f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Refused("duplicate_key", f"{key!r} is there twice")
            seen.add(key)
    return found


_PLAIN: Final = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)
_UNIQUE: Final = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant, object_pairs_hook=_unique)


def _tree(paths: list[Path], profile: Profile) -> dict[str | int, Any]:
    """The keys a strict profile knows, as nested dicts; a leaf is an empty one."""
    places = [*paths, *(p for p in (profile.time.path, profile.id_path) if p is not None)]
    tree: dict[str | int, Any] = {}
    record: dict[str | int, Any] = {}
    for path in places:
        node = record if profile.records is not None and not path.of_message else tree
        for step in path.steps:
            node = node.setdefault(step, {})
    if profile.records is not None:
        node = tree
        for step in profile.records.steps[:-1]:
            node = node.setdefault(step, {})
        node[profile.records.steps[-1]] = {"*": record}
    return tree


def _check_keys(value: Any, known: dict[str | int, Any], where: str) -> None:
    if isinstance(value, dict) and known and "*" not in known:
        for key, inner in value.items():
            if key not in known:
                raise Refused("unknown_key", f"{where}{key}")
            _check_keys(inner, known[key], f"{where}{key}.")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            if (below := known.get("*", known.get(position))) is not None:
                _check_keys(inner, below, f"{where}{position}.")


def _find(document: Any, path: Path) -> Any:
    """The value at ``path``: _ABSENT where it or the way to it is missing or null."""
    value = document
    for step in path.steps:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step, _ABSENT)
        elif isinstance(step, int) and isinstance(value, list):
            value = value[step] if step < len(value) else _ABSENT
        else:
            return _ABSENT if value is None or value is _ABSENT else _Blocked
    return _ABSENT if value is None else value


class _Blocked:
    """Stands for a value whose way is blocked by something that is neither object nor list."""


def _number(value: Any, field: ProfileField) -> tuple[float, Quality]:
    """(raw, quality) of one numeric field; a value no map knows is -1, which normalize takes out."""
    if value is _ABSENT or value is None:
        return math.nan, Quality.MISSING
    if field.codes:
        return _code(value, field)
    if field.text_number:
        if isinstance(value, str) and re.match(NUMBER, value):
            return float(value), Quality.VALID
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value), Quality.VALID
    return math.nan, Quality.WRONG_TYPE


def _code(value: Any, field: ProfileField) -> tuple[float, Quality]:
    kinds = {type(key) for key in field.codes}
    kind = int if type(value) is float and value.is_integer() else type(value)
    if kind not in kinds:
        return math.nan, Quality.WRONG_TYPE
    return float(field.codes.get(value, -1)), Quality.VALID


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        return None
    if not re.match(PRINTABLE, value):
        raise Refused("control_character", repr(value))
    return value


def _id(value: Any) -> str | None:
    if value is _ABSENT:
        return None
    if isinstance(value, str):
        return value
    if type(value) is int and 0 <= value <= ID_INTEGER_MAX:
        return str(value)
    raise Refused("id_mismatch", "the id is neither a string nor a whole number")


def _time(value: Any, profile: Profile) -> int:
    """TIME_ABSENT for what can not be read as a time of the profile's format."""
    time = profile.time
    if time.format == "iso8601":
        if not isinstance(value, str):
            return TIME_ABSENT
        try:
            return int(times.from_datetimes([datetime.fromisoformat(value)], time.zone)[0])
        except (ValueError, OverflowError):
            return TIME_ABSENT
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return TIME_ABSENT
    if time.format == "epoch_ns" and isinstance(value, int):
        return times.bounded(value)
    return times.from_number(float(value), times.UNIT_NS[time.format])
