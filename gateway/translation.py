"""Journal records in, ``Chunk``s of readings, rejects and events out; the same for every follower.

What comes out depends on the journal alone: the configuration in force at each sequence is named by
control records, and cutting the journal into other stretches changes nothing. Never does IO.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from gateway.configuration import Configuration
from gateway.decode.decoder import Decoder
from gateway.decode.redelivery import Redelivery
from gateway.decode.routes import Routes
from gateway.errors import JournalCorrupt
from gateway.ingest.packets import end_to_end, parse_blocks
from gateway.journal.record import (
    Kind,
    Record,
    decode_arrival,
    decode_control,
    decode_session,
    decode_tick,
)
from gateway.model import WHOLE_MESSAGE, Chunk, Counts, Part, Publishes, Reject, Run, SessionEvent
from gateway.normalize.normalizer import REASON, STAGE, Lost, Normalizer


@dataclass(frozen=True, slots=True)
class TranslationOptions:
    """Settings that reading a journal depends on."""

    telemetry_topic: str
    status_topic: str
    payload_bytes_max: int
    redelivery_messages_max: int


class Translator:
    """Walks the journal in order. ``configuration(hash)`` gives what a control record names."""

    def __init__(
        self,
        options: TranslationOptions,
        configuration: Callable[[str], Configuration],
        in_force: Configuration,
    ) -> None:
        self._options = options
        self._configuration = configuration
        self._redelivery = Redelivery(options.redelivery_messages_max)
        self._wall_ns = 0
        self._normalizer = Normalizer(len(in_force.fleet.devices))
        self.in_force = in_force
        self._configure(in_force)

    def translate(self, records: Sequence[Record]) -> Chunk:
        """The chunk of ``records`` (consecutive, at least one)."""
        parts: list[Part] = []
        sequences: list[int] = []
        for messages, group in groupby(records, key=lambda record: record.kind is Kind.MESSAGES):
            stretch = list(group)
            for part, sequence in self._run(stretch) if messages else self._events(stretch):
                parts.append(part)
                sequences.append(sequence)
        return Chunk(records[0].sequence, records[-1].sequence + 1, tuple(parts), tuple(sequences))

    def lost(self, damage: JournalCorrupt) -> Chunk:
        """Damaged records as what they are: a gap, with its exact sequences, at the last time known."""
        gap = SessionEvent(0, "gap", self._wall_ns, gap="journal_corrupt", detail=str(damage))
        return Chunk(damage.sequence, damage.resume, (gap,), (damage.sequence,))

    def _events(self, records: Sequence[Record]) -> Iterator[tuple[Part, int]]:
        for record in records:
            if record.kind is Kind.TICK:
                tick = decode_tick(record.payload)
                self._wall_ns = tick.wall_ns
                yield tick, record.sequence
            elif record.kind is Kind.SESSION:
                event = decode_session(record.payload)
                if event.event == "connected" and not event.session_present:
                    self._redelivery.session_began()
                yield event, record.sequence
            else:
                control = decode_control(record.payload)
                if control.kind == "configuration" and control.hash != self.in_force.hash:
                    self._configure(self._configuration(control.hash))
                yield control, record.sequence

    def _run(self, records: Sequence[Record]) -> Iterator[tuple[Part, int]]:
        blocks: list[Publishes] = []
        redelivered = []
        arrivals = [(decode_arrival(record.payload), record.sequence) for record in records]
        for (epoch, _), alike in groupby(arrivals, key=lambda entry: (entry[0].epoch, entry[0].replayed)):
            block = parse_blocks(*zip(*alike, strict=True))
            blocks.append(block)
            redelivered.append(self._redelivery.mark(block, epoch))
        publishes = end_to_end(blocks)
        decoded = self._decoder.decode(publishes, np.concatenate(redelivered))
        batches, rejects, counts = [], list(decoded.rejects), decoded.counts
        for columns in decoded.columns:
            normalized = self._normalizer.normalize(columns)
            rejects += self._valueless(normalized.lost, publishes, records[0].sequence)
            counts += Counts(
                quarantined=normalized.lost.messages, readings=len(normalized.batch), clock=normalized.clock
            )
            if len(normalized.batch):
                batches.append(normalized.batch)
        yield Run(tuple(batches), tuple(rejects), decoded.statuses, counts), records[-1].sequence

    def _valueless(self, lost: Lost, publishes: Publishes, first: int) -> Iterator[Reject]:
        """Rejects of messages, or single samples of them, without one good value."""
        if not len(lost):
            return
        starts = np.searchsorted(publishes.sequence, np.arange(first, publishes.sequence[-1] + 1))
        seen: set[tuple[int, int]] = set()
        for k in range(len(lost)):
            sequence, index = int(lost.sequence[k]), int(lost.index[k])
            if lost.whole[k] and (sequence, index) in seen:
                continue
            seen.add((sequence, index))
            at = int(starts[sequence - first]) + index
            yield Reject(
                sequence=sequence,
                index=index,
                received_ns=int(publishes.received_ns[at]),
                topic=publishes.topics[at],
                payload=publishes.payloads[at],
                stage=STAGE,
                reason=REASON,
                detail="not one good value",
                sample=WHOLE_MESSAGE if lost.whole[k] else int(lost.sample[k]),
            )

    def _configure(self, configuration: Configuration) -> None:
        options, fleet = self._options, configuration.fleet
        profiles = {profile.name: profile for profile in configuration.profiles}
        routes = Routes(options.telemetry_topic, options.status_topic, fleet, profiles)
        before = self.in_force.fleet.device_table.ids("id").rows(fleet.device_table.ids("id").texts)
        self._normalizer = self._normalizer.rearranged(before)
        self.in_force = configuration
        self._decoder = Decoder(profiles, fleet, routes, payload_bytes_max=options.payload_bytes_max)
