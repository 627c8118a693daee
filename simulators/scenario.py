"""Field practice as numbers. In: a TOML scenario. Out: frozen settings, each with its default from the field.

One table a layer (docs/simulators.md); a layer's numbers set to 0 switch it off. Draws nothing itself.
"""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec

from gateway.errors import ConfigurationError
from gateway.model import nanoseconds

Span = tuple[float, float]


class _Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares are fractions of 1; spans are (least, most)."""


class City(_Layer, frozen=True):
    """The made-up inventory. ``photocell_share`` and ``dropped_phase_share`` are shares of the feeders."""

    light_points: int = 1200
    sensors: int = 0
    seed: int = 2026
    photocell_share: float = 0.0
    dropped_phase_share: float = 0.0
    d4i_share: float = 0.0  # of the light points


class Radio(_Layer, frozen=True):
    """What becomes of a message between device and broker; devices are LoRaWAN unless cellular."""

    cellular_share: float = 0.3
    devices_per_gateway: int = 2000
    loss_median: float = 0.02
    loss_p90: float = 0.08
    weak_share: float = 0.03
    weak_loss: Span = (0.15, 0.35)
    cellular_loss: float = 0.005
    bursts_per_day: float = 1.0
    burst_min: Span = (4.0, 12.0)
    burst_loss: float = 0.9
    gateway_outages_per_month: float = 0.5
    gateway_outage_min: Span = (10.0, 360.0)
    cell_outages_per_month: float = 1.0
    cell_outage_min: Span = (5.0, 60.0)
    duplicate: Span = (0.005, 0.03)
    reorder: float = 0.01
    back_fill: float = 0.01
    back_fill_h_max: float = 24.0
    latency_s: Span = (0.3, 3.0)


class Dusk(_Layer, frozen=True):
    """What a device does when power returns; ``join_min``: when ``joined_share`` of a gateway are in."""

    boot_s: float = 2.0
    stagger_s: tuple[float, ...] = (0.0, 120.0, 300.0)
    join_min: Span = (5.0, 40.0)
    joined_share: float = 0.95
    fixed_retry_share: float = 0.3
    fixed_retry_s: float = 10.0
    self_test_share: float = 0.1


class Clocks(_Layer, frozen=True):
    """What the devices' clocks show."""

    wrong_until_sync_share: float = 0.4
    sync_min_max: float = 120.0
    drift_ppm: float = 20.0
    bad_drift_share: float = 0.05
    bad_drift_ppm: float = 100.0
    minutes_off_share: float = 0.01
    zone_off_share: float = 0.005
    hours_off_share: float = 0.002


class Electrical(_Layer, frozen=True):
    """Spread beyond the physics that are always there (docs/simulators.md)."""

    wander_v: float = 5.0
    meter_error: float = 0.02
    meter_error_low_load: float = 0.10
    constant_light_share: float = 0.3
    rollback_h_max: float = 1.0


class Rates(_Layer, frozen=True):
    """Faults of an ordinary month: per 1,000 lamps, trips per 100 feeders, cuts and dips per cabinet."""

    gear: float = 0.7
    infant_factor: float = 1.0
    controller: float = 0.8
    radio: float = 1.0
    joint: float = 1.5
    pole: float = 0.1
    swap: float = 5.0
    feeder_trip: float = 3.0
    grid_cut: float = 1.0
    grid_cut_h: Span = (1.0, 4.0)
    dip: float = 3.0
    noon_storm: float = 4.0
    rain_factor: float = 3.0


class Lies(_Layer, frozen=True):
    """How far the city differs from its inventory: shares of the light points."""

    wrong_circuit: float = 0.03
    wrong_type: float = 0.02
    swapped: float = 0.01
    stale_programme: float = 0.05


class Dense(_Layer, frozen=True):
    """Injected on top: ``per_kind`` of each fault and look-alike in ``kinds`` (empty: all there are)."""

    per_kind: int = 0
    kinds: tuple[str, ...] = ()


class Scenario(_Layer, frozen=True):
    """A whole run. ``start`` is UTC, best at local noon: then a night is in one piece."""

    seed: int = 1
    start: str = "2026-11-02T05:00:00Z"
    days: float = 7.0
    city: City = City()
    radio: Radio = Radio()
    dusk: Dusk = Dusk()
    clocks: Clocks = Clocks()
    electrical: Electrical = Electrical()
    rates: Rates = Rates()
    lies: Lies = Lies()
    dense: Dense = Dense()

    @property
    def start_ns(self) -> int:
        return nanoseconds(self.start)


def read_scenario(text: str, file: str) -> Scenario:
    """Raises ConfigurationError naming the key."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
        scenario = msgspec.convert(document, Scenario)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(file, "", f"not TOML: {error}", "mend the syntax") from error
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        remedy = "see docs/simulators.md for the keys"
        raise ConfigurationError(file, where.strip("`."), problem, remedy) from error
    _check_numbers(scenario, file, "")
    try:
        scenario.start_ns  # noqa: B018
    except ValueError as error:
        raise ConfigurationError(file, "start", str(error), "write 2026-11-02T05:00:00Z") from error
    return scenario


def _check_numbers(layer: _Layer, file: str, prefix: str) -> None:
    for name in layer.__struct_fields__:
        value = getattr(layer, name)
        if isinstance(value, _Layer):
            _check_numbers(value, file, f"{prefix}{name}.")
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        numbers = tuple(n for n in numbers if isinstance(n, int | float))
        key = f"{prefix}{name}"
        if any(n < 0 for n in numbers):
            raise ConfigurationError(file, key, f"{value} is negative", "write 0 or more")
        if name.endswith(("_share", "_loss", "loss_median", "loss_p90")) and any(n > 1 for n in numbers):
            raise ConfigurationError(file, key, f"{value} is no share", "write a fraction from 0 to 1")
        if len(numbers) == 2 and numbers[0] > numbers[1] and name != "stagger_s":
            raise ConfigurationError(file, key, f"{value} is no span", "write the lesser number first")
