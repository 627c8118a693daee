"""``rules.toml`` of a district. In: its text, the profiles, the inventory. Out: the profiles with its rules.

An override that names nothing there is, says the same twice, or contradicts itself is a ConfigurationError
with file and line. Never judges a reading, never reads a file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from gateway.decode.lines import line_of
from gateway.decode.profile import Complaint, Profile, table_of
from gateway.decode.rules import RuleKey, check_exceptions, compile_rule, key_of, within
from gateway.decode.schema import OverrideTable, RulebookTable, RuleTable, WatchTable
from gateway.decode.values import ProfileField
from gateway.decode.watches import compile_watch
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Rule
from gateway.watches import Watch

FILE: Final = "rules.toml"
CITY: Final = "city"
SCOPES: Final = ("area", "cabinet", "feeder", "asset")
OneTable = TypeVar("OneTable", RuleTable, WatchTable)


def apply(text: str, profiles: Sequence[Profile], fleet: Fleet, file: str = FILE) -> tuple[Profile, ...]:
    """``profiles`` with the rules and overrides that ``text`` (TOML) adds; raises ConfigurationError."""

    def complain(key: str, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(file, key, problem, remedy, line=line_of(text, key))

    book = table_of(text, file, RulebookTable)
    by_name = {profile.name: profile for profile in profiles}
    tables = {name: {key_of(table): table for table in p.rule_tables} for name, p in by_name.items()}
    watches = {name: {table.type: table for table in p.watch_tables} for name, p in by_name.items()}
    added: dict[str, list[Rule]] = {name: [] for name in by_name}
    watched: dict[str, list[Watch]] = {name: [] for name in by_name}
    for number, rule in enumerate(book.rule, 1):
        wrong = within(complain, f"rule.{number}")
        profile = _profile(rule.profile, by_name, wrong)
        if rule.type in watches[profile.name]:
            raise wrong("type", f"{profile.name} has such a watch", "write an [[override]] of it")
        table = RuleTable.model_validate(rule.model_dump(exclude={"profile"}))
        if key_of(table) in tables[profile.name]:
            raise wrong("type", f"{profile.name} has such a rule", "write an [[override]] of it")
        tables[profile.name][key_of(table)] = table
        compiled = compile_rule(table, _fields(profile), wrong)
        check_exceptions(compiled, {kind for kind, _, _ in tables[profile.name]}, wrong)
        added[profile.name].append(compiled)
    seen: set[tuple[str, RuleKey | str, str]] = set()
    for number, override in enumerate(book.override, 1):
        wrong = within(complain, f"override.{number}")
        scope = _scope(override, fleet, wrong)
        here, enabled = scope or CITY, override.enabled
        for name, key in _named(override, by_name, tables, watches, wrong):
            if (name, key, scope) in seen:
                raise wrong("rule", "is overridden there twice", "keep one of the two")
            seen.add((name, key, scope))
            fields = _fields(by_name[name])
            if isinstance(key, str):
                found = compile_watch(_merged(watches[name][key], override, wrong), fields, wrong)
                watched[name] += (replace(watch, scope=here, enabled=enabled) for watch in found)
            else:
                compiled = compile_rule(_merged(tables[name][key], override, wrong), fields, wrong)
                added[name].append(replace(compiled, scope=here, enabled=enabled))
    return tuple(_extended(profile, added[profile.name], watched[profile.name]) for profile in profiles)


def _extended(profile: Profile, rules: Sequence[Rule], watches: Sequence[Watch]) -> Profile:
    spec = profile.spec
    spec = replace(spec, rules=spec.rules + tuple(rules), watches=spec.watches + tuple(watches))
    return replace(profile, spec=spec)


def practice(text: str, defaults: Mapping[str, float], file: str = FILE) -> dict[str, float]:
    """``defaults`` with what the table ``[practice]`` says otherwise; raises ConfigurationError."""
    written = table_of(text, file, RulebookTable).practice
    for key in written:
        if key not in defaults:
            name = f"practice.{key}"
            remedy = f"known are {', '.join(defaults)}"
            raise ConfigurationError(file, name, "is no number of practice", remedy, line=line_of(text, name))
    return {key: type(default)(written.get(key, default)) for key, default in defaults.items()}


def _fields(profile: Profile) -> Mapping[str, ProfileField]:
    return {field.name: field for field in profile.fields}


def _profile(name: str, profiles: Mapping[str, Profile], wrong: Complaint) -> Profile:
    if name not in profiles:
        raise wrong("profile", f"{name!r} is no device profile", f"known are {', '.join(sorted(profiles))}")
    return profiles[name]


def _named(
    override: OverrideTable,
    profiles: Mapping[str, Profile],
    tables: Mapping[str, Mapping[RuleKey, RuleTable]],
    watches: Mapping[str, Collection[str]],
    wrong: Complaint,
) -> list[tuple[str, RuleKey | str]]:
    """(profile, rule or watch) meant: all of that type, on the field and under the condition where named."""
    asked = [_profile(override.profile, profiles, wrong).name] if override.profile else list(profiles)
    found: list[tuple[str, RuleKey | str]] = [
        (name, key)
        for name in asked
        for key, table in tables[name].items()
        if table.type == override.rule
        and override.field in (None, table.field)
        and override.when in (None, table.when)
    ]
    found += [(name, override.rule) for name in asked if override.rule in watches[name]]
    if not found:
        known = sorted(
            {kind for name in asked for kind in (*(k for k, _, _ in tables[name]), *watches[name])}
        )
        raise wrong("rule", f"{override.rule!r} is no rule there", f"known are {', '.join(known)}")
    return found


def _scope(override: OverrideTable, fleet: Fleet, wrong: Complaint) -> str:
    given = [kind for kind in SCOPES if getattr(override, kind) is not None]
    if len(given) > 1:
        raise wrong(given[1], f"stands beside {given[0]}", "name one place, or none for the whole city")
    if not given:
        return ""
    kind, name = given[0], getattr(override, given[0])
    known = {
        "area": fleet.area_by_code,
        "cabinet": {cabinet.id for cabinet in fleet.cabinets},
        "feeder": fleet.feeder_by_id,
        "asset": fleet.asset_row,
    }[kind]
    if name not in known:
        raise wrong(kind, f"{name!r} is no {kind} of the inventory", "mend the spelling")
    return f"{kind}:{name}"


def _merged(table: OneTable, override: OverrideTable, wrong: Complaint) -> OneTable:
    """The profile's rule or watch with what the override writes."""
    written = override.model_dump(
        exclude_none=True, exclude={"rule", "field", "when", "profile", "enabled", *SCOPES}
    )
    for key in written:
        if key not in type(table).model_fields:
            raise wrong(key, f"is no key of {override.rule}", "see docs/profiles.md for what it takes")
    return table.model_copy(update=written)
