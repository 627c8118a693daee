"""What an operator should have been told. In: faults, light plans. Out: the contract's truth objects.

One object for each asset of a fault, or one for a group with its members. Never looks at a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Int64s, rfc3339
from simulators.astronomy import DAY_NS, MINUTE_NS
from simulators.district import Plans
from simulators.fault import (
    ALWAYS,
    DARK,
    DARKENING,
    DIMMED,
    KINDS,
    LIGHTING,
    LIT,
    POWERED,
    UNPOWERED,
    Fault,
)
from simulators.light_plan import LightPlan, Steps

INTERVALS = 1.5
SETTLE_NS = 30 * MINUTE_NS
"""Settling, boot and join allowance after power returned: until then nobody may be missed."""

SEARCHED_NS = 2 * DAY_NS
STORMY = frozenset({"feeder_trip", "supply_loss"})
STORM_NS, STORM_FEEDERS = 40 * MINUTE_NS, 3
"""Three feeders of two cabinets in ten minutes are a storm; trips are seen half an hour later than cuts."""

GATEWAY_INTERVALS_MIN = 6
"""A radio gateway that is back sooner is nothing anyone must be told of."""


class Truth:
    """``interval_ns`` int64[assets]: how often the device on each asset reports. Ends at ``until_ns``."""

    def __init__(
        self, fleet: Fleet, plans: Plans, faults: Sequence[Fault], interval_ns: Int64s, until_ns: int
    ) -> None:
        self._fleet, self._plans, self._faults = fleet, plans, faults
        self._interval_ns, self._until_ns = interval_ns, until_ns

    def objects(self) -> Iterator[dict[str, Any]]:
        """In the order of the faults; one for each type of alarm that must follow."""
        for fault in self._faults:
            kind = KINDS[fault.kind]
            rows = fault.assets[:1] if kind.group else fault.assets
            for row, alarm in ((row, alarm) for row in rows for alarm in (kind.alarm, *kind.also)):
                seen = None if alarm is None else self._seen(fault, int(row))
                yield {
                    "fault": fault.kind,
                    "type": alarm,
                    "asset": fault.name if kind.group else self._fleet.assets[row].id,
                    "from": rfc3339(fault.from_ns),
                    "to": rfc3339(fault.to_ns),
                    "detectable_from": None if seen is None else rfc3339(seen[0]),
                    "due_by": None if seen is None else rfc3339(seen[1]),
                    "members": [self._fleet.assets[r].id for r in fault.assets] if kind.group else [],
                }
        yield from self._storms()

    def _storms(self) -> Iterator[dict[str, Any]]:
        """Wards in which faults meet by chance: one incident of the ward is as right as one alarm each."""
        of_ward: dict[str, list[Fault]] = {}
        for fault in self._faults:
            if fault.kind in STORMY:
                of_ward.setdefault(self._fleet.assets[int(fault.assets[0])].area, []).append(fault)
        for ward, faults in sorted(of_ward.items()):
            for number, first in enumerate(faults):
                met = [f for f in faults[number:] if f.from_ns - first.from_ns <= STORM_NS]
                lost = [self._fleet.assets[row] for fault in met for row in fault.assets.tolist()]
                if len({a.cabinet for a in lost}) > 1 and len({a.feeder for a in lost}) >= STORM_FEEDERS:
                    yield {
                        "fault": "storm",
                        "type": "wardOutage",
                        "asset": ward,
                        "from": rfc3339(first.from_ns),
                        "to": rfc3339(max(fault.to_ns for fault in met)),
                        "detectable_from": None,
                        "due_by": None,
                        "members": [],
                    }

    def gateway_outage(self, number: int, members: Sequence[int], from_ns: int, to_ns: int) -> dict[str, Any]:
        """All that hang on one radio gateway are unknown for a while: one message, or none if it is short."""
        interval_ns = int(np.median(self._interval_ns[list(members)])) if members else 0
        told = to_ns - from_ns >= GATEWAY_INTERVALS_MIN * interval_ns
        due_ns = from_ns + int(INTERVALS * interval_ns)
        return {
            "fault": "radio_gateway",
            "type": "communicationFailure",
            "asset": f"radio-gateway-{number + 1}",
            "from": rfc3339(from_ns),
            "to": rfc3339(to_ns),
            "detectable_from": rfc3339(from_ns) if told else None,
            "due_by": rfc3339(due_ns) if told else None,
            "members": [self._fleet.assets[row].id for row in members],
        }

    def _seen(self, fault: Fault, row: int) -> tuple[int, int] | None:
        """When a perfect observer could first tell, and when 1.5 reports would have told; None if never."""
        end_ns = min(fault.to_ns, fault.from_ns + SEARCHED_NS, self._until_ns)
        self._plans.cover(fault.from_ns + SEARCHED_NS)
        # What another fault leaves without power, or gives it, shows nothing of its own until that is over.
        own = fault.kind in DARKENING | LIGHTING
        plan = self._plans.nominal(row) if own else self._plans.at(row)
        shows = _shows(plan, KINDS[fault.kind].shows)
        first_ns = shows.first_positive_ns(fault.from_ns, end_ns)
        if first_ns is None:
            return None
        patience_ns = int(INTERVALS * self._interval_ns[row])
        if first_ns > fault.from_ns:
            patience_ns += SETTLE_NS
        due_ns = shows.after_ns(first_ns, patience_ns)
        return None if due_ns >= self._until_ns else (first_ns, due_ns)


def _shows(plan: LightPlan, state: str) -> Steps:
    """1 while the planned ``state`` holds."""
    if state == POWERED:
        return plan.supply
    if state == UNPOWERED:
        return plan.supply.inverse()
    if state == LIT:
        return plan.lit
    if state == DIMMED:
        dimmed = (plan.level.values > 0) & (plan.level.values < 90)
        return Steps(plan.level.times_ns, dimmed.astype(np.float64))
    if state == DARK:
        return plan.supply.times(plan.lit.inverse())
    assert state == ALWAYS, state
    return Steps(plan.supply.times_ns[:1], np.ones(1))
