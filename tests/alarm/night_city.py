"""A city whose lamps report, lose power and come back, minute by minute; what its engine says.

Lamps report every 15 minutes while their circuit has power, the first time some minutes after it returned;
cabinets every five minutes. Chance comes from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from district import LIMITS, LUMINAIRE, MINUTE, acquainted, batch, tick

from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm
from gateway.fleet import Area, Asset, Assignment, Cabinet, Device, Feeder, Fleet, Programme
from gateway.model import Chunk, Counts, Field, FieldKind, Int64s, ProfileSpec, ReadingBatch, Run

INTERVAL_MIN = 15
CABINET = ProfileSpec(
    name="feeder-cabinet",
    device_class="cabinet",
    numeric=(
        *(Field(f"phase{n}_voltage", "V", FieldKind.FLOAT) for n in (1, 2, 3)),
        *(Field(f"phase{n}_active_power", "W", FieldKind.FLOAT) for n in (1, 2, 3)),
        Field("contactor_closed", "", FieldKind.BOOLEAN),
        Field("door_open", "", FieldKind.BOOLEAN),
    ),
    texts=(),
    tags=(),
    interval_s=300.0,
    silence_intervals=0,
    rules=(),
)

LAMP = replace(LUMINAIRE, silence_intervals=5)


def city_of(cabinets: int, feeders: int, lamps: int, *, switched: bool = True) -> Fleet:
    """``lamps`` points on each of ``feeders`` feeders of each cabinet, phases in turn."""
    points, devices = [], []
    for c in range(cabinets):
        for f in range(feeders):
            for n in range(lamps):
                name = f"LP-{c}-{f}-{n:03d}"
                points.append(
                    Asset(name, "light_point", "ward", 11.05, 106.68, "Lê Lợi", f"C{c}", f"C{c}-F{f}",
                          "ABC"[n % 3], n, 100.0, 1, "night")
                )  # fmt: skip
                devices.append(name.replace("LP", "lamp"))
    boxes = [Asset(f"C{c}", "cabinet", "ward", 11.05, 106.68, cabinet=f"C{c}") for c in range(cabinets)]
    own = [Assignment(d, p.id, LIMITS.min, LIMITS.max) for d, p in zip(devices, points, strict=True)]
    own += [Assignment(f"box-{c}", f"C{c}", LIMITS.min, LIMITS.max) for c in range(cabinets)]
    return Fleet(
        areas=(Area("ward", "Phường Hoà Phú"),),
        cabinets=tuple(Cabinet(f"C{c}", "ward", 11.05, 106.68) for c in range(cabinets)),
        feeders=tuple(
            Feeder(f"C{c}-F{f}", f"C{c}", switched) for c in range(cabinets) for f in range(feeders)
        ),
        programmes=(Programme("night"),),
        assets=(*points, *boxes),
        devices=(
            *(Device(d, LUMINAIRE.name) for d in devices),
            *(Device(f"box-{c}", CABINET.name) for c in range(cabinets)),
        ),
        assignments=tuple(own),
    )


Power = Callable[[int, str, str], bool]
"""(minute, feeder, phase) -> whether the circuit has power."""


@dataclass
class City:
    """``power`` decides what happens; ``report`` what a cabinet says at a minute, None: nothing."""

    fleet: Fleet
    start_ns: int
    power: Power
    report: Callable[[int, str], dict[str, float] | None] = lambda _minute, _cabinet: None
    loss: float = 0.04
    seed: int = 1
    mute: frozenset[str] = frozenset()  # lamps that have power and say nothing
    join_min: int = 12
    said: list[Alarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = AlarmEngine(self.fleet, [LAMP, CABINET])
        acquainted(self.engine.watch, missed=24)
        self.minute = 0
        self._chance = np.random.default_rng(self.seed)
        lamps = [a for a in self.fleet.assets if a.kind == "light_point"]
        self._circuits = sorted({(a.feeder, a.phase) for a in lamps})
        number = {circuit: n for n, circuit in enumerate(self._circuits)}
        self._of_lamp = np.array([number[a.feeder, a.phase] for a in lamps])
        self.silence(self.mute)
        self._phase = self._chance.integers(0, INTERVAL_MIN, len(lamps))
        self._boot = self._chance.integers(2, self.join_min, len(lamps))
        self._on_since = np.full(len(lamps), -10_000)
        self._was_on = np.zeros(len(lamps), dtype=np.bool_)
        self._boxes = [a.id for a in self.fleet.assets if a.kind == "cabinet"]

    def silence(self, names: Collection[str]) -> None:
        """From now on these lamps, and no others, are out of reach."""
        lamps = (a for a in self.fleet.assets if a.kind == "light_point")
        self._silent = np.array([a.id in names for a in lamps], dtype=np.bool_)

    def run(self, minutes: int) -> list[Alarm]:
        """Let time pass; the transitions of these minutes."""
        before = len(self.said)
        for _ in range(minutes):
            self.minute += 1
            self.said += [a for _, a in self.engine.apply(self.chunk())]
        return self.said[before:]

    def delivered(self, kind: str | None = None) -> list[Alarm]:
        """What recipients were told, of one type or of all."""
        return [a for a in self.said if not a.quiet and kind in (None, a.type)]

    def reading(self, lamps: Int64s | int, time_ns: int, sequence: int = 1) -> ReadingBatch:
        """What lit lamps say, one reading each."""
        lit = {"active_power": 100.0, "dimming_level": 100.0, "supply_voltage": 230.0}
        told = [{"device": int(d), "time": time_ns, **lit} for d in np.atleast_1d(lamps)]
        return batch(told, LAMP, sequence)

    def chunk(self) -> Chunk:
        """One minute: reports, then a tick."""
        minute, now_ns = self.minute, self.start_ns + self.minute * MINUTE
        on = np.array([self.power(minute, *circuit) for circuit in self._circuits])[self._of_lamp]
        self._on_since = np.where(on & ~self._was_on, minute if minute > 1 else -10_000, self._on_since)
        self._was_on = on
        booted = on & (minute - self._on_since >= self._boot) & ~self._silent
        due = booted & ((minute + self._phase) % INTERVAL_MIN == 0)
        heard = np.flatnonzero(due & (self._chance.random(len(due)) >= self.loss))
        batches = [self.reading(heard, now_ns, 2 * minute)]
        if minute % 5 == 0:
            told: list[dict[str, Any]] = []
            for n, box in enumerate(self._boxes):
                values = self.report(minute, box)
                if values is not None:
                    told.append({"device": len(self._of_lamp) + n, "time": now_ns, **values})
            batches.append(batch(told, CABINET, 2 * minute))
        parts = (Run(tuple(b for b in batches if len(b)), (), (), Counts()), tick(now_ns))
        return Chunk(2 * minute, 2 * minute + 2, parts, (2 * minute, 2 * minute + 1))


def cabinet_says(*, volts: float = 230.0, watts: float = 0.0, closed: bool = True) -> dict[str, float]:
    values: dict[str, float] = {f"phase{n}_voltage": volts for n in (1, 2, 3)}
    values |= {f"phase{n}_active_power": watts for n in (1, 2, 3)}
    return values | {"contactor_closed": float(closed), "door_open": 0.0}
