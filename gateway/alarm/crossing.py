"""What becomes of threshold rules. In: nothing. Out: a rule that began to hold or ended, and the state kept.

Values and columns only; ``evaluator`` moves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.fleet import BENCH
from gateway.model import Bools, Int32s, Int64s, Rule


@dataclass(frozen=True, slots=True)
class Crossing:
    """A rule of a device began to hold (``raised``) or ended; "configuration": the device was moved.

    ``onset_ns`` is the first sample that broke the limit, ``time_ns`` the one that completed or ended it.
    """

    place: tuple[int, int, int]  # sequence, index, sample: where in the journal
    device: int
    asset: int
    rule: Rule
    key: str
    unit: str
    raised: bool
    onset_ns: int
    time_ns: int
    value: float
    limit: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``live`` are the batch's rows that were new, in order and not replayed.

    ``believed`` bool[live]: told of now, and no report that was held back for hours.
    """

    crossings: list[Crossing]
    live: Int64s
    asset: Int32s  # where each of them stood, or BENCH
    believed: Bools


@dataclass(slots=True)
class RuleState:
    """State of one profile's rules; rows are its devices, columns the rules that were ever broken.

    Most of a large rule set never is, and a device's state lies together. ``rules`` numbers the columns, in
    ascending order. ``count`` samples in a row broke the limit since ``since``, a time of its own clock where
    ``own``; 0 and not raised = nothing to remember.
    """

    devices: Int32s  # device row of each state row
    since: Int64s
    own: Bools
    count: Int32s
    raised: Bools
    asset: Int32s  # where the device stood when its state was last touched
    rules: Int64s

    @classmethod
    def empty(cls, devices: Int32s) -> RuleState:
        shape = (len(devices), 0)
        return cls(
            devices=devices,
            since=np.zeros(shape, dtype=np.int64),
            own=np.zeros(shape, dtype=np.bool_),
            count=np.zeros(shape, dtype=np.int32),
            raised=np.zeros(shape, dtype=np.bool_),
            asset=np.full(len(devices), BENCH, dtype=np.int32),
            rules=np.zeros(0, dtype=np.int64),
        )

    def open(self, broken: Int64s) -> None:
        """Make columns for rules that have none yet."""
        new = np.setdiff1d(broken, self.rules)
        if not len(new):
            return
        at = np.searchsorted(self.rules, new)
        self.rules = np.insert(self.rules, at, new)
        for name in ("since", "own", "count", "raised"):
            setattr(self, name, np.insert(getattr(self, name), at, 0, axis=1))

    def of(self, row: int, rule: int) -> tuple[int, int, bool]:
        """(since, count, raised) of one rule of one device."""
        at = int(np.searchsorted(self.rules, rule))
        if at == len(self.rules) or self.rules[at] != rule:
            return 0, 0, False
        return int(self.since[row, at]), int(self.count[row, at]), bool(self.raised[row, at])
