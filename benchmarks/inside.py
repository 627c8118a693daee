"""The gateway's own part of a message's way, in this process. In: PUBLISH bytes. Out: alarms, gzipped lines.

Session, journal record, translation, rules, line protocol: every pure module a message meets, none of the
shells, so that calls and bytes can be counted. The same arguments give the same work, on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mqtt5

from benchmarks.load import encode
from gateway import settings, wiring
from gateway.alarm.engine import AlarmEngine
from gateway.configuration import Configuration, Sources, interpret
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.options import IngestOptions
from gateway.ingest.session import Journal, Session
from gateway.journal.record import Kind, Record, encode_arrival
from gateway.model import Chunk, Run
from gateway.sections import Settings
from gateway.store.line_protocol import LineWriter
from gateway.store.packing import gzip
from gateway.translation import Translator
from simulators import city

START_NS = 1_793_595_600_000_000_000  # noon in Vietnam, 2 November 2026
MESSAGE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of one stretch of messages; bytes as they would be written."""

    chunk: Chunk
    transitions: int
    journal_bytes: int
    line_bytes: int
    readings: int


def configuration(devices: int, rules: str = "") -> Configuration:
    """An example city of ``devices`` lamps with the shipped profiles, and ``rules`` as its rules.toml."""
    chosen = settings.build({}, "", Path(), {})
    tables = {name: text.encode() for name, text in city.inventory(devices, 1).items()}
    if rules:
        tables["rules.toml"] = rules.encode()
    packed = Sources(wiring.profiles(chosen), tables, chosen.gateway.time_zone).pack()
    return interpret(packed, "bench")


class Inside:
    """One city; ``packets`` makes its messages, ``take`` passes them through."""

    def __init__(self, devices: int, rules: str = "", start_ns: int = START_NS) -> None:
        self._start_ns = start_ns
        chosen = settings.build({}, "", Path(), {})
        self.configuration = configuration(devices, rules)
        fleet = self.configuration.fleet
        self.lamps = [("bench", d.id) for d in fleet.devices if d.profile == "luminaire-controller"]
        self.engine: AlarmEngine = self.configuration.engine()
        self.translator = Translator(
            wiring.translation(chosen), lambda _: self.configuration, self.configuration
        )
        self._lines = LineWriter(fleet)
        self._session = _online(chosen)
        self._sequence = 0
        self._sent = 0

    def packets(self, messages: int) -> list[bytes]:
        """The next ``messages`` of the city, a millisecond apart."""
        first, start_ms = self._sent, (self._start_ns + self._sent * MESSAGE_NS) // 1_000_000
        self._sent += messages
        return encode(self.lamps, messages, start_ms, first=first)

    def take(self, packets: Sequence[bytes]) -> Passed:
        """All of it, as one block if the session's bound allows."""
        records, written = self.record(packets)
        chunk = self.translator.translate(records)
        transitions = self.engine.apply(chunk)
        batches = [batch for part in chunk.parts if isinstance(part, Run) for batch in part.batches]
        lines = self._lines.lines(batches)
        body = gzip(lines.body)
        return Passed(chunk, len(transitions), written, len(body), len(lines))

    def record(self, packets: Sequence[bytes]) -> tuple[list[Record], int]:
        """What the journal keeps of ``packets``: (records, bytes of their payloads)."""
        data, records, written = b"".join(packets), [], 0
        moment = Moment(self._start_ns + self._sent * MESSAGE_NS, self._sent * MESSAGE_NS)
        while data:
            effects, length = self._session.received(data, moment)
            data = data[length:]
            for effect in effects:
                assert isinstance(effect, Journal), effect
                self._session.committed(moment)
                records.append(Record(self._sequence, Kind.MESSAGES, encode_arrival(effect.arrival)))
                self._sequence += 1
                written += len(records[-1].payload)
        return records, written


def _online(chosen: Settings) -> Session:
    """A session that the broker has accepted."""
    now = Moment(START_NS, 0)
    contact = Contact(epoch=1, session_expected=False, contact_age_s=None, now=now)
    options = IngestOptions(
        host="broker",
        port=wiring.PORT,
        topics=wiring.subscriptions(chosen),
        receive_maximum=chosen.mqtt.receive_maximum,
        block_messages_max=chosen.mqtt.block_messages_max,
    )
    session = Session(options, contact)
    session.opened(now)
    granted = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
    session.received(mqtt5.ConnAckPacket().write() + mqtt5.SubAckPacket(1, [granted] * 4).write(), now)
    return session
