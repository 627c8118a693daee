"""Where the sun stands. In: times and places. Out: elevations, and when an elevation is crossed.

NOAA Solar Calculator formulas (Meeus, Astronomical Algorithms, ch. 25), geometric elevation without
refraction: within a minute of an almanac between the polar circles. Never knows a time zone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gateway.model import TIME_ABSENT, Float64s, Int64s

CIVIL_TWILIGHT_DEG: Final = -6.0
DAY_NS: Final = 86_400_000_000_000
_J2000_NS: Final = 946_728_000_000_000_000  # 2000-01-01T12:00Z
_CENTURY_NS: Final = 36_525 * DAY_NS
_DEGREE_NS: Final = DAY_NS / 360.0
_REFINEMENTS: Final = 3  # each shrinks the error of the last some 300 times


def _declination_and_equation(time_ns: Int64s) -> tuple[Float64s, Float64s]:
    """Sun's declination (radians) and the equation of time (degrees of hour angle)."""
    century = (time_ns - _J2000_NS) / _CENTURY_NS
    mean_longitude = np.radians(280.46646 + century * (36000.76983 + century * 0.0003032))
    anomaly = np.radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    centre = (
        np.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + np.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + np.sin(3 * anomaly) * 0.000289
    )
    node = np.radians(125.04 - 1934.136 * century)
    longitude = mean_longitude + np.radians(centre - 0.00569 - 0.00478 * np.sin(node))
    obliquity = np.radians(23.439291 - century * 0.0130042 + 0.00256 * np.cos(node))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    y = np.tan(obliquity / 2) ** 2
    equation = (
        y * np.sin(2 * mean_longitude)
        - 2 * eccentricity * np.sin(anomaly)
        + 4 * eccentricity * y * np.sin(anomaly) * np.cos(2 * mean_longitude)
        - 0.5 * y * y * np.sin(4 * mean_longitude)
        - 1.25 * eccentricity * eccentricity * np.sin(2 * anomaly)
    )
    return declination, np.degrees(equation)


def elevation_deg(time_ns: Int64s, latitude: Float64s, longitude: Float64s) -> Float64s:
    """Degrees above the horizon; arguments broadcast (ns UTC, degrees north, degrees east)."""
    declination, equation = _declination_and_equation(time_ns)
    hour_angle = np.radians((time_ns % DAY_NS) / _DEGREE_NS + equation + longitude - 180.0)
    phi = np.radians(latitude)
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    degrees: Float64s = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    return degrees


def crossings(
    day: int, latitude: Float64s, longitude: Float64s, elevation: float = CIVIL_TWILIGHT_DEG
) -> tuple[Int64s, Int64s]:
    """When the sun rises and sinks through ``elevation`` around solar noon of ``day``.

    ``day`` counts local calendar days since 1970. Returns (rising, sinking), int64[places] ns UTC,
    TIME_ABSENT where the sun stays on one side.
    """
    solar_noon = day * DAY_NS + (180.0 - longitude) * _DEGREE_NS
    return _crossing(solar_noon, latitude, elevation, -1.0), _crossing(solar_noon, latitude, elevation, 1.0)


def _crossing(solar_noon: Float64s, latitude: Float64s, elevation: float, side: float) -> Int64s:
    phi = np.radians(latitude)
    time_ns = solar_noon
    for _ in range(_REFINEMENTS):
        declination, equation = _declination_and_equation(time_ns.astype(np.int64))
        cosine = (np.sin(np.radians(elevation)) - np.sin(phi) * np.sin(declination)) / (
            np.cos(phi) * np.cos(declination)
        )
        hour_angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        time_ns = solar_noon + (side * hour_angle - equation) * _DEGREE_NS
    return np.where(np.abs(cosine) <= 1.0, time_ns.astype(np.int64), TIME_ABSENT)
