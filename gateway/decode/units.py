"""The units a profile may name, with exact factors between those of one quantity.

In: two unit symbols. Out: the rational scale and offset from one to the other. Never rounds.
Symbols follow uCIFI/LwM2M, which take them from SenML (RFC 8428 section 12.1, RFC 8798).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """``value in base units = value * scale + offset``; readings are stored in ``canonical`` units."""

    quantity: str
    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    canonical: bool = False


def _canonical(quantity: str) -> Unit:
    return Unit(quantity, canonical=True)


_ZERO_CELSIUS_K: Final = Fraction(27315, 100)
_DEGREE_RAD: Final = Fraction("0.017453292519943295")

UNITS: Final[dict[str, Unit]] = {
    "V": _canonical("voltage"),
    "mV": Unit("voltage", Fraction(1, 1000)),
    "kV": Unit("voltage", Fraction(1000)),
    "A": _canonical("current"),
    "mA": Unit("current", Fraction(1, 1000), canonical=True),
    "W": _canonical("active power"),
    "mW": Unit("active power", Fraction(1, 1000)),
    "kW": Unit("active power", Fraction(1000)),
    "VA": _canonical("apparent power"),
    "kVA": Unit("apparent power", Fraction(1000)),
    "var": _canonical("reactive power"),
    "kvar": Unit("reactive power", Fraction(1000)),
    "Wh": _canonical("active energy"),
    "kWh": Unit("active energy", Fraction(1000)),
    "MWh": Unit("active energy", Fraction(1_000_000)),
    "J": Unit("active energy", Fraction(1, 3600)),
    "varh": _canonical("reactive energy"),
    "kvarh": Unit("reactive energy", Fraction(1000)),
    "VAh": _canonical("apparent energy"),
    "kVAh": Unit("apparent energy", Fraction(1000)),
    "Hz": _canonical("frequency"),
    "mHz": Unit("frequency", Fraction(1, 1000)),
    "Cel": _canonical("temperature"),
    "K": Unit("temperature", Fraction(1), -_ZERO_CELSIUS_K),
    "degF": Unit("temperature", Fraction(5, 9), Fraction(-160, 9)),
    "%": _canonical("ratio"),
    "1": Unit("ratio", Fraction(100), canonical=True),
    "%RH": _canonical("relative humidity"),
    "lx": _canonical("illuminance"),
    "lm": _canonical("luminous flux"),
    "cd/m2": _canonical("luminance"),
    "ug/m3": _canonical("mass concentration"),
    "mg/m3": Unit("mass concentration", Fraction(1000)),
    "ppm": _canonical("volume fraction"),
    "ppb": Unit("volume fraction", Fraction(1, 1000)),
    "dB(A)": _canonical("sound level"),
    "dBm": _canonical("radio power"),
    "dB": _canonical("level"),
    "mm": Unit("length", Fraction(1, 1000), canonical=True),
    "cm": Unit("length", Fraction(1, 100)),
    "m": _canonical("length"),
    "mm/h": _canonical("precipitation rate"),
    "m/s": _canonical("speed"),
    "km/h": Unit("speed", Fraction(1000, 3600), canonical=True),
    "Pa": Unit("pressure", Fraction(1, 100)),
    "kPa": Unit("pressure", Fraction(10)),
    "hPa": _canonical("pressure"),
    "mbar": Unit("pressure"),
    "W/m2": _canonical("irradiance"),
    "deg": _canonical("angle"),
    "rad": Unit("angle", 1 / _DEGREE_RAD),
    "s": _canonical("time"),
    "ms": Unit("time", Fraction(1, 1000)),
    "min": Unit("time", Fraction(60)),
    "h": Unit("time", Fraction(3600), canonical=True),
    "1/h": _canonical("rate"),
    "1/min": Unit("rate", Fraction(60)),
}
"""``%`` and ``1`` are one quantity (100 % = 1); mA, mm, h and km/h are canonical by custom."""


def conversion(source: str, canonical: str) -> tuple[Fraction, Fraction]:
    """(scale, offset) with ``canonical value = source value * scale + offset``; both must be in UNITS.

    ValueError when the two measure different quantities.
    """
    a, b = UNITS[source], UNITS[canonical]
    if a.quantity != b.quantity:
        raise ValueError(f"{source} measures {a.quantity}, {canonical} measures {b.quantity}")
    return a.scale / b.scale, (a.offset - b.offset) / b.scale
