"""The ``[[rule]]`` tables of a profile, checked against its fields. In: validated tables. Out: model.Rule.

A rule that contradicts itself or its field is a ConfigurationError. Never judges a reading.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gateway.decode.schema import RuleTable
from gateway.decode.values import Complaint, ProfileField
from gateway.errors import ConfigurationError
from gateway.model import FieldKind, Rule
from gateway.vocabulary.derived import DERIVED


def compile_rules(
    tables: Sequence[RuleTable], fields: Sequence[ProfileField], complain: Complaint
) -> tuple[Rule, ...]:
    """One Rule a table, in the file's order."""
    by_name = {field.name: field for field in fields}
    seen: set[RuleKey] = set()
    compiled = []
    for table in tables:
        if key_of(table) in seen:
            raise complain(
                f"rule.{table.type}.type",
                "is used twice for one field and condition",
                "keep one, or let them judge different fields",
            )
        seen.add(key_of(table))
        compiled.append(compile_rule(table, by_name, within(complain, f"rule.{table.type}")))
    known = {rule.type for rule in compiled}
    for rule in compiled:
        check_exceptions(rule, known, within(complain, f"rule.{rule.type}"))
    return tuple(compiled)


RuleKey = tuple[str, str, str]
"""Type, field, condition: what tells the rules of one profile apart."""


def key_of(table: RuleTable) -> RuleKey:
    return table.type, table.field, table.when.value


def check_exceptions(rule: Rule, known: Collection[str], wrong: Complaint) -> None:
    """Each ``unless`` of ``rule`` names another of the types ``known`` in its profile."""
    others = sorted(set(known) - {rule.type})
    for other in rule.unless:
        if other not in others:
            raise wrong("unless", f"{other!r} is no other rule there", f"known are {', '.join(others)}")


def within(complain: Complaint, table: str) -> Complaint:
    """``complain`` for the keys of one table."""

    def wrong(key: str, problem: str, remedy: str) -> ConfigurationError:
        return complain(f"{table}.{key}", problem, remedy)

    return wrong


def compile_rule(table: RuleTable, fields: Mapping[str, ProfileField], wrong: Complaint) -> Rule:
    """One checked rule on one of ``fields``, by name; ``wrong`` makes the error for a key of the table."""
    if table.field in DERIVED and table.field not in fields:
        return _compiled(table, *_derived_limits(table, fields, wrong))
    field = fields.get(table.field)
    if field is None:
        raise wrong("field", f"{table.field!r} is no field of this profile", "name one of its fields")
    if table.unit is not None and table.unit != field.unit:
        raise wrong("unit", f"{table.unit!r} is not the unit of {field.name}", f"write {field.unit!r}")
    if field.kind is FieldKind.TEXT:
        raise wrong("field", f"{field.name} is a text", "judge a number, a boolean or an enum")
    above, raise_at, clear_at = _limits(table, field, wrong)
    if table.of_expected and field.unit != "W":
        raise wrong("of_expected", "compares with expected power", "use it on a field in W")
    if table.of_expected and field.side == "light_source":
        raise wrong(
            "of_expected", f"{field.name} is measured behind the driver", "judge the power on the mains side"
        )
    if table.heads and not table.of_expected:
        raise wrong("heads", "counts heads by their share of the power", "write of_expected = true as well")
    return _compiled(table, above, raise_at, clear_at)


def _derived_limits(
    table: RuleTable, fields: Mapping[str, ProfileField], wrong: Complaint
) -> tuple[bool, float, float]:
    """(above, raise_at, clear_at) of a rule on a value that is worked out of others."""
    derived = DERIVED[table.field]
    missing = [name for name in derived.needs if name not in fields]
    if missing:
        raise wrong(
            "field", f"{derived.name} needs {', '.join(missing)}", "leave the rule out of this profile"
        )
    if table.unit is not None and table.unit != derived.unit:
        raise wrong("unit", f"{table.unit!r} is not the unit of {derived.name}", f"write {derived.unit!r}")
    if table.of_expected or table.heads:
        raise wrong("of_expected", f"{derived.name} is compared already", "leave it out")
    return _threshold(table, wrong)[1:]


def _compiled(table: RuleTable, above: bool, raise_at: float, clear_at: float) -> Rule:
    return Rule(
        type=table.type,
        field=table.field,
        severity=table.severity,
        above=above,
        raise_at=raise_at,
        clear_at=clear_at,
        hold_s=table.hold_s,
        samples_min=table.samples_min,
        when=table.when,
        of_expected=table.of_expected,
        unless=tuple(table.unless),
        learned=table.learned,
        heads=table.heads,
        recorded=table.recorded,
    )


def _limits(table: RuleTable, field: ProfileField, wrong: Complaint) -> tuple[bool, float, float]:
    """(above, raise_at, clear_at) from whichever of the three ways the rule is written in."""
    given = _given(table)
    if field.kind is FieldKind.BOOLEAN:
        if given != {"raise_when"} or not isinstance(table.raise_when, bool):
            raise wrong("raise_when", f"{field.name} is a boolean", "write raise_when = true or false alone")
        return table.raise_when, 0.5, 0.5
    if field.kind is FieldKind.ENUM:
        # A threshold can single out a label only at the end of the codes.
        if given != {"raise_when"} or table.raise_when != field.labels[-1] or len(field.labels) < 2:
            raise wrong(
                "raise_when",
                f"{field.name} is an enum whose last label is {field.labels[-1]!r}",
                "write raise_when with that label alone, or put the label to judge last in the map",
            )
        between = len(field.labels) - 1.5
        return True, between, between
    raise_key, above, raise_at, clear_at = _threshold(table, wrong)
    low, high = field.canonical.minimum, field.canonical.maximum
    if not table.of_expected and (raise_at >= high if above else raise_at <= low):
        raise wrong(
            raise_key,
            f"{raise_at:g} lies at or beyond the plausible range [{low:g}, {high:g}]: it can never raise",
            "change the limit, or the field's min and max",
        )
    return above, raise_at, clear_at


def _threshold(table: RuleTable, wrong: Complaint) -> tuple[str, bool, float, float]:
    """(key that raises, above, raise_at, clear_at) of a rule with two limits."""
    given = _given(table)
    if (
        given == {"raise_above", "clear_below"}
        and table.raise_above is not None
        and table.clear_below is not None
    ):
        raise_key, above, raise_at, clear_at = "raise_above", True, table.raise_above, table.clear_below
        overlap = clear_at > raise_at
    elif (
        given == {"raise_below", "clear_above"}
        and table.raise_below is not None
        and table.clear_above is not None
    ):
        raise_key, above, raise_at, clear_at = "raise_below", False, table.raise_below, table.clear_above
        overlap = clear_at < raise_at
    else:
        raise wrong(
            "raise_above",
            "needs exactly two limits",
            "write raise_above with clear_below, or raise_below with clear_above",
        )
    if overlap:
        raise wrong(
            raise_key,
            f"clears at {clear_at:g}, inside the band that raises",
            "let the clear limit lie on the healthy side of the raise limit",
        )
    return raise_key, above, raise_at, clear_at


def _given(table: RuleTable) -> set[str]:
    keys = ("raise_above", "clear_below", "raise_below", "clear_above", "raise_when")
    return {key for key in keys if getattr(table, key) is not None}
