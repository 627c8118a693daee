"""What cabinets said last. In: readings of their meters and contacts. Out: columns per cabinet and phase.

Fields by uCIFI name: ``phaseN_voltage`` before the contactor, ``phaseN_load_voltage`` behind it,
``phaseN_current``, ``phaseN_active_power``, ``contactor_closed``, ``door_open``, ``selector_mode``.
What was held back is not what a cabinet says now. Never judges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from gateway.alarm.delay import Delays
from gateway.alarm.order import occurrences
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, FieldKind, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch

PHASED: Final = ("voltage", "load_voltage", "current", "active_power")
CONTACTS: Final = ("contactor_closed", "door_open")
SELECTOR: Final = "selector_mode"
MANUAL: Final = "manual"
COLUMNS: Final = (*(f"phase{n}_{what}" for what in PHASED for n in (1, 2, 3)), *CONTACTS, SELECTOR)
STALE_INTERVALS: Final = 1.5
_STALE_SLACK_NS: Final = 60_000_000_000
NEVER_NS: Final = -(2**62)


class CabinetReports:
    """``values`` float64[COLUMNS, cabinets]; ``heard_ns`` counts listening time as ``now`` does."""

    def __init__(self, fleet: Fleet, specs: Iterable[ProfileSpec]) -> None:
        numbers = {cabinet.id: n for n, cabinet in enumerate(fleet.cabinets)}
        at = np.flatnonzero(fleet.asset_table.words("kind").equal("cabinet"))
        self._of_asset: Int32s = np.full(len(fleet.assets), BENCH, dtype=np.int32)
        self._of_asset[at] = [numbers.get(name, BENCH) for name in fleet.asset_ids(at)]
        self._rows = {spec.name: rows for spec in specs if len(rows := _rows(spec)[0])}
        self._interval_ns = {spec.name: round(spec.interval_s * 1e9) for spec in specs}
        profile = fleet.device_table.words("profile")
        own = np.flatnonzero(profile.spread((name in self._rows for name in profile.words), np.bool_))
        slot_of = np.full(len(fleet.devices), -1, dtype=np.int32)
        slot_of[own] = np.arange(len(own))
        interval_ns = profile.spread((self._interval_ns.get(name, 0) for name in profile.words), np.int64)
        self.delays = Delays(slot_of, _holds_ns(interval_ns[own]))
        self.values: Float64s = np.full((len(COLUMNS), len(fleet.cabinets)), np.nan)
        self.heard_ns: Int64s = np.full(len(fleet.cabinets), NEVER_NS, dtype=np.int64)
        self.interval_ns: Int64s = np.zeros(len(fleet.cabinets), dtype=np.int64)

    def observe(self, batch: ReadingBatch, live: Int64s, assets: Int32s, now_ns: int) -> None:
        """Take note of rows ``live`` of a batch, which stand at ``assets``; the last of a cabinet stays.

        A report that was held back, by any clock, for longer than a word holds says nothing of now.
        """
        if batch.profile.name not in self._rows or not len(live):
            return
        prompt = np.zeros(len(live), dtype=np.bool_)
        for at in occurrences(batch.device[live]):
            prompt[at] = self.delays.take(batch, live[at])[1]
        live, assets = live[prompt], assets[prompt]
        rows, columns = _rows(batch.profile)
        cabinet = np.where(assets >= 0, self._of_asset[np.maximum(assets, 0)], BENCH)
        at = np.flatnonzero(cabinet != BENCH)
        cabinet, values = cabinet[at], batch.values[rows][:, live[at]].copy()
        for k, column in enumerate(columns):
            if column == COLUMNS.index(SELECTOR):
                values[k] = values[k] == _manual_code(batch.profile)
            known = ~np.isnan(values[k])
            self.values[column, cabinet[known]] = values[k, known]
        self.heard_ns[cabinet] = now_ns
        self.interval_ns[cabinet] = self._interval_ns[batch.profile.name]

    def fresh(self, now_ns: int) -> Bools:
        """Cabinets whose last word still holds, bool[cabinets]."""
        limit_ns = _holds_ns(self.interval_ns)
        fresh: Bools = (self.heard_ns > NEVER_NS) & (now_ns - self.heard_ns <= limit_ns)
        return fresh

    def ever(self) -> Bools:
        """Cabinets that told anything, at any time; bool[cabinets]."""
        ever: Bools = self.heard_ns > NEVER_NS
        return ever

    def phased(self, what: str) -> Float64s:
        """float64[3, cabinets] of one of PHASED, NaN where not known."""
        first = 3 * PHASED.index(what)
        return self.values[first : first + 3]

    def contact(self, name: str) -> Float64s:
        """float64[cabinets] of a contact, or of the selector being on manual: 0, 1, NaN."""
        row: Float64s = self.values[COLUMNS.index(name)]
        return row


def _holds_ns(interval_ns: Int64s) -> Int64s:
    """For how long the word of a device that reports at this interval holds."""
    return (STALE_INTERVALS * interval_ns).astype(np.int64) + _STALE_SLACK_NS


def _rows(spec: ProfileSpec) -> tuple[list[int], list[int]]:
    """Rows of a batch that are columns here, and which; none unless the profile is a cabinet's."""
    names = [field.name for field in spec.numeric]
    found = [(names.index(name), k) for k, name in enumerate(COLUMNS) if name in names]
    return [row for row, _ in found], [k for _, k in found]


def _manual_code(spec: ProfileSpec) -> int:
    field = next(field for field in spec.numeric if field.name == SELECTOR)
    if field.kind is FieldKind.ENUM and MANUAL in field.labels:
        return field.labels.index(MANUAL)
    return 1
