"""Why a device counts as silent, or does not yet. In: silence, groups, an asset. Out: one document a device.

For ``citylight rules explain``, in the shape of the other rules; and, for ``rules radio``, who is hardly
heard any more. Never changes a state.
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


def unheard(fleet: Fleet, watch: SilenceWatch, together: Together) -> list[dict[str, Any]]:
    """Weak radios (loss > 20 %), and devices of which nobody knows how they are; in pole order.

    ``state``: ``weak``; ``unverified`` for one that is silent; ``elsewhere`` for one
    that falls silent with another circuit than the inventory says.
    """
    weak, owed = watch.loss.weak(), reports_missing(watch.age_ns(), watch.interval_ns)
    rows = np.flatnonzero((weak | watch.silent | together.elsewhere) & (watch.asset != BENCH))
    found = []
    for row in rows.tolist():
        asset = fleet.assets[int(watch.asset[row])]
        state = "unverified" if watch.silent[row] else "elsewhere" if together.elsewhere[row] else "weak"
        since_ns = watch.onset_ns.get(row)
        found.append(
            {
                "asset": asset.id,
                "device": fleet.devices[row].id,
                "area": asset.area,
                "feeder": asset.feeder,
                "pole": asset.pole_sequence,
                "state": state,
                "weak": bool(weak[row]),
                "loss": round(float(watch.rate[row]), 3),
                "missing": int(owed[row]),
                "allowed": int(watch.allowed[row]),
                "since": None if since_ns is None else rfc3339(since_ns),
            }
        )
    return sorted(found, key=pole_order)


def pole_order(found: dict[str, Any]) -> tuple[str, str, int, str]:
    """As a crew drives: area, feeder, pole."""
    return found["area"], found["feeder"], found["pole"], found["device"]


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
