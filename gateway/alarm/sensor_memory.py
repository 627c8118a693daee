"""What a snapshot keeps of city sensors. In: sensors' columns. Out: the same, by name.

Devices, fields and rules are kept by name: what the configuration in force no longer has is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.alarm import delay_record
from gateway.alarm.sensors import ClassWatch, Sensors
from gateway.fleet import BENCH, Fleet

_ONE = ("",)


class KeptColumn(msgspec.Struct, array_like=True):
    """Array [names, ..., devices] as bytes."""

    names: tuple[str, ...]
    values: bytes


class KeptClass(msgspec.Struct, array_like=True):
    name: str
    devices: list[str]
    assets: list[str]  # where each was heard, "" on the bench,
    judged_at: list[str]  # and where it was judged
    columns: dict[str, KeptColumn]


class KeptSensors(msgspec.Struct, array_like=True):
    waited_ns: int
    delays: list[delay_record.KeptDelay]
    classes: list[KeptClass]
    poles: list[tuple[str, str, list[float | None], list[int], bool, bool]]


def pack(sensors: Sensors, fleet: Fleet) -> KeptSensors:
    """Equal states give equal bytes."""
    poles = sensors.live_poles
    said = np.flatnonzero(poles.device != BENCH) if len(poles.assets) else np.empty(0, dtype=np.int64)
    said = np.union1d(said, np.flatnonzero(~np.isnan(poles.value).all(axis=0)))
    return KeptSensors(
        waited_ns=sensors.waited_ns,
        delays=delay_record.pack(sensors.delays, fleet),
        classes=[_pack_class(one, fleet) for one in sensors.classes],
        poles=[
            (
                fleet.assets[poles.assets[place]].id,
                fleet.devices[poles.device[place]].id if poles.device[place] != BENCH else "",
                [None if np.isnan(value) else value for value in poles.value[:, place].tolist()],
                poles.time_ns[:, place].tolist(),
                bool(poles.raised[place]),
                bool(poles.heard[place]),
            )
            for place in said.tolist()
        ],
    )


def unpack(kept: KeptSensors, sensors: Sensors, fleet: Fleet) -> None:
    """Fill fresh ``sensors``."""
    sensors.waited_ns = kept.waited_ns
    poles = sensors.live_poles
    delay_record.unpack(kept.delays, sensors.delays, fleet)
    classes = {one.of.name: one for one in sensors.classes}
    for kept_class in kept.classes:
        if kept_class.name in classes:
            _unpack_class(kept_class, classes[kept_class.name], fleet)
    place_of = {fleet.assets[row].id: place for place, row in enumerate(poles.assets.tolist())}
    for asset, device, value, time_ns, raised, heard in kept.poles:
        place = place_of.get(asset)
        if place is None:
            continue
        poles.value[:, place] = [np.nan if v is None else v for v in value]
        poles.time_ns[:, place] = time_ns
        poles.device[place] = fleet.device_row.get(device, BENCH)
        poles.raised[place] = raised and poles.device[place] != BENCH
        poles.heard[place] = heard


def _columns(one: ClassWatch) -> Mapping[str, tuple[Sequence[str], npt.NDArray[Any]]]:
    """Name -> (names of the first axis, array); the last axis are slots."""
    of, hours = one.of, one.of.hours
    return {
        "hour": (_ONE, hours.hour[np.newaxis]),
        "closed": (_ONE, hours.closed[np.newaxis]),
        "total": (of.channels, hours.total),
        "count": (of.channels, hours.count),
        "ring": (of.channels, hours.ring),
        "last": (_ONE, of.last_ns[np.newaxis]),
        "day": (_ONE, of.day[np.newaxis]),
        "heard": (_ONE, of.heard[np.newaxis]),
        "value": (of.fields, of.value),
        "since": (of.fields, of.since_ns),
        "same": (of.fields, of.same),
        "bad_since": (of.fields, of.bad_since_ns),
        "bad": (of.fields, of.bad),
        "recent": (of.fields, of.recent),
        "recent_at": (_ONE, of.recent_ns),
        "raised": (one.keys, one.raised),
    }


def _pack_class(one: ClassWatch, fleet: Fleet) -> KeptClass:
    of = one.of
    kept = np.flatnonzero((of.asset != BENCH) | (of.judged_at != BENCH))
    columns = {
        name: KeptColumn(tuple(names), np.ascontiguousarray(array[..., kept]).tobytes())
        for name, (names, array) in _columns(one).items()
    }
    asset, judged_at = (fleet.asset_ids(rows[kept]) for rows in (of.asset, of.judged_at))
    return KeptClass(of.name, fleet.device_ids(of.devices[kept]), asset, judged_at, columns)


def _unpack_class(kept: KeptClass, one: ClassWatch, fleet: Fleet) -> None:
    of = one.of
    slot_of = {device: slot for slot, device in enumerate(fleet.device_ids(of.devices))}
    slots = np.array([slot_of.get(device, -1) for device in kept.devices], dtype=np.int64)
    known = np.flatnonzero(slots >= 0)
    slots = slots[known]
    for rows, names in ((of.asset, kept.assets), (of.judged_at, kept.judged_at)):
        rows[slots] = [fleet.asset_row.get(names[at], BENCH) for at in known.tolist()]
    for name, (own, array) in _columns(one).items():
        column = kept.columns.get(name)
        if column is None:
            continue
        shape = len(column.names), *array.shape[1:-1], len(kept.devices)
        source = np.frombuffer(column.values, dtype=array.dtype).reshape(shape)
        number = {key: row for row, key in enumerate(column.names)}
        for row, key in enumerate(own):
            if key in number:
                array[row][..., slots] = source[number[key]][..., known]
    one.raised &= one.applying()
