"""The values that pass between rooms. In: nothing. Out: frozen dataclasses of NumPy columns and plain facts.

Rooms never import each other; whatever one hands to the next is defined here. Nothing here does
IO, reads a clock or knows a file format. ``n`` below is a number of readings, ``f`` of fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gateway.watches import Watch

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
UInt8s = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

TIME_ABSENT: Final = int(np.iinfo(np.int64).min)
"""In a column of times (ns): the device sent none, or one that could not be read."""

WHOLE_MESSAGE: Final = -1
"""Sample number of a reject that concerns the message and not one sample of it."""


class Quality(IntEnum):
    """Why a value is, or is not, there (contract: canonical reading)."""

    VALID = 0
    MISSING = 1
    SENTINEL = 2
    OUT_OF_RANGE = 3
    WRONG_TYPE = 4
    CLOCK = 5  # the value is good; its time is the gateway's, because the device's was not believable


class FieldKind(StrEnum):
    """Type of a field in the store; fixed by the profile, never by a payload."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ENUM = "enum"  # code in the matrix, label in the store
    TEXT = "text"  # not in the matrix, see ReadingBatch.texts


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field: uCIFI name in snake case, unit of the canonical value ("" where none).

    ``canonical value = (raw * multiplier + addend) / divisor``, plausible in [minimum, maximum];
    ``sentinels`` are raw numbers by which the device says "no value".
    """

    name: str
    unit: str
    kind: FieldKind
    labels: tuple[str, ...] = ()
    multiplier: float = 1.0
    addend: float = 0.0
    divisor: float = 1.0
    sentinels: tuple[float, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf


class Severity(StrEnum):
    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    INFO = "info"


class When(StrEnum):
    """In which expected state a rule is judged."""

    ALWAYS = "always"
    LIGHT_DUE_ON = "light_due_on"
    LIGHT_DUE_OFF = "light_due_off"
    SUPPLY_DUE = "supply_due"
    DAYLIGHT = "daylight"  # off by photocell


@dataclass(frozen=True, slots=True)
class Rule:
    """A threshold with hysteresis and hold time on one field; keys are explained in docs/profiles.md.

    ``above`` raises at value > ``raise_at``, clears at <= ``clear_at``; ``scope``: ``area:x``, "" everywhere.
    """

    type: str
    field: str
    severity: Severity
    above: bool
    raise_at: float
    clear_at: float
    hold_s: float = 0.0
    samples_min: int = 1
    when: When = When.ALWAYS
    of_expected: bool = False
    scope: str = ""
    enabled: bool = True
    unless: tuple[str, ...] = ()
    learned: bool = False
    heads: bool = False
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """What other rooms may know of a device profile: ``numeric`` are the rows of a batch's matrix, in order.

    ``silence_intervals`` missed reports make a device silent (communicationFailure). A device's time
    counts if it is at most ``window_past_s`` before and ``window_future_s`` after the receive time.
    """

    name: str
    device_class: str
    numeric: tuple[Field, ...]
    texts: tuple[Field, ...]
    tags: tuple[tuple[str, str], ...]
    interval_s: float
    silence_intervals: int
    rules: tuple[Rule, ...]
    window_past_s: float = 172_800.0
    window_future_s: float = 300.0
    watches: tuple[Watch, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """PUBLISH packets as they came, laid end to end; MQTT 5 encoding whatever the transport spoke."""

    packets: bytes
    count: int
    received_ns: int
    epoch: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """A change of the MQTT session. ``gap`` names a loss that could not be prevented, or is empty."""

    epoch: int  # 0: named elsewhere, by a record of the loss or by another worker; no alarm comes of it
    event: str  # "connected" | "disconnected" | "drained" | "uptime" | "dropped" | "gap"
    wall_ns: int
    session_present: bool = False
    broker_uptime_s: float | None = None
    gap: str = ""  # "session_lost" | "broker_restarted" | "broker_dropped" | "journal_corrupt"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """One second of the gateway's life; silence is counted in ticks that are connected and drained."""

    wall_ns: int
    elapsed_ns: int
    boot_id: bytes  # 16 bytes; elapsed_ns of different boots can not be compared
    connected: bool
    drained: bool


@dataclass(frozen=True, slots=True)
class Control:
    """A change of configuration or an operator's act; ``hash`` names its content in state.db."""

    kind: str  # "configuration" | "acknowledge" | ...
    wall_ns: int
    hash: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publishes:
    """Parsed messages of one block, or of several blocks laid end to end, in journal order.

    Lists and arrays have one entry a message; ``sequence``/``index`` say which record it came in, and where.
    """

    sequence: Int64s
    index: Int32s
    topics: Sequence[str]
    payloads: Sequence[bytes]
    packet_ids: Int32s  # 0 for QoS 0
    retained: Bools
    duplicate: Bools  # the DUP flag as sent
    received_ns: Int64s
    replayed: Bools


@dataclass(frozen=True, slots=True)
class Reject:
    """A message that can not become a reading (decision D7); goes to the quarantine whole."""

    sequence: int
    index: int
    received_ns: int
    topic: str
    payload: bytes
    stage: str  # "topic" | "decode" | "normalize" | "store"
    reason: str  # bounded set, see docs/quarantine.md
    detail: str
    device: str = ""
    sample: int = WHOLE_MESSAGE  # else the one sample of it that was refused; the others went on


@dataclass(frozen=True, slots=True)
class Columns:
    """decode -> normalize: samples of one profile as sent, in journal order.

    ``raw`` float64[f, n] holds numbers before scale and unit (booleans 0/1, enums their code),
    NaN where there is none; ``quality`` uint8[f, n] is VALID, MISSING, SENTINEL or WRONG_TYPE so far.
    ``sequence``/``index`` name the message in the journal, ``sample`` numbers samples in it.
    """

    profile: ProfileSpec
    sequence: Int64s
    index: Int32s
    sample: Int32s
    device: Int32s  # row in Fleet.devices
    time_ns: Int64s  # as the device says, TIME_ABSENT if it does not
    received_ns: Int64s
    replayed: Bools
    raw: Float64s
    quality: UInt8s
    texts: dict[str, list[str | None]]


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """Normalized readings of one profile, in journal order. What the followers work on.

    ``values`` float64[f, n] in canonical units, NaN unless quality is VALID or CLOCK (integers are
    exact to 2**53); ``time_ns`` is the time to store; ``time_from_device`` says whose it is.
    ``skew_ns`` is device time minus receive time where the device sent a time, else 0.
    """

    profile: ProfileSpec
    sequence: Int64s
    index: Int32s
    sample: Int32s
    device: Int32s
    time_ns: Int64s
    received_ns: Int64s
    time_from_device: Bools
    skew_ns: Int64s
    replayed: Bools
    values: Float64s
    quality: UInt8s
    texts: dict[str, list[str | None]]

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: npt.NDArray[Any]) -> ReadingBatch:
        """The same batch with only ``rows`` (integer positions or a bool mask), order kept."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return ReadingBatch(
            profile=self.profile,
            sequence=self.sequence[at],
            index=self.index[at],
            sample=self.sample[at],
            device=self.device[at],
            time_ns=self.time_ns[at],
            received_ns=self.received_ns[at],
            time_from_device=self.time_from_device[at],
            skew_ns=self.skew_ns[at],
            replayed=self.replayed[at],
            values=self.values[:, at],
            quality=self.quality[:, at],
            texts={name: [column[i] for i in at] for name, column in self.texts.items()},
        )


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A message on a status topic: ``online`` or ``offline`` (last will); never a reading."""

    sequence: int
    index: int
    device: int
    online: bool
    received_ns: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Messages by fate; telemetry unless said otherwise. received = stored + quarantined + pending."""

    received: int = 0
    quarantined: int = 0
    redelivered: int = 0
    retained: int = 0
    status: int = 0
    readings: int = 0
    replayed: int = 0
    clock: int = 0  # readings kept at their receive time

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f) + getattr(other, f) for f in self.__slots__))


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive message blocks between two other records, translated."""

    batches: tuple[ReadingBatch, ...]
    rejects: tuple[Reject, ...]
    statuses: tuple[StatusChange, ...]
    counts: Counts


Part = Run | Tick | SessionEvent | Control


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the journal [first, next) translated, its parts in journal order."""

    first: int
    next: int
    parts: tuple[Part, ...]
    sequences: tuple[int, ...]  # sequence of each part's last record

    @property
    def counts(self) -> Counts:
        return sum((p.counts for p in self.parts if isinstance(p, Run)), Counts())


def rfc3339(time_ns: int) -> str:
    """UTC time with nanoseconds, as ``2026-11-21T10:00:00.000000000Z``."""
    return f"{np.datetime64(time_ns, 'ns')}Z"


def nanoseconds(text: str) -> int:
    """The reverse of ``rfc3339`` for any RFC 3339 time in UTC ("Z"); ValueError otherwise."""
    if not text.endswith("Z"):
        raise ValueError(f"{text!r} is not a UTC time ending in Z")
    return int(np.datetime64(text[:-1], "ns").astype(np.int64))
