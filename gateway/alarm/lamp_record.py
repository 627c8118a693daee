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

_ARRAYS: Final = (
    "last",
    "factor",
    "weight",
    "ratios",
    "starts",
    "excess",
    "chatter",
    "off",
    "followed",
    "kept",
)


class Kept(msgspec.Struct, array_like=True):
    """``arrays`` are those of ``LampMemory``, [devices, ...] as bytes, by name."""

    profile: str
    night: int
    devices: list[str]
    described: list[str]
    arrays: dict[str, bytes]


def pack(fleet: Fleet, profile: str, memory: LampMemory, names: list[str]) -> Kept:
    """``names`` are those of all devices, by row."""
    memory.digest()
    return Kept(
        profile=profile,
        night=memory.night,
        devices=[names[row] for row in memory.devices.tolist()],
        described=_described(fleet, memory.asset),
        arrays={name: array.tobytes() for name, array in _arrays(memory)},
    )


def unpack(kept: Kept, fleet: Fleet, memory: LampMemory) -> None:
    """Fill a fresh memory with what is still true of its devices."""
    memory.night = kept.night
    local = np.full(len(fleet.devices) + 1, BENCH, dtype=np.int32)  # the last one is BENCH's
    local[memory.devices] = np.arange(len(memory.devices))
    rows = local[fleet.device_row.rows(kept.devices)]
    assets = fleet.asset_row.rows([text.partition("\t")[0] for text in kept.described])
    same = [now == then for now, then in zip(_described(fleet, assets), kept.described, strict=True)]
    old = np.flatnonzero(np.array(same, dtype=np.bool_) & (rows != BENCH))
    new = rows[old]
    memory.asset[new] = assets[old]
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


def _described(fleet: Fleet, assets: Int32s) -> list[str]:
    """Place and type of each lamp; "" on the bench."""
    if not len(fleet.assets):
        return [""] * len(assets)
    table, at = fleet.asset_table, np.maximum(assets, 0)
    types = (table.numbers("rated_power_w"), table.numbers("heads"), table.words("programme"))
    of_type = table.words("luminaire_type")[at].tolist()
    kinds = [fleet.luminaire_type_by_id.get(name, "") for name in of_type]
    rows = zip(fleet.asset_ids(assets), *(column[at].tolist() for column in types), kinds, strict=True)
    return ["\t".join(map(str, row)) if row[0] else "" for row in rows]
