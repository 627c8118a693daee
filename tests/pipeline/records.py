"""Journals in a few words, and what followers make of them in a form that can be compared.

In: actions. Out: journal records; flat lists of readings, rejects, transitions. Uses the shipped profiles and
a small inventory in two versions: ``NEW`` knows the lamp L-3, which ``OLD`` does not.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from exemplars import Remembered
from plant import write_inventory

from gateway.alarm.engine import AlarmEngine
from gateway.configuration import Configuration, Configurations, Sources, interpret
from gateway.followers import AlarmFollower
from gateway.ingest.packets import encode_publish
from gateway.journal.record import (
    Kind,
    Record,
    encode_arrival,
    encode_control,
    encode_session,
    encode_tick,
)
from gateway.model import Arrival, Chunk, Control, Counts, Reject, Run, SessionEvent, Tick
from gateway.translation import TranslationOptions, Translator

ROOT = Path(__file__).parents[2]
START_NS = 1_795_161_600_000_000_000
SECOND = 1_000_000_000
OPTIONS = TranslationOptions(
    telemetry_topic="city/<area>/<class>/<device>/up",
    status_topic="city/<area>/<class>/<device>/status",
    payload_bytes_max=4096,
    redelivery_messages_max=1000,
)


def sources(lamps: int) -> bytes:
    """Packed sources with that many lamps."""
    profiles = {
        str(file.relative_to(ROOT)): file.read_bytes()
        for file in sorted((ROOT / "device_profiles").rglob("*.toml"))
    }
    with tempfile.TemporaryDirectory() as directory:
        write_inventory(Path(directory), lamps)
        tables = {file.name: file.read_bytes() for file in Path(directory).iterdir()}
    return Sources(profiles, tables, "Asia/Ho_Chi_Minh").pack()


OLD, NEW = (interpret(sources(lamps), name) for lamps, name in ((2, "old"), (3, "new")))


def configurations(timeline: Iterable[tuple[int, str]] = ((0, "old"),)) -> Configurations:
    found = Configurations(lambda name: None, timeline)
    found.keep(OLD)
    found.keep(NEW)
    return found


def translator(in_force: Configuration = OLD) -> Translator:
    return Translator(OPTIONS, configurations().named, in_force)


def message(
    device: str,
    document: Any,
    *,
    kind: str = "luminaire",
    packet_id: int = 0,
    duplicate: bool = False,
    retained: bool = False,
    leaf: str = "up",
) -> bytes:
    """One PUBLISH."""
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return encode_publish(
        f"city/hoa-phu/{kind}/{device}/{leaf}",
        payload,
        qos=1 if packet_id else 0,
        packet_id=packet_id,
        duplicate=duplicate,
        retained=retained,
    )


def block(*packets: bytes, at_s: float = 0.0, epoch: int = 1, replayed: bool = False) -> tuple[Kind, bytes]:
    received_ns = START_NS + round(at_s * SECOND)
    return Kind.MESSAGES, encode_arrival(
        Arrival(b"".join(packets), len(packets), received_ns, epoch, replayed)
    )


def tick(at_s: float) -> tuple[Kind, bytes]:
    elapsed_ns = round(at_s * SECOND)
    return Kind.TICK, encode_tick(Tick(START_NS + elapsed_ns, elapsed_ns, bytes(16), True, True))


def session(event: str, epoch: int = 1, **facts: Any) -> tuple[Kind, bytes]:
    return Kind.SESSION, encode_session(SessionEvent(epoch, event, START_NS, **facts))


def configure(name: str) -> tuple[Kind, bytes]:
    return Kind.CONTROL, encode_control(Control("configuration", START_NS, name))


def numbered(entries: Sequence[tuple[Kind, bytes]]) -> list[Record]:
    return [Record(sequence, kind, payload) for sequence, (kind, payload) in enumerate(entries)]


def readings(chunks: Iterable[Chunk]) -> list[tuple[Any, ...]]:
    """Every reading with all its columns, by its place in the journal."""
    found = []
    for run in (part for chunk in chunks for part in chunk.parts if isinstance(part, Run)):
        for batch in run.batches:
            for row in range(len(batch)):
                place = int(batch.sequence[row]), int(batch.index[row]), int(batch.sample[row])
                columns = (
                    batch.profile.name,
                    int(batch.device[row]),
                    int(batch.time_ns[row]),
                    int(batch.received_ns[row]),
                    bool(batch.time_from_device[row]),
                    int(batch.skew_ns[row]),
                    bool(batch.replayed[row]),
                    batch.values[:, row].tobytes(),
                    batch.quality[:, row].tobytes(),
                    tuple((name, texts[row]) for name, texts in sorted(batch.texts.items())),
                )
                found.append((place, columns))
    return sorted(found)


def rejects(chunks: Iterable[Chunk]) -> list[Reject]:
    runs = (part for chunk in chunks for part in chunk.parts if isinstance(part, Run))
    return sorted(
        (reject for run in runs for reject in run.rejects), key=lambda r: (r.sequence, r.index, r.sample)
    )


def counts(chunks: Iterable[Chunk]) -> Counts:
    return sum((chunk.counts for chunk in chunks), Counts())


class StillClock:
    def wall_ns(self) -> int:
        return START_NS

    elapsed_ns = monotonic_ns = wall_ns


def engine(configuration: Configuration) -> AlarmEngine:
    return configuration.engine()


def rebuild(old: AlarmEngine, control: Control) -> AlarmEngine:
    configuration = configurations().named(control.hash)
    if configuration.fleet is old.fleet:
        return old
    new = engine(configuration)
    new.restore(old.snapshot())
    return new


def alarm_follower(
    ledger: Remembered, *, position: int = 0, configuration: Configuration = OLD
) -> AlarmFollower:
    return AlarmFollower(
        engine(configuration),
        ledger,
        position=position,
        counts=Counts(),
        rebuild=rebuild,
        observe=lambda run: None,
        clock=StillClock(),
        snapshot_s=1e9,
    )
