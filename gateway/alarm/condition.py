"""What can be wrong with the gateway itself. In: control records of kind ``gateway``. Out: facts of alarms.

The running gateway writes such a record when a condition begins or ends; so its own alarms, too, follow
from the journal alone. Never looks at the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.model import Control, Severity

KIND: Final = "gateway"
"""Kind of the control record."""

DETAIL_CHARS_MAX: Final = 200


class Trouble(StrEnum):
    """Alarm types of the asset ``gateway`` that begin and end."""

    JOURNAL_FULL = "journalFull"
    STORE_UNAVAILABLE = "storeUnavailable"
    STORE_LOSSES = "storeLosses"


SEVERITIES: Final = {
    Trouble.JOURNAL_FULL: Severity.CRITICAL,  # what comes now is kept by the broker alone
    Trouble.STORE_UNAVAILABLE: Severity.MAJOR,
    Trouble.STORE_LOSSES: Severity.MAJOR,
}


@dataclass(frozen=True, slots=True)
class OwnCondition:
    """``trouble`` holds since ``since_ns`` (wall time), or holds no longer."""

    trouble: Trouble
    holds: bool
    since_ns: int
    detail: str


def control(condition: OwnCondition, wall_ns: int) -> Control:
    """The record that says so."""
    body: dict[str, Any] = {
        "trouble": condition.trouble.value,
        "holds": condition.holds,
        "since_ns": condition.since_ns,
        "detail": condition.detail[:DETAIL_CHARS_MAX],
    }
    return Control(KIND, wall_ns, body=body)


def read(record: Control) -> OwnCondition | None:
    """The reverse; None for a record this version does not understand."""
    body = record.body
    since_ns = body.get("since_ns", record.wall_ns)
    try:
        trouble = Trouble(body.get("trouble", ""))
    except ValueError:
        return None
    if not isinstance(since_ns, int):
        return None
    return OwnCondition(trouble, bool(body.get("holds")), since_ns, str(body.get("detail", "")))
