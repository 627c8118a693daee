"""What the air does to messages. In: who sent when. Out: what arrives, when, and what twice.

Each message's fate is a function of (seed, device, time), so cutting a run changes nothing. Never delivers
before it was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from statistics import NormalDist

import numpy as np

from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.astronomy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from simulators.noise import Noise
from simulators.scenario import Radio, Span

MONTH_DAYS = 30.0
BURSTS_SLOTS = 8
(
    _CELLULAR, _WEAK, _WEAK_LOSS, _LOSS_1, _LOSS_2, _LOST, _LATENCY, _TWICE, _TWICE_SHARE, _TWICE_LATENCY,
    _LATE, _LATE_S, _BURST, _BURST_LOST, _DOWN, _CELL,
) = range(60, 76)  # channels of noise  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arrivals:
    """``position`` in what was sent, and when it arrives; a message may be there twice, or not at all."""

    position: Int64s
    time_ns: Int64s


class Air:
    """``interval_ns`` int64[devices] and ``always_cellular`` bool[devices] (cabinets) are by device row."""

    def __init__(self, settings: Radio, noise: Noise, interval_ns: Int64s, always_cellular: Bools) -> None:
        self._settings, self._noise, self._interval_ns = settings, noise, interval_ns
        device = np.arange(len(interval_ns))
        self.cellular: Bools = always_cellular | (noise.uniform(_CELLULAR, device) < settings.cellular_share)
        self.gateway: Int64s = device // settings.devices_per_gateway
        self.loss = np.where(self.cellular, settings.cellular_loss, self._lora_loss(device))

    def _lora_loss(self, device: Int64s) -> Float64s:
        """Log-normal with the median and P90 of all devices, the weak ones being a tail of their own."""
        own = self._settings
        weak = self._noise.uniform(_WEAK, device) < own.weak_share
        if own.loss_median <= 0:
            ordinary = np.zeros(len(device))
        else:
            strong = 1.0 - own.weak_share
            middle, tail = (NormalDist().inv_cdf(min(q / strong, 0.999)) for q in (0.5, 0.9))
            sigma = log(max(own.loss_p90, own.loss_median) / own.loss_median) / (tail - middle)
            radius = np.sqrt(-2.0 * np.log1p(-self._noise.uniform(_LOSS_1, device)))
            normal = radius * np.cos(2 * np.pi * self._noise.uniform(_LOSS_2, device))
            ordinary = np.minimum(
                own.loss_median * np.exp(sigma * (normal - middle)), own.weak_loss[0] or 1.0
            )
        return np.where(weak, self._noise.between(*own.weak_loss, _WEAK_LOSS, device), ordinary)

    def carry(self, device: Int32s, time_ns: Int64s) -> Arrivals:
        """The arrivals of messages that ``device`` rows sent at ``time_ns``."""
        own, noise = self._settings, self._noise
        lost = noise.uniform(_LOST, device, time_ns) < self.loss[device]
        lost |= self.down(device, time_ns) | self._in_burst(device, time_ns)
        delay_ns = (noise.between(*own.latency_s, _LATENCY, device, time_ns) * SECOND_NS).astype(np.int64)
        chance = noise.uniform(_LATE, device, time_ns)
        by = noise.uniform(_LATE_S, device, time_ns)
        reordered = chance < own.reorder
        filled = ~reordered & (chance < own.reorder + own.back_fill)
        interval_ns = self._interval_ns[device]
        delay_ns += np.where(reordered, (1.05 + 0.4 * by) * interval_ns, 0).astype(np.int64)
        fill_ns = interval_ns + by * np.maximum(own.back_fill_h_max * HOUR_NS - interval_ns, 0)
        delay_ns += np.where(filled, fill_ns, 0).astype(np.int64)
        kept = np.flatnonzero(~lost | filled)  # what is sent again later was stored by the device
        share = noise.between(*own.duplicate, _TWICE_SHARE, device)
        twice = kept[(noise.uniform(_TWICE, device, time_ns) < share)[kept]]
        again_s = noise.between(*own.latency_s, _TWICE_LATENCY, device[twice], time_ns[twice])
        arrives_ns = time_ns + delay_ns
        again_ns = arrives_ns[twice] + (again_s * SECOND_NS).astype(np.int64)
        return Arrivals(np.concatenate((kept, twice)), np.concatenate((arrives_ns[kept], again_ns)))

    def down(self, device: Int32s, time_ns: Int64s) -> Bools:
        """bool[n]: the device's radio gateway, or its cell, is out of service then."""
        own = self._settings
        gateway = self.gateway[device]
        out = self._episode(_DOWN, gateway, time_ns, own.gateway_outages_per_month, own.gateway_outage_min)
        cell = self._episode(_CELL, gateway, time_ns, own.cell_outages_per_month, own.cell_outage_min)
        return np.where(self.cellular[device], cell, out)

    def gateway_outages(self, gateway: int, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
        """(from, to) of each outage of one radio gateway that begins in the span."""
        own = self._settings
        found = []
        for day in range(from_ns // DAY_NS, to_ns // DAY_NS + 1):
            drawn, start_ns, end_ns = self._drawn(
                _DOWN,
                np.array([gateway]),
                np.array([day]),
                own.gateway_outages_per_month / MONTH_DAYS,
                DAY_NS,
                own.gateway_outage_min,
            )
            if drawn[0] and from_ns <= start_ns[0] < to_ns:
                found.append((int(start_ns[0]), int(end_ns[0])))
        return found

    def _in_burst(self, device: Int32s, time_ns: Int64s) -> Bools:
        own, slot_ns = self._settings, DAY_NS // BURSTS_SLOTS
        drawn, start_ns, end_ns = self._drawn(
            _BURST,
            self.gateway[device],
            time_ns // slot_ns,
            own.bursts_per_day / BURSTS_SLOTS,
            slot_ns,
            own.burst_min,
        )
        inside = drawn & (time_ns >= start_ns) & (time_ns < end_ns) & ~self.cellular[device]
        return inside & (self._noise.uniform(_BURST_LOST, device, time_ns) < own.burst_loss)

    def _episode(
        self, channel: int, gateway: Int64s, time_ns: Int64s, per_month: float, length_min: Span
    ) -> Bools:
        drawn, start_ns, end_ns = self._drawn(
            channel, gateway, time_ns // DAY_NS, per_month / MONTH_DAYS, DAY_NS, length_min
        )
        return drawn & (time_ns >= start_ns) & (time_ns < end_ns)

    def _drawn(
        self, channel: int, gateway: Int64s, slot: Int64s, chance: float, slot_ns: int, length_min: Span
    ) -> tuple[Bools, Int64s, Int64s]:
        """Whether an episode falls into a slot of time, and from when to when; it ends within its slot."""
        drawn = self._noise.uniform(channel, gateway, slot, 0) < chance
        share = self._noise.uniform(channel, gateway, slot, 1)
        least, most = np.maximum(length_min, 1e-9)
        length_ns = least * (most / least) ** share * MINUTE_NS
        start_ns = slot * slot_ns + self._noise.uniform(channel, gateway, slot, 2) * (slot_ns - length_ns)
        return drawn, start_ns.astype(np.int64), (start_ns + length_ns).astype(np.int64)
