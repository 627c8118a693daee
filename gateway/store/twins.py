"""Readings VictoriaMetrics can not tell apart. In: device rows and times. Out: how many share a millisecond.

Never changes a time: what can not be kept apart is counted.
"""

from __future__ import annotations

import numpy as np

from gateway.model import Int32s, Int64s

MILLISECOND_NS = 1_000_000


class MillisecondTwins:
    """Knows the last millisecond of every device of one inventory."""

    def __init__(self, devices: int) -> None:
        self._last = np.full(devices, np.iinfo(np.int64).min, dtype=np.int64)

    def count(self, device: Int32s, time_ns: Int64s) -> int:
        """How many of these fall on the millisecond of another one, of this write or of those before."""
        device, moment = self._ordered(device, time_ns)
        twin = moment == self._last[device]
        twin[1:] |= (device[1:] == device[:-1]) & (moment[1:] == moment[:-1])
        return int(np.count_nonzero(twin))

    def remember(self, device: Int32s, time_ns: Int64s) -> None:
        """These readings are stored."""
        device, moment = self._ordered(device, time_ns)
        self._last[device] = np.maximum(self._last[device], moment)

    @staticmethod
    def _ordered(device: Int32s, time_ns: Int64s) -> tuple[Int32s, Int64s]:
        moment = time_ns // MILLISECOND_NS
        order = np.lexsort((moment, device))
        return device[order], moment[order]
