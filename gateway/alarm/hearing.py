"""Why a device counts as silent, or does not yet. In: silence, groups, an asset. Out: one document a device.

For ``citylight rules explain``, in the shape of the other rules. Also names weak radios and devices that hang
on another circuit than the inventory says. Never changes a state.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gateway.alarm import silence
from gateway.alarm.group import reports_missing
from gateway.alarm.silence import SilenceWatch
from gateway.alarm.together import Together
from gateway.fleet import BENCH, Fleet
from gateway.model import Severity, When, rfc3339

SEVERITY: Final = Severity.MINOR


def explain(fleet: Fleet, watch: SilenceWatch, together: Together, asset: str) -> list[dict[str, Any]]:
    """Of each device that stands at ``asset`` now and can be silent."""
    place = fleet.asset_row.get(asset, BENCH)
    here = np.flatnonzero((watch.asset == place) & watch.watched) if place != BENCH else np.empty(0, np.int64)
    owed = reports_missing(watch.age_ns(), watch.interval_ns)
    weak = watch.loss.weak()
    found = []
    for row in here.tolist():
        silent, missing = bool(watch.silent[row]), int(owed[row])
        found.append(
            {
                "rule": silence.TYPE,
                "device": fleet.devices[row].id,
                "field": "reports_missing",
                "severity": SEVERITY.value,
                "scope": "everywhere",
                "above": int(watch.allowed[row]) - 1,
                "clears_at": 0,
                "unit": None,
                "hold_s": 0.0,
                "samples_min": 1,
                "when": When.SUPPLY_DUE.value,
                "value": missing,
                "time": rfc3339(watch.onset_ns[row]) if silent else None,
                "light_due": None,
                "light_due_by": None,
                "state": "raised" if silent else "pending" if missing else "normal",
                "why": _why(watch, together, row, missing, weak=bool(weak[row])),
            }
        )
    return found


def _why(watch: SilenceWatch, together: Together, row: int, missing: int, *, weak: bool) -> str:
    """Waits outrank counts: they are why nothing is said."""
    radio = f"a weak radio: it loses {watch.rate[row]:.0%} of its reports" if weak else ""
    wait = together.why(row)
    if watch.silent[row]:
        reason = f"not heard, and its first report was due at {rfc3339(watch.onset_ns[row])}"
    elif wait:
        reason = wait
    elif missing:
        reason = f"{missing} of {watch.allowed[row]} reports that mean silence are missing"
    else:
        reason = "heard"
    return f"{reason}; {radio}" if radio else reason
