"""What goes wrong, and when. In: a TOML file, the fleet. Out: faults as windows on assets.

A fault never reaches the messages by another way than the physics.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Int32s
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

LAMP, FEEDER, CABINET, SENSOR, ANY = "light_point", "feeder", "cabinet", "sensor", "any"
POWERED, LIT, DIMMED, DARK, UNPOWERED, ALWAYS = "powered", "lit", "dimmed", "dark", "unpowered", "always"


@dataclass(frozen=True, slots=True)
class Kind:
    """``alarm`` is the type expected, None for a look-alike that must raise nothing.

    ``also`` are types that must follow beside it. ``on`` is what it happens to, ``shows`` the planned state
    in which anyone could tell. A ``group`` is one event with members: a feeder or all lamps of a cabinet.
    ``by`` is its size where nobody says.
    """

    alarm: str | None
    on: str
    shows: str
    by: float = 1.0
    group: bool = False
    switched: bool = False  # only on feeders without power by day
    also: tuple[str, ...] = ()


KINDS = {
    "lamp_failure": Kind("lampFailure", LAMP, LIT),
    "head_failure": Kind("lampFailure", LAMP, LIT, by=0.5),
    "power_low": Kind("lampPowerTooLow", LAMP, LIT, by=0.35),
    "power_high": Kind("lampPowerTooHigh", LAMP, LIT, by=0.35),
    "dimming_stuck": Kind("dimmingFailure", LAMP, DIMMED),
    "day_burner": Kind("lampUnexpectedOn", LAMP, DARK),
    "cycling": Kind("cyclingFailure", LAMP, LIT, by=6.0),
    "metering_fault": Kind("meteringFault", LAMP, LIT),
    "over_voltage": Kind("supplyVoltageTooHigh", LAMP, POWERED, by=45.0),
    "under_voltage": Kind("supplyVoltageTooLow", LAMP, POWERED, by=45.0),
    "hot": Kind("highTemperature", LAMP, POWERED, by=60.0),
    "silence": Kind("communicationFailure", ANY, POWERED),
    "door_open": Kind("doorOpen", CABINET, ALWAYS),
    "manual": Kind("localOverride", CABINET, ALWAYS),
    "leakage": Kind("leakageDetected", CABINET, ALWAYS, by=60.0),
    "neutral_loss": Kind("neutralLoss", CABINET, ALWAYS, by=40.0),
    "hot_cabinet": Kind("highTemperature", CABINET, ALWAYS, by=50.0),
    "breaker_trip": Kind("circuitBreakerTripped", CABINET, ALWAYS),
    "rcd_trip": Kind("poleMayBeLive", CABINET, ALWAYS),
    "overload": Kind("overload", CABINET, POWERED, by=130.0, also=("unexpectedLoad",)),
    "tap": Kind("unexpectedLoad", CABINET, POWERED, by=9.0),
    "crossed_phases": Kind("phaseImbalance", CABINET, POWERED, by=0.6),
    "live_pole": Kind("poleMayBeLive", CABINET, ALWAYS, by=60.0, also=("leakageDetected",)),
    "flood": Kind("floodLevelHigh", SENSOR, ALWAYS, by=0.2),
    "flash_flood": Kind("floodRising", SENSOR, ALWAYS, by=0.4, also=("floodLevelHigh", "floodLevelCritical")),
    "smog": Kind("airQualityHourly", SENSOR, ALWAYS, by=180.0, also=("airQualityDaily",)),
    "noisy_night": Kind("noiseTooHigh", SENSOR, ALWAYS, by=30.0),
    "stuck": Kind("sensorFlatLine", SENSOR, ALWAYS),
    "implausible": Kind("sensorOutOfRange", SENSOR, ALWAYS),
    "drift": Kind("sensorDrift", SENSOR, ALWAYS, by=0.8),
    "feeder_trip": Kind("feederOpen", FEEDER, POWERED, group=True),
    "phase_loss": Kind("phaseLoss", FEEDER, POWERED, group=True),
    "supply_loss": Kind("supplyLoss", CABINET, ALWAYS, group=True),
    "contactor_open": Kind("switchingErrorOff", CABINET, POWERED, group=True, switched=True),
    "contactor_welded": Kind("switchingErrorOn", CABINET, UNPOWERED, group=True, switched=True),
    "wrong_clock": Kind(None, ANY, POWERED),
    "dip": Kind(None, FEEDER, POWERED, group=True),
    "maintenance": Kind(None, CABINET, ALWAYS, group=True, switched=True),
    "noon_storm": Kind(None, LAMP, DARK),
    "swap": Kind(None, LAMP, POWERED),
    "fireworks": Kind(None, SENSOR, ALWAYS, by=35.0),
    "dry_gauge": Kind(None, SENSOR, ALWAYS),
    "heavy_rain": Kind(None, SENSOR, ALWAYS, by=25.0),
}
"""What can go wrong (domain.md 3 in TALQ's names), and what only looks so."""

DARKENING = frozenset({"feeder_trip", "phase_loss", "supply_loss", "contactor_open", "dip"})
"""Kinds that take the power of their assets away; LIGHTING give it out of hours."""

LIGHTING = frozenset({"contactor_welded", "maintenance"})
SILENCING = frozenset({"silence", "swap"})

_KEYS = {"kind", "asset", "feeder", "device", "phase", "from", "to", "by"}
_OFFSET = re.compile(r"\+(\d+(?:\.\d+)?)(s|m|h|d)")
_UNIT_NS = {"s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}


@dataclass(frozen=True, eq=False, slots=True)
class Fault:
    """``kind`` on the asset rows ``assets`` during [from_ns, to_ns); ``by`` is its size.

    ``place`` is the row of the cabinet it happens at (or -1), ``name`` the id of what a group hangs on.
    """

    kind: str
    assets: Int32s
    from_ns: int
    to_ns: int
    by: float
    place: int = -1
    name: str = ""


class Targets:
    """What faults of one fleet can happen to; looked up once, so that thousands can be placed."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._lamps: defaultdict[str, list[int]] = defaultdict(list)  # by feeder and by cabinet
        for row, asset in enumerate(fleet.assets):
            if asset.kind == LAMP:
                self._lamps[asset.feeder].append(row)
                self._lamps[asset.cabinet].append(row)

    def fault(
        self,
        kind: str,
        target: str,
        from_ns: int,
        to_ns: int,
        *,
        by: float | None = None,
        phase: str = "",
    ) -> Fault:
        """The fault of ``kind`` on the asset or feeder ``target``; ValueError if it can not happen there."""
        of, fleet = KINDS[kind], self._fleet
        size = of.by if by is None else by
        row = fleet.asset_row.get(target, -1)
        at_cabinet = row >= 0 and fleet.assets[row].kind == CABINET
        if not of.group:
            if row < 0 or of.on not in (ANY, fleet.assets[row].kind):
                raise ValueError(f"{kind} is a fault of {of.on.replace('_', ' ')}s")
            place = row if at_cabinet else -1
            return Fault(kind, np.array([row], dtype=np.int32), from_ns, to_ns, size, place)
        if (of.on == CABINET) is not at_cabinet:
            raise ValueError(f"{kind} is a fault of {of.on}s")
        rows = [
            lamp
            for lamp in self._lamps.get(target, ())
            if (not of.switched or fleet.group_switched[lamp]) and phase in ("", fleet.assets[lamp].phase)
        ]
        if not rows:
            raise ValueError(f"{kind} finds no lamp at {target!r}")
        return Fault(kind, np.array(rows, dtype=np.int32), from_ns, to_ns, size, row, target)


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


@dataclass(frozen=True, slots=True)
class _Table:
    values: dict[str, Any]
    file: str
    name: str

    def fault(self, fleet: Fleet, start_ns: int) -> Fault:
        for key in sorted(set(self.values) - _KEYS):
            raise self._wrong(key, "unknown key", f"known are {', '.join(sorted(_KEYS))}")
        kind = self.values.get("kind")
        if kind not in KINDS:
            raise self._wrong("kind", f"{kind!r} is no fault", f"write one of {', '.join(KINDS)}")
        from_ns, to_ns = self._instant("from", start_ns), self._instant("to", start_ns)
        if from_ns >= to_ns:
            raise self._wrong("to", "the fault ends before it begins", "let 'to' be later than 'from'")
        by = self.values.get("by", KINDS[kind].by)
        if isinstance(by, bool) or not isinstance(by, int | float) or not 0 < by < 1000:
            raise self._wrong("by", f"{by!r} is no size", "write how much above normal, like 45")
        phase = self.values.get("phase", "")
        if phase not in ("", "A", "B", "C"):
            raise self._wrong("phase", f"{phase!r} is no phase", "write A, B or C")
        key, targets = self._targets(fleet, from_ns, KINDS[kind].group)
        try:
            place = Targets(fleet)
            faults = [
                place.fault(kind, target, from_ns, to_ns, by=float(by), phase=phase) for target in targets
            ]
        except ValueError as error:
            raise self._wrong(key, str(error), "name what it can happen to") from error
        return self._merged(key, fleet, faults)

    def _merged(self, key: str, fleet: Fleet, faults: list[Fault]) -> Fault:
        first = faults[0]
        rows = np.concatenate([fault.assets for fault in faults])
        if first.kind == "day_burner" and fleet.group_switched[rows].any():
            raise self._wrong(key, "its feeder has no power by day", "name a lamp on a feeder always on")
        return replace(first, assets=rows)

    def _targets(self, fleet: Fleet, from_ns: int, group: bool) -> tuple[str, list[str]]:
        given = [key for key in ("asset", "feeder", "device") if key in self.values]
        if len(given) != 1:
            raise self._wrong("asset", f"{len(given)} targets", "name one of asset, feeder and device")
        key, name = given[0], self.values[given[0]]
        found: list[str] = []
        if key == "asset" and name in fleet.asset_row:
            found = [name]
        elif key == "feeder" and name in fleet.feeder_by_id:
            lamps = [a.id for a in fleet.assets if a.feeder == name and a.kind == LAMP]
            found = [name] if group else lamps
        elif key == "device" and name in fleet.device_row:
            device = np.array([fleet.device_row[name]], dtype=np.int32)
            rows = fleet.assets_at(device, np.array([from_ns]))
            found = [fleet.assets[row].id for row in rows if row >= 0]
        if not found:
            raise self._wrong(key, f"{name!r} has no place in the inventory", "mend the spelling")
        return key, found

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
