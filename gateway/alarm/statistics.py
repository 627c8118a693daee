"""How good the alarms are. In: alarms raised over a time. Out: the figures of ISA-18.2 / IEC 62682.

Rates are of alarms people were told; targets stand in ``docs/alarms.md``. Never reads a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from gateway.alarms import Alarm, AlarmState
from gateway.model import rfc3339

MINUTE_NS: Final = 60_000_000_000
TEN_MINUTES_NS: Final = 10 * MINUTE_NS
FLOOD_BEGINS, FLOOD_ENDS = 10, 5
STALE_NS: Final = 86_400_000_000_000
TOP: Final = 10


def figures(alarms: Sequence[Alarm], standing: Sequence[Alarm], from_ns: int, to_ns: int) -> dict[str, Any]:
    """``alarms`` were raised in [from_ns, to_ns), in that order; ``standing`` are all not normal now."""
    told = [alarm for alarm in alarms if not alarm.quiet]
    times = [alarm.raised_ns for alarm in told]
    windows = Counter((t - from_ns) // TEN_MINUTES_NS for t in times)
    count = max(1, -(-(to_ns - from_ns) // TEN_MINUTES_NS))
    floods = _floods(windows, count, from_ns)
    by_source = Counter((alarm.asset, alarm.type) for alarm in told)
    over = {AlarmState.RETURNED, AlarmState.LATCHED}
    waiting = [alarm for alarm in standing if alarm.state not in over and not alarm.quiet]
    stale = [alarm for alarm in waiting if to_ns - alarm.raised_ns >= STALE_NS]
    top = by_source.most_common(TOP)
    return {
        "from": rfc3339(from_ns),
        "to": rfc3339(to_ns),
        "told": len(told),
        "suppressed": len(alarms) - len(told),
        "per_10_min": {"mean": round(len(told) / count, 3), "most": max(windows.values(), default=0)},
        "floods": floods,
        "flood_share": round(sum(flood["windows"] for flood in floods) / count, 4),
        "severities": dict(sorted(Counter(alarm.severity.value for alarm in told).items())),
        "chattering": _chattering(told),
        "standing": len(waiting),
        "stale": len(stale),
        "top": [
            {"asset": asset, "type": kind, "count": n, "share": round(n / len(told), 4)}
            for (asset, kind), n in top
        ],
    }


def _floods(windows: Counter[int], count: int, from_ns: int) -> list[dict[str, Any]]:
    """Stretches that begin with more than ten alarms in ten minutes and end with fewer than five."""
    floods: list[dict[str, Any]] = []
    inside = False
    for window in range(count):
        alarms = windows[window]
        if not inside and alarms > FLOOD_BEGINS:
            begin = from_ns + window * TEN_MINUTES_NS
            floods.append({"from": rfc3339(begin), "windows": 0, "alarms": 0})
            inside = True
        elif inside and alarms < FLOOD_ENDS:
            inside = False
        if inside:
            floods[-1]["windows"] += 1
            floods[-1]["alarms"] += alarms
    return floods


def _chattering(told: Sequence[Alarm]) -> list[dict[str, str]]:
    """Sources raised three times or more within a minute."""
    times: dict[tuple[str, str], list[int]] = {}
    for alarm in told:
        times.setdefault((alarm.asset, alarm.type), []).append(alarm.raised_ns)
    return [
        {"asset": asset, "type": kind}
        for (asset, kind), raised in sorted(times.items())
        if any(last - first <= MINUTE_NS for first, last in zip(raised, raised[2:], strict=False))
    ]
