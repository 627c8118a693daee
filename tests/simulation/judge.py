"""What happened against what was promised. In: a plant, what devices sent. Out: AssertionError, or nothing.

``look`` is called after every step, ``sentence`` when all has come to rest. Knows what the devices meant, so
it can say of every reading where it must be; reads the store, state.db and the disk, never memory.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from exemplars import Remembered
from scripted_broker import UPTIME_S, Broker
from scripted_store import GUILTY
from simulated_gateway import Plant, interpret_once, sources
from virtual_time import SECOND

from gateway import wiring
from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm
from gateway.configuration import Configuration
from gateway.followers import AlarmFollower
from gateway.ingest.packets import parse_block
from gateway.journal.record import Kind, Record, decode_arrival, decode_session
from gateway.ledger import configuration_loader
from gateway.model import Counts, SessionEvent
from gateway.translation import Translator

SUBSCRIBING_NS = SECOND
"""A gap is told first, and ends when the new session is subscribed."""

_NUMBER = re.compile(rb"[, ]number=(\d+)i")


@dataclass(frozen=True)
class Sent:
    """One telemetry message. ``fate``: "stored", "rejected" (the gateway), "guilty" (the store)."""

    number: int
    device: str
    payload: bytes
    fate: str
    volts: float


@dataclass
class Judge:
    """``devices_that_come_and_go`` may be unknown to the inventory of the hour."""

    plant: Plant
    broker: Broker
    devices_that_come_and_go: frozenset[str]
    sent: dict[int, Sent] = field(default_factory=dict)
    durable: set[int] = field(default_factory=set)
    damaged: set[int] = field(default_factory=set)  # sequences whose bytes were flipped
    gaps: list[tuple[int, SessionEvent]] = field(default_factory=list)
    looks: int = 0
    _by_payload: dict[bytes, int] = field(default_factory=dict)
    _newest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _checked: int = 0

    def __post_init__(self) -> None:
        self.broker.acknowledged = self._acknowledged

    def issue(self, sent: Sent) -> None:
        self.sent[sent.number] = sent
        self._by_payload[sent.payload] = sent.number

    # --- after every step -----------------------------------------------------------------------------

    def look(self) -> None:
        """What must hold at any moment."""
        self.looks += 1
        if self.plant.disk.fresh:
            fresh, self.plant.disk.fresh = self.plant.disk.fresh, []
            for record in fresh:
                self._became_durable(record)
        if self.plant.committed:
            self.plant.committed = False
            self._a_cursor_stands_behind_what_is_settled()

    def _became_durable(self, record: Record) -> None:
        if record.kind is Kind.SESSION:
            event = decode_session(record.payload)
            if event.event == "gap":
                self.gaps.append((self.plant.world.now_ns, event))
        for number in self._numbers(record):
            if number not in self.durable:
                self.durable.add(number)
                device = self.sent[number].device
                assert number > self._newest[device], f"{device}: {number} after {self._newest[device]}"
                self._newest[device] = number

    def _acknowledged(self, number: int) -> None:
        if self.plant.disk.fresh:
            self.look()
        assert number in self.durable, f"message {number} was acknowledged and is not durable"

    def _numbers(self, record: Record) -> list[int]:
        """The telemetry messages in a record; retained copies are none."""
        if record.kind is not Kind.MESSAGES:
            return []
        block = parse_block(decode_arrival(record.payload), record.sequence)
        known = [self._by_payload.get(payload, 0) for payload in block.payloads]
        return [n for n, retained in zip(known, block.retained.tolist(), strict=True) if n and not retained]

    def _a_cursor_stands_behind_what_is_settled(self) -> None:
        """Everything below the store's cursor is in the store or in the quarantine, durably."""
        rows = self._ask("SELECT sequence FROM cursor WHERE follower = 'store'")
        if not rows or rows[0][0] <= self._checked:
            return
        settled = self._stored().keys() | self._quarantined().keys()
        for sequence in range(self._checked, rows[0][0]):
            record = self.plant.disk.records.get(sequence)
            if record is None:
                assert self._is_named(sequence), f"record {sequence} is passed over in silence"
            elif sequence not in self.damaged and not self._is_named(sequence):
                missing = set(self._numbers(record)) - settled
                assert not missing, f"the cursor passed {sequence}; {sorted(missing)} are nowhere"
        self._checked = rows[0][0]

    def _is_named(self, sequence: int) -> bool:
        return any(first <= sequence < following for first, following in self.plant.lost)

    # --- in the end -----------------------------------------------------------------------------------

    def at_rest(self) -> bool:
        """Whether all that was sent has been taken and every follower stands at the end."""
        kept, gateway = self.broker.session, self.plant.gateway
        if gateway is None or not self.plant.ready or kept is None or kept.numbers():
            return False
        journal, behind = gateway.journal, self._ask("SELECT sequence FROM cursor")
        pending = self._ask("SELECT count(*) FROM outbox WHERE delivered_ns IS NULL")[0][0]
        messages = [s for s, r in self.plant.disk.records.items() if r.kind is not Kind.TICK]
        last = max(messages, default=-1)
        uptime_told = self.plant.world.now_ns - self.broker.changed_ns > 2 * UPTIME_S * SECOND
        return (
            uptime_told
            and not pending
            and last < journal.next
            and all(position > last for (position,) in behind)
        )

    def sentence(self) -> None:
        """The whole account."""
        self.look()
        self._every_obligation_is_met()
        self._every_loss_is_named()
        if not self.plant.lost and not self.damaged:
            self._alarms_are_those_of_the_journal()
        self._the_outbox_was_told_in_order()

    def _every_obligation_is_met(self) -> None:
        stored, quarantined = self._stored(), self._quarantined()
        excused = set(self.broker.dropped).union(*(lost for _, lost in self.broker.losses))
        excused |= {
            number
            for sequence, record in self.plant.disk.records.items()
            if self._is_named(sequence)
            for number in self._numbers(record)
        }
        for sent in self.sent.values():
            places, reasons = stored.get(sent.number, []), quarantined.get(sent.number, [])
            if sent.number not in self.broker.accepted and sent.number not in self.durable:
                continue
            if not places and not reasons:
                assert sent.number in excused, f"{sent} is lost"
                continue
            unknown = sent.device in self.devices_that_come_and_go and set(reasons) <= {"unknown_device"}
            if sent.fate == "stored":
                assert not reasons or unknown, f"{sent} was refused: {reasons}"
                for series, fields in places:
                    assert f",device={sent.device}," in series, f"{sent} stands under {series}"
                    assert f",supply_voltage={sent.volts:.1f}" in fields, f"{sent} was stored as {fields}"
            else:
                assert not places, f"{sent} was stored"
            times = len(places) + len(reasons)
            assert times == 1 or sent.number in self.broker.sent_twice, f"{sent}: {places} {reasons}"
        assert not self.plant.server.rewritten, self.plant.server.rewritten

    def _every_loss_is_named(self) -> None:
        gap_ns = [at for at, event in self.gaps if event.gap in ("session_lost", "broker_restarted")]
        for lost_ns, numbers in self.broker.losses:
            if numbers - self.durable:
                assert any(at >= lost_ns - SUBSCRIBING_NS for at in gap_ns), (
                    f"{sorted(numbers)} are missing and no gap says so"
                )

    def _alarms_are_those_of_the_journal(self) -> None:
        """Read in one go, in other pieces, by a process that never died: the same transitions and counts."""
        expected, counts = reference(self.plant)
        found = [
            (sequence, msgspec.json.decode(document, type=Alarm))
            for sequence, document in self._ask(
                "SELECT sequence, document FROM transition ORDER BY sequence, rowid"
            )
        ]
        keys, due = {_key(item): item for item in found}, {_key(item): item for item in expected}
        extra = [keys[key] for key in keys.keys() - due.keys()]
        absent = [due[key] for key in due.keys() - keys.keys()]
        assert not extra and not absent, f"alarms nobody should have raised: {extra}; none of: {absent}"
        for item in found:
            assert item == due[_key(item)]
        rows = self._ask("SELECT counts FROM cursor WHERE follower = 'store'")
        kept = msgspec.json.decode(rows[0][0], type=Counts)
        refused = len(self._ask("SELECT DISTINCT sequence, idx FROM quarantine WHERE stage = 'store'"))
        assert kept == counts + Counts(quarantined=refused)

    def _the_outbox_was_told_in_order(self) -> None:
        keys = [key for (key,) in self._ask("SELECT key FROM outbox ORDER BY id")]
        assert len(set(keys)) == len(keys)
        assert {key for key, _ in self.plant.ioc.taken} >= set(
            keys
        )  # delivered rows are forgotten after days
        numbers: dict[str, int] = {}
        for _, body in self.plant.ioc.taken:
            alarm = json.loads(body)["data"]
            assert alarm["transition"] >= numbers.get(alarm["id"], 1), "an older transition came later"
            numbers[alarm["id"]] = alarm["transition"]
        transitions = self._ask("SELECT alarm_id, max(number), count(*) FROM transition GROUP BY alarm_id")
        assert all(newest == count for _, newest, count in transitions), "a transition is missing"
        told = {key for key, _ in self.plant.ioc.taken}
        assert len(told) == sum(count for *_, count in transitions)

    # --- what is where --------------------------------------------------------------------------------

    def _stored(self) -> dict[int, list[tuple[str, str]]]:
        found = defaultdict(list)
        for (series, _), fields in self.plant.server.points.items():
            match = _NUMBER.search(fields)
            assert match and GUILTY not in fields
            found[int(match[1])].append((series.decode(), fields.decode()))
        return found

    def _quarantined(self) -> dict[int, list[str]]:
        found = defaultdict(list)
        for payload, reason in self._ask("SELECT payload, reason FROM quarantine"):
            match = _NUMBER.search(payload)
            number = int(match[1]) if match else self._by_payload.get(payload, 0)
            found[number].append(reason)
        return found

    def _ask(self, question: str) -> list[Any]:
        file = self.plant.directory / "data" / "state.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute(question).fetchall()


def _key(item: tuple[int, Alarm]) -> tuple[str, int]:
    return item[1].id, item[1].transition


def reference(plant: Plant) -> tuple[list[tuple[int, Alarm]], Counts]:
    """Transitions and counts of the whole journal, by followers' code that saw it once from its beginning."""
    records = [plant.disk.records[sequence] for sequence in sorted(plant.disk.records)]
    assert [record.sequence for record in records] == list(range(len(records)))
    load = configuration_loader(plant.directory / "data" / "state.db")

    def named(name: str) -> Configuration:
        content = load(name)
        assert content is not None
        return interpret_once(content, name)

    first = interpret_once(sources(plant.first_lamps).pack(), "")
    translator = Translator(wiring.translation(plant.settings), named, first)
    ledger = Remembered()

    def engine(of: Configuration) -> AlarmEngine:
        return AlarmEngine(of.fleet, [profile.spec for profile in of.profiles])

    def rebuild(old: AlarmEngine, control: Any) -> AlarmEngine:
        new = engine(named(control.hash))
        new.restore(old.snapshot())
        return new

    follower = AlarmFollower(
        engine(first),
        ledger,
        position=0,
        counts=Counts(),
        rebuild=rebuild,
        observe=lambda run: None,
        clock=plant.clock,
        snapshot_s=1e9,
    )
    at = 0
    while at < len(records):
        size = int(np.clip(plant.world.rng.expovariate(1 / 50), 1, 500))
        work = follower.take([translator.translate(records[at : at + size])])
        with suppress(StopIteration):
            work.send(None)
        at += size
    return ledger.transitions, follower.counts
