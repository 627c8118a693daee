"""Who speaks when. In: devices, intervals, when they have power. Out: reports and status changes due.

Reports come every interval with 5 % jitter; after power returns each device boots at its own pace. A span's
answer does not depend on the spans asked for before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.model import Int32s, Int64s
from simulators.astronomy import SECOND_NS
from simulators.district import Plans
from simulators.fault import SILENCING, Fault
from simulators.joining import Joining
from simulators.noise import Noise
from simulators.spans import Spans

JITTER = 0.05
BOOT_DELAYS_S = (0, 120, 300)
"""Stagger of common controllers after power returns, set per device (field practice)."""

WILL_DELAY_S = 90
"""One and a half keepalives of a minute: when a broker gives a silent device up."""

_PHASE, _JITTER, _BOOT, _JOIN, _WILL = range(30, 35)  # channels of noise


@dataclass(frozen=True, slots=True)
class Due:
    """``device`` are device rows, ``asset`` the asset rows they serve, ``time_ns`` when; in no order."""

    device: Int32s
    asset: Int32s
    time_ns: Int64s

    def __len__(self) -> int:
        return len(self.device)


class Schedule:
    """``device[k]`` serves ``asset[k]`` and reports every ``interval_ns[k]``, from ``start_ns`` on."""

    def __init__(
        self,
        device: Int32s,
        asset: Int32s,
        interval_ns: Int64s,
        start_ns: int,
        plans: Plans,
        noise: Noise,
        faults: Sequence[Fault],
        joining: Joining | None = None,
    ) -> None:
        self._device, self._asset, self._interval_ns = device, asset, interval_ns
        self._start_ns, self._plans, self._noise = start_ns, plans, noise
        self._joining = joining
        self._silences = [fault for fault in faults if fault.kind in SILENCING]
        self._muted = Spans(self._silences, len(plans))
        self._phase_ns = (noise.between(JITTER, 1 + JITTER, _PHASE, device) * interval_ns).astype(np.int64)
        delays_s = BOOT_DELAYS_S if joining is None else joining.stagger_s
        which = (noise.uniform(_BOOT, device) * len(delays_s)).astype(np.int64)
        self._boot_ns = (np.array(delays_s, dtype=np.float64)[which] * SECOND_NS).astype(np.int64)

    def reports(self, from_ns: int, to_ns: int) -> Due:
        """Telemetry due in [from_ns, to_ns)."""
        found = []
        for positions, on_ns, off_ns in self._powered(from_ns, to_ns):
            interval = self._interval_ns[positions]
            base = self._base_ns(positions, on_ns)
            first = np.maximum((from_ns - base) // interval - 1, 0)
            last = np.maximum((to_ns - base) // interval + 1, -1)
            count = np.maximum(last - first + 1, 0)
            who = np.repeat(np.arange(len(positions)), count)
            nth = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count) + first[who]
            device = self._device[positions][who]
            jitter = self._noise.between(-JITTER, JITTER, _JITTER, device, on_ns, nth) * (nth > 0)
            time_ns = base[who] + ((nth + jitter) * interval[who]).astype(np.int64)
            due = (time_ns >= from_ns) & (time_ns < min(to_ns, off_ns))
            found.append((positions[who][due], time_ns[due]))
        return self._due(found, heard=True)

    def comings(self, from_ns: int, to_ns: int) -> Due:
        """Devices that come online in the span: just before their first report, or after a silence."""
        found = []
        for positions, on_ns, off_ns in self._powered(from_ns, to_ns):
            lead = np.minimum(self._interval_ns[positions] // 50, SECOND_NS // 5)
            time_ns = self._base_ns(positions, on_ns) - lead
            due = (time_ns >= from_ns) & (time_ns < min(to_ns, off_ns))
            found.append((positions[due], time_ns[due]))
        for fault in self._silences:
            found += self._affected(fault, fault.to_ns, from_ns, to_ns)
        return self._due(found, heard=True)

    def goings(self, from_ns: int, to_ns: int) -> Due:
        """Devices whose last will the broker sends in [from_ns, to_ns): power went, or the device died."""
        found = []
        late_ns = 2 * WILL_DELAY_S * SECOND_NS
        for positions, _, off_ns in self._powered(from_ns - late_ns, to_ns):
            if off_ns < to_ns:
                spread = self._noise.between(2 / 3, 4 / 3, _WILL, self._device[positions], off_ns)
                time_ns = off_ns + (spread * WILL_DELAY_S * SECOND_NS).astype(np.int64)
                due = (time_ns >= from_ns) & (time_ns < to_ns)
                due[due] &= ~self._plans.supplied(self._asset[positions[due]], time_ns[due])
                found.append((positions[due], time_ns[due]))
        for fault in self._silences:
            given_up_ns = fault.from_ns + WILL_DELAY_S * SECOND_NS
            if given_up_ns < fault.to_ns:
                found += self._affected(fault, given_up_ns, from_ns, to_ns)
        return self._due(found, heard=False)

    def _powered(self, from_ns: int, to_ns: int) -> list[tuple[Int64s, int, int]]:
        """(positions of devices, power on, power off) for every powered stretch that touches the span."""
        return [
            (positions, on_ns, off_ns)
            for plan, positions in self._plans.of(self._asset)
            for on_ns, off_ns in plan.supply.windows()
            if on_ns < to_ns and off_ns > max(from_ns, self._start_ns)
        ]

    def _base_ns(self, positions: Int64s, on_ns: int) -> Int64s:
        """Time of the first report after power-on, or after the start of the run."""
        if on_ns <= self._start_ns:
            return self._start_ns + self._phase_ns[positions]
        if self._joining is not None:
            join_ns = self._joining.join_ns(self._device[positions], on_ns)
        else:
            join_ns = self._noise.between(5, 65, _JOIN, self._device[positions], on_ns) * SECOND_NS
        return on_ns + self._boot_ns[positions] + join_ns.astype(np.int64)

    def _affected(self, fault: Fault, at_ns: int, from_ns: int, to_ns: int) -> list[tuple[Int64s, Int64s]]:
        if not from_ns <= at_ns < to_ns:
            return []
        positions = np.flatnonzero(np.isin(self._asset, fault.assets))
        times = np.full(len(positions), at_ns, dtype=np.int64)
        powered = self._plans.supplied(self._asset[positions], times)
        return [(positions[powered], times[powered])]

    def _due(self, found: list[tuple[Int64s, Int64s]], *, heard: bool) -> Due:
        positions = np.concatenate([p for p, _ in found] or [np.empty(0, dtype=np.int64)])
        time_ns = np.concatenate([t for _, t in found] or [np.empty(0, dtype=np.int64)])
        if heard:
            kept = ~self._muted.hits(self._asset[positions], time_ns)
            positions, time_ns = positions[kept], time_ns[kept]
        return Due(self._device[positions], self._asset[positions], time_ns)
