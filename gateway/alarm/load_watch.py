"""Cabinets that carry what they should not. In: loads as measured and as due. Out: findings for the scribe.

``unexpectedLoad``: more than the lamps draw and the plan allows. ``phaseImbalance``: as much, on other phases
than planned. ``energyTheft``: see ``balance``. Never counts time while the gateway was away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from gateway.alarm.balance import THEFT, Balance
from gateway.alarm.cabinet import NEVER_NS
from gateway.alarm.finding import Finding
from gateway.alarm.ledger import OF_GROUP, Key
from gateway.alarm.load import Load, Loads
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int64s, Severity

UNEXPECTED: Final = "unexpectedLoad"
IMBALANCE: Final = "phaseImbalance"
HELD: Final = (UNEXPECTED, IMBALANCE)
KINDS: Final = (*HELD, THEFT)
SEVERITY: Final = Severity.MINOR
STEP_NS: Final = 300_000_000_000
"""Loads are looked at so often: as often as cabinets report."""
CLEAR_SHARE: Final = 0.6
"""Of its limit: below it a load is as it should be again."""


class LoadWatch:
    """Columns per cabinet: ``raised`` [KINDS]; ``since_ns`` [HELD], in listening time, the opposite holds.

    ``onset_ns`` [HELD], wall time, is when the last excess began.
    """

    def __init__(self, fleet: Fleet, loads: Loads, options: AlarmOptions) -> None:
        self.loads, self._options = loads, options
        self._asset = [fleet.asset_row.get(cabinet.id, BENCH) for cabinet in fleet.cabinets]
        self.cabinets = tuple(cabinet.id for cabinet in fleet.cabinets)
        self._number = {name: number for number, name in enumerate(self.cabinets)}
        self.hold_s = options.unexpected_hold_s, options.imbalance_hold_s
        count = len(self.cabinets)
        self.waited_ns = 0
        self.balance = Balance(count, options)
        self.raised: Bools = np.zeros((len(KINDS), count), dtype=np.bool_)
        self.since_ns: Int64s = np.full((len(HELD), count), NEVER_NS, dtype=np.int64)
        self.onset_ns: Int64s = np.zeros((len(HELD), count), dtype=np.int64)

        # What was judged last, for an explanation only.
        self.value_w: Float64s = np.full((len(HELD), count), np.nan)
        self.limit_w: Float64s = np.full((len(HELD), count), np.nan)

    def is_open(self, key: Key) -> bool:
        """Whether an alarm of this asset and type is held up from here."""
        asset, kind = key
        return (
            asset in self._number
            and kind in KINDS
            and bool(self.raised[KINDS.index(kind), self._number[asset]])
        )

    def step(self, elapsed_ns: int, now_ns: int, wall_ns: int, night: int, aside: Bools) -> Iterator[Finding]:
        """``elapsed_ns`` of listening passed, up to ``now_ns``; circuits ``aside`` are somebody's work."""
        self.waited_ns += elapsed_ns
        if self.waited_ns < STEP_NS or not self.cabinets:
            return
        elapsed_ns, self.waited_ns = self.waited_ns, 0
        load = self.loads.look(wall_ns, aside)
        for kind, (judged, value, limit) in enumerate(self._judge(load)):
            self.value_w[kind, judged], self.limit_w[kind, judged] = value[judged], limit[judged]
            raised, since = self.raised[kind], self.since_ns[kind]
            # Lamps tell of a dimming step later than the meter: for a while neither side is right.
            turning = judged & np.where(raised, value < CLEAR_SHARE * limit, value > limit)
            began = turning & (since == NEVER_NS)
            since[began], self.onset_ns[kind, began & ~raised] = now_ns, wall_ns
            since[judged & ~turning] = NEVER_NS
            hold_s = np.where(raised, self.hold_s[0], self.hold_s[kind])
            due = turning & (now_ns - since >= hold_s * 1e9)
            for cabinet in np.flatnonzero(due).tolist():
                onset_ns = int(self.onset_ns[kind, cabinet])
                yield self._turned(kind, cabinet, (onset_ns, wall_ns), value[cabinet], limit[cabinet], "W")
            since[due] = NEVER_NS
        kind = KINDS.index(THEFT)
        for theft in self.balance.step(load, elapsed_ns, wall_ns, night):
            if theft.raised != self.raised[kind, theft.cabinet]:
                times = theft.onset_ns, wall_ns
                yield self._turned(
                    kind, theft.cabinet, times, theft.excess_wh / 1e3, theft.limit_wh / 1e3, "kWh"
                )

    def clear_share(self, kind: str) -> float:
        """Of its limit: below it an alarm is over. Energy has none: it ends by nights without any excess."""
        return CLEAR_SHARE if kind in HELD else 1.0

    def _judge(self, load: Load) -> Iterable[tuple[Bools, Float64s, Float64s]]:
        """(judged, value, limit) of each of HELD, columns per cabinet."""
        options = self._options
        measured_w, expected_w = load.measured_w.sum(axis=0), load.expected_w.sum(axis=0)
        excess_w = measured_w - expected_w
        allowed_w = np.maximum(options.unexpected_share * expected_w, options.load_w_min)
        yield load.judged, excess_w, allowed_w
        # What others draw is on one phase, and not the lamps' imbalance.
        ours = load.judged & load.phased & (excess_w < CLEAR_SHARE * allowed_w)
        due_w = load.expected_w * (measured_w / np.maximum(expected_w, 1.0))
        off_w = np.abs(load.measured_w - due_w).max(axis=0)
        yield ours, off_w, np.maximum(options.imbalance_share * expected_w / 3.0, options.load_w_min)

    def _turned(
        self, kind: int, cabinet: int, times: tuple[int, int], value: float, limit: float, unit: str
    ) -> Finding:
        raised = not self.raised[kind, cabinet]
        self.raised[kind, cabinet] = raised
        name = KINDS[kind]
        source = "", f"{name}{OF_GROUP}{self.cabinets[cabinet]}"
        asset = self._asset[cabinet]
        return Finding(source, name, SEVERITY, asset, raised, *times, float(value), float(limit), unit)
