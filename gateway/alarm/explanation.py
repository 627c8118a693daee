"""Why a rule fired, or did not. In: an evaluator's state, an asset, an instant. Out: one document a rule.

For ``citylight rules explain``: what the operator sees here is what the evaluator would judge the latest
reading by. Never changes a state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import numpy as np

from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation, ExpectedState, Light, Supply, Why
from gateway.alarm.rule import RuleTable, limits
from gateway.errors import OrderRefused
from gateway.fleet import Fleet
from gateway.model import TIME_ABSENT, Float64s, Rule, When, rfc3339
from gateway.vocabulary.derived import DERIVED

_HOLDS: Final[dict[When, Callable[[ExpectedState], bool]]] = {
    When.ALWAYS: lambda _: True,
    When.LIGHT_DUE_ON: lambda due: bool(due.light_due[0] == Light.ON),
    When.LIGHT_DUE_OFF: lambda due: bool(due.light_due[0] == Light.OFF and due.why[0] != Why.PHOTOCELL),
    When.SUPPLY_DUE: lambda due: bool(due.supply_due[0] == Supply.ON),
    When.DAYLIGHT: lambda due: bool(due.light_due[0] == Light.OFF and due.why[0] == Why.PHOTOCELL),
}


def explain(
    fleet: Fleet, evaluator: Evaluator, expectation: Expectation, asset: str, now_ns: int
) -> list[dict[str, Any]]:
    """The rules that apply at ``asset`` now, device by device. OrderRefused for an asset there is not."""
    place = fleet.asset_row.get(asset)
    if place is None:
        raise OrderRefused(f"the inventory has no asset {asset!r}")
    rows = np.arange(len(fleet.devices), dtype=np.int32)
    here = np.flatnonzero(fleet.assets_at(rows, np.full(len(rows), now_ns, dtype=np.int64)) == place)
    found = []
    for row in here.tolist():
        table = evaluator.tables[fleet.devices[row].profile]
        applies = np.ones(len(table.rules), dtype=np.bool_)
        applies[table.scoped] = table.applies[:, place]
        view = _View(evaluator, expectation, table, row, place)
        found += [view.document(fleet.devices[row].id, int(k)) for k in np.flatnonzero(applies)]
        if fleet.assets[place].kind == "light_point":
            found += _unobservable(table, evaluator.fields[table.profile], fleet.devices[row].id)
    return found


def _unobservable(table: RuleTable, fields: Collection[str], device: str) -> list[dict[str, Any]]:
    """What no rule can tell of this device, for its profile has not the fields: no alarm proves no health."""
    judged = {rule.type for rule in table.rules}
    missing: dict[str, list[str]] = {}
    for derived in DERIVED.values():
        missing.setdefault(derived.tells, []).extend(name for name in derived.needs if name not in fields)
    return [
        {
            "rule": kind,
            "device": device,
            "field": names[0],
            "severity": None,
            "scope": "everywhere",
            "above": None,
            "clears_at": None,
            "unit": None,
            "value": None,
            "time": None,
            "state": "not observable",
            "why": f"its profile has no {', '.join(dict.fromkeys(names))}",
        }
        for kind, names in missing.items()
        if names and kind not in judged
    ]


class _View:
    """The latest reading of one device and what was due then."""

    def __init__(
        self, evaluator: Evaluator, expectation: Expectation, table: RuleTable, device: int, place: int
    ) -> None:
        self._table, self._place = table, place
        self._state, self._local = evaluator.states[table.profile], int(evaluator.local[device])
        self._time_ns = int(evaluator.latest_ns[device])
        self._values = evaluator.seen[table.profile][self._local].astype(np.float64)
        at = np.array([place], dtype=np.int32)
        self._due: ExpectedState = expectation.at(at, np.array([max(self._time_ns, 0)], dtype=np.int64))
        level = self._due.level_due
        if table.level_row >= 0 and not np.isnan(self._values[table.level_row]):
            level = self._values[[table.level_row]]
        hours = self._values[[table.hours_row]] if table.hours_row >= 0 else None
        self._standby_w = expectation.standby_w[at]
        memory = evaluator.memories.get(table.profile)
        self._factor = float("nan") if memory is None else float(memory.factor[self._local])
        self._followed = memory is not None and bool(memory.followed[self._local])
        known = 1.0 if np.isnan(self._factor) else self._factor
        self._expected_w = expectation.expected_power_w(at, level, hours) * known
        self._heads = None if np.isnan(self._factor) else evaluator.heads[:, at]
        self._settled = bool(evaluator.settled[place])
        self._excused = bool(evaluator.excused[place])

    def document(self, device: str, k: int) -> dict[str, Any]:
        rule, table = self._table.rules[k], self._table
        value = float(self._values[table.field[k]])
        raised = bool(self._state.raised[self._local, k])
        count = int(self._state.count[self._local, k])
        raise_at, clear_at = self._limit(table.raise_at, 0, k), self._limit(table.clear_at, 1, k)
        state = "raised" if raised else "pending" if count else "normal"
        return {
            "rule": rule.type,
            "device": device,
            "field": rule.field,
            "severity": rule.severity.value,
            "scope": rule.scope or "everywhere",
            "above" if rule.above else "below": raise_at,
            "clears_at": clear_at,
            "unit": table.units[k] or None,
            "hold_s": rule.hold_s,
            "samples_min": rule.samples_min,
            "when": rule.when.value,
            "unless": list(rule.unless),
            "recorded_only": rule.recorded,
            "power_learned": None if np.isnan(self._factor) else round(self._factor, 3),
            "value": None if np.isnan(value) else value,
            "time": None if self._time_ns == TIME_ABSENT else rfc3339(self._time_ns),
            "light_due": Light(int(self._due.light_due[0])).name.lower(),
            "light_due_by": Why(int(self._due.why[0])).name.lower(),
            "state": state,
            "why": self._why(rule, k, value, raise_at, state, count),
        }

    def _limit(self, column: Float64s, clear: int, k: int) -> float:
        heads = None if self._heads is None else self._heads[clear]
        return float(limits(self._table, column, self._expected_w, self._standby_w, heads)[k, 0])

    def _why(self, rule: Rule, k: int, value: float, raise_at: float, state: str, count: int) -> str:
        since = rfc3339(int(self._state.since[self._local, k]))
        if state == "raised":
            return f"the limit is broken since {since}, and no healthy sample came"
        if state == "pending":
            return (
                f"broken in {count} of {rule.samples_min} samples since {since}; must last {rule.hold_s:g} s"
            )
        if self._time_ns == TIME_ABSENT:
            return "no reading yet"
        if np.isnan(value):
            return f"the latest reading known has no {rule.field}"
        if not _HOLDS[rule.when](self._due):
            return f"judged only while {rule.when.value.replace('_', ' ')}"
        if rule.learned and (np.isnan(self._factor) if rule.of_expected else not self._followed):
            return "the lamp has not shown yet what is normal for it"
        if self._table.lit_only[k] and not self._settled:
            return "its circuit has no power, or has it again for too short a time"
        if self._table.dark_only[k] and self._excused:
            return "its circuit, a crew or a dark sky accounts for light by day"
        faint = float(self._expected_w[0] - self._standby_w[0]) < self._table.meter_guard_w
        if k in self._table.missing and faint:
            return "the power expected can not be told from standby"
        broken = value > raise_at if rule.above else value < raise_at
        return "the limit is broken by readings that were not judged" if broken else "within the limit"
