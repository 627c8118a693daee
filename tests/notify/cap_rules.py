"""What OASIS CAP-v1.2, section 3.2 and its schema ask of a message. In: bytes. Out: what does not hold.

Written from the standard's data dictionary: order and number of elements, values, the rules between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

NAMESPACE = "{urn:oasis:names:tc:emergency:cap:1.2}"
ANY = 10**6
TEXT = r"(?s).+"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d"
TOKEN = r"[^\s,<&]+"
REFERENCE = rf"{TOKEN},{TOKEN},{TIME}"
NUMBER = r"-?\d+(\.\d+)?"
POINT = rf"{NUMBER},{NUMBER}"

# name -> (least, most, pattern or None for a structure), in the schema's order
ALERT = {
    "identifier": (1, 1, TOKEN),
    "sender": (1, 1, TOKEN),
    "sent": (1, 1, TIME),
    "status": (1, 1, "Actual|Exercise|System|Test|Draft"),
    "msgType": (1, 1, "Alert|Update|Cancel|Ack|Error"),
    "source": (0, 1, TEXT),
    "scope": (1, 1, "Public|Restricted|Private"),
    "restriction": (0, 1, TEXT),
    "addresses": (0, 1, TEXT),
    "code": (0, ANY, TEXT),
    "note": (0, 1, TEXT),
    "references": (0, 1, rf"{REFERENCE}( {REFERENCE})*"),
    "incidents": (0, 1, rf"{TOKEN}( {TOKEN})*"),
    "info": (0, ANY, None),
}
INFO = {
    "language": (0, 1, r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*"),
    "category": (
        1,
        ANY,
        "Geo|Met|Safety|Security|Rescue|Fire|Health|Env|Transport|Infra|CBRNE|Other",
    ),
    "event": (1, 1, TEXT),
    "responseType": (0, ANY, "Shelter|Evacuate|Prepare|Execute|Avoid|Monitor|Assess|AllClear|None"),
    "urgency": (1, 1, "Immediate|Expected|Future|Past|Unknown"),
    "severity": (1, 1, "Extreme|Severe|Moderate|Minor|Unknown"),
    "certainty": (1, 1, "Observed|Likely|Possible|Unlikely|Unknown"),
    "audience": (0, 1, TEXT),
    "eventCode": (0, ANY, None),
    "effective": (0, 1, TIME),
    "onset": (0, 1, TIME),
    "expires": (0, 1, TIME),
    "senderName": (0, 1, TEXT),
    "headline": (0, 1, TEXT),
    "description": (0, 1, TEXT),
    "instruction": (0, 1, TEXT),
    "web": (0, 1, TEXT),
    "contact": (0, 1, TEXT),
    "parameter": (0, ANY, None),
    "resource": (0, ANY, None),
    "area": (0, ANY, None),
}
AREA = {
    "areaDesc": (1, 1, TEXT),
    "polygon": (0, ANY, rf"{POINT}( {POINT}){{3,}}"),
    "circle": (0, ANY, rf"{POINT} {NUMBER}"),
    "geocode": (0, ANY, None),
    "altitude": (0, 1, NUMBER),
    "ceiling": (0, 1, NUMBER),
}
PAIR = {"valueName": (1, 1, TEXT), "value": (1, 1, TEXT)}
INSIDE = {"info": INFO, "area": AREA, "eventCode": PAIR, "parameter": PAIR, "geocode": PAIR}


def problems(body: bytes) -> list[str]:
    """One line for each thing that does not hold; empty for a message every CAP consumer must take."""
    root = ElementTree.fromstring(body)
    if root.tag != f"{NAMESPACE}alert":
        return [f"the root is {root.tag}"]
    return [*_structure(root, ALERT), *_rules(root)]


def _structure(
    element: ElementTree.Element, children: dict[str, tuple[int, int, str | None]]
) -> Iterator[str]:
    names = [child.tag.removeprefix(NAMESPACE) for child in element]
    order = list(children)
    unknown = [name for name in names if name not in children]
    if unknown:
        yield f"{element.tag}: unknown {unknown}"
        return
    if [order.index(name) for name in names] != sorted(order.index(name) for name in names):
        yield f"{element.tag}: out of order: {names}"
    for name, (least, most, pattern) in children.items():
        found = [child for child in element if child.tag == NAMESPACE + name]
        if not least <= len(found) <= most:
            yield f"{element.tag}: {len(found)} × {name}"
        for child in found:
            if pattern is None:
                yield from _structure(child, INSIDE[name])
            elif len(child) or re.fullmatch(pattern, child.text or "") is None:
                yield f"{name}: {child.text!r}"


def _rules(root: ElementTree.Element) -> Iterator[str]:
    def text(name: str) -> str | None:
        return root.findtext(NAMESPACE + name)

    if (text("scope") == "Restricted") != (text("restriction") is not None):
        yield "restriction belongs to the scope Restricted, and the scope to it"
    if (text("scope") == "Private") and text("addresses") is None:
        yield "the scope Private needs addresses"
    if text("msgType") in {"Update", "Cancel"} and text("references") is None:
        yield f"{text('msgType')} without references"
    for circle in root.iter(f"{NAMESPACE}circle"):
        latitude, longitude = (float(part) for part in (circle.text or "").split(" ")[0].split(","))
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            yield f"circle: {circle.text}"
