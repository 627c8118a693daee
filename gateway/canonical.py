"""Readings in the contract's canonical JSON shape. In: a batch row, or a profile and a payload. Out: dicts.

Stands above the rooms because it walks through two of them. For ``citylight profile decode`` and golden
vectors, never on the hot path; never does IO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gateway.decode.decoder import Decoder
from gateway.decode.json import JsonDecoder
from gateway.decode.profile import Profile
from gateway.decode.routes import DEVICE_ID, Routes
from gateway.fleet import Device, Fleet
from gateway.model import WHOLE_MESSAGE, Field, FieldKind, Publishes, Quality, ReadingBatch, rfc3339
from gateway.normalize.normalizer import REASON, STAGE, Normalizer

UNNAMED: Final = "device"
"""Device id in what ``decode_payload`` gives, where neither caller nor payload names one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Canonical ``readings``; ``rejects`` as {"stage", "reason", "detail", "sample" (null: the whole)}."""

    readings: list[dict[str, Any]]
    rejects: list[dict[str, Any]]


def reading(batch: ReadingBatch, row: int, device: str) -> dict[str, Any]:
    """The canonical reading of one row of a batch (contract: canonical reading)."""
    wrong_clock = not batch.time_from_device[row] and batch.skew_ns[row] != 0
    fields = {}
    for k, field in enumerate(batch.profile.numeric):
        quality = Quality(int(batch.quality[k, row]))
        fields[field.name] = _field(field, _value(field, float(batch.values[k, row])), quality)
    for field in batch.profile.texts:
        text = batch.texts[field.name][row]
        good = Quality.CLOCK if wrong_clock else Quality.VALID
        fields[field.name] = _field(field, text, Quality.MISSING if text is None else good)
    warnings = []
    if wrong_clock:
        told = rfc3339(int(batch.received_ns[row] + batch.skew_ns[row]))
        warnings.append(f"the device's time {told} is outside the window: the receive time is used")
    return {
        "device": device,
        "time": rfc3339(int(batch.time_ns[row])),
        "time_source": "device" if batch.time_from_device[row] else "received",
        "measurement": batch.profile.device_class,
        "fields": fields,
        "warnings": warnings,
    }


def decode_payload(profile: Profile, payload: bytes, received_ns: int, device: str = "") -> Outcome:
    """What the gateway would make of one payload that came on the topic of ``device``.

    Without ``device`` the payload's own id is believed, and a concentrator's devices are all taken as known.
    """
    named = _named(profile, payload)
    topic_device = device or (named[0] if named and not profile.concentrator else UNNAMED)
    devices = {topic_device: None} | (dict.fromkeys(named) if profile.concentrator else {})
    fleet = _fleet(tuple(devices), profile.name)
    routes = Routes("<device>/up", "<device>/status", fleet, {profile.name: profile})
    publishes = Publishes(
        sequence=np.zeros(1, np.int64),
        index=np.zeros(1, np.int32),
        topics=[f"{topic_device}/up"],
        payloads=[payload],
        packet_ids=np.zeros(1, np.int32),
        retained=np.zeros(1, np.bool_),
        duplicate=np.zeros(1, np.bool_),
        received_ns=np.array([received_ns], np.int64),
        replayed=np.zeros(1, np.bool_),
    )
    decoded = Decoder({profile.name: profile}, fleet, routes).decode(publishes, np.zeros(1, np.bool_))
    rejects = [_reject(r.stage, r.reason, r.detail, r.sample) for r in decoded.rejects]
    readings: list[dict[str, Any]] = []
    normalizer = Normalizer(len(fleet.devices))
    for columns in decoded.columns:
        normalized = normalizer.normalize(columns)
        batch, lost = normalized.batch, normalized.lost
        readings += [
            reading(batch, row, fleet.devices[int(batch.device[row])].id) for row in range(len(batch))
        ]
        samples = [WHOLE_MESSAGE] if lost.whole.any() else lost.sample.tolist()
        rejects += [_reject(STAGE, REASON, "not one good value", sample) for sample in samples]
    return Outcome(readings, rejects)


def _named(profile: Profile, payload: bytes) -> list[str]:
    """The usable device ids in a payload, in order."""
    samples, _ = JsonDecoder(profile).decode([payload])
    return [name for name in dict.fromkeys(samples.ids) if name is not None and DEVICE_ID.fullmatch(name)]


def _fleet(devices: tuple[str, ...], profile: str) -> Fleet:
    return Fleet(
        areas=(),
        cabinets=(),
        feeders=(),
        programmes=(),
        assets=(),
        devices=tuple(Device(device, profile) for device in devices),
        assignments=(),
    )


def _reject(stage: str, reason: str, detail: str, sample: int) -> dict[str, Any]:
    return {
        "stage": stage,
        "reason": reason,
        "detail": detail,
        "sample": None if sample == WHOLE_MESSAGE else sample,
    }


def _field(field: Field, value: Any, quality: Quality) -> dict[str, Any]:
    return {"value": value, "unit": field.unit or None, "quality": quality.name.lower()}


def _value(field: Field, value: float) -> float | int | bool | str | None:
    if np.isnan(value):
        return None
    if field.kind is FieldKind.BOOLEAN:
        return bool(value)
    if field.kind is FieldKind.ENUM:
        return field.labels[int(value)]
    return int(value) if field.kind is FieldKind.INTEGER else value
