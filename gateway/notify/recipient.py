"""Who is told of alarms, and how. In: settings as plain values. Out: checked recipients, and what each wants.

Who is woken, who reads it in the morning and what is only recorded comes from ``vocabulary`` and from the
settings' exceptions to it. Never sends anything and never looks at a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from gateway.alarms import Alarm, Fault
from gateway.errors import ConfigurationError
from gateway.model import Severity
from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.kinds import KINDS

EVENT_TOPIC: Final = "ioc/events/{area}/{severity}"
STATE_TOPIC: Final = "ioc/alarms/{area}/{asset}/{type}"
TEST: Final = "test"
"""Type of the test alarm, which proves the way to everybody, whatever they filter by."""

_PLACEHOLDERS: Final = frozenset({"area", "asset", "type", "severity"})

Around = Callable[[str], tuple[str, ...]]
"""The code of an area -> itself and the areas it lies in."""


class Manner(StrEnum):
    """How a recipient first hears of an alarm."""

    AT_ONCE = "at_once"
    DIGEST = "digest"  # in the next digest of a flood
    MORNING = "morning"  # on the morning list
    LATER = "later"  # if nobody has acknowledged it by then


@dataclass(frozen=True, slots=True)
class Policy:
    """The vocabulary's deliveries with the settings' exceptions, by type of alarm."""

    exceptions: Mapping[str, Delivery] = field(default_factory=dict)
    break_through: frozenset[str] = frozenset()

    def delivery(self, kind: str) -> Delivery:
        """``morning`` for a type that nothing is known of: it wakes nobody unless the settings say so."""
        known = KINDS.get(kind)
        return self.exceptions.get(kind) or (known.delivery if known else Delivery.MORNING)

    def breaks_through(self, kind: str) -> bool:
        known = KINDS.get(kind)
        return kind in self.break_through or bool(known and known.breaks_through)


def policy(deliveries: Mapping[Delivery, tuple[str, ...]], break_through: tuple[str, ...]) -> Policy:
    """Exceptions as the settings have them.

    ConfigurationError for a type in two of them, and for single lamps that would wake somebody.
    """
    found: dict[str, Delivery] = {}
    for delivery, kinds in deliveries.items():
        for kind in kinds:
            if kind in found:
                problem = f"{kind!r} is also in ioc.{found[kind].value}"
                raise ConfigurationError("ioc", delivery.value, problem, "name it once")
            known = KINDS.get(kind)
            if delivery is Delivery.WAKE and known is not None and known.lamp:
                problem = f"{kind!r} is about single lamps, which wake nobody"
                raise ConfigurationError("ioc", delivery.value, problem, "leave it to the morning list")
            found[kind] = delivery
    return Policy(found, frozenset(break_through))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody who is told of alarms. An empty filter lets everything pass.

    ``areas`` hold for everything inside them. An alarm without an area is the gateway's own and concerns
    everybody. ``morning_minute``: of the local day, at which the morning list is sent; without it what could
    wait is told at once. ``digest``: a flood is told as a digest. ``after_s``: told only of what nobody
    acknowledged for so long. ``format`` is what a webhook is sent; ``status`` is CAP's.
    """

    name: str
    kind: Literal["mqtt", "webhook"]
    source: str  # URI reference of this gateway, CloudEvents ``source``
    areas: frozenset[str] = frozenset()
    severities: frozenset[Severity] = frozenset()
    deliveries: frozenset[Delivery] = frozenset()
    categories: frozenset[str] = frozenset()
    event_topic: str = EVENT_TOPIC
    state_topic: str = STATE_TOPIC
    morning_minute: int | None = None
    digest: bool = False
    after_s: float = 0.0
    faults: bool = True  # hears of repairs (CloudEvents alone)
    format: Literal["cloudevents", "cap"] = "cloudevents"
    status: Literal["Actual", "Exercise", "Test"] = "Actual"
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        for key in ("event_topic", "state_topic"):
            _check_pattern(self.name, key, getattr(self, key))

    @property
    def plain(self) -> bool:
        """Told everything it wants, at once, in messages that need no memory of earlier ones."""
        return (
            self.format == "cloudevents"
            and not self.digest
            and not self.after_s
            and self.morning_minute is None
        )

    def wants(self, alarm: Alarm, around: Around = lambda area: (area,)) -> bool:
        """Whether an alarm of this area, severity, delivery and category is this recipient's business."""
        if alarm.type == TEST:
            return True
        due = not self.deliveries or self.policy.delivery(alarm.type) in self.deliveries
        return due and self._concerns(alarm, around)

    def wants_fault(self, fault: Fault, around: Around) -> bool:
        """Whether a repair of this area, severity and category is this recipient's business."""
        return self.faults and self.format == "cloudevents" and self._concerns(fault, around)

    def _concerns(self, one: Alarm | Fault, around: Around) -> bool:
        known = KINDS.get(one.type)
        return (
            (not self.areas or not one.area or not self.areas.isdisjoint(around(one.area)))
            and (not self.severities or one.severity in self.severities)
            and (not self.categories or (known.category if known else "Infra") in self.categories)
        )

    def manner(self, alarm: Alarm) -> Manner:
        """How this recipient first hears of an alarm it wants, while there is no flood."""
        if alarm.type == TEST:
            return Manner.AT_ONCE
        urgent = self.policy.delivery(alarm.type) is Delivery.WAKE
        if not urgent and self.morning_minute is not None:
            return Manner.MORNING
        return Manner.LATER if self.after_s else Manner.AT_ONCE


def _check_pattern(recipient: str, key: str, pattern: str) -> None:
    remedy = "write literal levels and {area}, {asset}, {type}, {severity}"
    try:
        filled = pattern.format(**dict.fromkeys(_PLACEHOLDERS, "x"))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigurationError(recipient, key, f"{pattern!r}: {error}", remedy) from error
    if not filled or set(filled) & set("+#\0") or filled.startswith("$"):
        raise ConfigurationError(recipient, key, f"{pattern!r} is no topic to publish to", remedy)
