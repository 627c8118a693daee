"""Why a watch over a sensor fired, or did not. In: sensors' columns, an asset. Out: one document a limit.

For ``citylight rules explain``: the same verdicts the alarms follow, on what was said last. Changes no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from gateway.alarm.live_pole import LivePoles
from gateway.alarm.sensor_class import NEVER_NS
from gateway.alarm.sensors import ClassWatch, Line, Sensors
from gateway.alarm.verdict import JUDGES, Verdict
from gateway.fleet import Fleet
from gateway.model import rfc3339
from gateway.watches import WatchKind

NOT_YET: Final = {
    WatchKind.AIR_HOUR: "no index: it needs dust in two of the last three hours",
    WatchKind.AIR_DAY: "no index of the day before: too few hours, or no dust",
    WatchKind.NOISE: "the last hour was not whole, or the regulation has no limit for it",
    WatchKind.RISE: "no reading yet",
    WatchKind.FLAT: "no reading yet",
    WatchKind.RANGE: "no reading yet",
    WatchKind.DRIFT: "too few neighbours of the class, or too few comparable hours of the last 24",
}


def explain_watches(sensors: Sensors, fleet: Fleet, asset: str, now_ns: int) -> list[dict[str, Any]]:
    """The watches that apply at ``asset`` now, device by device."""
    place = fleet.asset_row[asset]
    rows = np.arange(len(fleet.devices), dtype=np.int32)
    here = np.flatnonzero(fleet.assets_at(rows, np.full(len(rows), now_ns, dtype=np.int64)) == place)
    found: list[dict[str, Any]] = []
    for one in sensors.classes:
        for slot in np.flatnonzero(np.isin(one.of.devices, here)).tolist():
            device = fleet.devices[one.of.devices[slot]].id
            for line in one.lines:
                if line.mine[slot] and line.applies[place]:
                    found += _documents(one, line, slot, device)
    return found + _live_pole(sensors.live_poles, place, fleet)


def _documents(one: ClassWatch, line: Line, slot: int, device: str) -> Iterator[dict[str, Any]]:
    of, watch = one.of, line.watch
    said = of.last_ns[slot] != NEVER_NS
    verdicts = JUDGES[watch.kind](one.scene, watch, np.array([slot]))
    for number, verdict in enumerate(verdicts):
        value, limit = (_number(column[0]) if said else None for column in (verdict.value, verdict.limit))
        raised = bool(one.raised[line.rows[number], slot])
        yield {
            "rule": watch.type,
            "device": device,
            "field": watch.field or watch.regulation,
            "severity": line.severities[number].value,
            "scope": watch.scope or "everywhere",
            "above": limit,
            "clears_at": None if limit is None else limit - watch.margin,
            "unit": verdict.unit,
            "hold_s": watch.over_s,
            "samples_min": 1,
            "when": watch.kind.value,
            "value": value,
            "time": rfc3339(int(of.last_ns[slot])) if said else None,
            "state": "raised" if raised else "normal",
            "why": _why(watch.kind, verdict, raised, value),
        }


def _why(kind: WatchKind, verdict: Verdict, raised: bool, value: float | None) -> str:
    if value is None:
        return NOT_YET[kind]
    if raised:
        return "it stands since it began, and what was measured since does not end it"
    if bool(verdict.holds[0]):
        return "it holds, and is judged with the next reading"
    if value > verdict.limit[0]:
        return "above the limit, but too seldom"
    return "within the limit"


def _live_pole(poles: LivePoles, asset: int, fleet: Fleet) -> list[dict[str, Any]]:
    at = np.flatnonzero(poles.assets == asset)
    if not len(at) or not poles.measures_leak(int(at[0])):
        return []
    place = int(at[0])
    leak_ma, raised = _number(poles.value[0, place]), bool(poles.raised[place])
    water = poles.water_near(place)
    deepest = f"{max(water):g} m" if water else ""
    why = f"{len(water)} gauges of water near its poles" + (f", the deepest {deepest}" if deepest else "")
    device = poles.device[place]
    return [
        {
            "rule": LivePoles.KEY,
            "device": fleet.devices[device].id if device >= 0 else "",
            "field": "leakage_current",
            "severity": "critical",
            "scope": "everywhere",
            "above": poles.leak_ma,
            "clears_at": poles.clear_ma,
            "unit": "mA",
            "hold_s": 0.0,
            "samples_min": 1,
            "when": "flooded",
            "value": leak_ma,
            "time": None if leak_ma is None else rfc3339(int(poles.time_ns[0, place])),
            "state": "raised" if raised else "normal",
            "why": why,
        }
    ]


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
