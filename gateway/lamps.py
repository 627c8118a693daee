"""What an operator wants to see first. In: readings and what is due. Out: lamps lit, dark, unverified.

A light point is *dark* only on evidence (a live reading without power while light is due); one that
is due and silent is *unverified*; one whose feeder is off by plan is *not supplied by schedule*.
Never raises an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gateway.alarm.expected import Expectation, Light, Supply
from gateway.fleet import Fleet
from gateway.model import ProfileSpec, ReadingBatch

POWER_FIELD = "active_power"


class LampPicture:
    """The latest power of every light point, judged against what is due now."""

    def __init__(self, fleet: Fleet, specs: Iterable[ProfileSpec], expectation: Expectation) -> None:
        self._fleet = fleet
        self._expectation = expectation
        stale_s = [spec.interval_s * spec.silence_intervals for spec in specs if _tells_power(spec)]
        self._stale_ns = int(max(stale_s, default=0.0) * 1e9)
        self._points = np.flatnonzero([asset.kind == "light_point" for asset in fleet.assets]).astype(
            np.int32
        )
        self._power_w = np.full(len(fleet.assets), np.nan)
        self._heard_ns = np.zeros(len(fleet.assets), dtype=np.int64)

    def observe(self, batch: ReadingBatch) -> None:
        """Take note of live readings; replayed ones say nothing of now."""
        if not _tells_power(batch.profile):
            return
        power = [field.name for field in batch.profile.numeric].index(POWER_FIELD)
        live = np.flatnonzero(~batch.replayed)
        assets = self._fleet.assets_at(batch.device[live], batch.time_ns[live])
        placed = assets >= 0
        rows, live = assets[placed], live[placed]
        newer = batch.received_ns[live] >= self._heard_ns[rows]
        rows, live = rows[newer], live[newer]
        self._heard_ns[rows] = batch.received_ns[live]
        self._power_w[rows] = batch.values[power, live]

    def count(self, now_ns: int) -> dict[str, int]:
        """Light points by what is known of them at ``now_ns`` (wall time, ns)."""
        points = self._points
        due = self._expectation.at(points, np.full(len(points), now_ns, dtype=np.int64))
        heard = (now_ns - self._heard_ns[points] <= self._stale_ns) & ~np.isnan(self._power_w[points])
        burning = heard & self._expectation.lit(self._power_w[points], self._expectation.standby_w[points])
        # Around a switching nobody knows; a lamp that is silent then has not been given power yet.
        unsupplied = ~burning & (
            (due.supply_due == Supply.OFF) | (~heard & (due.supply_due == Supply.UNKNOWN))
        )
        dark = heard & ~burning & ~unsupplied & (due.light_due == Light.ON)
        unverified = ~heard & ~unsupplied & (due.light_due == Light.ON)
        off = ~burning & ~unsupplied & ~dark & ~unverified
        states = {
            "lit": burning,
            "dark": dark,
            "unverified": unverified,
            "not_supplied": unsupplied,
            "off": off,
        }
        return {name: int(np.count_nonzero(mask)) for name, mask in states.items()}


def _tells_power(spec: ProfileSpec) -> bool:
    return any(field.name == POWER_FIELD for field in spec.numeric)
