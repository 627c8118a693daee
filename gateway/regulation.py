"""Regulations as dated tables. In: nothing. Out: frozen editions of an air quality index or of noise limits.

The tables are data (TOML beside the profiles); a later edition is one more table and no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gateway.model import Severity

Curve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Grade:
    """A class of the index: everything ``above``, up to the next grade. Titles are the regulation's."""

    above: float
    severity: Severity
    title_vi: str
    title_en: str


@dataclass(frozen=True, slots=True)
class AirEdition:
    """``points`` of a pollutant (canonical field name, ug/m3) belong to the values of ``index``.

    A curve may be shorter than ``index``: above its last point the pollutant gives no index, unless it has
    them all, where the index ends at its last value. ``ozone_8h`` is the curve of 8-hour means.
    ``particles`` are judged by their NowCast, and one of them must be there.
    """

    valid_from: date
    source: str
    index: Curve
    points: Mapping[str, Curve]
    particles: tuple[str, ...]
    grades: tuple[Grade, ...]


@dataclass(frozen=True, slots=True)
class NoiseEdition:
    """``limits``: dB(A) LAeq of each hour of the local day, by zone; NaN where the regulation has none."""

    valid_from: date
    source: str
    limits: Mapping[str, Curve]


@dataclass(frozen=True, slots=True)
class Regulation:
    """All editions of one kind, the oldest first."""

    name: str
    air: tuple[AirEdition, ...] = ()
    noise: tuple[NoiseEdition, ...] = ()
