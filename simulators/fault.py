"""What goes wrong, and when. In: a TOML file, the fleet. Out: faults as windows on assets, and the truth.

The truth is what alarms are scored against; it never reaches the messages by another way than the physics.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Bools, Int32s, Int64s, rfc3339
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

ALARM_TYPES = {
    "lamp_failure": "lampFailure",
    "day_burner": "lampUnexpectedOn",
    "silence": "communicationFailure",
    "over_voltage": "supplyVoltageTooHigh",
    "wrong_clock": None,
}
"""Kind of fault to the alarm expected; None is a look-alike that must raise nothing."""

OVER_VOLTAGE_V = 45.0
_KEYS = {"kind", "asset", "feeder", "device", "from", "to", "by"}
_OFFSET = re.compile(r"\+(\d+(?:\.\d+)?)(s|m|h|d)")
_UNIT_NS = {"s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}


@dataclass(frozen=True, eq=False, slots=True)
class Fault:
    """``kind`` on the asset rows ``assets`` during [from_ns, to_ns); ``by`` is its size (volts too many)."""

    kind: str
    assets: Int32s
    from_ns: int
    to_ns: int
    by: float = OVER_VOLTAGE_V

    def hits(self, rows: Int32s, time_ns: Int64s) -> Bools:
        """bool[n]: the sample is of an asset that has this fault then."""
        during = (time_ns >= self.from_ns) & (time_ns < self.to_ns)
        return during & np.isin(rows, self.assets) if during.any() else during


def parse_faults(text: str, file: str, fleet: Fleet, start_ns: int) -> tuple[Fault, ...]:
    """The faults of a TOML file with ``[[fault]]`` tables (docs/simulators.md).

    Times are RFC 3339 or ``+10m`` after ``start_ns``. Raises ConfigurationError naming the table.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(file, "", f"not TOML: {error}", "mend the syntax") from error
    tables = document.pop("fault", [])
    if document or not isinstance(tables, list):
        key = next(iter(document), "fault")
        raise ConfigurationError(file, key, "unknown key", "write only [[fault]] tables")
    return tuple(
        _Table(table, file, f"fault {number}").fault(fleet, start_ns)
        for number, table in enumerate(tables, 1)
    )


Detectable = Callable[[Fault, int], int | None]


@dataclass(frozen=True, slots=True)
class _Table:
    values: dict[str, Any]
    file: str
    name: str

    def fault(self, fleet: Fleet, start_ns: int) -> Fault:
        for key in sorted(set(self.values) - _KEYS):
            raise self._wrong(key, "unknown key", f"known are {', '.join(sorted(_KEYS))}")
        kind = self.values.get("kind")
        if kind not in ALARM_TYPES:
            raise self._wrong("kind", f"{kind!r} is no fault", f"write one of {', '.join(ALARM_TYPES)}")
        from_ns, to_ns = self._instant("from", start_ns), self._instant("to", start_ns)
        if from_ns >= to_ns:
            raise self._wrong("to", "the fault ends before it begins", "let 'to' be later than 'from'")
        by = self.values.get("by", OVER_VOLTAGE_V)
        if isinstance(by, bool) or not isinstance(by, int | float) or not 0 < by < 1000:
            raise self._wrong("by", f"{by!r} is no voltage", "write volts above normal, like 45")
        assets = self._assets(fleet, from_ns)
        if kind != "silence" and kind != "wrong_clock":
            self._require_lamps(fleet, assets, kind)
        return Fault(kind, assets, from_ns, to_ns, float(by))

    def _assets(self, fleet: Fleet, from_ns: int) -> Int32s:
        given = [key for key in ("asset", "feeder", "device") if key in self.values]
        if len(given) != 1:
            raise self._wrong("asset", f"{len(given)} targets", "name one of asset, feeder and device")
        key, name = given[0], self.values[given[0]]
        if key == "asset" and name in fleet.asset_row:
            rows = [fleet.asset_row[name]]
        elif key == "feeder":
            rows = [r for r, a in enumerate(fleet.assets) if a.feeder == name and a.kind == "light_point"]
        elif key == "device" and name in fleet.device_row:
            device = np.array([fleet.device_row[name]], dtype=np.int32)
            rows = [int(row) for row in fleet.assets_at(device, np.array([from_ns])) if row >= 0]
        else:
            rows = []
        if not rows:
            raise self._wrong(key, f"{name!r} has no place in the inventory", "mend the spelling")
        return np.array(rows, dtype=np.int32)

    def _require_lamps(self, fleet: Fleet, assets: Int32s, kind: str) -> None:
        if any(fleet.assets[row].kind != "light_point" for row in assets):
            raise self._wrong("asset", f"{kind} is a fault of light points", "name a light point or a feeder")
        if kind == "day_burner" and fleet.group_switched[assets].any():
            raise self._wrong(
                "asset", "its feeder has no power by day", "name a light point of a feeder that is always on"
            )

    def _instant(self, key: str, start_ns: int) -> int:
        value = self.values.get(key)
        offset = _OFFSET.fullmatch(value) if isinstance(value, str) else None
        if offset:
            return start_ns + round(float(offset[1]) * _UNIT_NS[offset[2]])
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise self._wrong(
                key, f"{value!r} is no time", "write '+10m' after the start, or 2026-01-31T18:00:00+07:00"
            )
        return int(np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns").astype(np.int64))

    def _wrong(self, key: str, problem: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(self.file, f"{self.name}: {key}", problem, remedy)


def truth(faults: Sequence[Fault], fleet: Fleet, detectable: Detectable) -> Iterator[dict[str, Any]]:
    """The contract's truth objects, one for each asset of each fault.

    ``detectable(fault, asset row)`` is the first time (ns) at which a perfect observer could tell, or None.
    """
    for fault in faults:
        for row in fault.assets:
            first = detectable(fault, int(row))
            yield {
                "fault": fault.kind,
                "type": ALARM_TYPES[fault.kind],
                "asset": fleet.assets[row].id,
                "from": rfc3339(fault.from_ns),
                "to": rfc3339(fault.to_ns),
                "detectable_from": None if first is None else rfc3339(first),
                "members": [],
            }
