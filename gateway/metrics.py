"""What the gateway says of itself. In: facts of their owners. Out: frozen snapshots, Prometheus families.

Never reads a clock or a room: ``app`` gathers, everyone else looks at the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


@dataclass(frozen=True, slots=True)
class FollowerFigures:
    """A follower's place in the journal; ``pending`` telemetry messages lie between it and the end."""

    position: int
    lag_records: int
    pending: int


@dataclass(frozen=True, slots=True)
class RecipientFigures:
    """One receiver of alarms."""

    pending: int
    delivered: int
    failed: int
    error: str
    dropped: int = 0  # since state.db began: given up because too many waited


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at the whole gateway. Messages are telemetry messages unless said otherwise."""

    gateway: str
    wall_ns: int
    uptime_s: float
    not_ready: tuple[str, ...]
    broker: dict[str, Any]
    store: dict[str, Any]
    journal: dict[str, int]
    messages: dict[str, int]
    followers: dict[str, FollowerFigures]
    recipients: dict[str, RecipientFigures]
    quarantine: dict[str, int]
    alarms: dict[str, int]
    lamps: dict[str, int] = field(default_factory=dict)
    state: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return not self.not_ready


def restore(facts: Mapping[str, Any]) -> Figures:
    """Figures from the JSON values that ``dataclasses.asdict`` made of them."""
    return msgspec.convert(facts, Figures)


class Collector:
    """What Prometheus reads: families made from one look at the gateway."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield _gauge("ready", "1 when broker and store can be reached", value=figures.ready)
        yield _gauge("uptime_seconds", "Since this process started", value=figures.uptime_s)
        fates = dict(figures.messages)
        yield _gauge("messages_pending", "Received, not yet at their end", value=fates.pop("pending", 0))
        yield _counter("messages", "Messages by fate, since the journal began", "fate", fates)
        yield _gauge("broker", "The MQTT session", "figure", _numbers(figures.broker))
        yield _gauge("journal", "Sequences and bytes of the journal", "figure", figures.journal)
        lags = {name: follower.lag_records for name, follower in figures.followers.items()}
        yield _gauge("follower_lag_records", "Records between a follower and the end", "follower", lags)
        waiting = {name: follower.pending for name, follower in figures.followers.items()}
        yield _gauge("follower_pending_messages", "Messages ahead of a follower", "follower", waiting)
        yield _gauge("store", "The store", "figure", _numbers(figures.store))
        yield _gauge("quarantined_messages", "Messages in quarantine", "reason", figures.quarantine)
        yield _gauge("state", "What state.db holds, and what had to give way", "figure", figures.state)
        yield _gauge("alarms_active", "Active alarms", "severity", figures.alarms)
        yield _gauge("lamps", "Light points by state", "state", figures.lamps)
        for fact in ("pending", "delivered", "failed", "dropped"):
            facts = {name: getattr(recipient, fact) for name, recipient in figures.recipients.items()}
            yield _gauge(f"ioc_{fact}", f"Alarm messages {fact}", "recipient", facts)


def _gauge(
    name: str,
    text: str,
    label: str = "",
    facts: Mapping[str, float] | None = None,
    value: float | None = None,
) -> Metric:
    if value is not None:
        return GaugeMetricFamily(f"citylight_{name}", text, value=float(value))
    family = GaugeMetricFamily(f"citylight_{name}", text, labels=[label])
    for key, fact in (facts or {}).items():
        family.add_metric([key], float(fact))
    return family


def _counter(name: str, text: str, label: str, facts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"citylight_{name}", text, labels=[label])
    for key, fact in facts.items():
        family.add_metric([key], float(fact))
    return family


def _numbers(facts: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in facts.items() if isinstance(value, bool | int | float)}
