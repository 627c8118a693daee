"""The ``[[watch]]`` tables of a profile, checked against its fields. In: validated tables. Out: Watch values.

A watch that lacks what its kind needs, or says what it has no use for, is a ConfigurationError.
Never judges a reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.decode.schema import WatchTable
from gateway.decode.values import Complaint, ProfileField
from gateway.errors import ConfigurationError
from gateway.model import FieldKind, Severity
from gateway.regulation import Regulation
from gateway.watches import Watch, WatchKind

HOUR_S: Final = 3600.0
_NEEDS: Final = {
    WatchKind.AIR_HOUR: {"regulation"},
    WatchKind.AIR_DAY: {"regulation"},
    WatchKind.NOISE: {"regulation", "zone", "fields", "severity", "share"},
    WatchKind.RISE: {"fields", "severity", "limit", "over_h"},
    WatchKind.FLAT: {"fields", "severity", "over_h"},
    WatchKind.RANGE: {"fields", "severity", "over_h"},
    WatchKind.DRIFT: {"fields", "severity", "share"},
}
_MAY: Final = {
    WatchKind.AIR_HOUR: {"margin"},
    WatchKind.AIR_DAY: {"margin"},
    WatchKind.NOISE: {"margin"},
    WatchKind.RISE: {"margin"},
    WatchKind.FLAT: {"floor"},
    WatchKind.RANGE: set[str](),
    WatchKind.DRIFT: {"limit", "humidity_max"},
}
SCOPED: Final = ("severity", "zone", "limit", "share", "margin", "over_h", "floor", "humidity_max")
"""What an override may write besides the type."""

HUMIDITY: Final = "relative_humidity"
_NUMBERS: Final = (FieldKind.FLOAT, FieldKind.INTEGER)


def compile_watches(
    tables: Sequence[WatchTable], fields: Mapping[str, ProfileField], complain: Complaint
) -> tuple[Watch, ...]:
    """One Watch a field of each table, in the file's order."""
    seen: set[str] = set()
    compiled: list[Watch] = []
    for table in tables:

        def wrong(key: str, problem: str, remedy: str, of: str = table.type) -> ConfigurationError:
            return complain(f"watch.{of}.{key}", problem, remedy)

        if table.type in seen:
            raise wrong("type", "is used twice", "give each watch a type of its own")
        seen.add(table.type)
        compiled += compile_watch(table, fields, wrong)
    return tuple(compiled)


def compile_watch(
    table: WatchTable, fields: Mapping[str, ProfileField], wrong: Complaint
) -> tuple[Watch, ...]:
    """The watches of one table; ``wrong`` makes the error for a key of it."""
    written = table.model_dump(exclude_none=True, exclude={"type", "kind"})
    needs, may = _NEEDS[table.kind], _MAY[table.kind]
    for key in sorted(needs - set(written)):
        raise wrong(key, f"is missing: {table.kind} needs it", "add it")
    for key in sorted(set(written) - needs - may):
        known = ", ".join(sorted(needs | may))
        raise wrong(key, f"does not go with kind {table.kind.value!r}", f"it takes {known}")
    for name in table.fields or ():
        field = fields.get(name)
        if field is None or field.kind not in _NUMBERS:
            raise wrong(
                "fields", f"{name!r} is no numeric field of this profile", "name numeric fields of it"
            )
        if table.kind is WatchKind.NOISE and field.canonical.unit != "dB(A)":
            raise wrong("fields", f"{name!r} is not in dB(A)", "name a sound level")
    if table.humidity_max is not None and HUMIDITY not in fields:
        raise wrong("humidity_max", f"the profile has no {HUMIDITY}", "remove it, or add that field")
    return tuple(
        Watch(
            type=table.type,
            kind=table.kind,
            severity=table.severity or Severity.INFO,  # an index has those of its grades
            field=name,
            regulation=table.regulation or "",
            over_s=(table.over_h or 0.0) * HOUR_S,
            **{key: written[key] for key in SCOPED if key in written and key not in ("severity", "over_h")},
        )
        for name in table.fields or [""]
    )


def check_regulations(watches: Iterable[Watch], regulations: Mapping[str, Regulation], file: str) -> None:
    """Each regulation that is named is there, of that kind, and has the zone; raises ConfigurationError."""
    for watch in watches:
        if not watch.regulation:
            continue
        key = f"watch.{watch.type}.regulation"
        found = regulations.get(watch.regulation)
        if found is None:
            known = ", ".join(sorted(regulations)) or "none"
            raise ConfigurationError(file, key, f"{watch.regulation!r} is no regulation", f"known: {known}")
        if not (found.noise if watch.kind is WatchKind.NOISE else found.air):
            raise ConfigurationError(file, key, f"{found.name!r} is of another kind", "name one that fits")
        if watch.kind is WatchKind.NOISE:
            zones = sorted(set.intersection(*(set(edition.limits) for edition in found.noise)))
            if watch.zone not in zones:
                key = f"watch.{watch.type}.zone"
                raise ConfigurationError(
                    file, key, f"{watch.zone!r} is no zone of {found.name}", f"known: {', '.join(zones)}"
                )
