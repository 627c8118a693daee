"""Messages for recipients. In: a transition and who is told of it. Out: outbox rows, one per message.

An MQTT recipient gets the event and the alarm's retained state, a webhook the event or a CAP alert. Never
sends anything, and never decides who is told when: see ``recipient``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from gateway.alarms import Alarm, AlarmState, Fault
from gateway.notify import cap, cloudevents
from gateway.notify.places import Places
from gateway.notify.recipient import Around, Recipient

STATE_CONTENT_TYPE: Final = "application/json"
_FORBIDDEN: Final = str.maketrans(dict.fromkeys("+#/\0", "_"))


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


@dataclass(frozen=True, slots=True)
class Occasion:
    """When a message is made and what it is about the map; ``earlier`` went to this recipient before."""

    now_ns: int
    places: Places
    earlier: tuple[cap.Sent, ...] = ()
    again: Literal["", "-again"] = ""  # told once more, on order


def rows_for(alarm: Alarm, recipients: Iterable[Recipient], occasion: Occasion) -> list[OutboxRow]:
    """Messages for one transition to all who want it, in order of sending; none for a quiet alarm."""
    if alarm.quiet:
        return []
    rows = []
    for recipient in recipients:
        if recipient.wants(alarm, occasion.places.around):
            rows.append(event_row(alarm, recipient, occasion))
            if recipient.kind == "mqtt":
                rows.append(state_row(alarm, recipient))
    return rows


def fault_rows(fault: Fault, recipients: Iterable[Recipient], around: Around) -> list[OutboxRow]:
    """The event of one transition of a fault, for everybody whose business repairs are."""
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
        if recipient.wants_fault(fault, around)
    ]


def event_row(alarm: Alarm, recipient: Recipient, occasion: Occasion) -> OutboxRow:
    """The transition itself; what is told again has a key of its own and the same event in it."""
    again = f"{occasion.again}-{occasion.now_ns}" if occasion.again else ""
    key = cloudevents.event_id(alarm) + again
    delivery = recipient.policy.delivery(alarm.type)
    if recipient.format == "cap":
        envelope = envelope_of(recipient, key, occasion)
        spot = occasion.places.spot(alarm)
        content_type, body = cap.CONTENT_TYPE, cap.encode(alarm, envelope, spot, delivery)
    else:
        content_type = cloudevents.CONTENT_TYPE
        body = cloudevents.encode(alarm, recipient.source, delivery)
    return OutboxRow(
        recipient=recipient.name,
        alarm_id=alarm.id,
        transition=alarm.transition,
        key=key,
        topic=topic_of(recipient.event_topic, alarm) if recipient.kind == "mqtt" else "",
        content_type=content_type,
        body=body,
        retain=False,
    )


def envelope_of(recipient: Recipient, identifier: str, occasion: Occasion) -> cap.Envelope:
    """What goes around a CAP message of this gateway."""
    return cap.Envelope(
        recipient.source,
        recipient.status,
        identifier,
        occasion.now_ns,
        occasion.places.zone,
        occasion.earlier,
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
