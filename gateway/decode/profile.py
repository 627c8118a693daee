"""Device profiles: what the messages of one kind of device hold. In: TOML text. Out: a checked Profile.

Every mistake in the file is a ConfigurationError with file, key and remedy. Never reads a file or a payload.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from gateway.decode import path as paths
from gateway.decode import rules, schema, values, watches
from gateway.decode.lines import line_of
from gateway.decode.path import Path
from gateway.decode.values import ProfileField
from gateway.errors import ConfigurationError
from gateway.model import FieldKind, ProfileSpec

TOML_CHARACTERS_MAX: Final = 256 * 1024
RESERVED_FIELDS: Final = frozenset({"time", "received_at", "quality", "device", "area", "feeder", "profile"})

_Root = TypeVar("_Root", bound=schema.Table)

Complaint = Callable[[str, str, str], ConfigurationError]
"""(key, problem, remedy) -> the error to raise, with the file's name filled in."""


@dataclass(frozen=True, slots=True)
class ProfileTime:
    """Where a device says when it measured; ``path`` None where it has no clock.

    ``format`` is epoch_s, epoch_ms, epoch_us, epoch_ns (JSON numbers since 1970 UTC) or iso8601 (a JSON
    string; ``zone`` is that of stamps without one).
    """

    path: Path | None
    format: schema.TimeFormat
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Profile:
    """One device profile. ``fields`` keep the file's order; ``spec`` is what other rooms may know.

    ``records`` is the list in a payload that holds one sample each; paths then start at the
    record, those marked ``of_message`` at the payload. With ``concentrator`` the id at ``id_path``
    names the device; without, it must equal the topic's.
    """

    name: str
    title_vi: str
    title_en: str
    device_class: str
    payload: str
    time: ProfileTime
    id_path: Path | None
    concentrator: bool
    records: Path | None
    records_max: int
    strict_keys: bool
    fields: tuple[ProfileField, ...]
    spec: ProfileSpec
    rule_tables: tuple[schema.RuleTable, ...]  # as written, for the overrides of a district
    watch_tables: tuple[schema.WatchTable, ...] = ()

    @property
    def numeric(self) -> tuple[ProfileField, ...]:
        """The fields that are rows of the matrix, in its order."""
        return tuple(field for field in self.fields if field.kind is not FieldKind.TEXT)

    @property
    def texts(self) -> tuple[ProfileField, ...]:
        return tuple(field for field in self.fields if field.kind is FieldKind.TEXT)


def load(text: str, file: str) -> Profile:
    """The profile that ``text`` (TOML) describes; ``file`` is named in errors. Raises ConfigurationError."""
    table = table_of(text, file, schema.ProfileTable)

    def complain(key: str, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(file, key, problem, remedy, line=line_of(text, key))

    fields = tuple(values.compile_field(field, complain) for field in table.field)
    time = _time(table.time, complain)
    records = _path(table.records, "records", complain)
    id_path = _path(table.id_field, "id_field", complain)
    if records is not None and records.of_message:
        raise complain("records", "the list is always looked for from the payload's top", "leave out the $.")
    if table.concentrator and id_path is None:
        raise complain("id_field", "is missing", "say where a concentrator's payload names the device")
    _check_names(fields, table, complain)
    _check_paths(fields, time, id_path, records, complain)
    numeric = tuple(field.canonical for field in fields if field.kind is not FieldKind.TEXT)
    spec = ProfileSpec(
        name=table.name,
        device_class=table.device_class,
        numeric=numeric,
        texts=tuple(field.canonical for field in fields if field.kind is FieldKind.TEXT),
        tags=tuple(sorted(table.tags.items())),
        interval_s=table.interval_s,
        silence_intervals=table.silence_intervals,
        rules=rules.compile_rules(table.rule, fields, complain),
        window_past_s=table.time.window_past_s,
        window_future_s=table.time.window_future_s,
        watches=watches.compile_watches(table.watch, {field.name: field for field in fields}, complain),
    )
    return Profile(
        name=table.name,
        title_vi=table.title.vi,
        title_en=table.title.en,
        device_class=table.device_class,
        payload=table.payload,
        time=time,
        id_path=id_path,
        concentrator=table.concentrator,
        records=records,
        records_max=table.records_max,
        strict_keys=table.strict_keys,
        fields=fields,
        spec=spec,
        rule_tables=tuple(table.rule),
        watch_tables=tuple(table.watch),
    )


def table_of(text: str, file: str, root: type[_Root]) -> _Root:
    """The whole of a TOML file, shape and types checked; raises ConfigurationError with the first mistake."""
    if len(text) > TOML_CHARACTERS_MAX:
        raise ConfigurationError(file, "", f"is longer than {TOML_CHARACTERS_MAX} characters", "split it")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(file, "", f"is not TOML: {error}", "mend the line it names") from None
    except RecursionError:
        raise ConfigurationError(file, "", "is nested too deep", "write plain tables") from None
    try:
        return root.model_validate(document)
    except ValidationError as error:
        raise _first_mistake(error, document, text, file, root) from None


def _first_mistake(
    error: ValidationError, document: dict[str, Any], text: str, file: str, root: type[schema.Table]
) -> ConfigurationError:
    """The first thing pydantic found, said in the file's own words."""
    first = error.errors(include_url=False, include_input=False)[0]
    location = tuple(step for step in first["loc"] if step not in ("str", "bool"))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    problem, remedy = first["msg"], "give a value of that kind"
    if first["type"] == "extra_forbidden":
        known = _known_keys(location, root)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        problem = "is no key here"
        remedy = f"did you mean {near[0]!r}?" if near else f"remove it; known keys: {', '.join(known)}"
    elif first["type"] == "missing":
        problem, remedy = "is missing", "add it"
    elif first["type"] == "string_pattern_mismatch":
        problem = f"does not match {first['ctx']['pattern']}"
        remedy = "use only the characters that pattern allows"
    key = _key(location, document)
    return ConfigurationError(file, key, problem + more, remedy, line=line_of(text, key))


def _known_keys(location: tuple[int | str, ...], root: type[schema.Table]) -> list[str]:
    tables: dict[str, type[schema.Table]] = {
        "title": schema.TitleTable,
        "time": schema.TimeTable,
        "field": schema.FieldTable,
        "rule": schema.RuleTable if root is schema.ProfileTable else schema.DistrictRuleTable,
        "watch": schema.WatchTable,
        "override": schema.OverrideTable,
    }
    table = tables.get(str(location[0]), root) if len(location) > 1 else root
    return sorted(table.model_fields)


def _key(location: tuple[int | str, ...], document: dict[str, Any]) -> str:
    """``field.active_power.unit`` rather than ``field.3.unit`` wherever the entry has a name."""
    steps = [str(step) for step in location]
    if len(location) > 1 and isinstance(location[1], int):
        entry = document[steps[0]][location[1]]
        label = entry.get("name" if steps[0] == "field" else "type") if isinstance(entry, dict) else None
        steps[1] = label if isinstance(label, str) and len(location) > 2 else f"{location[1] + 1}"
    return ".".join(steps)


def _path(text: str | None, key: str, complain: Complaint) -> Path | None:
    if text is None:
        return None
    try:
        return paths.parse(text)
    except ValueError as error:
        raise complain(key, str(error), "write object keys with dots and list positions as [0]") from None


def _time(table: schema.TimeTable, complain: Complaint) -> ProfileTime:
    if table.zone is not None and table.format != "iso8601":
        raise complain(
            "time.zone", "has no meaning for epoch times", 'leave it out, or set format = "iso8601"'
        )
    try:
        zone = ZoneInfo(table.zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise complain(
            "time.zone", f"{table.zone!r} is no time zone", "use a name like Asia/Ho_Chi_Minh"
        ) from None
    return ProfileTime(_path(table.field, "time.field", complain), table.format, zone)


def _check_names(fields: tuple[ProfileField, ...], table: schema.ProfileTable, complain: Complaint) -> None:
    seen: set[str] = set()
    for field in fields:
        if field.name in seen:
            raise complain(f"field.{field.name}.name", "is used twice", "give each field a name of its own")
        if field.name in RESERVED_FIELDS:
            raise complain(
                f"field.{field.name}.name", "is a column the gateway writes itself", "choose another name"
            )
        seen.add(field.name)
    for tag in table.tags:
        if tag in RESERVED_FIELDS or tag in seen:
            raise complain(
                f"tags.{tag}", "is also the name of a field or of a gateway's tag", "choose another name"
            )


def _check_paths(
    fields: tuple[ProfileField, ...],
    time: ProfileTime,
    id_path: Path | None,
    records: Path | None,
    complain: Complaint,
) -> None:
    """No two values may claim one place in the payload; ``$.`` needs records to tell it from."""
    places = [(f"field.{field.name}.path", field.path) for field in fields]
    places += [(key, path) for key, path in (("time.field", time.path), ("id_field", id_path)) if path]
    if records is None:
        for key, path in places:
            if path.of_message:
                raise complain(key, "$. has a meaning only beside records", "leave out the $.")
    else:
        places.append(("records", Path(records.text, records.steps, of_message=True)))
    for (_, a), (key, b) in combinations(places, 2):
        if problem := paths.conflict(a, b):
            raise complain(key, problem, "let each path name a place of its own")
