"""Poles that may be live ("trụ có thể nhiễm điện"). In: leaks, tripped devices, water levels. Out: findings.

A leak of 30 mA with 10 cm of water within 100 m of a pole it may be at, or a tripped residual-current device
(field notes 3): the top priority, muted by no rain and no group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gateway.alarm.finding import Finding
from gateway.alarm.neighbours import close_pairs, plane_m
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch, Severity

TYPE: Final = "poleMayBeLive"
LEAK_FIELD, TRIP_FIELD, LEVEL_FIELD = "leakage_current", "residual_current_trip", "water_level"
FIELDS: Final = (LEAK_FIELD, TRIP_FIELD, LEVEL_FIELD)
NEVER_NS: Final = -(2**62)


class LivePoles:
    """``value``, ``time_ns`` [FIELDS, places]: what was said last at each place; ``raised`` bool[places].

    Places are the assets at which one of the fields is measured: rows of the inventory in ``assets``.
    """

    KEY: Final = TYPE

    def __init__(self, fleet: Fleet, specs: Sequence[ProfileSpec], options: AlarmOptions) -> None:
        self._fleet, self._options = fleet, options
        self.profiles = {spec.name: rows for spec in specs if (rows := _rows(spec))}
        said = self._said()
        self.assets: Int64s = np.array(sorted(set().union(*said)), dtype=np.int64)
        self._place_of = np.full(len(fleet.assets) if len(self.assets) else 0, -1, dtype=np.int32)
        self._place_of[self.assets] = np.arange(len(self.assets))
        self._leaks = frozenset(int(self._place_of[row]) for row in said[0] | said[1])
        shape = len(FIELDS), len(self.assets)
        self.value: Float64s = np.full(shape, np.nan)
        self.time_ns: Int64s = np.full(shape, NEVER_NS, dtype=np.int64)
        self.device: Int32s = np.full(shape[1], BENCH, dtype=np.int32)  # who told of the leak
        self.raised: Bools = np.zeros(shape[1], dtype=np.bool_)
        self.heard: Bools = np.zeros(shape[1], dtype=np.bool_)
        self._leaking, self._flooded = self._pairs(said[0], said[2])

    def take(self, batch: ReadingBatch, rows: Int64s, time_ns: Int64s, asset: Int32s) -> None:
        """One reading of each of distinct devices; the last of a place stays."""
        for field, row in self.profiles[batch.profile.name]:
            values = batch.values[row, rows]
            at = np.flatnonzero((asset != BENCH) & ~np.isnan(values))
            place = self._place_of[asset[at]]
            self.value[field, place], self.time_ns[field, place] = values[at], time_ns[at]
            self.heard[place] = True
            if FIELDS[field] != LEVEL_FIELD:
                self.device[place] = batch.device[rows[at]]

    def judge(self) -> Iterator[Finding]:
        """What began or ended since the last time, by place."""
        if not self.heard.any():
            return
        self.heard[:] = False
        options, one, other = self._options, self._leaking, self._flooded
        leak, trip, level = self.value
        fresh = np.abs(self.time_ns[0, one] - self.time_ns[2, other]) <= options.live_fresh_s * 1e9
        wet = (level[other] >= options.live_flood_m) & (leak[one] >= options.live_leak_ma) & fresh
        still = (level[other] > options.live_flood_clear_m) & (leak[one] > options.live_clear_ma)
        begins, stays = trip > 0, trip > 0
        begins[one[wet]] = stays[one[still]] = True
        changed = np.where(self.raised, ~stays, begins)
        for place in np.flatnonzero(changed).tolist():
            self.raised[place] = not self.raised[place]
            touching = other[one == place]
            told_ns = int(max(self.time_ns[:2, place].max(), self.time_ns[2, touching].max(initial=NEVER_NS)))
            shown = not np.isnan(leak[place]) and not trip[place] > 0
            yield Finding(
                (self._fleet.devices[self.device[place]].id, self.KEY),
                TYPE,
                Severity.CRITICAL,
                int(self.assets[place]),
                bool(self.raised[place]),
                told_ns,
                told_ns,
                float(leak[place]) if shown else None,
                options.live_leak_ma if shown else None,
                "mA",
            )

    def stands(self, asset: int) -> bool:
        """Whether the asset's pole may be live."""
        if asset == BENCH or not len(self._place_of):
            return False
        place = int(self._place_of[asset])
        return place >= 0 and bool(self.raised[place])

    @property
    def leak_ma(self) -> float:
        return self._options.live_leak_ma

    @property
    def clear_ma(self) -> float:
        return self._options.live_clear_ma

    def measures_leak(self, place: int) -> bool:
        """Whether a leak is measured there, at one time or another."""
        return place in self._leaks

    def water_near(self, place: int) -> list[float]:
        """Levels (m) last told near the poles of ``place``, of the gauges that told one."""
        levels = self.value[2, self._flooded[self._leaking == place]]
        return [float(level) for level in levels[~np.isnan(levels)]]

    def _said(self) -> list[set[int]]:
        """For each of FIELDS the assets at which it is measured, at one time or another."""
        fleet, said = self._fleet, [set[int]() for _ in FIELDS]
        links, profile = fleet.assignment_table, fleet.device_table.words("profile")
        device = fleet.device_table.ids("id").rows(links.ids("device").texts)
        for name, fields in self.profiles.items():
            of = links.ids("asset").texts[profile.equal(name)[device]]
            for field, _ in fields:
                said[field].update(fleet.asset_table.ids("id").rows(of).tolist())
        return said

    def _pairs(self, leaking: set[int], flooded: set[int]) -> tuple[Int64s, Int64s]:
        """(place a leak is measured at, place water is measured at) that are near enough.

        A cabinet's leak may be at any pole it feeds; a lamp's is at its own.
        """
        if not leaking or not flooded:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        assets, table = self._fleet.assets, self._fleet.asset_table
        of_cabinet = {assets[row].id: row for row in leaking if assets[row].kind == "cabinet"}
        poles = [(row, row) for row in sorted(leaking)]
        cabinet = table.words("cabinet")
        leak = cabinet.spread((of_cabinet.get(name, BENCH) for name in cabinet.words), np.int64)
        fed = np.flatnonzero(table.words("kind").equal("light_point") & (leak != BENCH))
        poles += zip(fed.tolist(), leak[fed].tolist(), strict=True)
        place_m = plane_m(table.numbers("latitude"), table.numbers("longitude"))
        pole = np.array(poles, dtype=np.int64)
        water = np.array(sorted(flooded), dtype=np.int64)
        at, beside = close_pairs(place_m[water], place_m[pole[:, 0]], self._options.live_distance_m)
        pairs = np.unique(np.stack((pole[beside, 1], water[at]), axis=1), axis=0)
        return self._place_of[pairs[:, 0]].astype(np.int64), self._place_of[pairs[:, 1]].astype(np.int64)


def _rows(spec: ProfileSpec) -> list[tuple[int, int]]:
    """(number in FIELDS, row of a batch) of what the profile measures."""
    names = [field.name for field in spec.numeric]
    return [(k, names.index(name)) for k, name in enumerate(FIELDS) if name in names]
