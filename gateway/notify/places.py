"""Where alarms are. In: the inventory. Out: areas around a place, its order by poles, a circle on the map.

Never changes once built; one object serves one configuration.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from gateway.alarms import Alarm
from gateway.fleet import Asset, Fleet

RADIUS_KM_MIN: Final = 0.05
KM_PER_DEGREE: Final = 111.195
"""Of latitude, on a sphere of 6,371 km."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place for people and for maps; ``circle`` is (latitude, longitude, radius in km), WGS84."""

    name: str
    circle: tuple[float, float, float] | None = None
    codes: tuple[tuple[str, str], ...] = ()  # (what, code) of area, cabinet, feeder and asset


class Places:
    """Places of one inventory."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.zone = ZoneInfo(fleet.time_zone)

    def around(self, area: str) -> tuple[str, ...]:
        """The area and those it lies in, from the inside; an unknown one stands alone."""
        found = [area]
        while (known := self._fleet.area_by_code.get(found[-1])) is not None:
            if not known.parent or known.parent in found:
                break
            found.append(known.parent)
        return tuple(found)

    def knows(self, area: str) -> bool:
        return area in self._fleet.area_by_code

    def order(self, alarm: Alarm) -> tuple[str, str, str, int, str]:
        """Sorts alarms as a crew drives: area, cabinet, feeder, then pole by pole."""
        row = self._fleet.asset_row.get(alarm.asset)
        if row is None:
            feeder = self._fleet.feeder_by_id.get(alarm.feeder)
            return alarm.area, feeder.cabinet if feeder else "", alarm.feeder, 0, alarm.asset
        asset = self._fleet.assets[row]
        return asset.area, asset.cabinet, asset.feeder, asset.pole_sequence, asset.id

    def spot(self, alarm: Alarm) -> Spot:
        """Where the alarm is; the gateway's own alarms are nowhere on the map."""
        area = self._fleet.area_by_code.get(alarm.area)
        name = ", ".join(part for part in (alarm.asset, area.name if area else alarm.area) if part)
        codes = (("area", alarm.area), ("feeder", alarm.feeder), ("asset", alarm.asset))
        return Spot(name, _circle(self._members(alarm)), tuple(c for c in codes if c[1]))

    def city(self) -> Spot:
        """Everything there is."""
        names = [area.name for area in self._fleet.areas if not area.parent]
        return Spot(", ".join(names) or "city", _circle(self._fleet.assets))

    def _members(self, alarm: Alarm) -> Sequence[Asset]:
        """The assets an alarm covers: of a feeder or cabinet all its points, of an area all in it."""
        row = self._fleet.asset_row.get(alarm.asset)
        if row is not None and self._fleet.assets[row].kind != "cabinet":
            return (self._fleet.assets[row],)
        below = self._below.get(alarm.asset) or self._below.get(alarm.asset.split("/")[0])
        if below:
            return below
        return () if row is None else (self._fleet.assets[row],)

    @cached_property
    def _below(self) -> dict[str, list[Asset]]:
        found: defaultdict[str, list[Asset]] = defaultdict(list)
        for asset in self._fleet.assets:
            for name in {asset.feeder, asset.cabinet, *self.around(asset.area)} - {"", asset.id}:
                found[name].append(asset)
            if asset.kind == "cabinet":
                found[asset.id].append(asset)
        return dict(found)


def _circle(assets: Sequence[Asset]) -> tuple[float, float, float] | None:
    """The middle of the assets' bounding box and the distance of the farthest."""
    if not assets:
        return None
    latitudes = [asset.latitude for asset in assets]
    longitudes = [asset.longitude for asset in assets]
    latitude = (min(latitudes) + max(latitudes)) / 2
    longitude = (min(longitudes) + max(longitudes)) / 2
    narrowing = math.cos(math.radians(latitude))
    far = max(
        math.hypot(a.latitude - latitude, (a.longitude - longitude) * narrowing) * KM_PER_DEGREE
        for a in assets
    )
    return latitude, longitude, max(RADIUS_KM_MIN, math.ceil(far * 100) / 100)
