"""What a snapshot keeps of what lamps have shown. In: a memory. Out: the same, by name.

A lamp that the inventory in force describes otherwise (power, heads, programme, place) starts anew. Never
compresses, never writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from gateway.alarm.lamp_memory import LampMemory
from gateway.fleet import BENCH, Fleet
from gateway.model import Int32s

_ARRAYS: Final = ("last", "factor", "weight", "ratios", "starts", "excess", "chatter", "followed", "kept")


class Kept(msgspec.Struct, array_like=True):
    """``arrays`` are those of ``LampMemory``, [devices, ...] as bytes, by name."""

    profile: str
    night: int
    devices: list[str]
    described: list[str]
    arrays: dict[str, bytes]


def pack(fleet: Fleet, profile: str, memory: LampMemory) -> Kept:
    memory.digest()
    return Kept(
        profile=profile,
        night=memory.night,
        devices=[fleet.devices[row].id for row in memory.devices],
        described=_described(fleet, memory.asset),
        arrays={name: array.tobytes() for name, array in _arrays(memory)},
    )


def unpack(kept: Kept, fleet: Fleet, memory: LampMemory) -> None:
    """Fill a fresh memory with what is still true of its devices."""
    memory.night = kept.night
    local = {int(row): number for number, row in enumerate(memory.devices)}
    rows = [local.get(fleet.device_row.get(name, BENCH), BENCH) for name in kept.devices]
    assets = [fleet.asset_row.get(text.split("\t")[0], BENCH) for text in kept.described]
    same = [now == then for now, then in zip(_described(fleet, assets), kept.described, strict=True)]
    old = np.flatnonzero(np.array(same, dtype=np.bool_) & (np.array(rows, dtype=np.int32) != BENCH))
    new = np.array(rows, dtype=np.int32)[old]
    memory.asset[new] = np.array(assets, dtype=np.int32)[old]
    for name, array in _arrays(memory):
        content = np.frombuffer(kept.arrays.get(name, b""), dtype=array.dtype)
        if content.size == len(kept.devices) * (array.size // max(len(array), 1)):  # not of an earlier shape
            array[new] = content.reshape(len(kept.devices), *array.shape[1:])[old]
    memory.conclude()


def _arrays(memory: LampMemory) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """What is kept of each device, by name; a counter by its own, so that a profile may gain another."""
    for name in _ARRAYS:
        yield name, getattr(memory, name)
    gear = memory.gear
    if len(gear.faded_ns):
        yield "faded_ns", gear.faded_ns
    for k, name in enumerate(gear.names):
        yield f"{name}/last", gear.last[:, k]
        yield f"{name}/counted", gear.counted[:, :, k]
        yield f"{name}/failures", gear.failures[:, k]


def _described(fleet: Fleet, assets: Int32s | list[int]) -> list[str]:
    """Place and type of each lamp; "" on the bench."""
    described = []
    for row in assets:
        if row == BENCH:
            described.append("")
            continue
        asset = fleet.assets[row]
        kind = fleet.luminaire_type_by_id.get(asset.luminaire_type, "")
        described.append(f"{asset.id}\t{asset.rated_power_w}\t{asset.heads}\t{asset.programme}\t{kind}")
    return described
