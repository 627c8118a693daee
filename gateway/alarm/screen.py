"""Which readings need a closer look. In: readings as columns, what is due. Out: those that may break a limit.

Coarser than the rules and never finer: what ``scene.broken`` finds is always among what is found here. Nearly
all readings of a sound city are passed over after a comparison or two a field. Keeps no state.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gateway.alarm.expected import Expectation, ExpectedState, Lasting, Light, Supply, Why
from gateway.alarm.rule import RuleTable
from gateway.alarm.timing import Times
from gateway.model import Bools, Float64s, Int32s, Int64s, ReadingBatch, UInt8s, When

BITS: Final = {
    When.ALWAYS: 1,
    When.LIGHT_DUE_ON: 2,
    When.LIGHT_DUE_OFF: 4,
    When.SUPPLY_DUE: 8,
    When.DAYLIGHT: 16,
}
"""A reading's circumstances in one byte: for which ``When`` it is judged,"""

STEADY: Final = 32
"""and whether neither light nor level is about to change or just has."""


class View(NamedTuple):
    """n believed readings of one profile; what no rule of it asks for is None.

    ``values`` are followed by what the memory derived; ``bits`` are those of BITS and STEADY.
    """

    rules: RuleTable
    batch: ReadingBatch
    rows: Int64s  # of the batch
    device: Int32s
    asset: Int32s
    times: Times
    values: Float64s
    bits: UInt8s | None = None
    steady: Bools | None = None
    standby_w: Float64s | None = None
    expected_w: Float64s | None = None
    lit: Bools | None = None
    proven: Bools | None = None  # it has shown its own power

    def take(self, at: Int64s) -> View:
        return View(
            self.rules,
            self.batch,
            self.rows[at],
            self.device[at],
            self.asset[at],
            self.times.take(at),
            self.values[:, at],
            None if self.bits is None else self.bits[at],
            None if self.steady is None else self.steady[at],
            None if self.standby_w is None else self.standby_w[at],
            None if self.expected_w is None else self.expected_w[at],
            None if self.lit is None else self.lit[at],
            None if self.proven is None else self.proven[at],
        )


def circumstances(due: ExpectedState, settled: Bools, excused: Bools) -> UInt8s:
    """Bits of placed readings, or of assets; see ``Evaluator.settled`` and ``excused``."""
    dark = (due.light_due == Light.OFF) & ~excused
    by_photocell = due.why == Why.PHOTOCELL
    holds = (
        (BITS[When.LIGHT_DUE_ON], (due.light_due == Light.ON) & settled),
        (BITS[When.LIGHT_DUE_OFF], dark & ~by_photocell),
        (BITS[When.SUPPLY_DUE], due.supply_due == Supply.ON),
        (BITS[When.DAYLIGHT], dark & by_photocell),
        (STEADY, due.steady),
    )
    bits = np.full(len(dark), BITS[When.ALWAYS], dtype=np.uint8)
    for bit, where in holds:
        bits |= where.view(np.uint8) * np.uint8(bit)
    return bits


class Present:
    """Circumstances and level due of all assets, worked out anew when what they rest on changes."""

    def __init__(self, expectation: Expectation) -> None:
        self._expectation = expectation
        self._lasting: Lasting | None = None
        self._judged_by: tuple[Bools, Bools] | None = None
        self._bits, self._level = np.empty(0, dtype=np.uint8), np.empty(0)

    def of(self, lasting: Lasting, settled: Bools, excused: Bools) -> tuple[UInt8s, Float64s]:
        """(uint8[assets], float64[assets]) of bits and levels."""
        before, self._judged_by = self._judged_by, (settled, excused)
        if before is None or lasting is not self._lasting or _differ(before, self._judged_by):
            due = self._expectation.all_at(lasting)
            self._lasting, self._level = lasting, due.level_due
            self._bits = circumstances(due, settled, excused)
        return self._bits, self._level


def _differ(before: tuple[Bools, Bools], now: tuple[Bools, Bools]) -> bool:
    return any(a is not b and np.count_nonzero(a != b) for a, b in zip(before, now, strict=True))


class Screen:
    """Of one profile's rules: their tightest limits by field, and when those of expected power are judged."""

    def __init__(self, rules: RuleTable, heads: Float64s) -> None:
        self.conditional = rules.conditional
        width = 1 + int(rules.field.max(initial=-1))
        self._high, self._low = np.full((width, 1), np.inf), np.full((width, 1), -np.inf)
        of_power = {*rules.around.tolist(), *rules.faint.tolist(), *rules.missing.tolist()}
        for k, field in enumerate(rules.field.tolist()):
            if k not in of_power:
                limit = float(rules.raise_at[k])
                if k < rules.above:
                    self._high[field] = min(self._high[field, 0], limit)
                else:
                    self._low[field] = max(self._low[field, 0], limit)
        self._highs = bool(np.isfinite(self._high).any())
        self._lows = bool(np.isfinite(self._low).any())
        self._by_field = {
            field: [
                (kind, learned, *of_one)
                for kind, which in (
                    ("around", rules.around),
                    ("faint", rules.faint),
                    ("missing", rules.missing),
                )
                for learned in (False, True)
                if (of_one := _share(rules, which, field, learned=learned))
            ]
            for field in np.unique(rules.field[sorted(of_power)]).tolist()
        }
        if len(rules.heads):
            # A lamp with several heads is judged by another share, once its power is known.
            when = _when(rules, rules.heads)
            for field in np.unique(rules.field[rules.heads]).tolist():
                self._by_field[field].append(("missing", True, float(heads[0].max(initial=0.0)), when))

    def suspects(self, view: View) -> Bools | None:
        """bool[n], or None for nobody."""
        found: Bools | None = None
        judged, bits = view.values[: len(self._high)], view.bits
        if self._highs:
            found = _merged(found, judged > self._high)
        if self._lows:
            found = _merged(found, judged < self._low)
        if bits is None or view.expected_w is None or view.standby_w is None:
            return found
        for row, kinds in self._by_field.items():
            power_w = view.values[row]
            for kind, learned, share, when in kinds:
                one = _off(view.rules, kind, share, power_w, view.expected_w, view.standby_w)
                if kind == "faint" and view.lit is not None:
                    one &= view.lit
                if not np.count_nonzero(one):
                    continue
                one &= (bits & when) != 0
                if learned and view.proven is not None:
                    one &= view.proven
                found = one if found is None else found | one
        return found


def _off(
    rules: RuleTable, kind: str, share: float, power_w: Float64s, expected_w: Float64s, standby_w: Float64s
) -> Bools:
    """Where power is off what is expected, as ``rule.limits`` has it."""
    if kind == "around":
        above: Bools = power_w > np.maximum(expected_w * share, expected_w + rules.meter_guard_w)
        return above
    if kind == "faint":
        faint: Bools = power_w > expected_w * share
        return faint
    below: Bools = power_w < np.maximum(expected_w * share, standby_w + rules.dark_margin_w)
    return below


def _share(rules: RuleTable, which: Int64s, field: int, *, learned: bool) -> tuple[float, np.uint8] | None:
    """The share of expected power at which the first of rules ``which`` on ``field`` breaks, and when."""
    own = [k for k in which.tolist() if rules.field[k] == field and rules.rules[k].learned == learned]
    if not own:
        return None
    shares = rules.raise_at[own]
    return float(shares.min() if own[0] < rules.above else shares.max()), _when(rules, own)


def _when(rules: RuleTable, which: Int64s | list[int]) -> np.uint8:
    return np.uint8(np.bitwise_or.reduce([BITS[rules.rules[k].when] for k in which]))


def _merged(found: Bools | None, broken: Bools) -> Bools | None:
    """``found`` and what any row of ``broken`` holds."""
    if not np.count_nonzero(broken):
        return found
    any_of: Bools = np.logical_or.reduce(broken, axis=0)
    return any_of if found is None else found | any_of
