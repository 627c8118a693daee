"""Who is told what. In: a transition and the recipients. Out: outbox rows, one per message.

An MQTT recipient gets the event and the alarm's retained state, a webhook the event. Never sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from gateway.alarms import Alarm, AlarmState, Fault
from gateway.errors import ConfigurationError
from gateway.model import Severity
from gateway.notify import cloudevents

STATE_CONTENT_TYPE: Final = "application/json"
EVENT_TOPIC: Final = "ioc/events/{area}/{severity}"
STATE_TOPIC: Final = "ioc/alarms/{area}/{asset}/{type}"
_PLACEHOLDERS: Final = frozenset({"area", "asset", "type", "severity"})
_FORBIDDEN: Final = str.maketrans(dict.fromkeys("+#/\0", "_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody who is told of alarms; empty ``areas`` or ``severities`` mean all of them.

    An alarm without an area is the gateway's own and concerns everybody.
    """

    name: str
    kind: Literal["mqtt", "webhook"]
    source: str  # URI reference of this gateway, CloudEvents ``source``
    areas: frozenset[str] = frozenset()
    severities: frozenset[Severity] = frozenset()
    event_topic: str = EVENT_TOPIC
    state_topic: str = STATE_TOPIC

    def __post_init__(self) -> None:
        for key in ("event_topic", "state_topic"):
            _check_pattern(self.name, key, getattr(self, key))

    def wants(self, alarm: Alarm | Fault) -> bool:
        in_area = not self.areas or not alarm.area or alarm.area in self.areas
        return in_area and (not self.severities or alarm.severity in self.severities)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message to one recipient. ``alarm_id`` is what order is kept for; ``key`` makes it idempotent.

    Order is kept per alarm for events, and per asset and type for retained states, because a new alarm
    of the same asset and type writes the same topic as the one before.
    """

    recipient: str
    alarm_id: str
    transition: int
    key: str
    topic: str
    content_type: str
    body: bytes
    retain: bool


def rows_for(alarm: Alarm, recipients: Iterable[Recipient]) -> list[OutboxRow]:
    """Messages for one transition, in the order in which they are to be sent; none for a quiet alarm."""
    if alarm.quiet:
        return []
    rows = []
    for recipient in recipients:
        if recipient.wants(alarm):
            rows.append(_event(alarm, recipient))
            if recipient.kind == "mqtt":
                rows.append(state_row(alarm, recipient))
    return rows


def fault_rows(fault: Fault, recipients: Iterable[Recipient]) -> list[OutboxRow]:
    """The event of one transition of a fault, for everybody who hears of its place and severity."""
    return [
        OutboxRow(
            recipient=recipient.name,
            alarm_id=f"{fault.id}-fault",
            transition=fault.transition,
            key=cloudevents.fault_id(fault),
            topic=topic_of(recipient.event_topic, fault) if recipient.kind == "mqtt" else "",
            content_type=cloudevents.CONTENT_TYPE,
            body=cloudevents.encode_fault(fault, recipient.source),
            retain=False,
        )
        for recipient in recipients
        if recipient.wants(fault)
    ]


def _event(alarm: Alarm, recipient: Recipient) -> OutboxRow:
    return OutboxRow(
        recipient=recipient.name,
        alarm_id=alarm.id,
        transition=alarm.transition,
        key=cloudevents.event_id(alarm),
        topic=topic_of(recipient.event_topic, alarm) if recipient.kind == "mqtt" else "",
        content_type=cloudevents.CONTENT_TYPE,
        body=cloudevents.encode(alarm, recipient.source),
        retain=False,
    )


def state_row(alarm: Alarm, recipient: Recipient) -> OutboxRow:
    """The retained state of an alarm; empty, which deletes it at the broker, once the alarm is normal."""
    normal = alarm.state is AlarmState.NORMAL
    return OutboxRow(
        recipient=recipient.name,
        alarm_id=f"{alarm.asset}/{alarm.type}",
        transition=alarm.transition,
        key=f"{cloudevents.event_id(alarm)}-state",
        topic=topic_of(recipient.state_topic, alarm),
        content_type=STATE_CONTENT_TYPE,
        body=b"" if normal else msgspec.json.encode(alarm.document()),
        retain=True,
    )


def topic_of(pattern: str, alarm: Alarm | Fault) -> str:
    """``pattern`` with the alarm's facts as topic levels; none is empty, a wildcard, or two levels."""
    return pattern.format(
        area=_level(alarm.area),
        asset=_level(alarm.asset),
        type=_level(alarm.type),
        severity=alarm.severity.value,
    )


def _level(text: str) -> str:
    return text.translate(_FORBIDDEN) or "_"


def _check_pattern(recipient: str, key: str, pattern: str) -> None:
    remedy = "write literal levels and {area}, {asset}, {type}, {severity}"
    try:
        filled = pattern.format(**dict.fromkeys(_PLACEHOLDERS, "x"))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigurationError(recipient, key, f"{pattern!r}: {error}", remedy) from error
    if not filled or set(filled) & set("+#\0") or filled.startswith("$"):
        raise ConfigurationError(recipient, key, f"{pattern!r} is no topic to publish to", remedy)
