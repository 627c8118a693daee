"""Alarms against the truth. In: truth objects, alarm transitions. Out: precision, recall, delay by type.

A true positive has the type of the fault, its asset or a parent that contains it, and an onset in the fault's
window (docs/score.md). Knows nothing of how alarms come about; reads no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from gateway.model import nanoseconds
from simulators.astronomy import SECOND_NS

GROUP_WAIT_S: Final = 600.0
"""How long children may be held until a group is tested: part of every window."""

INTERVAL_S: Final = 900.0
INTERVALS: Final = 1.5
"""Where the truth does not say ``due_by``, so many of these intervals are allowed."""

HOLD_S: Final[Mapping[str, float]] = {
    "lampFailure": 900.0,
    "lampPowerTooHigh": 900.0,
    "lampPowerTooLow": 900.0,
    "dimmingFailure": 1800.0,
    "lampUnexpectedOn": 2700.0,
    "highTemperature": 900.0,
    "supplyVoltageTooHigh": 60.0,
    "supplyVoltageTooLow": 600.0,
    "cyclingFailure": 86_400.0,
    "meteringFault": 1800.0,  # two spans between readings: three readings, as of dimmingFailure
    "neutralLoss": 60.0,
    "localOverride": 7200.0,
    "switchingErrorOff": 1800.0,
    "switchingErrorOn": 1800.0,
    "overload": 600.0,
    "unexpectedLoad": 1800.0,
    "phaseImbalance": 7200.0,
    "feederOpen": 300.0,
    "phaseLoss": 300.0,
    "floodLevelHigh": 2400.0,
    "floodLevelCritical": 2400.0,
    "floodRising": 1200.0,
    "airQualityHourly": 3 * 3600.0,
    "airQualityDaily": 24 * 3600.0,
    "noiseTooHigh": 2 * 3600.0,
    "sensorDrift": 30 * 3600.0,
}
"""The types' hold times (docs/alarms.md); 0 for what is not named."""

SILENCE: Final = frozenset(
    {"communicationFailure", "feederOpen", "phaseLoss", "supplyLoss", "switchingErrorOff"}
)
"""Types told by missing reports: reports lost just before the fault move their onset forward, up to
EARLY_INTERVALS; the alarm itself still has to come after the fault."""

EARLY: Final = SILENCE | {"sensorFlatLine"}
"""A value that happens to be the same before it is stuck makes its onset early in the same way."""

EARLY_INTERVALS: Final = 3.0
CLOCK_S: Final = 10.0
"""A device's clock may be so far off since it was last set: 100 ppm for a day (field notes 8)."""

GROUP_SHARE: Final = 0.8
"""A parent contains a group when it holds this share of the group's members."""

_HIDDEN: Final = frozenset({"suppressed", "shelved"})


@dataclass(slots=True)
class _Truth:
    """One truth object; ``first_ns`` None: nobody could tell, so it is neither asked for nor held against."""

    fault: str
    type: str | None
    asset: str
    members: frozenset[str]
    from_ns: int
    to_ns: int
    first_ns: int | None
    due_ns: int
    found_ns: int | None = None

    def times(self, alarm: _Alarm) -> bool:
        """Whether the alarm's onset lies in the window."""
        assert self.type is not None
        if self.first_ns is None:
            return self.from_ns <= alarm.delivered_ns
        early_s = EARLY_INTERVALS * INTERVAL_S if self.type in EARLY else CLOCK_S
        allowed_s = HOLD_S.get(self.type, 0.0) + GROUP_WAIT_S
        begins, ends = self.first_ns - early_s * SECOND_NS, self.due_ns + allowed_s * SECOND_NS
        # Silence is told by our clock, a limit by the device's.
        told_ns = alarm.delivered_ns + (0.0 if self.type in SILENCE else CLOCK_S) * SECOND_NS
        return begins <= alarm.onset_ns <= ends and told_ns >= self.first_ns


@dataclass(frozen=True, slots=True)
class _Alarm:
    """An alarm that was delivered: when it first was neither suppressed nor shelved."""

    id: str
    type: str
    asset: str
    members: frozenset[str]
    onset_ns: int
    delivered_ns: int


@dataclass(slots=True)
class TypeScore:
    """Of one alarm type. ``precision`` and ``recall`` are None where there is nothing to divide by."""

    injected: int = 0
    found: int = 0
    alarms: int = 0
    false: int = 0
    delays_s: list[float] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        counted = self.alarms
        return {
            "injected": self.injected,
            "found": self.found,
            "alarms": counted,
            "false": self.false,
            "precision": round(1 - self.false / counted, 4) if counted else None,
            "recall": round(self.found / self.injected, 4) if self.injected else None,
            "delay_s_p50": round(median(self.delays_s), 1) if self.delays_s else None,
            "delay_s_max": round(max(self.delays_s), 1) if self.delays_s else None,
        }


def score(truth: Iterable[Mapping[str, Any]], transitions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """{"types": {type: figures}, "look_alikes": {fault: {"injected", "alarms"}}, "false", "alarms"}."""
    truths = [_truth(entry) for entry in truth]
    by_place = _index(truths)
    scores: defaultdict[str, TypeScore] = defaultdict(TypeScore)
    look_alikes = {t.fault: {"injected": 0, "alarms": 0} for t in truths if t.type is None}
    for entry in truths:
        if entry.type is None:
            look_alikes[entry.fault]["injected"] += 1
        elif entry.first_ns is not None:
            scores[entry.type].injected += 1
    for alarm in delivered(transitions):
        verdict = _judge(alarm, by_place)
        if verdict is None:
            continue
        own = scores[alarm.type]
        own.alarms += 1
        own.false += not verdict
        own.found += len(verdict)
        own.delays_s += [(alarm.delivered_ns - (t.first_ns or 0)) / SECOND_NS for t in verdict]
        if not verdict:
            for fault in _deceived_by(alarm, by_place):
                look_alikes[fault]["alarms"] += 1
    return {
        "types": {name: scores[name].document() for name in sorted(scores)},
        "look_alikes": {name: look_alikes[name] for name in sorted(look_alikes)},
        "alarms": sum(own.alarms for own in scores.values()),
        "false": sum(own.false for own in scores.values()),
    }


def delivered(transitions: Iterable[Mapping[str, Any]]) -> list[_Alarm]:
    """Each alarm once, as of the first transition in which an operator saw it; by time."""
    seen: dict[str, _Alarm] = {}
    for t in transitions:
        if t["id"] in seen or t["state"] in _HIDDEN or t["cleared_at"] is not None:
            continue
        members = frozenset(t["members"])
        onset_ns, raised_ns = nanoseconds(t["onset"]), nanoseconds(t["raised_at"])
        seen[t["id"]] = _Alarm(t["id"], t["type"], t["asset"], members, onset_ns, raised_ns)
    return sorted(seen.values(), key=lambda alarm: (alarm.delivered_ns, alarm.id))


_Places = dict[str, list[_Truth]]


def _index(truths: Iterable[_Truth]) -> _Places:
    """Truths by every place they are about."""
    places: defaultdict[str, list[_Truth]] = defaultdict(list)
    for truth in truths:
        for place in {truth.asset, *truth.members}:
            places[place].append(truth)
    return dict(places)


def _judge(alarm: _Alarm, by_place: _Places) -> list[_Truth] | None:
    """Faults the alarm tells of, none if it is false; None if it tells what need not be told."""
    fitting = [
        t for t in _near(alarm, by_place) if t.type == alarm.type and _contains(alarm, t) and t.times(alarm)
    ]
    if any(truth.first_ns is None for truth in fitting):
        return None
    new = [truth for truth in fitting if truth.found_ns is None]
    for truth in new:
        truth.found_ns = alarm.delivered_ns
    return new


def _near(alarm: _Alarm, by_place: _Places) -> Iterator[_Truth]:
    met: set[int] = set()
    for place in (alarm.asset, *sorted(alarm.members)):
        for truth in by_place.get(place, ()):
            if id(truth) not in met:
                met.add(id(truth))
                yield truth


def _contains(alarm: _Alarm, truth: _Truth) -> bool:
    """The same asset, or a parent that contains it."""
    if alarm.asset == truth.asset or truth.asset in alarm.members:
        return True
    held = len(truth.members & alarm.members)
    return bool(truth.members) and held >= GROUP_SHARE * len(truth.members)


def _deceived_by(alarm: _Alarm, by_place: _Places) -> set[str]:
    """Look-alikes that were going on where a false alarm was raised."""
    return {
        truth.fault
        for truth in _near(alarm, by_place)
        if truth.type is None and truth.from_ns <= alarm.onset_ns <= truth.to_ns
    }


def _truth(entry: Mapping[str, Any]) -> _Truth:
    first = entry["detectable_from"]
    first_ns = None if first is None else nanoseconds(first)
    due = entry.get("due_by")
    due_ns = (first_ns or 0) + round(INTERVALS * INTERVAL_S * SECOND_NS) if due is None else nanoseconds(due)
    return _Truth(
        fault=entry["fault"],
        type=entry["type"],
        asset=entry["asset"],
        members=frozenset(entry["members"]),
        from_ns=nanoseconds(entry["from"]),
        to_ns=nanoseconds(entry["to"]),
        first_ns=first_ns,
        due_ns=due_ns,
    )
