"""Writes down what was found. In: findings, group alarms, gaps, our own troubles. Out: transitions of alarms.

Adds the facts an alarm needs (place, words, what accounts for it) for the ledger; judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from gateway.alarm import condition
from gateway.alarm.finding import Finding
from gateway.alarm.ledger import Condition, Key, Ledger, Source
from gateway.alarm.wording import Wording
from gateway.alarms import Alarm
from gateway.fleet import Fleet
from gateway.model import SessionEvent, Severity
from gateway.vocabulary.own import DATA_GAP

GATEWAY: Final = "gateway"
"""Asset id of the gateway itself; it has no area, and every recipient hears of it."""


class Scribe:
    """``cover``: id of what accounts for (asset, type), "" for nothing; ``shelves``: put aside."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, cover: Callable[[Key], str], shelves: Collection[Key]
    ) -> None:
        self._fleet = fleet
        self._ledger = ledger
        self._wording = Wording(fleet)
        self._cover = cover
        self._shelves = shelves

    def found(self, finding: Finding) -> list[Alarm]:
        """One asset's condition began, ended, or lost its ground."""
        if finding.reason:
            return self._ledger.withdraw(finding.source, finding.time_ns)
        if not finding.raised:
            return self._ledger.end(finding.source, finding.time_ns, finding.value, finding.limit)
        asset = self._fleet.assets[finding.asset]
        key = asset.id, finding.type
        numbers = finding.value, finding.limit, finding.unit
        return self._ledger.begin(
            Condition(
                finding.source,
                finding.type,
                asset.id,
                asset.area,
                asset.feeder,
                finding.severity,
                finding.onset_ns,
                finding.time_ns,
                finding.value,
                finding.limit,
                self._wording.sentence(finding.type, asset.id, finding.onset_ns, *numbers),
                self._cover(key),
                shelved=key in self._shelves,
            )
        )

    def group(
        self,
        source: Source,
        key: Key,
        place: tuple[str, str],
        severity: Severity,
        times: tuple[int, int],
        members: tuple[str, ...],
    ) -> list[Alarm]:
        """A group's condition began; ``place`` is (area, feeder), ``times`` (onset, now)."""
        asset, kind = key
        text = self._wording.group(kind, asset, times[0], members)
        cover, aside = self._cover(key), key in self._shelves
        return self._ledger.begin(
            Condition(source, kind, asset, *place, severity, *times, None, None, text, cover, members, aside)
        )

    def gap(self, event: SessionEvent) -> list[Alarm]:
        """A gap is an alarm that is over at once but wants to be seen."""
        source, at = ("", DATA_GAP), event.wall_ns
        text = self._wording.gap(at, event.gap, event.detail)
        raised = self._ledger.begin(
            Condition(source, DATA_GAP, GATEWAY, "", "", Severity.MAJOR, at, at, None, None, text)
        )
        return raised + self._ledger.end(source, at, None, None)

    def own(self, own: condition.OwnCondition, wall_ns: int) -> list[Alarm]:
        """The gateway's own trouble has begun or ended; what is said twice changes nothing."""
        kind, source = own.trouble.value, ("", own.trouble.value)
        if not own.holds:
            return self._ledger.end(source, wall_ns, None, None)
        text = self._wording.trouble(kind, own.since_ns, own.detail)
        times, severity = (own.since_ns, wall_ns), condition.SEVERITIES[own.trouble]
        return self._ledger.begin(
            Condition(source, kind, GATEWAY, "", "", severity, *times, None, None, text)
        )
