"""What people have put aside. In: shelves and windows, time. Out: which alarms are not told, and until when.

A shelf holds one asset and type for a time; a window (maintenance, an announced outage of the grid, out of
service) holds all alarms of a place. Never changes an alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.alarm.ledger import OUT_OF_SERVICE, Key
from gateway.alarm.scope import CITY, around
from gateway.fleet import Fleet
from gateway.model import rfc3339

WINDOWS_MAX: Final = 10_000
SHELVES_MAX: Final = 10_000
PREFIX: Final = "window:"
"""Of the ``parent`` of an alarm that a window holds."""


class WindowKind(StrEnum):
    MAINTENANCE = "maintenance"
    GRID_OUTAGE = "grid_outage"
    OUT_OF_SERVICE = "out_of_service"


@dataclass(frozen=True, slots=True)
class Window:
    """``scope`` is as of a rule (``feeder:x``, ``city``); in force during [from_ns, to_ns) of wall time."""

    id: str
    kind: WindowKind
    scope: str
    from_ns: int
    to_ns: int
    by: str
    comment: str = ""

    @property
    def parent(self) -> str:
        return (OUT_OF_SERVICE if self.kind is WindowKind.OUT_OF_SERVICE else PREFIX) + self.id


def window(body: Mapping[str, Any]) -> Window | None:
    """The window a control record describes; None if it describes none."""
    try:
        found = Window(
            str(body["id"]),
            WindowKind(body["kind"]),
            str(body["scope"]),
            int(body["from_ns"]),
            int(body["to_ns"]),
            str(body["by"]),
            str(body.get("comment", "")),
        )
    except (KeyError, ValueError, TypeError):
        return None
    return found if found.id and found.from_ns < found.to_ns else None


class Quiet:
    """``shelves`` say until when (ns); ``open`` are the windows in force at the last ``turn``."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.shelves: dict[Key, int] = {}
        self.windows: dict[str, Window] = {}
        self.open: set[str] = set()

    def add(self, new: Window) -> bool:
        """Put a window in the calendar, or change the one of its id; False when there are too many."""
        if len(self.windows) >= WINDOWS_MAX and new.id not in self.windows:
            return False
        self.windows[new.id] = new
        return True

    def turn(self, now_ns: int) -> tuple[list[Window], list[Window], list[Key]]:
        """Windows that open and that close at ``now_ns``, and keys whose shelf is over."""
        closing = [w for w in self.windows.values() if w.to_ns <= now_ns]
        for past in closing:
            del self.windows[past.id]
        closed = [past for past in closing if past.id in self.open]
        self.open -= {past.id for past in closing}
        opened = [w for w in self.windows.values() if w.from_ns <= now_ns and w.id not in self.open]
        self.open |= {new.id for new in opened}
        over = sorted(key for key, until_ns in self.shelves.items() if until_ns <= now_ns)
        for key in over:
            del self.shelves[key]
        return opened, closed, over

    def window_over(self, asset: str) -> str:
        """``parent`` of an open window that holds the alarms of an asset or group, or ""."""
        if not self.open:
            return ""
        scopes = self.scopes(asset)
        return next(
            (self.windows[w].parent for w in sorted(self.open) if self.windows[w].scope in scopes), ""
        )

    def documents(self) -> list[dict[str, Any]]:
        """The calendar as JSON values, in order of beginning."""
        windows = sorted(self.windows.values(), key=lambda w: (w.from_ns, w.id))
        return [
            asdict(w) | {"from": rfc3339(w.from_ns), "to": rfc3339(w.to_ns), "open": w.id in self.open}
            for w in windows
        ]

    def outages(self) -> frozenset[str]:
        """Scopes to which the grid gives no power now, by plan."""
        grid = WindowKind.GRID_OUTAGE
        return frozenset(self.windows[w].scope for w in self.open if self.windows[w].kind is grid)

    def scopes(self, name: str) -> set[str]:
        """Every scope that holds an asset, cabinet, feeder or ``feeder/phase``."""
        fleet = self._fleet
        row = fleet.asset_row.get(name)
        if row is not None:
            place = fleet.assets[row]
            return {f"asset:{name}", *around(fleet, place.feeder, place.cabinet, place.area)}
        if name in fleet.area_by_code:
            return set(around(fleet, "", "", name))
        feeder = fleet.feeder_by_id.get(name.split("/")[0])
        if feeder is None:
            return {CITY}
        area = next((c.area for c in fleet.cabinets if c.id == feeder.cabinet), "")
        return set(around(fleet, feeder.id, feeder.cabinet, area))
