"""Questions about the past. In: device, field, span, window. Out: query text, and answers as samples.

Whatever a person typed is quoted here and nowhere else. Never does IO.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from gateway.errors import StoreError
from gateway.model import Field, FieldKind, ProfileSpec, nanoseconds
from gateway.store.block import tag
from gateway.store.line_protocol import FIELD_NAME
from gateway.store.outcome import Sample, Value

SAMPLES_MAX: Final = 200_000
"""A question with a longer answer is an error, never a cut answer."""
NUMBERS: Final = frozenset({FieldKind.FLOAT, FieldKind.INTEGER})
PROBE: Final = "citylight_probe"


@dataclass(frozen=True, slots=True)
class Question:
    """One field of one device in [start, end); ``every_ns`` 0 asks for every sample. May raise StoreError."""

    device: str
    field: str
    start_ns: int
    end_ns: int
    every_ns: int = 0
    mean: bool = True  # of a window; else its last value
    real: bool = False  # the answer is float also where JSON writes 7.0 as 7

    def __post_init__(self) -> None:
        if not FIELD_NAME.fullmatch(self.field):
            raise StoreError(f"{self.field!r} is no field name", retryable=False)
        if self.every_ns < 0:
            raise StoreError("a window can not be shorter than nothing", retryable=False)


def question(
    kinds: Mapping[str, set[FieldKind]],
    device: str,
    field: str,
    start_ns: int,
    end_ns: int,
    every_s: float | None,
) -> Question:
    """A question as people ask it; ``kinds`` decides between mean and last value."""
    every_ns = round((every_s or 0) * 1e9)
    mean = kinds.get(field, NUMBERS) <= NUMBERS
    real = kinds.get(field) == {FieldKind.FLOAT} or (mean and every_ns > 0)
    return Question(device, field, start_ns, end_ns, every_ns, mean, real)


def kinds(profiles: Iterable[ProfileSpec]) -> dict[str, set[FieldKind]]:
    """Every kind a field has in any of ``profiles``."""
    found: dict[str, set[FieldKind]] = {}
    for profile in profiles:
        for field in (*profile.numeric, *profile.texts):
            found.setdefault(field.name, set()).add(field.kind)
    return found


# --- InfluxQL: InfluxDB 1.x, and 3.x through the same endpoint -------------------------------------


def influxql(asked: Question, retention_policy: str = "") -> str:
    """``/query`` text; any measurement, because a device may have changed its class."""
    name = _identifier(asked.field)
    chosen = f"{'mean' if asked.mean else 'last'}({name})" if asked.every_ns else name
    policy = f"{_identifier(retention_policy)}." if retention_policy else ""
    windows = f" GROUP BY time({asked.every_ns}ns) fill(none)" if asked.every_ns else ""
    return (
        f'SELECT {chosen} FROM {policy}/.+/ WHERE "device" = {_literal(_stored_tag(asked.device))}'  # noqa: S608
        f" AND time >= {asked.start_ns} AND time < {asked.end_ns}{windows} LIMIT {SAMPLES_MAX + 1}"
    )


def influxql_samples(body: bytes, *, real: bool = False) -> list[Sample]:
    """Samples of a ``/query`` answer asked with ``epoch=ns``. Raises StoreError with the server's words."""
    document = decoded(body)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or not results:
        raise StoreError(f"not an answer of InfluxDB: {document!r:.200}", retryable=True)
    if "error" in results[0]:
        raise StoreError(str(results[0]["error"]), retryable=False)
    rows = [row for series in results[0].get("series", []) for row in series["values"]]
    return _sorted((_time_ns(t), float(v) if real else v) for t, v in rows if v is not None)


def influxql_probe(mark: int, retention_policy: str = "") -> str:
    """The probe point that carries ``mark``."""
    policy = f"{_identifier(retention_policy)}." if retention_policy else ""
    return f'SELECT "sent" FROM {policy}"{PROBE}" WHERE "sent" = {mark}'  # noqa: S608


def influxql_policies(database: str) -> str:
    """The retention policies of a database."""
    return f"SHOW RETENTION POLICIES ON {_identifier(database)}"


# --- Flux: InfluxDB 2.x ----------------------------------------------------------------------------


def flux(asked: Question, bucket: str) -> str:
    """``/api/v2/query`` text."""
    lines = [
        f"from(bucket: {_flux_text(bucket)})",
        f"range(start: time(v: {asked.start_ns}), stop: time(v: {asked.end_ns}))",
        f"filter(fn: (r) => r.device == {_flux_text(_stored_tag(asked.device))}"
        f" and r._field == {_flux_text(asked.field)})",
        "group()",
        'sort(columns: ["_time"])',
    ]
    if asked.every_ns:
        function = "mean" if asked.mean else "last"
        window = f"every: {asked.every_ns}ns, fn: {function}"
        lines.append(f'aggregateWindow({window}, createEmpty: false, timeSrc: "_start")')
    return "\n  |> ".join([*lines, 'keep(columns: ["_time", "_value"])', f"limit(n: {SAMPLES_MAX + 1})"])


def flux_samples(rows: Iterable[Sequence[str]], every_ns: int) -> list[Sample]:
    """Samples of an answer in annotated CSV (annotation ``datatype``, times RFC3339Nano)."""
    types: Sequence[str] = ()
    names: Sequence[str] = ()
    found: list[Sample] = []
    for row in rows:
        if not row:
            names = ()
        elif row[0] == "#datatype":
            types, names = row, ()
        elif not names:
            names = row
        else:
            time = nanoseconds(row[names.index("_time")])
            at = names.index("_value")
            # The first window begins where the question does; its name is the window's, not the question's.
            found.append((time - time % every_ns if every_ns else time, _flux_value(types[at], row[at])))
    return _sorted(found)


def flux_probe(bucket: str, mark: int) -> str:
    """The probe point that carries ``mark``."""
    return (
        f"from(bucket: {_flux_text(bucket)}) |> range(start: 0, stop: 2200-01-01T00:00:00Z)"
        f' |> filter(fn: (r) => r._measurement == "{PROBE}" and r._value == {mark})'
        ' |> keep(columns: ["_time", "_value"])'
    )


def _flux_value(datatype: str, text: str) -> Value:
    match datatype:
        case "double":
            return float(text)
        case "long" | "unsignedLong":
            return int(text)
        case "boolean":
            return text == "true"
        case _:
            return text


# --- VictoriaMetrics ----------------------------------------------------------------------------------


def victoria_match(asked: Question, classes: Iterable[str]) -> str:
    """Series selector for ``/api/v1/export``: the metric's name is class_field."""
    names = "|".join(re.escape(f"{name}_{asked.field}") for name in sorted(classes))
    return f"{{__name__=~{_quoted(names)},device={_quoted(_stored_tag(asked.device))}}}"


def victoria_samples(body: bytes, asked: Question, fields: Mapping[str, Field]) -> list[Sample]:
    """Samples of an export (JSON lines, ms); ``fields`` by metric name gives booleans and labels back."""
    found: list[Sample] = []
    for line in body.splitlines():
        series = decoded(line)
        field = fields.get(series["metric"]["__name__"])
        pairs = zip(series["timestamps"], series["values"], strict=True)
        found += [
            (time * 1_000_000, _victoria_value(field, value)) for time, value in pairs if value is not None
        ]
    inside = _sorted((time, value) for time, value in found if asked.start_ns <= time < asked.end_ns)
    return windowed(inside, asked) if asked.every_ns else inside


def _victoria_value(field: Field | None, value: float) -> Value:
    match field.kind if field else FieldKind.FLOAT:
        case FieldKind.BOOLEAN:
            return bool(value)
        case FieldKind.INTEGER:
            return int(value)
        case FieldKind.ENUM if field is not None and 0 <= value < len(field.labels):
            return field.labels[int(value)]
        case _:
            return float(value)


def windowed(samples: Sequence[Sample], asked: Question) -> list[Sample]:
    """One sample per window of ``asked``: mean or last of ``samples``, which are in order of time."""
    groups: dict[int, list[Value]] = {}
    for time, value in samples:
        groups.setdefault(time - time % asked.every_ns, []).append(value)
    if not asked.mean:
        return [(start, values[-1]) for start, values in groups.items()]
    return [(start, float(np.mean([float(value) for value in values]))) for start, values in groups.items()]


# --- shared --------------------------------------------------------------------------------------------


def bounded(samples: list[Sample]) -> list[Sample]:
    """``samples``, or a StoreError when there are more than SAMPLES_MAX."""
    if len(samples) > SAMPLES_MAX:
        problem = f"more than {SAMPLES_MAX} samples; ask for a shorter span or for wider windows"
        raise StoreError(problem, retryable=False)
    return samples


def decoded(body: bytes) -> Any:
    """JSON of a server, or StoreError."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"not JSON: {body[:200]!r}", retryable=True) from error


def _time_ns(time: int | str) -> int:
    return time if isinstance(time, int) else nanoseconds(time)


def _sorted(samples: Iterable[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: sample[0])


def _stored_tag(text: str) -> str:
    """A tag's value as the store holds it: like ``tag``, without the escapes."""
    return tag(text).replace("\\", "")


def _identifier(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _flux_text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
