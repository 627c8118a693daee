"""A small district for the alarm tests, and journals for it in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from gateway.alarm.silence import SilenceWatch
from gateway.alarms import Alarm
from gateway.fleet import Area, Asset, Assignment, Cabinet, Device, Feeder, Fleet, Programme
from gateway.model import (
    Chunk,
    Counts,
    Field,
    FieldKind,
    ProfileSpec,
    ReadingBatch,
    Rule,
    Run,
    Severity,
    Tick,
    When,
)

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
S = 1_000_000_000
MINUTE = 60 * S
LIMITS = np.iinfo(np.int64)
BOOT = bytes(16)

FIELDS = (
    Field("active_power", "W", FieldKind.FLOAT),
    Field("dimming_level", "%", FieldKind.FLOAT),
    Field("supply_voltage", "V", FieldKind.FLOAT),
    Field("controller_temperature", "Cel", FieldKind.FLOAT),
)
OVER_VOLTAGE = Rule("supplyVoltageTooHigh", "supply_voltage", Severity.MAJOR, True, 264.0, 253.0, hold_s=60)
HOT = Rule("highTemperature", "controller_temperature", Severity.MINOR, True, 80.0, 75.0, samples_min=2)
LAMP_FAILURE = Rule(
    "lampFailure",
    "active_power",
    Severity.MINOR,
    above=False,
    raise_at=0.2,
    clear_at=0.5,
    samples_min=2,
    when=When.LIGHT_DUE_ON,
    of_expected=True,
)
DAY_BURNER = Rule(
    "lampUnexpectedOn",
    "active_power",
    Severity.MINOR,
    above=True,
    raise_at=0.1,
    clear_at=0.05,
    hold_s=1800,
    samples_min=2,
    when=When.LIGHT_DUE_OFF,
    of_expected=True,
)
POWER_TOO_HIGH = Rule(
    "lampPowerTooHigh",
    "active_power",
    Severity.MINOR,
    above=True,
    raise_at=1.15,
    clear_at=1.1,
    when=When.LIGHT_DUE_ON,
    of_expected=True,
)
LUMINAIRE = ProfileSpec(
    name="luminaire-controller",
    device_class="luminaire",
    numeric=FIELDS,
    texts=(),
    tags=(),
    interval_s=900.0,
    silence_intervals=4,
    rules=(OVER_VOLTAGE, HOT, LAMP_FAILURE, DAY_BURNER, POWER_TOO_HIGH),
)


def local(text: str) -> int:
    """ns UTC of a local time such as ``2026-11-20 21:00``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()) * S


def fleet(lamps: int = 4, programme: Programme | None = None, **changes: Any) -> Fleet:
    """Light points LP0, LP1, ... with a controller each (lamp-0, ...); even ones on a switched feeder."""
    night = programme or Programme("night", "astronomical", ((1380, 50.0),))
    whole = Fleet(
        areas=(Area("hoa-phu", "Phường Hoà Phú"),),
        cabinets=(Cabinet("C1", "hoa-phu", 11.05, 106.68),),
        feeders=(Feeder("F-switched", "C1", True), Feeder("F-live", "C1", False)),
        programmes=(night,),
        assets=tuple(
            Asset(
                f"LP{n}",
                "light_point",
                "hoa-phu",
                11.05,
                106.68,
                road="Lê Lợi",
                cabinet="C1",
                feeder="F-live" if n % 2 else "F-switched",
                rated_power_w=100.0,
                programme=night.id,
            )
            for n in range(lamps)
        ),
        devices=tuple(Device(f"lamp-{n}", LUMINAIRE.name) for n in range(lamps)),
        assignments=tuple(Assignment(f"lamp-{n}", f"LP{n}", LIMITS.min, LIMITS.max) for n in range(lamps)),
    )
    return replace(whole, **changes)


def batch(
    readings: Sequence[dict[str, Any]], spec: ProfileSpec = LUMINAIRE, sequence: int = 1
) -> ReadingBatch:
    """Readings given as {device, time, field: value, ..., sequence?, replayed?}; absent fields are NaN.

    ``received``: as ``time`` unless given; ``skew``: by how much the device's clock is ahead of it; ``own``
    False: ``time`` is when it was received, for nobody believes that clock.
    """
    n = len(readings)
    values = np.array(
        [[r.get(field.name, np.nan) for r in readings] for field in spec.numeric], dtype=np.float64
    ).reshape(len(spec.numeric), n)
    time_ns = np.array([r["time"] for r in readings], dtype=np.int64)
    return ReadingBatch(
        profile=spec,
        sequence=np.array([r.get("sequence", sequence) for r in readings], dtype=np.int64),
        index=np.arange(n, dtype=np.int32),
        sample=np.zeros(n, dtype=np.int32),
        device=np.array([r["device"] for r in readings], dtype=np.int32),
        time_ns=time_ns,
        received_ns=np.array([r.get("received", r["time"]) for r in readings], dtype=np.int64),
        time_from_device=np.array([r.get("own", True) for r in readings], dtype=np.bool_),
        skew_ns=np.array([r.get("skew", 0) for r in readings], dtype=np.int64),
        replayed=np.array([r.get("replayed", False) for r in readings], dtype=np.bool_),
        values=values,
        quality=np.where(np.isnan(values), 1, 0).astype(np.uint8),
        texts={},
    )


def acquainted(watch: SilenceWatch, *, due: int = 600, missed: int = 6) -> None:
    """Give every device a record of its radio: one report in a hundred lost, so that four mean silence."""
    watch.loss.due[:], watch.loss.missed[:] = due, missed
    watch.review()


def run(*readings: dict[str, Any], sequence: int = 1) -> Run:
    return Run((batch(readings, sequence=sequence),), (), (), Counts())


def tick(wall_ns: int, elapsed_ns: int | None = None, **changes: Any) -> Tick:
    """A tick of a healthy gateway; its monotonic time follows the wall unless given."""
    elapsed_ns = wall_ns if elapsed_ns is None else elapsed_ns
    return replace(Tick(wall_ns, elapsed_ns, BOOT, connected=True, drained=True), **changes)


def chunk(*parts: Any, first: int = 1) -> Chunk:
    return Chunk(first, first + len(parts), parts, tuple(range(first, first + len(parts))))


def said(transitions: Sequence[tuple[int, Alarm]]) -> list[tuple[str, str, str, str]]:
    """What happened, in short: (asset, type, event, state)."""
    return [(a.asset, a.type, a.event, a.state.value) for _, a in transitions]
