"""What a snapshot keeps of cabinets' loads. In: a load watch. Out: the same, by name.

Names outlive rows: what the inventory in force no longer has is left out. Never writes a file.
"""

from __future__ import annotations

import msgspec
import numpy as np

from gateway.alarm.balance import NIGHTS, NONE, RECENT
from gateway.alarm.cabinet import NEVER_NS
from gateway.alarm.group_memory import mapped
from gateway.alarm.load_watch import HELD, KINDS, LoadWatch
from gateway.model import Int32s


class KeptLoads(msgspec.Struct, array_like=True):
    """Arrays as bytes: [devices] as the snapshot orders them, and [cabinets], or several rows of these."""

    waited_ns: int
    night: int | None
    power_w: bytes
    cabinets: list[str]
    raised: list[bytes]
    since_ns: list[bytes]
    onset_ns: list[bytes]
    lost_wh: list[bytes]
    over: list[bytes]
    sums: list[bytes]
    theft_ns: bytes


def pack(watch: LoadWatch) -> KeptLoads:
    balance = watch.balance
    return KeptLoads(
        waited_ns=watch.waited_ns,
        night=balance.night,
        power_w=watch.loads.power_w.tobytes(),
        cabinets=list(watch.cabinets),
        raised=[row.tobytes() for row in watch.raised],
        since_ns=[row.tobytes() for row in watch.since_ns],
        onset_ns=[row.tobytes() for row in watch.onset_ns],
        lost_wh=[row.tobytes() for row in balance.lost_wh],
        over=[row.tobytes() for row in balance.over],
        sums=[row.tobytes() for row in balance.sums],
        theft_ns=balance.onset_ns.tobytes(),
    )


def unpack(kept: KeptLoads, watch: LoadWatch, devices: Int32s) -> None:
    """``devices`` are the rows, in this inventory, of the devices of the snapshot; -1 for none."""
    balance, count = watch.balance, len(watch.cabinets)
    row = {name: number for number, name in enumerate(watch.cabinets)}
    cabinets = np.array([row.get(name, -1) for name in kept.cabinets], dtype=np.int32)
    watch.waited_ns, balance.night = kept.waited_ns, kept.night
    power_w = watch.loads.power_w
    watch.loads.power_w = mapped(kept.power_w, devices, np.nan, len(power_w), np.float32)
    for k in range(len(KINDS)):
        watch.raised[k] = mapped(kept.raised[k], cabinets, 0, count, np.bool_)
    for k in range(len(HELD)):
        watch.since_ns[k] = mapped(kept.since_ns[k], cabinets, NEVER_NS, count)
        watch.onset_ns[k] = mapped(kept.onset_ns[k], cabinets, 0, count)
    for k in range(NIGHTS):
        balance.lost_wh[k] = mapped(kept.lost_wh[k], cabinets, np.nan, count, np.float64)
    for k in range(RECENT):
        balance.over[k] = mapped(kept.over[k], cabinets, NONE, count, np.int8)
    for k, sums in enumerate(kept.sums):
        balance.sums[k] = mapped(sums, cabinets, 0, count, np.float64)
    balance.onset_ns = mapped(kept.theft_ns, cabinets, 0, count)
