"""A few city sensors on a street, and journals for them: what they say, and when a gateway ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from district import LIMITS, MINUTE, S, batch, tick

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.options import AlarmOptions
from gateway.alarms import Alarm
from gateway.decode.profile import load
from gateway.decode.regulations import read
from gateway.fleet import Area, Asset, Assignment, Cabinet, Device, Feeder, Fleet, Programme
from gateway.model import Chunk, Counts, ProfileSpec, Quality, ReadingBatch, Run
from gateway.regulation import Regulation

SHIPPED = Path(__file__).parents[2] / "device_profiles"
SPECS: dict[str, ProfileSpec] = {
    file.parent.name: load(file.read_text(encoding="utf-8"), str(file)).spec
    for file in sorted(SHIPPED.glob("*/profile.toml"))
}
REGULATIONS: dict[str, Regulation] = {
    found.name: found
    for found in (read(file.read_text(encoding="utf-8"), str(file)) for file in SHIPPED.glob("*.toml"))
}
METRE = 1 / 111_195.0
Says = dict[str, float]


def street(sensors: Mapping[str, tuple[str, float]], poles: Sequence[float] = ()) -> Fleet:
    """Sensors by id: (profile, metres north of the cabinet CB); light points of the cabinet at ``poles``."""
    assets = [Asset("CB", "cabinet", "ward", 11.05, 106.68, cabinet="CB")]
    assets += [
        Asset(f"LP-{n}", "light_point", "ward", 11.05 + metres * METRE, 106.68, "Lê Lợi", "CB", "CB-F1", "A",
              n, 100.0, 1, "night") for n, metres in enumerate(poles)
    ]  # fmt: skip
    kinds = {"feeder-cabinet": "cabinet"}
    assets += [
        Asset(name, "sensor", "ward", 11.05 + metres * METRE, 106.68, "Lê Lợi")
        for name, (profile, metres) in sensors.items()
        if profile not in kinds
    ]
    return Fleet(
        areas=(Area("ward", "Phường Hoà Phú"),),
        cabinets=(Cabinet("CB", "ward", 11.05, 106.68),),
        feeders=(Feeder("CB-F1", "CB", False),),
        programmes=(Programme("night"),),
        assets=tuple(assets),
        devices=tuple(Device(f"dev-{name}", profile) for name, (profile, _) in sensors.items()),
        assignments=tuple(
            Assignment(f"dev-{name}", "CB" if profile in kinds else name, LIMITS.min, LIMITS.max)
            for name, (profile, _) in sensors.items()
        ),
    )


def engine_of(
    fleet: Fleet,
    specs: Mapping[str, ProfileSpec] = SPECS,
    regulations: Mapping[str, Regulation] = REGULATIONS,
    options: AlarmOptions | None = None,
) -> AlarmEngine:
    used = {device.profile for device in fleet.devices}
    return AlarmEngine(fleet, [spec for name, spec in specs.items() if name in used], options, regulations)


def readings(fleet: Fleet, said: Sequence[dict[str, Any]], sequence: int) -> tuple[ReadingBatch, ...]:
    """One batch a profile of {device, time, field: value, received?}; a str is an implausible value."""
    found = []
    for profile in sorted({fleet.devices[one["device"]].profile for one in said}):
        own = [one for one in said if fleet.devices[one["device"]].profile == profile]
        spec = SPECS[profile]
        plain = [{k: v for k, v in one.items() if not isinstance(v, str)} for one in own]
        made = batch(plain, spec, sequence)
        quality = made.quality.copy()
        for column, one in enumerate(own):
            for row, field in enumerate(spec.numeric):
                if isinstance(one.get(field.name), str):
                    quality[row, column] = Quality.OUT_OF_RANGE
        received = np.array([one.get("received", one["time"]) for one in own], dtype=np.int64)
        skew_ns = made.time_ns - received
        believed = skew_ns <= 300 * S  # what is further ahead is kept at its receive time
        found.append(
            replace(
                made,
                received_ns=received,
                time_ns=np.where(believed, made.time_ns, received),
                time_from_device=believed,
                skew_ns=skew_ns,
                quality=quality,
            )
        )
    return tuple(found)


class Street:
    """Time passes by the minute; sensors say what ``says`` tells every ``every`` minutes, None: nothing."""

    def __init__(
        self, fleet: Fleet, start_ns: int, engine: AlarmEngine | None = None, every: int = 5
    ) -> None:
        self.fleet, self.start_ns, self.every = fleet, start_ns, every
        self.engine = engine or engine_of(fleet)
        self.minute = 0
        self.said: list[Alarm] = []

    def run(self, hours: float, says: Callable[[str, float], dict[str, Any] | None]) -> list[Alarm]:
        """``says(sensor, hours since the start)``; the transitions of this stretch."""
        before = len(self.said)
        for _ in range(round(hours * 60)):
            self.minute += 1
            self.said += [alarm for _, alarm in self.engine.apply(self.chunk(says))]
        return self.said[before:]

    def chunk(self, says: Callable[[str, float], dict[str, Any] | None]) -> Chunk:
        now_ns = self.start_ns + self.minute * MINUTE
        told = []
        for row, device in enumerate(self.fleet.devices):
            due = self.minute % self.every == 0
            values = says(device.id.removeprefix("dev-"), self.minute / 60) if due else None
            if values is not None:
                told.append({"device": row, "time": now_ns, **values})
        run = Run(readings(self.fleet, told, 2 * self.minute), (), (), Counts())
        return Chunk(
            2 * self.minute, 2 * self.minute + 2, (run, tick(now_ns)), (2 * self.minute, 2 * self.minute + 1)
        )


def raised(alarms: Sequence[Alarm], kind: str) -> list[Alarm]:
    return [alarm for alarm in alarms if alarm.type == kind and alarm.event == "raised"]


def events(alarms: Sequence[Alarm], kind: str) -> list[tuple[str, str]]:
    return [(alarm.event, alarm.severity.value) for alarm in alarms if alarm.type == kind]
