"""What a snapshot keeps of where lamps hang. In: an alarm engine. Out: the same, by name.

What voltages showed is of a lamp beside a cabinet: where that is another one now, it is left out. Never
compresses, never writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gateway.alarm.group_memory import mapped
from gateway.fleet import BENCH
from gateway.model import Int32s

if TYPE_CHECKING:
    from gateway.alarm.engine import AlarmEngine


class Kept(msgspec.Struct, array_like=True):
    """Arrays as bytes, [devices] as the snapshot orders them; ``volts`` of who was heard in this step."""

    cabinets: list[str]
    sums: bytes  # float32[devices, 7]
    cabinet: bytes  # int32[devices]
    phase: bytes  # int8[devices]
    volts: bytes  # float32[devices]
    awake: bytes  # int16[devices]
    unswitched: bytes  # bool[devices]
    resting: list[str]  # circuits


def pack(engine: AlarmEngine) -> Kept:
    placement, heard_ns = engine.watch.placement, engine.energised.heard_ns
    volts = engine.evaluator.volts(np.arange(len(heard_ns)))
    volts[heard_ns != engine.energised.now_ns] = np.nan
    return Kept(
        [cabinet.id for cabinet in engine.fleet.cabinets],
        placement.sums.tobytes(),
        placement.cabinet.tobytes(),
        placement.phase.tobytes(),
        volts.tobytes(),
        placement.awake.tobytes(),
        placement.unswitched.tobytes(),
        [engine.circuits.names[row] for row in np.flatnonzero(placement.resting).tolist()],
    )


def unpack(kept: Kept, engine: AlarmEngine, devices: Int32s) -> None:
    """``devices`` are the rows, in this inventory, of the devices of the snapshot; -1 for none."""
    placement, size = engine.watch.placement, len(engine.fleet.devices)
    row = {cabinet.id: n for n, cabinet in enumerate(engine.fleet.cabinets)}
    rows = np.array([*(row.get(name, BENCH) for name in kept.cabinets), BENCH], dtype=np.int32)
    placement.cabinet = rows[mapped(kept.cabinet, devices, BENCH, size, np.int32)]
    placement.phase = mapped(kept.phase, devices, -1, size, np.int8)
    known = devices >= 0
    placement.sums[devices[known]] = np.frombuffer(kept.sums, dtype=np.float32).reshape(-1, 7)[known]
    placement.awake = mapped(kept.awake, devices, 0, size, np.int16)
    placement.unswitched = mapped(kept.unswitched, devices, 0, size, np.bool_)
    placement.resting = np.isin(engine.circuits.names, kept.resting)
    engine.evaluator.restore_volts(mapped(kept.volts, devices, np.nan, size, np.float32))
