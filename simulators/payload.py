"""Measured values to the JSON a device would send. In: a profile, canonical values, times. Out: payloads.

The inverse of decoding, written from the profile alone. Fields nobody simulates are left out of the payload;
values are rounded to the resolution a real meter of that unit has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.decode.path import Path
from gateway.decode.profile import Profile
from gateway.decode.values import ProfileField
from gateway.model import FieldKind, Float64s, Int64s

Values = Mapping[str, Float64s | str | list[str]]
"""Canonical field name to float64[n], to a label for each sample, or to one label or text for all."""

DECIMALS = {
    "V": 1, "A": 3, "mA": 1, "W": 1, "Wh": 0, "Hz": 2, "Cel": 1, "%": 0, "1": 3, "h": 1,
    "%RH": 1, "ug/m3": 1, "ppm": 0, "dB(A)": 1, "dB": 1, "hPa": 1, "m/s": 1, "deg": 0, "mm": 1, "m": 3,
    "lx": 0, "km/h": 1, "W/m2": 0, "mm/h": 1,
}  # fmt: skip
"""Digits after the point of a canonical value, by unit: what meters of this kind resolve."""

_EPOCH_NS = {"epoch_s": 1_000_000_000, "epoch_ms": 1_000_000, "epoch_us": 1000, "epoch_ns": 1}
_HOLE = "\ufdd0{}\ufdd0"  # a Unicode noncharacter: nothing a profile can name contains it


def resolution(field: ProfileField) -> float:
    """The step in which the payload tells this field, in canonical units."""
    canonical = field.canonical
    return abs(canonical.multiplier / canonical.divisor) * 10.0 ** -_raw_decimals(field)


class Encoder:
    """Payloads of one profile; ``names`` are the fields its simulator gives."""

    def __init__(self, profile: Profile, names: Sequence[str]) -> None:
        self._profile = profile
        self._fields = tuple(field for field in profile.fields if field.name in names)
        holes: list[tuple[Path, _Hole]] = [(field.path, _Hole(field.name)) for field in self._fields]
        if profile.time.path is not None:
            holes.append((profile.time.path, _Hole("time")))
        if profile.id_path is not None:
            holes.append((profile.id_path, _Hole("device")))
        formats = {field.name: _format(field) for field in self._fields}
        self._template, self._order = _template(holes, profile.records, formats)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are in the payload."""
        return tuple(field.name for field in self._fields)

    def encode(self, values: Values, time_ns: Int64s, devices: Sequence[str]) -> list[bytes]:
        """One payload for each sample; ``time_ns`` is what the device's own clock says."""
        columns: dict[str, Sequence[Any]] = {
            field.name: _column(field, values[field.name], len(time_ns)) for field in self._fields
        }
        columns["time"] = _times(self._profile, time_ns)
        if "device" in self._order:
            columns["device"] = [json.dumps(device) for device in devices]
        ordered = [columns[name] for name in self._order]
        template = self._template
        return [(template % row).encode() for row in zip(*ordered, strict=True)]


@dataclass(frozen=True, slots=True)
class _Hole:
    name: str


def _template(
    holes: list[tuple[Path, _Hole]], records: Path | None, formats: Mapping[str, str]
) -> tuple[str, list[str]]:
    """A ``%`` template and the names of its places from left to right."""
    message: dict[str, Any] = {}
    record: dict[str, Any] = message if records is None else {}
    for path, hole in holes:
        _put(message if path.of_message else record, path.steps, hole)
    if records is not None:
        _put(message, records.steps, [record])
    order: list[str] = []

    def name_hole(value: Any) -> str:
        order.append(value.name)
        return _HOLE.format(value.name)

    text = json.dumps(message, default=name_hole, separators=(",", ":"), ensure_ascii=False)
    text = text.replace("%", "%%")
    for name in order:
        text = text.replace(f'"{_HOLE.format(name)}"', formats.get(name, "%s"), 1)
    return text, order


def _put(root: dict[str, Any], steps: Sequence[str | int], value: Any) -> None:
    """Set ``value`` at ``steps``, making objects and lists on the way; gaps in lists are null."""
    node: Any = root
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        if isinstance(step, int):
            node.extend([None] * (step + 1 - len(node)))
        child = value if following is None else [] if isinstance(following, int) else {}
        there = node[step] if isinstance(step, int) else node.get(step)
        if there is None:
            node[step] = there = child
        node = there


def _format(field: ProfileField) -> str:
    """The place of a field in the template: numbers are written there, other values are tokens already."""
    if field.kind in (FieldKind.TEXT, FieldKind.ENUM, FieldKind.BOOLEAN):
        return "%s"
    number = "%d" if field.kind is FieldKind.INTEGER else f"%.{_raw_decimals(field)}f"
    return f'"{number}"' if field.text_number else number


def _column(field: ProfileField, values: Float64s | str | list[str], count: int) -> Sequence[Any]:
    """What goes into the field's place in each payload."""
    if field.kind is FieldKind.TEXT:
        return [json.dumps(str(values), ensure_ascii=False)] * count
    if field.kind in (FieldKind.ENUM, FieldKind.BOOLEAN):
        tokens = {code: json.dumps(key) for key, code in reversed(tuple(field.codes.items()))}
        if isinstance(values, str):
            return [tokens[field.labels.index(values)]] * count
        if isinstance(values, list):
            return [tokens[field.labels.index(label)] for label in values]
        return [tokens[code % len(tokens)] for code in values.astype(np.int64).tolist()]
    assert isinstance(values, np.ndarray), field.name
    canonical = field.canonical
    raw = (values * canonical.divisor - canonical.addend) / canonical.multiplier
    if field.kind is FieldKind.INTEGER:
        whole: list[int] = np.rint(raw).astype(np.int64).tolist()
        return whole
    rounded: list[float] = np.round(raw, _raw_decimals(field)).tolist()
    return rounded


def _raw_decimals(field: ProfileField) -> int:
    """Digits after the point of the number in the payload."""
    if field.kind is FieldKind.INTEGER:
        return 0
    shift = math.log10(abs(field.canonical.multiplier / field.canonical.divisor))
    return min(max(DECIMALS.get(field.unit, 2) + math.ceil(shift - 1e-9), 0), 9)


def _times(profile: Profile, time_ns: Int64s) -> list[str]:
    step_ns = _EPOCH_NS.get(profile.time.format)
    if step_ns is not None:
        return [str(number) for number in (time_ns // step_ns).tolist()]
    local_ns = time_ns + _offset_ns(profile.time.zone, time_ns)
    zulu = "Z" if str(profile.time.zone) == "UTC" else ""
    stamps: npt.NDArray[np.str_] = np.datetime_as_string(local_ns.astype("datetime64[ns]"), unit="ms")
    return [f'"{stamp}{zulu}"' for stamp in stamps.tolist()]


def _offset_ns(zone: tzinfo, time_ns: Int64s) -> int:
    """What local time is ahead of UTC at the first of the times."""
    if not len(time_ns):
        return 0
    moment = datetime.fromtimestamp(int(time_ns[0]) // 1_000_000_000, UTC)
    ahead = moment.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds()) * 1_000_000_000
