"""CloudEvents 1.0, JSON format, structured mode. In: an alarm, fault, digest. Out: the bytes of its event.

cloudevents/spec v1.0.2, "Context Attributes", "Extension Context Attributes" and JSON format. One extension:
``deliveryclass`` says how urgent it is for people.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.alarms import Alarm, Fault
from gateway.model import rfc3339
from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.own import DATA_GAP

CONTENT_TYPE: Final = "application/cloudevents+json"
TYPE_PREFIX: Final = "vn.citylight.alarm."
DIGEST_TYPE: Final = "vn.citylight.digest"
GAP_TYPE: Final = "vn.citylight.gap"
FAULT_PREFIX: Final = "vn.citylight.fault."


def event_id(alarm: Alarm) -> str:
    """Names this transition everywhere and for ever: receivers deduplicate on source and id."""
    return f"{alarm.id}-{alarm.transition}"


def event(alarm: Alarm, source: str, delivery: Delivery) -> dict[str, Any]:
    """The event of one transition; ``source`` is the gateway's URI reference."""
    happened_ns = {"raised": alarm.raised_ns, "cleared": alarm.cleared_ns}.get(alarm.event)
    attributes = {
        "specversion": "1.0",
        "id": event_id(alarm),
        "source": source,
        "type": _type(alarm),
        "subject": f"{alarm.asset}/{alarm.type}",
        "datacontenttype": "application/json",
        "deliveryclass": delivery.value,
        "data": alarm.document(),
    }
    if happened_ns is not None:
        attributes["time"] = rfc3339(happened_ns)
    return attributes


def _type(alarm: Alarm) -> str:
    """A data gap is no alarm that is raised, but a fact; that somebody saw it is told like of any alarm."""
    return GAP_TYPE if (alarm.type, alarm.event) == (DATA_GAP, "raised") else TYPE_PREFIX + alarm.event


def encode(alarm: Alarm, source: str, delivery: Delivery) -> bytes:
    """``event`` as UTF-8 JSON; the same alarm always gives the same bytes."""
    return msgspec.json.encode(event(alarm, source, delivery))


def digest(identifier: str, source: str, to_ns: int, document: dict[str, Any]) -> dict[str, Any]:
    """The event of a list of alarms that was closed at ``to_ns``."""
    return {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": DIGEST_TYPE,
        "subject": document["kind"],
        "time": rfc3339(to_ns),
        "datacontenttype": "application/json",
        "data": document,
    }


def fault_id(fault: Fault) -> str:
    """Names this transition of a fault; no event of its alarm has the same id."""
    return f"{fault.id}-fault-{fault.transition}"


def encode_fault(fault: Fault, source: str) -> bytes:
    """``vn.citylight.fault.opened|updated|verified`` as UTF-8 JSON, the same bytes each time."""
    attributes = {
        "specversion": "1.0",
        "id": fault_id(fault),
        "source": source,
        "type": FAULT_PREFIX + fault.event,
        "subject": f"{fault.asset}/{fault.type}",
        "datacontenttype": "application/json",
        "data": fault.document(),
    }
    happened_ns = {"opened": fault.opened_ns, "verified": fault.ended_ns}.get(fault.event)
    if happened_ns is not None:
        attributes["time"] = rfc3339(happened_ns)
    return msgspec.json.encode(attributes)
