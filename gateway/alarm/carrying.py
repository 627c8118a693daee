"""Why a cabinet's load is or is no alarm. In: a load watch, an asset. Out: one document a type.

For ``citylight rules explain``, in the shape of the other rules; says below what nothing can be told. Never
changes a state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.alarm.balance import OVER_MIN, RECENT, THEFT
from gateway.alarm.cabinet import NEVER_NS
from gateway.alarm.load_watch import HELD, KINDS, SEVERITY, LoadWatch
from gateway.model import rfc3339


def explain(watch: LoadWatch, asset: str) -> list[dict[str, Any]]:
    """Of a cabinet that is measured; nothing of other assets."""
    if asset not in watch.cabinets:
        return []
    cabinet = watch.cabinets.index(asset)
    found = [_document(watch, kind, cabinet) for kind in HELD]
    return [*found, _theft(watch, cabinet)]


def _document(watch: LoadWatch, kind: str, cabinet: int) -> dict[str, Any]:
    row = HELD.index(kind)
    raised = bool(watch.raised[row, cabinet])
    pending = int(watch.since_ns[row, cabinet]) != NEVER_NS
    value, limit = (_number(column[row, cabinet]) for column in (watch.value_w, watch.limit_w))
    why = "within the limit"
    if raised or pending:
        why = "over the limit" + (", not for long enough yet" if not raised else "")
    if raised and pending:
        why = "within the limit, not for long enough yet"
    if value is None:
        why = "not judged yet: its meter silent, a circuit not settled, a crew at work, or nothing on"
    return _shape(watch, kind, "W", value, limit, watch.hold_s[row]) | {
        "time": rfc3339(int(watch.onset_ns[row, cabinet])) if raised or pending else None,
        "state": "raised" if raised else "pending" if pending else "normal",
        "why": why,
    }


def _theft(watch: LoadWatch, cabinet: int) -> dict[str, Any]:
    balance = watch.balance
    raised = bool(watch.raised[KINDS.index(THEFT), cabinet])
    over = int(np.count_nonzero(balance.over[:, cabinet] == 1))
    median_wh, spread_wh = (column[cabinet] for column in balance.usual_wh())
    limit_wh = float(balance.limit_wh(balance.told_wh, np.nan_to_num(spread_wh))[cabinet])
    nights = int(np.count_nonzero(~np.isnan(balance.lost_wh[:, cabinet])))
    why = f"{over} of the last {RECENT} nights over the limit, {OVER_MIN} are told"
    if np.isnan(median_wh):
        why = f"usual losses not known yet: {nights} nights on record"
    why += f"; less than {limit_wh / 1e3:.1f} kWh a night can not be told from the meters' tolerances"
    return _shape(watch, THEFT, "kWh", None, limit_wh / 1e3, 0.0) | {
        "time": rfc3339(int(balance.onset_ns[cabinet])) if raised else None,
        "state": "raised" if raised else "pending" if over else "normal",
        "why": why,
    }


def _shape(
    watch: LoadWatch, kind: str, unit: str, value: float | None, limit: float | None, hold_s: float
) -> dict[str, Any]:
    return {
        "rule": kind,
        "device": "",
        "field": "active_power",
        "severity": SEVERITY.value,
        "scope": "everywhere",
        "above": limit,
        "clears_at": None if limit is None else watch.clear_share(kind) * limit,
        "unit": unit,
        "hold_s": hold_s,
        "samples_min": 1,
        "when": "supply_due",
        "value": value,
        "light_due": None,
        "light_due_by": None,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
