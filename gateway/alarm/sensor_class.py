"""What the sensors of one device class said lately. In: live readings. Out: columns that watches judge by.

Hourly means, how long a value has not changed or was implausible, the newest values; a device is a slot, the
last axis of every column. Readings held back on the way are left out. Never judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from gateway.alarm.hours import HOUR_NS, HourlyMeans
from gateway.alarm.neighbours import nearest, plane_m
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec, Quality, ReadingBatch
from gateway.watches import WatchKind

HUMIDITY: Final = "relative_humidity"
OVER: Final = ":over"
"""Channel of a sound level: 1 for a reading above the limit of its hour, else 0."""

SOUND_UNIT: Final = "dB(A)"
RECENT: Final = 16
"""Newest values kept of a field whose rise is watched."""

NEVER_NS: Final = -(2**62)
_HOURLY: Final = (WatchKind.AIR_HOUR, WatchKind.AIR_DAY, WatchKind.NOISE, WatchKind.DRIFT)


Limits = Callable[[str, Int32s, Int64s], Mapping[str, Float64s]]
"""(profile, assets, hours UTC) -> limit of each sound level in its hour, NaN where there is none."""


class SensorClass:
    """All devices of a class of which a profile has watches; ``pollutants`` are those of its regulations."""

    def __init__(
        self,
        name: str,
        fleet: Fleet,
        specs: Sequence[ProfileSpec],
        pollutants: Iterable[str],
        options: AlarmOptions,
        slot_of: Int32s,
    ) -> None:
        """``slot_of`` int32[devices] is shared by all classes; this one's entries are written here."""
        self.name, self.specs = name, {spec.name: spec for spec in specs}
        rows = [row for row, device in enumerate(fleet.devices) if device.profile in self.specs]
        self.devices: Int32s = np.array(rows, dtype=np.int32)
        self.profile = np.array([fleet.devices[row].profile for row in rows], dtype=np.str_)
        self._slot_of = slot_of
        slot_of[self.devices] = np.arange(len(rows))
        self.channels = _channels(specs, pollutants)
        self.fields = tuple(
            sorted({watch.field for s in specs for watch in s.watches if watch.kind not in _HOURLY})
        )
        interval_s = np.array([self.specs[name].interval_s for name in self.profile.tolist()])
        needed = np.maximum(1, np.floor(options.coverage * 3600.0 / np.maximum(interval_s, 1.0)))
        self.hours = HourlyMeans(len(self.channels), len(rows), needed.astype(np.int64))
        self.near = nearest(_places_m(fleet, self.devices), options.neighbour_m)
        count, fields = len(rows), len(self.fields)
        self.doubted: Bools = np.zeros(count, dtype=np.bool_)  # drifts itself, and says nothing of others
        self.asset: Int32s = np.full(count, BENCH, dtype=np.int32)  # where the last reading was taken
        self.judged_at: Int32s = np.full(count, BENCH, dtype=np.int32)  # where it was judged last
        self.last_ns: Int64s = np.full(count, NEVER_NS, dtype=np.int64)
        self.day: Int64s = np.full(count, NEVER_NS, dtype=np.int64)  # local day whose eve was judged
        self.heard: Bools = np.zeros(count, dtype=np.bool_)  # since watches were last looked at
        self.value: Float64s = np.full((fields, count), np.nan)
        self.since_ns: Int64s = np.zeros((fields, count), dtype=np.int64)  # that value is unchanged
        self.same: Int64s = np.zeros((fields, count), dtype=np.int64)  # readings that said it
        self.bad_since_ns: Int64s = np.zeros((fields, count), dtype=np.int64)
        self.bad: Int64s = np.zeros((fields, count), dtype=np.int64)  # implausible readings in a row
        self.recent: Float64s = np.full((fields, RECENT, count), np.nan)
        self.recent_ns: Int64s = np.full((1, RECENT, count), NEVER_NS, dtype=np.int64)

    def take(self, batch: ReadingBatch, rows: Int64s, time_ns: Int64s, asset: Int32s, limits: Limits) -> None:
        """One reading, row of ``batch``, of each of distinct devices at ``asset``, BENCH for none."""
        slots = self._slot_of[batch.device[rows]].astype(np.int64)
        moved = self.asset[slots] != asset
        if moved.any():
            self.forget(slots[moved])
            self.asset[slots] = asset
        placed = asset != BENCH
        rows, slots, time_ns, asset = rows[placed], slots[placed], time_ns[placed], asset[placed]
        self.last_ns[slots] = time_ns
        self.heard[slots] = True
        numeric = {field.name: row for row, field in enumerate(batch.profile.numeric)}
        over = limits(batch.profile.name, asset, time_ns // HOUR_NS)
        means = np.full((len(self.channels), len(rows)), np.nan)
        for channel, name in enumerate(self.channels):
            row = numeric.get(name.removesuffix(OVER))
            if row is None:
                continue
            values = batch.values[row, rows]
            if name.endswith(OVER):
                limit = over[name.removesuffix(OVER)]
                values = np.where(np.isnan(values) | np.isnan(limit), np.nan, values > limit)
            elif batch.profile.numeric[row].unit == SOUND_UNIT:
                values = 10.0 ** (values / 10.0)  # a sound level is averaged as energy
            means[channel] = values
        self.hours.add(slots, time_ns // HOUR_NS, means)
        at = [numeric.get(name, -1) for name in self.fields]
        if at:
            self._values(batch, rows, slots, time_ns, np.array(at, dtype=np.int64))

    def forget(self, slots: Int64s) -> None:
        """They stand elsewhere now: nothing that was said before counts."""
        self.hours.forget(slots)
        self.last_ns[slots] = self.day[slots] = NEVER_NS
        self.value[:, slots] = self.recent[:, :, slots] = np.nan
        self.same[:, slots] = self.bad[:, slots] = 0

    def _values(self, batch: ReadingBatch, rows: Int64s, slots: Int64s, time_ns: Int64s, at: Int64s) -> None:
        has = (at >= 0)[:, np.newaxis]
        values = np.where(has, batch.values[at][:, rows], np.nan)
        implausible = has & (batch.quality[at][:, rows] == Quality.OUT_OF_RANGE)
        known = ~np.isnan(values)
        same = known & (values == self.value[:, slots])
        self.since_ns[:, slots] = np.where(known & ~same, time_ns, self.since_ns[:, slots])
        self.same[:, slots] = np.where(same, self.same[:, slots] + 1, np.where(known, 1, self.same[:, slots]))
        self.value[:, slots] = np.where(known, values, self.value[:, slots])
        first = implausible & (self.bad[:, slots] == 0)
        self.bad_since_ns[:, slots] = np.where(first, time_ns, self.bad_since_ns[:, slots])
        bad = self.bad[:, slots]
        self.bad[:, slots] = np.where(implausible, bad + 1, np.where(known, 0, bad))
        self.recent[:, 1:, slots] = self.recent[:, :-1, slots]
        self.recent_ns[:, 1:, slots] = self.recent_ns[:, :-1, slots]
        self.recent[:, 0, slots], self.recent_ns[0, 0, slots] = values, time_ns


def _channels(specs: Sequence[ProfileSpec], pollutants: Iterable[str]) -> tuple[str, ...]:
    """Fields whose hourly means a watch needs, and shares of readings over a limit; sorted."""
    found: set[str] = set()
    for spec in specs:
        names = {field.name for field in spec.numeric}
        for watch in spec.watches:
            if watch.kind in (WatchKind.AIR_HOUR, WatchKind.AIR_DAY):
                found |= names & set(pollutants)
            elif watch.kind is WatchKind.NOISE:
                found |= {watch.field, watch.field + OVER}
            elif watch.kind is WatchKind.DRIFT:
                found |= {watch.field} | (names & {HUMIDITY})
    return tuple(sorted(found))


def _places_m(fleet: Fleet, devices: Int32s) -> Float64s:
    """Where each device was assigned last, on the plane; NaN where never."""
    asset_of = {a.device: a.asset for a in sorted(fleet.assignments, key=lambda a: (a.from_ns, a.to_ns))}
    places = [fleet.assets[fleet.asset_row[asset]] if asset else None for asset in (
        asset_of.get(fleet.devices[row].id, "") for row in devices.tolist()
    )]  # fmt: skip
    latitude = np.array([np.nan if place is None else place.latitude for place in places])
    longitude = np.array([np.nan if place is None else place.longitude for place in places])
    return plane_m(latitude, longitude)
