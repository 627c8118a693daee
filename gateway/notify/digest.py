"""Many alarms in one message. In: alarms, and why they come together. Out: an outbox row for one recipient.

Two kinds: ``morning``, the day's work in pole order, and ``flood``, what was held back while alarms came by
the dozen. Never decides what belongs into it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from gateway.alarms import Alarm
from gateway.model import rfc3339
from gateway.notify import cap, cloudevents
from gateway.notify.dispatch import Occasion, OutboxRow, envelope_of
from gateway.notify.places import Places
from gateway.notify.recipient import Recipient
from gateway.vocabulary.kinds import KINDS

LISTED_MAX: Final = 500
"""Alarms written out in one digest; the counts are of all of them."""

TITLES: Final = {
    "morning": ("Danh sách buổi sáng", "Morning list"),
    "flood": ("Tổng hợp cảnh báo dồn dập", "Digest of a flood of alarms"),
}


@dataclass(frozen=True, slots=True)
class Digest:
    """``standing`` are listed, ``ended`` came and went since ``from_ns`` (wall time, like ``to_ns``)."""

    kind: Literal["morning", "flood"]
    from_ns: int
    to_ns: int
    standing: Sequence[Alarm]
    ended: Sequence[Alarm]

    def texts(self, places: Places) -> dict[str, str]:
        """By language: how many of what, then one line each in pole order."""
        ordered = sorted(self.standing, key=places.order)[:LISTED_MAX]
        new = sum(alarm.raised_ns >= self.from_ns for alarm in self.standing)
        heads = {
            "vi": f"{len(self.standing)} cảnh báo đang tồn tại ({new} mới), {len(self.ended)} đã tự hết",
            "en": f"{len(self.standing)} alarms stand ({new} new), {len(self.ended)} are over by themselves",
        }
        return {
            "vi": "\n".join([heads["vi"], *self._counted(0), *(alarm.text_vi for alarm in ordered)]),
            "en": "\n".join([heads["en"], *self._counted(1), *(alarm.text_en for alarm in ordered)]),
        }

    def headlines(self, places: Places) -> dict[str, str]:
        local = datetime.fromtimestamp(self.to_ns // 1_000_000_000, UTC).astimezone(places.zone)
        vi, en = TITLES[self.kind]
        return {"vi": f"{vi} {local:%H:%M %d/%m/%Y}", "en": f"{en} {local:%Y-%m-%d %H:%M}"}

    def document(self, places: Places) -> dict[str, Any]:
        """The data of ``vn.citylight.digest`` (docs/schemas/digest.schema.json)."""
        ordered = sorted(self.standing, key=places.order)
        return {
            "kind": self.kind,
            "from": rfc3339(self.from_ns),
            "to": rfc3339(self.to_ns),
            "counts": dict(sorted(Counter(alarm.type for alarm in self.standing).items())),
            "alarms": [alarm.document() for alarm in ordered[:LISTED_MAX]],
            "ended": [alarm.id for alarm in self.ended[:LISTED_MAX]],
            "not_listed": max(0, len(ordered) - LISTED_MAX) + max(0, len(self.ended) - LISTED_MAX),
            "headline": self.headlines(places),
            "text": self.texts(places),
        }

    def _counted(self, language: int) -> list[str]:
        lines = []
        for kind, count in Counter(alarm.type for alarm in self.standing).most_common():
            known = KINDS.get(kind)
            name = (known.vi, known.en)[language] if known else kind
            lines.append(f"{name}: {count}")
        return lines


def row(digest: Digest, recipient: Recipient, occasion: Occasion) -> OutboxRow:
    """The message; one recipient's digests keep their order."""
    key = f"digest-{digest.kind}-{recipient.name}-{digest.to_ns}"
    places = occasion.places
    if recipient.format == "cap":
        content_type = cap.CONTENT_TYPE
        envelope = envelope_of(recipient, key, occasion)
        ids = [alarm.id for alarm in digest.standing[:LISTED_MAX]]
        texts, headlines = digest.texts(places), digest.headlines(places)
        body = cap.encode_digest(envelope, texts, headlines, places.city(), ids)
    else:
        content_type = cloudevents.CONTENT_TYPE
        document = cloudevents.digest(key, recipient.source, digest.to_ns, digest.document(places))
        body = msgspec.json.encode(document)
    return OutboxRow(recipient.name, f"digest/{recipient.name}", 0, key, "", content_type, body, retain=False)
