"""City sensors. In: which, when. Out: values with a daily cycle, weather that wanders, two rushes.

One table serves all kinds of sensor: a profile whose canonical field is listed here can be simulated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.model import Float64s, Int32s, Int64s
from simulators.astronomy import HOUR_NS, MINUTE_NS, Sky
from simulators.noise import Noise
from simulators.sensor_fault import SensorFaults

_SITE, _SLOW, _FAST, _RAIN = range(50, 54)  # channels of noise
_CHANNELS_PER_FIELD = 8


@dataclass(frozen=True, slots=True)
class Cycle:
    """``mean`` + ``daily`` x cos around ``peak_hour`` + ``wander`` + ``flicker``; never outside low and high.

    ``site`` is how far sites differ, as a share of the mean. ``shape`` is sine, sunlight (0 by night), rush
    (two peaks a day; 0 to 1 times ``daily``) or rain (nothing, then a shower).
    """

    mean: float
    daily: float = 0.0
    peak_hour: float = 0.0
    wander: float = 0.0
    flicker: float = 0.0
    low: float = 0.0
    high: float = 1e9
    site: float = 0.1
    shape: str = "sine"


CYCLES: dict[str, Cycle] = {
    "pm1": Cycle(14, 4, 7, 4, 0.6, 1),
    "pm2_5": Cycle(26, 8, 7, 8, 1, 2),
    "pm10": Cycle(44, 12, 7, 12, 2, 5),
    "nitrogen_dioxide": Cycle(32, 14, 19, 6, 1.5, 2),
    "sulphur_dioxide": Cycle(12, 2, 9, 3, 0.5, 1),
    "ozone": Cycle(52, 34, 14, 8, 1.5, 2),
    "carbon_monoxide": Cycle(720, 260, 18, 90, 15, 100),
    "carbon_dioxide": Cycle(440, 25, 5, 12, 3, 390),
    "temperature": Cycle(28, 4.5, 14, 0.8, 0.1, 16, 42, site=0.01),
    "relative_humidity": Cycle(74, -16, 14, 4, 0.5, 25, 100, site=0.03),
    "atmospheric_pressure": Cycle(1009, 1.2, 10, 1.5, 0.05, 990, 1025, site=0.0003),
    "wind_speed": Cycle(2.6, 1.2, 15, 1.5, 0.4, 0, 12),
    "wind_direction": Cycle(180, 0, 0, 90, 15, 0, 359),
    "rain_rate": Cycle(0, 18, 17, shape="rain", high=19),
    "solar_irradiance": Cycle(0, 880, 12, 60, 8, shape="sunlight"),
    "illuminance": Cycle(4, 92_000, 12, 6000, 500, 0.5, shape="sunlight"),
    "noise_level": Cycle(45, 14, 0, 1.5, 1, 34, 68, 0.04, shape="rush"),
    "noise_level_max": Cycle(54, 15, 0, 3, 2, 40, 92, 0.04, shape="rush"),
    "noise_level_background": Cycle(39, 10, 0, 1, 0.4, 30, 62, 0.04, shape="rush"),
    "abnormal_sound": Cycle(0, site=0),
    "water_level": Cycle(0.012, 0, 0, 0.008, 0.001, 0, 0.045),
    "battery_voltage": Cycle(3.9, 0.08, 15, 0.02, 0.005, 3.6, 4.2, 0.01),
    "motorcycle_count": Cycle(30, 420, 0, 15, 8, 0, 5000, 0.4, shape="rush"),
    "car_count": Cycle(10, 110, 0, 6, 4, 0, 2000, 0.4, shape="rush"),
    "truck_count": Cycle(4, 14, 0, 2, 2, 0, 500, 0.4, shape="rush"),
    "mean_speed": Cycle(42, -14, 0, 2, 1, 8, 80, 0.1, shape="rush"),
    "occupancy": Cycle(3, 24, 0, 2, 1, 0, 38, 0.3, shape="rush"),
}
"""Canonical field name to its cycle; counts are per quarter of an hour."""

TEXTS = {"firmware_version": "2.4.1", "gauge_state": "normal"}
"""Fields that say the same all day."""

_RUSH_HOURS = (0.0, 4.5, 6.0, 7.25, 9.0, 11.0, 13.0, 16.0, 17.5, 19.5, 22.0, 24.0)
_RUSH = (0.05, 0.05, 0.5, 1.0, 0.55, 0.6, 0.5, 0.65, 1.0, 0.6, 0.2, 0.05)


class Sensors:
    """``rows`` are asset rows of sensor sites."""

    NAMES = (*CYCLES, *TEXTS, "direction")

    def __init__(self, sky: Sky, noise: Noise, faults: SensorFaults | None = None) -> None:
        self._sky, self._noise, self._faults = sky, noise, faults

    def sample(
        self, rows: Int32s, time_ns: Int64s, names: tuple[str, ...]
    ) -> dict[str, Float64s | str | list[str]]:
        """Canonical field name to float64[n] (a code for ``direction``) or a text, for ``names`` alone."""
        now_ns, time_ns = time_ns, time_ns if self._faults is None else self._faults.frozen(rows, time_ns)
        hour = self._sky.local_hour(time_ns)
        values: dict[str, Float64s] = {}
        for number, (name, cycle) in enumerate(CYCLES.items()):
            if name in names:
                values[name] = self._value(cycle, 1000 + number * _CHANNELS_PER_FIELD, rows, time_ns, hour)
        if self._faults is not None:
            self._faults.change(values, rows, now_ns)
        if "direction" in names:
            values["direction"] = np.floor(4 * self._noise.uniform(_SITE, rows))
        return {**values, **{name: text for name, text in TEXTS.items() if name in names}}

    def _value(self, cycle: Cycle, channel: int, rows: Int32s, time_ns: Int64s, hour: Float64s) -> Float64s:
        site = 1.0 + cycle.site * self._noise.between(-1, 1, channel + _SITE, rows)
        value = (cycle.mean + cycle.daily * self._shape(cycle, time_ns, hour)) * site
        value += cycle.wander * self._noise.wander(channel + _SLOW, time_ns, 20 * MINUTE_NS, rows)
        value += cycle.flicker * self._noise.between(-1, 1, channel + _FAST, rows, time_ns)
        return np.clip(value, cycle.low, cycle.high)

    def _shape(self, cycle: Cycle, time_ns: Int64s, hour: Float64s) -> Float64s:
        wave = np.cos(2 * np.pi * (hour - cycle.peak_hour) / 24.0)
        if cycle.shape == "sunlight":
            return np.maximum(wave, 0.0)
        if cycle.shape == "rush":
            return np.interp(hour, _RUSH_HOURS, _RUSH)
        if (
            cycle.shape == "rain"
        ):  # one sky for all: a shower in about one hour of ten, more by late afternoon
            shower = self._noise.wander(_RAIN, time_ns, HOUR_NS)
            return np.maximum(shower - 0.75 + 0.15 * wave, 0.0)
        return wave
