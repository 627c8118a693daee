"""What a snapshot keeps of how late readings come. In: delays. Out: the same, by name of the device."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from gateway.alarm.delay import NEVER_NS, Delays
from gateway.fleet import Fleet


class KeptDelay(msgspec.Struct, array_like=True):
    device: str
    usual_ns: int
    heard_ns: int
    last_ns: int
    lag_ns: int = NEVER_NS  # absent in snapshots written before it was


def pack(delays: Delays, fleet: Fleet) -> list[KeptDelay]:
    """Of the devices heard; equal states give equal lists."""
    known = np.flatnonzero(delays.slot_of >= 0)
    known = known[delays.heard_ns[delays.slot_of[known]] > NEVER_NS]
    slots = delays.slot_of[known]
    columns = delays.usual_ns, delays.heard_ns, delays.last_ns, delays.lag_ns
    times = (column[slots].tolist() for column in columns)
    return [KeptDelay(*one) for one in zip(fleet.device_ids(known), *times, strict=True)]


def unpack(kept: Iterable[KeptDelay], delays: Delays, fleet: Fleet) -> None:
    """Fill fresh ``delays``; devices that are none of theirs now are left out."""
    for one in kept:
        row = fleet.device_row.get(one.device)
        if row is None or not len(delays.slot_of) or delays.slot_of[row] < 0:
            continue
        slot = delays.slot_of[row]
        delays.usual_ns[slot], delays.heard_ns[slot] = one.usual_ns, one.heard_ns
        delays.last_ns[slot], delays.lag_ns[slot] = one.last_ns, one.lag_ns
