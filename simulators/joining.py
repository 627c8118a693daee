"""How long devices take to be heard after power returned. In: devices, when. Out: delays.

On LoRaWAN all lamps of a gateway want to join at once, and the more there are the longer it takes; firmware
that tries again every ten seconds comes in waves. Cellular devices are there within a minute.
"""

from __future__ import annotations

import numpy as np

from gateway.model import Bools, Float64s, Int32s, Int64s
from simulators.astronomy import MINUTE_NS, SECOND_NS
from simulators.noise import Noise
from simulators.scenario import Dusk

CELLULAR_S = (5.0, 65.0)
_BOOT, _JOIN, _CONGESTION, _RETRY = range(100, 104)  # channels of noise


class Joining:
    """``gateway`` int64[devices] and ``cellular`` bool[devices] are by device row."""

    def __init__(
        self, settings: Dusk, noise: Noise, gateway: Int64s, cellular: Bools, devices_per_gateway: int
    ) -> None:
        self.stagger_s = settings.stagger_s
        self._settings, self._noise, self._gateway, self._cellular = settings, noise, gateway, cellular
        self._load = np.bincount(gateway[~cellular], minlength=1) / devices_per_gateway

    def join_ns(self, device: Int32s, on_ns: int) -> Float64s:
        """From the boot delay to the first report, float64[n], of devices whose power came at ``on_ns``."""
        own, noise = self._settings, self._noise
        gateway = self._gateway[device]
        full_ns = noise.between(*own.join_min, _CONGESTION, gateway, on_ns) * MINUTE_NS
        load = self._load[np.minimum(gateway, len(self._load) - 1)]
        rate = -np.log(max(1.0 - own.joined_share, 1e-9)) / np.maximum(full_ns * load, SECOND_NS)
        wait_ns = -np.log1p(-noise.uniform(_JOIN, device, on_ns)) / rate
        retry_ns = own.fixed_retry_s * SECOND_NS
        fixed = (noise.uniform(_RETRY, device) < own.fixed_retry_share) & (retry_ns > 0)
        wait_ns = np.where(fixed, np.ceil(wait_ns / max(retry_ns, 1.0)) * retry_ns, wait_ns)
        cellular_ns = noise.between(*CELLULAR_S, _JOIN, device, on_ns) * SECOND_NS
        boot_ns = noise.between(0.0, own.boot_s, _BOOT, device, on_ns) * SECOND_NS
        return boot_ns + np.where(self._cellular[device], cellular_ns, wait_ns)
