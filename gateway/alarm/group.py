"""Which group fell silent. In: what each device owes, the electrical tree. Out: the smallest groups.

A group is silent when nearly all its members miss a report and that so many were lost by accident is beyond
belief (field notes 2). Never keeps state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.alarm.circuits import Circuits
from gateway.alarm.options import AlarmOptions
from gateway.fleet import BENCH
from gateway.model import Bools, Float64s, Int32s, Int64s

RADIO = "radio"
"""Level, and asset id, of all that hangs on a lost gateway or cell: the inventory does not know which."""

TYPE = "type"
"""Level of all lamps of a type of luminaire; its asset id is ``type:`` and the type's id."""

SLACK_SHARE = 0.1
SLACK_NS = 60_000_000_000
GROWING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Group:
    """``level`` is circuit, feeder, cabinet, area, RADIO or TYPE; ``circuits`` are all it has, if any."""

    level: str
    number: int
    circuits: tuple[int, ...]


def reports_missing(age_ns: Int64s, interval_ns: Int64s) -> Int64s:
    """Reports each device owes, a little lateness forgiven; int64[devices]."""
    slack = (SLACK_SHARE * interval_ns).astype(np.int64) + SLACK_NS
    owed: Int64s = np.maximum(age_ns - slack, 0) // interval_ns
    return owed


def silent_groups(
    circuits: Circuits,
    options: AlarmOptions,
    of_device: Int32s,
    due: Bools,
    missing: Int64s,
    loss: Float64s,
    besides: Bools,
) -> list[Group]:
    """Groups that explain the missing reports of the devices ``due``; each circuit is in one at most.

    ``besides`` may be missing for another reason, but are waited for as long as their feeder is the cause.
    """
    tally = _tally(circuits, of_device, due, missing, loss)
    if not (tally.silent >= options.silent_share * np.maximum(tally.due, 1)).any():
        return []
    cabinets = int(circuits.cabinet.max(initial=BENCH)) + 1
    of_feeder = tally.summed(circuits.feeder, len(circuits.feeders))
    known = circuits.cabinet != BENCH
    of_cabinet = tally.take(known).summed(circuits.cabinet[known], cabinets)
    silent = {
        "circuit": tally.found(options),
        "feeder": of_feeder.found(options),
        "cabinet": of_cabinet.found(options),
    }
    groups: list[Group] = []
    taken: set[int] = set()
    for cabinet in np.flatnonzero(silent["cabinet"]).tolist():
        feeders = sorted({int(f) for f in circuits.feeder[circuits.cabinet == cabinet]})
        most = max((of_feeder.silent[f] for f in feeders if silent["feeder"][f]), default=0.0)
        if most < options.silent_share * of_cabinet.silent[cabinet]:
            groups.append(_group("cabinet", cabinet, circuits.cabinet == cabinet))
            taken |= set(feeders)
    for feeder in np.flatnonzero(silent["feeder"]).tolist():
        if feeder in taken:
            continue
        own = np.flatnonzero(circuits.feeder == feeder)
        most = max((tally.silent[c] for c in own if silent["circuit"][c]), default=0.0)
        if len(own) > 1 and most < options.silent_share * of_feeder.silent[feeder]:
            groups.append(_group("feeder", feeder, circuits.feeder == feeder))
            taken.add(feeder)
    groups += [
        Group("circuit", c, (c,))
        for c in np.flatnonzero(silent["circuit"]).tolist()
        if int(circuits.feeder[c]) not in taken
    ]
    also = tally
    if groups and besides.any():
        also = _tally(circuits, of_device, due | besides, missing, loss)
    return _without_growing(groups, circuits, tally.growing(options), also.growing(options))


def _without_growing(groups: list[Group], circuits: Circuits, growing: Bools, also: Bools) -> list[Group]:
    """Only groups beside which nothing of their cabinet is on the way to be silent too; ``also`` of a feeder.

    Of circuits that died together one is found first; what holds them all is to be named, and once.
    """
    settled = []
    for group in groups:
        one = group.circuits[0]
        waits = growing & (circuits.cabinet == circuits.cabinet[one])
        waits |= also & (circuits.feeder == circuits.feeder[one])
        others = {c for g in groups for c in g.circuits}
        if not any(c not in others for c in np.flatnonzero(waits).tolist()):
            settled.append(group)
    return settled


def _tally(circuits: Circuits, of_device: Int32s, due: Bools, missing: Int64s, loss: Float64s) -> _Tally:
    at = np.flatnonzero(due & (of_device != BENCH))
    owed = missing[at]
    columns = np.ones(len(at)), owed > 0, owed * -np.log10(loss[at])
    return _Tally(*(_summed(of_device[at], column, len(circuits)) for column in columns))


@dataclass(frozen=True, slots=True)
class _Tally:
    """Devices due, devices silent, and how unlikely that is, per group."""

    due: Float64s
    silent: Float64s
    evidence: Float64s

    def take(self, mask: Bools) -> _Tally:
        return _Tally(self.due[mask], self.silent[mask], self.evidence[mask])

    def summed(self, into: Int32s, groups: int) -> _Tally:
        return _Tally(*(_summed(into, c, groups) for c in (self.due, self.silent, self.evidence)))

    def growing(self, options: AlarmOptions) -> Bools:
        """Groups with more reports missing than chance explains."""
        unlikely: Bools = self.evidence >= options.evidence_min / 2
        return unlikely & (self.silent >= GROWING_SHARE * self.due)

    def found(self, options: AlarmOptions) -> Bools:
        enough: Bools = (self.due >= options.members_min) & (self.evidence >= options.evidence_min)
        return enough & (self.silent >= options.silent_share * self.due)


def _summed(into: Int32s, column: npt.NDArray[Any], groups: int) -> Float64s:
    return np.bincount(into, column, groups).astype(np.float64)


def _group(level: str, number: int, mask: Bools) -> Group:
    return Group(level, number, tuple(np.flatnonzero(mask).tolist()))
