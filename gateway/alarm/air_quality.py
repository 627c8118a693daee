"""VN_AQI after QĐ 1459/QĐ-TCMT, sections 2.2.1 and 2.2.2. In: hourly means. Out: the index, whole numbers.

A function of its arguments; the tables are data (``gateway.regulation``). Hours are labelled by their end, as
in the decision: the day is 01:00 to 00:00, which are the 24 hours of the local day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gateway.model import Bools, Float64s
from gateway.regulation import AirEdition, Curve

NOWCAST_HOURS: Final = 12
RECENT_HOURS, RECENT_MIN = 3, 2
DAY_HOURS: Final = 24
SPAN_HOURS: Final = 8
WEIGHT_MIN: Final = 0.5
OZONE, OZONE_8H = "ozone", "ozone_8h"


def nowcast(means: Float64s) -> Float64s:
    """Weighted mean of ``means`` [n, 12] (the newest first, NaN for none); NaN without 2 of the newest 3.

    Always divided by the weights that are there. For w = 1/2 the decision writes the sum alone, which is the
    same to 1 in 4096 while no hour is missing, and would make clean air of each hour that is.
    """
    known = ~np.isnan(means)
    enough = known[:, :RECENT_HOURS].sum(axis=1) >= RECENT_MIN
    most = np.where(known, means, -np.inf).max(axis=1)
    least = np.where(known, means, np.inf).min(axis=1)
    weight = np.where(enough & (most > 0), least / np.where(enough & (most > 0), most, 1.0), 1.0)
    weight = np.maximum(weight, WEIGHT_MIN)
    weights = np.where(known, weight[:, np.newaxis] ** np.arange(means.shape[1]), 0.0)
    total = np.where(known, means, 0.0) * weights
    found: Float64s = total.sum(axis=1) / np.where(enough, weights.sum(axis=1), np.nan)
    return found


def sub_index(concentration: Float64s, index: Curve, points: Curve) -> Float64s:
    """AQIx by formula 1; at most the last value of a whole curve, NaN above a curve that ends before."""
    above = index[-1] if len(points) == len(index) else np.nan
    found = np.interp(concentration, points, index[: len(points)])
    return np.where(concentration > points[-1], above, found)


def hourly(means: Mapping[str, Float64s], edition: AirEdition) -> Float64s:
    """AQI of the newest hour, float64[n]; ``means`` [n, 12] by pollutant, the newest first. NaN for none."""
    parts = {
        name: sub_index(
            nowcast(values[:, :NOWCAST_HOURS]) if name in edition.particles else values[:, 0],
            edition.index,
            edition.points[name],
        )
        for name, values in means.items()
        if name in edition.points
    }
    return _worst(parts, edition)


def daily(means: Mapping[str, Float64s], edition: AirEdition, hours_min: int) -> Float64s:
    """AQI of a local day, float64[n]; ``means`` [n, 31] by pollutant, the day's last hour first.

    A pollutant needs ``hours_min`` hours of the day, an 8-hour mean three quarters of its own.
    """
    parts: dict[str, Float64s] = {}
    for name, values in means.items():
        if name not in edition.points:
            continue
        day = values[:, :DAY_HOURS]
        enough = (~np.isnan(day)).sum(axis=1) >= hours_min
        found = _mean(day, 1) if name in edition.particles else _most(day)
        parts[name] = sub_index(np.where(enough, found, np.nan), edition.index, edition.points[name])
        if name == OZONE and OZONE_8H in edition.points:
            found = np.where(enough, _most(eight_hours(values)), np.nan)
            parts[OZONE_8H] = sub_index(found, edition.index, edition.points[OZONE_8H])
    return _worst(parts, edition)


def eight_hours(means: Float64s) -> Float64s:
    """The 8-hour mean that ends with each hour of the day; ``means`` [n, 31], newest first, to [n, 24]."""
    spans = np.lib.stride_tricks.sliding_window_view(means, SPAN_HOURS, axis=1)[:, :DAY_HOURS]
    return _mean(spans, SPAN_HOURS * 3 // 4)


def _worst(parts: Mapping[str, Float64s], edition: AirEdition) -> Float64s:
    """Table 2: the greatest of the parts as a whole number; one of the particles must be among them."""
    if not parts:
        return np.empty(0)
    all_parts = np.stack(list(parts.values()))
    particles = [~np.isnan(parts[name]) for name in edition.particles if name in parts]
    valid: Bools = np.any(particles, axis=0) if particles else np.zeros(all_parts.shape[1], dtype=np.bool_)
    worst = np.where(np.isnan(all_parts), -np.inf, all_parts).max(axis=0)
    return np.where(valid, np.floor(np.where(valid, worst, 0.0) + 0.5), np.nan)


def _mean(values: Float64s, least: int) -> Float64s:
    """Over the last axis, of what is known; NaN where that is less than ``least``."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    found: Float64s = np.where(count >= least, total / np.maximum(count, 1), np.nan)
    return found


def _most(values: Float64s) -> Float64s:
    found = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    return np.where(np.isinf(found), np.nan, found)
