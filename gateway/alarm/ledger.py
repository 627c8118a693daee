"""The alarms that stand. In: conditions that begin and end, operators' acts. Out: transitions, each numbered.

One alarm per asset and type: several sources (phases, limits, devices) may hold it up, and it ends with the
last of them. Ids and transitions follow from the arguments alone, so a journal read again repeats nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.alarm.lifecycle import EVENT, Happening, after
from gateway.alarm.wording import Wording
from gateway.alarms import Alarm, AlarmState, Sample
from gateway.errors import OrderRefused
from gateway.model import Severity
from gateway.vocabulary.kinds import LATCHING

Source = tuple[str, str]
"""Device id and rule key: what holds an alarm up."""

Key = tuple[str, str]
"""Asset id and alarm type."""

SEVERITIES: Final = (Severity.INFO, Severity.MINOR, Severity.MAJOR, Severity.CRITICAL)


def alarm_id(asset: str, kind: str, onset_ns: int) -> str:
    """24 hex digits that name this alarm wherever and however often it is computed (decision D8)."""
    return hashlib.blake2b(f"{asset}|{kind}|{onset_ns}".encode(), digest_size=12).hexdigest()


OF_GROUP: Final = "@"
"""In the rule key of a source: the condition is a group's and no device's."""

OUT_OF_SERVICE: Final = "out_of_service:"
"""Of the ``parent`` of an alarm whose place is out of service."""

WRONG_CLOCK_NS: Final = 7 * 86_400 * 1_000_000_000
"""No two devices' times are so far apart: an end so long after was told by a wrong clock."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that began to hold at an asset: all the facts of a new alarm."""

    source: Source
    type: str
    asset: str
    area: str
    feeder: str
    severity: Severity
    onset_ns: int
    time_ns: int
    value: float | None
    limit: float | None
    text: tuple[str, str]
    parent: str = ""  # id of the alarm of a group that accounts for it
    members: tuple[str, ...] = ()
    shelved: bool = False  # an operator has put this asset and type aside


@dataclass(slots=True)
class Standing:
    """An alarm that is not normal, and what holds it up (nothing once it has returned)."""

    alarm: Alarm
    sources: set[Source] = field(default_factory=set)


class Ledger:
    """Standing alarms by asset and type."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self.standing: dict[Key, Standing] = {}
        self.key_of: dict[Source, Key] = {}
        # A source may have been pending since before the last alarm of its key ended; without this
        # the next alarm could take the id of the last.
        self.ended_ns: dict[Key, int] = {}

    def active(self) -> tuple[Alarm, ...]:
        """All alarms that are not normal, oldest first."""
        alarms = (standing.alarm for standing in self.standing.values())
        return tuple(sorted(alarms, key=lambda alarm: (alarm.raised_ns, alarm.id)))

    def begin(self, condition: Condition) -> list[Alarm]:
        """A condition began: a new alarm, a worse one, or nothing new."""
        key = condition.asset, condition.type
        standing = self.standing.get(key)
        if standing is not None and standing.sources:
            self._support(standing, condition.source, key)
            if SEVERITIES.index(condition.severity) <= SEVERITIES.index(standing.alarm.severity):
                return []
            return [self._worsen(standing, condition)]
        ended_ns = self.ended_ns.get(key, condition.onset_ns)
        told_by_wrong_clock = ended_ns > condition.time_ns + WRONG_CLOCK_NS
        onset_ns = condition.onset_ns if told_by_wrong_clock else max(condition.onset_ns, ended_ns)
        happening = Happening.RAISED
        if condition.parent:
            happening = _put_aside(condition.parent, Happening.HIDDEN)
        happening = Happening.SHELVED if condition.shelved else happening
        alarm = Alarm(
            id=alarm_id(condition.asset, condition.type, onset_ns),
            type=condition.type,
            asset=condition.asset,
            device=condition.source[0],
            area=condition.area,
            feeder=condition.feeder,
            severity=condition.severity,
            state=after(AlarmState.NORMAL, happening),
            onset_ns=onset_ns,
            raised_ns=condition.time_ns,
            cleared_ns=None,
            value=condition.value,
            limit=condition.limit,
            text_vi=condition.text[0],
            text_en=condition.text[1],
            transition=1,
            event=EVENT[Happening.RAISED],
            parent=condition.parent or None,
            members=condition.members,
            quiet=bool(condition.parent) or condition.shelved,
        )
        superseded = []
        if standing is not None:
            superseded = [
                self._move(key, standing, Happening.SUPERSEDED, comment=f"superseded by {alarm.id}")
            ]
        self.standing[key] = Standing(alarm)
        self._support(self.standing[key], condition.source, key)
        return [*superseded, alarm]

    def end(self, source: Source, time_ns: int, value: float | None, limit: float | None) -> list[Alarm]:
        """A condition ended; the alarm is cleared when it was the last that held it up.

        ``value`` is what the device of ``source`` measured; a device that measured nothing proves no repair.
        """
        device, rule = source
        proved = value is not None if device else OF_GROUP in rule
        proof = Sample(device, time_ns, value) if proved else None
        return self._release(source, Happening.CLEARED, time_ns, value=value, limit=limit, proof=proof)

    def withdraw(self, source: Source, time_ns: int) -> list[Alarm]:
        """A source is gone from the configuration."""
        return self._release(source, Happening.WITHDRAWN, time_ns, by="", comment="configuration")

    def suppress(self, key: Key, parent: str) -> list[Alarm]:
        """The alarm of ``key``, if one stands, is accounted for by the alarm ``parent``."""
        standing = self.standing.get(key)
        if standing is None or not standing.sources or standing.alarm.parent == parent:
            return []
        if standing.alarm.state is AlarmState.SHELVED:
            return []
        happening = _put_aside(parent, Happening.SUPPRESSED)
        return [self._move(key, standing, happening, parent=parent, by="", comment="")]

    def held_by(self, parent: str) -> list[Key]:
        """What ``parent`` accounts for, in order."""
        hidden = {AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE}
        return sorted(
            k for k, s in self.standing.items() if s.alarm.parent == parent and s.alarm.state in hidden
        )

    def release(self, key: Key) -> Alarm:
        """What accounted for an alarm is over, and it still stands: it is told now."""
        return self._move(key, self.standing[key], Happening.RELEASED, parent=None, quiet=False)

    def unshelve(self, key: Key) -> list[Alarm]:
        """The time of a shelf is over; an alarm that still stands is told."""
        standing = self.standing.get(key)
        if standing is None or standing.alarm.state is not AlarmState.SHELVED:
            return []
        return [self._move(key, standing, Happening.UNSHELVED, quiet=False, by="", comment="")]

    def act(self, happening: Happening, identity: str, by: str, comment: str) -> Alarm:
        """An operator's act on a standing alarm. OrderRefused when there is none, or it can not be."""
        key = self.key_of_alarm(identity)
        return self._move(key, self.standing[key], happening, by=by, comment=comment)

    def acknowledge(self, identity: str, by: str, comment: str) -> Alarm:
        """An operator has seen it. OrderRefused when there is no such alarm or nothing to acknowledge."""
        return self.act(Happening.ACKNOWLEDGED, identity, by, comment)

    def key_of_alarm(self, identity: str) -> Key:
        """Asset and type of a standing alarm; OrderRefused if there is none of that id."""
        for key, standing in self.standing.items():
            if standing.alarm.id == identity:
                return key
        raise OrderRefused(f"no alarm {identity} is standing")

    def restore(self, standing: Iterable[Standing], ended_ns: dict[Key, int]) -> None:
        """Take up what a snapshot kept."""
        self.standing = {(s.alarm.asset, s.alarm.type): s for s in standing}
        self.key_of = {source: key for key, s in self.standing.items() for source in s.sources}
        self.ended_ns = ended_ns

    def _support(self, standing: Standing, source: Source, key: Key) -> None:
        standing.sources.add(source)
        self.key_of[source] = key

    def _worsen(self, standing: Standing, condition: Condition) -> Alarm:
        changes = {"severity": condition.severity, "value": condition.value, "limit": condition.limit}
        key = condition.asset, condition.type
        vi, en = condition.text
        return self._move(key, standing, Happening.WORSENED, **changes, text_vi=vi, text_en=en)

    def _release(self, source: Source, happening: Happening, time_ns: int, **changes: object) -> list[Alarm]:
        key = self.key_of.pop(source, None)
        if key is None:
            return []
        standing = self.standing[key]
        standing.sources.discard(source)
        if standing.sources:
            return []
        if happening is Happening.CLEARED and standing.alarm.type in LATCHING:
            happening = Happening.LATCHED
        onset_ns = standing.alarm.onset_ns
        self.ended_ns[key] = max(time_ns, onset_ns + 1)
        vi, en = self._wording.ended(standing.alarm.text_vi, standing.alarm.text_en, time_ns)
        changes |= {"text_vi": vi, "text_en": en, "cleared_ns": time_ns}
        return [self._move(key, standing, happening, **changes)]

    def _move(self, key: Key, standing: Standing, happening: Happening, **changes: object) -> Alarm:
        alarm = standing.alarm
        state = after(alarm.state, happening)
        standing.alarm = replace(
            alarm,
            state=state,
            event=EVENT[happening],
            transition=alarm.transition + 1,
            **changes,  # type: ignore[arg-type]  # field names of Alarm, checked by replace itself
        )
        if state is AlarmState.NORMAL:
            del self.standing[key]
        return standing.alarm


def _put_aside(parent: str, otherwise: Happening) -> Happening:
    return Happening.TAKEN_OUT if parent.startswith(OUT_OF_SERVICE) else otherwise
