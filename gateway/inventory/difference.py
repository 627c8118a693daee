"""What a reload changes. In: two fleets. Out: ids added, removed and changed, by kind. Never decides."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from operator import attrgetter

from gateway.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Change:
    """Ids of one kind, each list in the order of the inventory."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class FleetDifference:
    """Differences by kind of row; assignments count under the device they move."""

    areas: Change
    cabinets: Change
    feeders: Change
    programmes: Change
    luminaire_types: Change
    assets: Change
    devices: Change
    assignments: Change
    time_zone_changed: bool

    def __bool__(self) -> bool:
        kinds = (self.areas, self.cabinets, self.feeders, self.programmes, self.luminaire_types)
        return any((*kinds, self.assets, self.devices, self.assignments, self.time_zone_changed))


def difference(before: Fleet, after: Fleet) -> FleetDifference:
    """What ``after`` adds, removes and changes; falsy when the two describe the same city."""
    by_id = attrgetter("id")
    return FleetDifference(
        areas=_change({a.code: a for a in before.areas}, {a.code: a for a in after.areas}),
        cabinets=_change(_keyed(before.cabinets, by_id), _keyed(after.cabinets, by_id)),
        feeders=_change(_keyed(before.feeders, by_id), _keyed(after.feeders, by_id)),
        programmes=_change(_keyed(before.programmes, by_id), _keyed(after.programmes, by_id)),
        luminaire_types=_change(_keyed(before.luminaire_types, by_id), _keyed(after.luminaire_types, by_id)),
        assets=_change(_keyed(before.assets, by_id), _keyed(after.assets, by_id)),
        devices=_change(_keyed(before.devices, by_id), _keyed(after.devices, by_id)),
        assignments=_change(_moves(before), _moves(after)),
        time_zone_changed=before.time_zone != after.time_zone,
    )


def _keyed(rows: Iterable[Hashable], key: attrgetter[str]) -> dict[str, Hashable]:
    return {key(row): row for row in rows}


def _moves(fleet: Fleet) -> dict[str, Hashable]:
    moves: dict[str, set[tuple[str, int, int]]] = {}
    for move in fleet.assignments:
        moves.setdefault(move.device, set()).add((move.asset, move.from_ns, move.to_ns))
    return {device: frozenset(places) for device, places in moves.items()}


def _change(before: dict[str, Hashable], after: dict[str, Hashable]) -> Change:
    return Change(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in after if name in before and after[name] != before[name]),
    )
