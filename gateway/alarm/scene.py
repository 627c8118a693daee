"""Readings with what each rule says of them alone. In: columns of readings, what was due. Out: verdicts.

No state of a rule: whether a limit is broken, whether a value is healthy, whether it was judged at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.alarm.rule import Gate, RuleTable, limits
from gateway.alarm.screen import BITS
from gateway.model import Bools, Float64s, Int32s, Int64s, ReadingBatch, UInt8s


@dataclass(frozen=True, slots=True)
class Scene:
    """n readings of one profile and the stateless verdicts [rules, n] on them.

    ``sample`` was judged, ``breach`` broke the limit; powers and ``lit`` are None unless a rule asks.
    """

    rules: RuleTable
    batch: ReadingBatch
    rows: Int64s  # of the batch
    time_ns: Int64s
    own: Bools  # by the device's clock
    asset: Int32s
    values: Float64s
    sample: Bools
    breach: Bools
    expected_w: Float64s | None
    standby_w: Float64s | None
    lit: Bools | None
    heads: Float64s | None  # [2, n]: shares of the expected power that raise and clear a dead head

    def take(self, at: Int64s) -> Scene:
        return Scene(
            self.rules,
            self.batch,
            self.rows[at],
            self.time_ns[at],
            self.own[at],
            self.asset[at],
            self.values[:, at],
            self.sample[:, at],
            self.breach[:, at],
            None if self.expected_w is None else self.expected_w[at],
            None if self.standby_w is None else self.standby_w[at],
            None if self.lit is None else self.lit[at],
            None if self.heads is None else self.heads[:, at],
        )

    def limits(self, *, clear: bool) -> Float64s:
        """[rules, n], or [rules, 1] where none depends on the reading."""
        heads = None if self.heads is None else self.heads[int(clear)]
        return limits(self.rules, self.expected_w, self.standby_w, heads, clear=clear)

    def healthy(self) -> Bools:
        """Where a judged value is within the clear limit; bool[rules, n]."""
        clear_at = self.limits(clear=True)
        high, low = slice(0, self.rules.above), slice(self.rules.above, None)
        healthy = self.sample.copy()
        healthy[high] &= self.values[high] <= clear_at[high]
        healthy[low] &= self.values[low] >= clear_at[low]
        if self.lit is not None:
            # A lamp that is off proves no repair: only a healthy lit sample ends a night rule.
            healthy &= self.lit | ~self.rules.lit_only[:, np.newaxis]
        return healthy

    def place(self, at: int) -> tuple[int, int, int]:
        """Sequence, index, sample: where in the journal."""
        row = self.rows[at]
        return int(self.batch.sequence[row]), int(self.batch.index[row]), int(self.batch.sample[row])


def broken(rules: RuleTable, values: Float64s, raise_at: Float64s, sample: Bools) -> Bools:
    """Which of the judged values break their limit, and no limit that accounts for it."""
    breach = np.empty(values.shape, dtype=np.bool_)
    np.greater(values[: rules.above], raise_at[: rules.above], out=breach[: rules.above])
    np.less(values[rules.above :], raise_at[rules.above :], out=breach[rules.above :])
    breach &= sample
    if rules.unless and breach.any():
        before = breach.copy()
        for rule, others in rules.unless:
            breach[rule] &= ~before[others].any(axis=0)
    return breach


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What rules are judged by: ``bits`` uint8[n] of ``screen.BITS``, the rest bool[n]; see ``Gate``."""

    bits: UInt8s
    power: Bools
    programme: Bools
    told: Bools

    def open(self, gates: Sequence[Gate]) -> Bools:
        """bool[gates, n]."""
        out = np.empty((len(gates), len(self.bits)), dtype=np.bool_)
        for row, gate in zip(out, gates, strict=True):
            np.not_equal(self.bits & BITS[gate.when], 0, out=row)
            if gate.power:
                row &= self.power
            if gate.programme:
                row &= self.programme
            if gate.told:
                row &= self.told
        return out
