"""How large the bounds have to be. In: settings, the inventory, the disk. Out: rates, sizes and hours.

The formulas of docs/guarantees.md with a city's own numbers. Estimates for sizing, never measurements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.fleet import Fleet
from gateway.model import ProfileSpec
from gateway.sections import Settings

MESSAGE_BYTES: Final = 250
"""A QoS 1 PUBLISH with its topic, as a broker queues it: a 12-field luminaire payload and some more."""
JOURNAL_BYTES: Final = 60
"""The same message in the journal: zstd in blocks as they come at some 1,000 a second."""
TICK_BYTES_A_DAY: Final = 5_000_000
BROKER_AWAY_S: Final = 3600.0
"""The absence of the gateway that the broker's queue is sized for."""
DEVICE_BYTES: Final = 2_000
"""Memory a device takes in the inventory, in rule state and in the store's names."""
PROCESS_BYTES: Final = 200_000_000
"""Memory of the process and its libraries."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what, how much in which unit, and how it follows from the settings."""

    what: str
    value: float
    unit: str
    how: str


def capacity(
    settings: Settings, fleet: Fleet, specs: Iterable[ProfileSpec], disk_free_bytes: int
) -> tuple[Line, ...]:
    """What the bounds mean for this fleet, in the order of the way data goes."""
    interval_s = {spec.name: spec.interval_s for spec in specs}
    kinds = Counter(fleet.device_table.words("profile").tolist())
    rate = sum(count / interval_s[name] for name, count in kinds.items() if name in interval_s)
    return (
        Line("messages", rate, "per second", f"{len(fleet.devices)} devices at their profiles' intervals"),
        *_broker(settings, rate),
        *_journal(settings, rate, disk_free_bytes),
        Line(
            "quarantine",
            settings.quarantine.bytes_max / (MESSAGE_BYTES + 256),
            "messages",
            "quarantine.bytes_max, payloads as long as usual",
        ),
        Line(
            "memory",
            PROCESS_BYTES + DEVICE_BYTES * len(fleet.devices) + settings.mqtt.memory_bytes_max / 2,
            "bytes",
            "process, devices, half of mqtt.memory_bytes_max (the receive buffer)",
        ),
    )


def _broker(settings: Settings, rate: float) -> tuple[Line, ...]:
    messages = rate * BROKER_AWAY_S
    return (
        Line("broker queue", messages, "messages", "per hour of absence: max_queued_messages at least"),
        Line(
            "broker queue",
            messages * MESSAGE_BYTES,
            "bytes",
            "per hour of absence: max_queued_bytes at least",
        ),
        Line(
            "broker session",
            settings.mqtt.session_expiry_s / 3600,
            "hours",
            "mqtt.session_expiry_s: absent for longer, the broker forgets all it kept",
        ),
    )


def _journal(settings: Settings, rate: float, disk_free_bytes: int) -> tuple[Line, ...]:
    own = settings.journal
    a_second = rate * JOURNAL_BYTES + TICK_BYTES_A_DAY / 86_400
    disk = max(0, disk_free_bytes - own.disk_free_bytes_min)
    room = min(disk, own.bytes_max) if own.bytes_max else disk
    bound = "journal.bytes_max" if own.bytes_max and own.bytes_max <= disk else "journal.disk_free_bytes_min"
    return (
        Line("journal", a_second * 3600, "bytes per hour", f"{JOURNAL_BYTES} bytes a message"),
        Line(
            "journal",
            min(own.keep_h, own.keep_bytes / a_second / 3600),
            "hours kept",
            "for looking back: journal.keep_h, journal.keep_bytes",
        ),
        Line("store away", room / a_second / 3600, "hours", f"until no message is taken: {bound}"),
    )
