"""Common Alerting Protocol 1.2. In: an alarm or a digest, and where it is. Out: one message as bytes.

OASIS CAP-v1.2 section 3.2. The first message about an alarm is an Alert, later ones an Update or, once it is
over, a Cancel, with references to what this recipient was sent before. Never decides who is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from gateway.alarms import Alarm
from gateway.model import Severity
from gateway.notify.places import Spot
from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.kinds import KINDS

CONTENT_TYPE: Final = "application/cap+xml"
NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
RESTRICTION: Final = "Chỉ dùng cho đơn vị vận hành chiếu sáng / For the operators of street lighting"
LANGUAGES: Final = (("vi", "vi-VN"), ("en", "en-US"))
GATEWAY_PLACE: Final = "Gateway"
SEVERITY: Final = {
    Severity.CRITICAL: "Severe",
    Severity.MAJOR: "Moderate",
    Severity.MINOR: "Minor",
    Severity.INFO: "Minor",
}
URGENCY: Final = {Delivery.WAKE: "Immediate", Delivery.MORNING: "Future", Delivery.RECORD: "Unknown"}
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0, section 2.2, does not allow even as a character reference."""
_SEPARATORS: Final = re.compile(r"[\s,<&]")
"""Not allowed in identifier and sender: they would break references apart."""

Status = Literal["Actual", "Exercise", "Test"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message this recipient was sent: its identifier, and when (ns UTC)."""

    identifier: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes around every message; ``earlier`` is what it refers to, empty for the first."""

    sender: str
    status: Status
    identifier: str
    sent_ns: int
    zone: ZoneInfo
    earlier: tuple[Sent, ...] = ()


def encode(alarm: Alarm, envelope: Envelope, spot: Spot, delivery: Delivery) -> bytes:
    """The message of one transition, with an info block for each language."""
    over = alarm.cleared_ns is not None
    later = "Cancel" if over else "Update"
    kind = later if envelope.earlier else "Alert"
    root = _alert(envelope, "Test" if alarm.type == "test" else envelope.status, kind)
    known = KINDS.get(alarm.type)
    breaks_through = bool(known and known.breaks_through and alarm.severity is Severity.CRITICAL)
    for language, code in LANGUAGES:
        name, check = alarm.type, ""
        if known is not None:
            name = known.vi if language == "vi" else known.en
            check = known.check_vi if language == "vi" else known.check_en
        info = _info(
            root,
            language=code,
            category=known.category if known else "Infra",
            event=name,
            response="AllClear" if over else "Assess",
            urgency="Past" if over else URGENCY[delivery],
            severity="Extreme" if breaks_through else SEVERITY[alarm.severity],
            certainty="Likely" if known and known.likely else "Observed",
            code=("type", alarm.type),
            onset=_time(alarm.onset_ns, envelope.zone),
            headline=name,
            description=alarm.text_vi if language == "vi" else alarm.text_en,
            instruction="" if over else check,
            parameters=_parameters(alarm),
        )
        _area(info, spot)
    return _bytes(root)


def encode_digest(
    envelope: Envelope, texts: dict[str, str], headlines: dict[str, str], spot: Spot, incidents: Iterable[str]
) -> bytes:
    """A list of alarms as one Alert that nothing refers to later; ``incidents`` are their ids."""
    root = _alert(envelope, envelope.status, "Alert")
    if found := " ".join(_token(one) for one in incidents):
        _add(root, "incidents", found)
    for language, code in LANGUAGES:
        info = _info(
            root,
            language=code,
            category="Infra",
            event=headlines[language],
            response="Assess",
            urgency="Expected",
            severity="Unknown",
            certainty="Observed",
            code=("type", "digest"),
            onset="",
            headline=headlines[language],
            description=texts[language],
            instruction="",
            parameters=(),
        )
        _area(info, spot)
    return _bytes(root)


def _alert(envelope: Envelope, status: str, kind: str) -> ElementTree.Element:
    root = ElementTree.Element("alert", xmlns=NAMESPACE)
    _add(root, "identifier", _token(envelope.identifier))
    _add(root, "sender", _token(envelope.sender))
    _add(root, "sent", _time(envelope.sent_ns, envelope.zone))
    _add(root, "status", status)
    _add(root, "msgType", kind)
    _add(root, "scope", "Restricted")
    _add(root, "restriction", RESTRICTION)
    if envelope.earlier:
        sender = _token(envelope.sender)
        references = (
            f"{sender},{_token(sent.identifier)},{_time(sent.at_ns, envelope.zone)}"
            for sent in envelope.earlier
        )
        _add(root, "references", " ".join(references))
    return root


def _info(
    root: ElementTree.Element,
    *,
    language: str,
    category: str,
    event: str,
    response: str,
    urgency: str,
    severity: str,
    certainty: str,
    code: tuple[str, str],
    onset: str,
    headline: str,
    description: str,
    instruction: str,
    parameters: Iterable[tuple[str, str]],
) -> ElementTree.Element:
    """Elements in the order of the schema; what is empty is left out."""
    info = ElementTree.SubElement(root, "info")
    _add(info, "language", language)
    _add(info, "category", category)
    _add(info, "event", event)
    _add(info, "responseType", response)
    _add(info, "urgency", urgency)
    _add(info, "severity", severity)
    _add(info, "certainty", certainty)
    _pair(info, "eventCode", *code)
    for name, text in (
        ("onset", onset),
        ("senderName", "citylight-gateway"),
        ("headline", headline),
        ("description", description),
        ("instruction", instruction),
    ):
        if text:
            _add(info, name, text)
    for name, value in parameters:
        _pair(info, "parameter", name, value)
    return info


def _parameters(alarm: Alarm) -> list[tuple[str, str]]:
    found = [("alarm", alarm.id), ("state", alarm.state.value)]
    if alarm.value is not None:
        found.append(("value", f"{alarm.value:g}"))
    if alarm.limit is not None:
        found.append(("limit", f"{alarm.limit:g}"))
    return found


def _area(info: ElementTree.Element, spot: Spot) -> None:
    area = ElementTree.SubElement(info, "area")
    _add(area, "areaDesc", spot.name or GATEWAY_PLACE)
    if spot.circle is not None:
        latitude, longitude, radius_km = spot.circle
        _add(area, "circle", f"{latitude:.6f},{longitude:.6f} {radius_km:g}")
    for name, value in spot.codes:
        _pair(area, "geocode", name, value)


def _pair(parent: ElementTree.Element, name: str, key: str, value: str) -> None:
    pair = ElementTree.SubElement(parent, name)
    _add(pair, "valueName", key)
    _add(pair, "value", value)


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _token(text: str) -> str:
    return _SEPARATORS.sub("_", text)


def _time(time_ns: int, zone: ZoneInfo) -> str:
    """Section 3.3.2: seconds, and an offset in digits; "Z" is not allowed."""
    local = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone(zone)
    return local.isoformat(timespec="seconds")


def _bytes(root: ElementTree.Element) -> bytes:
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
