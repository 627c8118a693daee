"""Threshold rules as columns. In: a profile's rules. Out: arrays the evaluator compares whole matrices with.

Rules that raise above their limit come first, so that one comparison serves each direction.
Never holds state and never sees a reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.alarm.options import AlarmOptions
from gateway.alarm.scope import applicable
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Bools, FieldKind, Float64s, Int32s, Int64s, ProfileSpec, Rule, UInt8s, When
from gateway.vocabulary.derived import DERIVED

WHENS: Final = tuple(When)
"""Order of the codes in ``RuleTable.when``."""

LEVEL_FIELD: Final = "dimming_level"  # uCIFI 3416/3
POWER_FIELD: Final = "active_power"  # uCIFI 3418/4
HOURS_FIELD: Final = "lamp_operating_hours"  # uCIFI 3416
SECOND_NS: Final = 1_000_000_000
HEADS_TOLD: Final = 0.75  # more power left than that is no dead head: units differ by as much


@dataclass(frozen=True, slots=True)
class Gate:
    """When a rule is judged.

    ``power`` and ``programme``: once the lamp has shown its own; ``told``: while the power expected can be
    told from standby.
    """

    when: When
    power: bool
    programme: bool
    told: bool


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The rules of one profile; arrays have one entry a rule, ``rules[:above]`` raise above.

    ``keys`` name a rule across restarts and edits: limits may change and the state is kept, but another
    type, field, direction, severity or condition is another rule. ``*_row`` are rows of a batch's matrix,
    -1 where the profile has no such field.
    """

    profile: str
    rules: tuple[Rule, ...]
    keys: tuple[str, ...]  # one for all rules of which a place has only one: those that differ in scope
    units: tuple[str, ...]  # "" for booleans and codes, whose value says nothing to a reader
    scoped: Int64s  # rules that do not apply everywhere,
    applies: Bools  # and where they do, [scoped, assets]
    above: int
    field: Int32s
    raise_at: Float64s
    clear_at: Float64s
    hold_ns: Int64s
    samples_min: Int32s
    when: UInt8s
    around: Int64s  # rules of expected power: above it,
    faint: Int64s  # above nothing,
    missing: Int64s  # below it
    lit_only: Bools  # only a lit lamp can clear it
    dark_only: Bools  # judged while light is due off, or the sun is high
    level_row: int
    power_row: int
    hours_row: int
    derived: tuple[str, ...]  # values beside the profile's own, in rows after those
    heads: Int64s  # rules that one dead head of several breaks, too
    gates: tuple[Gate, ...]  # the conditions there are,
    gate: Int64s  # and that of each rule
    unless: tuple[tuple[int, Int64s], ...]  # (rule, those that a reading must not break)
    meter_guard_w: float  # what a meter can not tell apart: so far from the expected power a limit keeps
    dark_margin_w: float  # above standby: still dark,
    lit_margin_w: float  # and lit

    @property
    def conditional(self) -> bool:
        """Whether any rule needs the expected state."""
        return bool(self.when.any()) or self.of_expected or bool(self.derived)

    @property
    def remembers(self) -> bool:
        """Whether any rule asks what a lamp has shown before."""
        learned = any(gate.power or gate.programme for gate in self.gates)
        return bool(self.derived) or learned or bool(len(self.heads))

    @property
    def of_expected(self) -> bool:
        return bool(len(self.around) + len(self.faint) + len(self.missing))


def table(spec: ProfileSpec, fleet: Fleet, options: AlarmOptions) -> RuleTable:
    """Compile ``spec.rules``. ConfigurationError for a rule on a field the profile has not."""
    rows = {field.name: row for row, field in enumerate(spec.numeric)}
    used = {rule.field for rule in spec.rules if rule.field not in rows}
    derived = tuple(name for name, of in DERIVED.items() if name in used and rows.keys() >= set(of.needs))
    rows |= {name: len(spec.numeric) + row for row, name in enumerate(derived)}
    units = [field.unit for field in spec.numeric] + [DERIVED[name].unit for name in derived]
    for rule in spec.rules:
        if rule.field not in rows:
            known = ", ".join(rows)
            raise ConfigurationError(spec.name, "rule.field", f"{rule.field!r} is no numeric field", known)
    rules = tuple(sorted(spec.rules, key=lambda rule: not rule.above))
    applies = applicable(rules, fleet)
    enabled = np.array([rule.enabled for rule in rules], dtype=np.bool_)
    rules, applies = tuple(rule for rule in rules if rule.enabled), applies[enabled]
    scoped = np.flatnonzero(~applies.all(axis=1))
    gates = sorted({_gate(rule) for rule in rules}, key=str)
    when = np.array([WHENS.index(rule.when) for rule in rules], dtype=np.uint8)
    meter_guard_w = max(options.meter_guard_w, options.meter_steps * _power_step_w(spec))
    raise_at = np.array([rule.raise_at for rule in rules], dtype=np.float64)
    clear_at = np.array([rule.clear_at for rule in rules], dtype=np.float64)
    return RuleTable(
        profile=spec.name,
        rules=rules,
        keys=_keys(rules),
        scoped=scoped,
        applies=applies[scoped],
        units=tuple(units[rows[rule.field]] for rule in rules),
        above=sum(rule.above for rule in rules),
        field=np.array([rows[rule.field] for rule in rules], dtype=np.int32),
        raise_at=raise_at,
        clear_at=clear_at,
        hold_ns=np.array([round(rule.hold_s * SECOND_NS) for rule in rules], dtype=np.int64),
        samples_min=np.array([max(1, rule.samples_min) for rule in rules], dtype=np.int32),
        when=when,
        around=_where(rule.of_expected and rule.above and rule.raise_at >= 1.0 for rule in rules),
        faint=_where(rule.of_expected and rule.above and rule.raise_at < 1.0 for rule in rules),
        missing=_where(rule.of_expected and not rule.above for rule in rules),
        lit_only=when == WHENS.index(When.LIGHT_DUE_ON),
        dark_only=(when == WHENS.index(When.LIGHT_DUE_OFF)) | (when == WHENS.index(When.DAYLIGHT)),
        level_row=rows.get(LEVEL_FIELD, -1),
        power_row=rows.get(POWER_FIELD, -1),
        hours_row=rows.get(HOURS_FIELD, -1),
        derived=derived,
        heads=_where(rule.heads for rule in rules),
        gates=tuple(gates),
        gate=np.array([gates.index(_gate(rule)) for rule in rules], dtype=np.int64),
        unless=tuple(
            (row, _where(other.type in rule.unless for other in rules))
            for row, rule in enumerate(rules)
            if rule.unless
        ),
        meter_guard_w=meter_guard_w,
        dark_margin_w=options.dark_margin_w,
        lit_margin_w=options.lit_margin_w,
    )


def limits(
    rules: RuleTable,
    expected_w: Float64s | None,
    standby_w: Float64s | None,
    heads: Float64s | None,
    *,
    clear: bool,
) -> Float64s:
    """Limits [rules, n] (or [rules, 1] when none depends on the reading) to raise, or to ``clear``.

    ``heads`` [n] is the share of the expected power that tells a dead head, 0 where there is one head.

    To raise, a fraction of the expected power keeps clear of what a meter can not tell apart around the
    expected power, and above standby (field notes, "rule by rule"). To clear, that does not count: a lamp of
    little power, or dimmed to little, is within it whatever is wrong with it, and so proves nothing.
    """
    column = (rules.clear_at if clear else rules.raise_at)[:, np.newaxis]
    guard_w = 0.0 if clear else rules.meter_guard_w
    if expected_w is None or standby_w is None:
        return column
    out = np.empty((len(column), len(expected_w)), dtype=np.float64)
    out[:] = column
    out[rules.around] = np.maximum(column[rules.around] * expected_w, expected_w + guard_w)
    out[rules.faint] = np.maximum(column[rules.faint] * expected_w, standby_w + rules.lit_margin_w)
    share = np.broadcast_to(column, out.shape)
    if heads is not None and len(rules.heads):
        share = share.copy()
        share[rules.heads] = np.maximum(share[rules.heads], heads)
    missing = np.minimum(share[rules.missing] * expected_w, expected_w - guard_w)
    out[rules.missing] = np.maximum(missing, standby_w + rules.dark_margin_w)
    return out


def head_shares(fleet: Fleet, margin: float) -> Float64s:
    """Shares of its power below which an asset has a dead head, and above which none; float64[2, assets]."""
    heads = np.maximum(fleet.asset_table.numbers("heads"), 1.0)
    heads = heads if len(heads) else np.ones(1)
    several = heads > 1
    return np.stack(
        (
            np.where(several, np.minimum((heads - 1.0) / heads + margin, HEADS_TOLD), 0.0),
            np.where(several, 1.0 - 0.4 / heads, 0.0),
        )
    )


def _power_step_w(spec: ProfileSpec) -> float:
    """The step in which a meter tells power; 0 where the profile does not say."""
    steps = [
        abs(field.multiplier / field.divisor)
        for field in spec.numeric
        if field.name == POWER_FIELD and field.kind is FieldKind.INTEGER
    ]
    return max(steps, default=0.0)


def _gate(rule: Rule) -> Gate:
    learned, of_power = rule.learned, rule.of_expected
    return Gate(rule.when, learned and of_power, learned and not of_power, of_power and not rule.above)


def _where(flags: Iterable[bool]) -> Int64s:
    return np.flatnonzero(list(flags)).astype(np.int64)


def _keys(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    seen: Counter[tuple[str, str]] = Counter()
    keys = []
    for rule in rules:
        side = "above" if rule.above else "below"
        key = f"{rule.type}/{rule.field}/{side}/{rule.severity}/{rule.when}"
        key += "/recorded" if rule.recorded else ""
        seen[key, rule.scope] += 1
        number = seen[key, rule.scope]
        keys.append(key if number == 1 else f"{key}/{number}")
    return tuple(keys)
