"""The inventory as the pipeline uses it. In: validated rows. Out: lookups by row number.

Place is not equipment (decision D12): an asset (light point, cabinet, sensor site) is permanent,
a device is attached to it by dated assignment. Never reads a file; never changes once built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar, cast

import numpy as np

from gateway.columns import Draft, RowOf, Table
from gateway.model import Bools, Float64s, Int32s, Int64s

BENCH = -1
_DATED = -2
"""Asset row of a device that no assignment covers at that instant."""


@dataclass(frozen=True, slots=True)
class Area:
    """An administrative or operational area; the name is data, the code is the key."""

    code: str
    name: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Cabinet:
    id: str
    area: str
    latitude: float
    longitude: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Feeder:
    """A switched outgoing circuit of a cabinet. ``group_switched``: no power by day, by plan."""

    id: str
    cabinet: str
    group_switched: bool
    phases: str = "ABC"


@dataclass(frozen=True, slots=True)
class Asset:
    """A place that can be in alarm. ``kind`` is light_point, cabinet or sensor."""

    id: str
    kind: str
    area: str
    latitude: float
    longitude: float
    road: str = ""
    cabinet: str = ""
    feeder: str = ""
    phase: str = ""
    pole_sequence: int = 0
    rated_power_w: float = 0.0
    heads: int = 1
    programme: str = ""
    luminaire_type: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """Something that publishes: ``id`` is the name in its topic (allow-listed characters only)."""

    id: str
    profile: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Device ``device`` served asset ``asset`` in [from_ns, to_ns) of event time."""

    device: str
    asset: str
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Programme:
    """A dimming programme: when light is due, and how much.

    ``steps`` are (minute of the local day, level %) in order of the evening, e.g. ((1080, 100), (1380, 50));
    the level before the first step holds from switch-on. ``switch`` is "astronomical" (civil dusk to
    civil dawn), "photocell" or "fixed"; ``on_minute``/``off_minute`` serve "fixed" only.
    """

    id: str
    switch: str = "astronomical"
    steps: tuple[tuple[int, float], ...] = ()
    on_minute: int = 0
    off_minute: int = 0


@dataclass(frozen=True, slots=True)
class LuminaireType:
    """How much one head draws: ``curve`` is "linear", "dali" or "table", whose ``points`` are (level %, W).

    ``virtual_output`` is the share of full power its drivers are set to. Constant light begins at the share
    ``constant_light_start`` and reaches full power after ``constant_light_h`` operating hours.
    """

    id: str
    curve: str = "linear"
    points: tuple[tuple[float, float], ...] = ()
    virtual_output: float = 1.0
    constant_light_start: float = 1.0
    constant_light_h: float = 0.0


Row = TypeVar("Row", Asset, Device, Assignment)
_IDS: Final[Mapping[type, Sequence[str]]] = {Asset: ("id",), Device: ("id",), Assignment: ("device", "asset")}


def draft(kind: type[Row]) -> Draft[Row]:
    """An empty table of one of the three long lists of an inventory."""
    return Draft(kind, _IDS[kind])


@dataclass(frozen=True)
class Fleet:
    """The whole inventory. Rows are positions in ``devices`` and ``assets`` of this object only.

    ``assets``, ``devices`` and ``assignments`` are kept as columns whatever they were given as: a value taken
    out of them is made then.
    """

    areas: tuple[Area, ...]
    cabinets: tuple[Cabinet, ...]
    feeders: tuple[Feeder, ...]
    programmes: tuple[Programme, ...]
    assets: Sequence[Asset]
    devices: Sequence[Device]
    assignments: Sequence[Assignment]
    time_zone: str = "Asia/Ho_Chi_Minh"
    luminaire_types: tuple[LuminaireType, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", _table(Asset, self.assets))
        object.__setattr__(self, "devices", _table(Device, self.devices))
        object.__setattr__(self, "assignments", _table(Assignment, self.assignments))

    @property
    def asset_table(self) -> Table[Asset]:
        """``assets``, for whoever wants a whole column."""
        return cast(Table[Asset], self.assets)

    @property
    def device_table(self) -> Table[Device]:
        return cast(Table[Device], self.devices)

    @property
    def assignment_table(self) -> Table[Assignment]:
        return cast(Table[Assignment], self.assignments)

    @cached_property
    def device_row(self) -> RowOf:
        return RowOf(self.device_table.ids("id"))

    @cached_property
    def asset_row(self) -> RowOf:
        return RowOf(self.asset_table.ids("id"))

    def device_ids(self, rows: Int32s | Int64s) -> list[str]:
        """Names of devices; "" for a row below 0."""
        return _names(self.device_table, rows)

    def asset_ids(self, rows: Int32s | Int64s) -> list[str]:
        """Names of assets; "" for BENCH."""
        return _names(self.asset_table, rows)

    @cached_property
    def area_by_code(self) -> dict[str, Area]:
        return {area.code: area for area in self.areas}

    @cached_property
    def feeder_by_id(self) -> dict[str, Feeder]:
        return {feeder.id: feeder for feeder in self.feeders}

    @cached_property
    def programme_by_id(self) -> dict[str, Programme]:
        return {programme.id: programme for programme in self.programmes}

    def devices_of(self, asset: str) -> list[str]:
        """Names of the devices that serve or served an asset, in order of the inventory."""
        table = self.assignment_table
        return table.ids("device")[table.ids("asset").texts == asset.encode()].tolist()

    @cached_property
    def luminaire_type_by_id(self) -> dict[str, LuminaireType]:
        return {kind.id: kind for kind in self.luminaire_types}

    @cached_property
    def rated_power_w(self) -> Float64s:
        """float64[assets], all heads together."""
        return cast(Float64s, self.asset_table.numbers("rated_power_w"))

    @cached_property
    def group_switched(self) -> Bools:
        """bool[assets]: the asset hangs on a feeder that is switched off by day."""
        of, feeder = self.feeder_by_id, self.asset_table.words("feeder")
        return feeder.spread((bool(name) and of[name].group_switched for name in feeder.words), np.bool_)

    @cached_property
    def _timeline(self) -> tuple[Int32s, Int64s, Int64s, Int32s]:
        """Assignments sorted by (device row, from): device rows, from, to, asset rows."""
        of = self.assignment_table
        device = self.device_table.ids("id").rows(of.ids("device").texts)
        asset = self.asset_table.ids("id").rows(of.ids("asset").texts)
        if (device < 0).any() or (asset < 0).any():
            raise KeyError("an assignment names what is not in the inventory")
        start, end = of.numbers("from_ns"), of.numbers("to_ns")
        order = np.lexsort((asset, end, start, device))
        return device[order], start[order], end[order], asset[order]

    @cached_property
    def _only_asset(self) -> Int32s:
        """int32[devices]: where each stands, BENCH for nowhere; _DATED where that depends on the time."""
        device, start, end, asset = self._timeline
        limits = np.iinfo(np.int64)
        rows = np.full(len(self.devices), BENCH, dtype=np.int32)
        rows[device] = asset
        rows[device[(start != limits.min) | (end != limits.max)]] = _DATED
        rows[device[1:][device[1:] == device[:-1]]] = _DATED
        return rows

    @cached_property
    def last_assets(self) -> Int32s:
        """int32[devices]: the asset each device was assigned to last, BENCH for one that never was."""
        device, _, _, asset = self._timeline
        rows = np.full(len(self.devices), BENCH, dtype=np.int32)
        rows[device] = asset  # in order of time, so the last one stays
        return rows

    def assets_at(self, device: Int32s, time_ns: Int64s) -> Int32s:
        """Asset row for each (device row, event time), BENCH where no assignment covers it. int32[n]."""
        rows: Int32s = self._only_asset[device]
        dated = np.flatnonzero(rows == _DATED)
        if len(dated):
            rows[dated] = self._dated_assets_at(device[dated], time_ns[dated])
        return rows

    def _dated_assets_at(self, device: Int32s, time_ns: Int64s) -> Int32s:
        of_device, start, end, asset = self._timeline
        rows = np.full(len(device), BENCH, dtype=np.int32)
        first = np.searchsorted(of_device, device, side="left")
        last = np.searchsorted(of_device, device, side="right")
        for nth in range(int((last - first).max(initial=0))):  # assignments per device: a handful
            at = np.minimum(first + nth, len(of_device) - 1)
            covers = (first + nth < last) & (start[at] <= time_ns) & (time_ns < end[at])
            rows[covers] = asset[at[covers]]
        return rows


def _table(kind: type[Row], rows: Sequence[Row]) -> Table[Row]:
    return rows if isinstance(rows, Table) else draft(kind).extend(rows).table()


def _names(table: Table[Asset] | Table[Device], rows: Int32s | Int64s) -> list[str]:
    names = table.ids("id").texts[rows].tolist() if len(table) else [b""] * len(rows)
    return [name.decode() if row >= 0 else "" for name, row in zip(names, rows.tolist(), strict=True)]
