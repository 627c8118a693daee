"""What the simulation found, each as small as it can be shown."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from scenario import quiet
from scripted_broker import Broker
from simulated_gateway import LAMPS, Plant, interpret_once, sources
from virtual_time import SimulatedClock, World

from gateway.alarm.engine import AlarmEngine
from gateway.configuration import Configurations
from gateway.decode.redelivery import Redelivery
from gateway.errors import JournalCorrupt, JournalError
from gateway.followers import AlarmFollower, StoreFollower
from gateway.ingest.contact import UNKNOWN_AGE_S, Contact, Moment, PastContact
from gateway.ingest.mqtt import Mqtt5Reception
from gateway.ingest.options import IngestOptions
from gateway.ingest.packets import encode_publish, parse_block
from gateway.ingest.session import Tell
from gateway.journal import opening
from gateway.journal.record import Kind, Record, encode_arrival, encode_control, encode_session, encode_tick
from gateway.journal.segments import SegmentJournal
from gateway.model import Arrival, Control, Counts, Run, SessionEvent, Tick
from gateway.notify.dispatch import OutboxRow
from gateway.reader import Reader
from gateway.state import cursors, outbox
from gateway.state.database import connect
from gateway.translation import TranslationOptions, Translator

S = 1_000_000_000
WALL_NS = 1_790_000_000 * S
BOOT = bytes(16)
OPTIONS = TranslationOptions(
    "city/<area>/<class>/<device>/up", "city/<area>/<class>/<device>/status", 4096, 100
)
YEAR_NS = 365 * 86_400 * S


def at(seconds: float) -> Moment:
    return Moment(WALL_NS + int(seconds * S), int(seconds * S))


def reading(number: int, *, ts_ms: int | None = None, packet_id: int = 1, duplicate: bool = False) -> bytes:
    time = "" if ts_ms is None else f'"ts": {ts_ms}, '
    payload = f'{{{time}"n": {number}, "u": 230}}'.encode()
    topic = f"city/hoa-phu/lamp/{LAMPS[1]}/up"
    return encode_publish(topic, payload, qos=1, packet_id=packet_id, duplicate=duplicate)


def messages(sequence: int, packets: bytes, epoch: int = 1) -> Record:
    arrival = Arrival(packets, 1, WALL_NS + sequence * S, epoch)
    return Record(sequence, Kind.MESSAGES, encode_arrival(arrival))


def uptime(contact: Contact, seconds: int, now: Moment) -> list[str]:
    return [event.event for event in contact.uptime_came(b"%d seconds" % seconds, now, retained=False)]


# --- ingest -------------------------------------------------------------------------------------------


async def test_a_gap_is_told_later_if_the_journal_fails_between_the_connection_and_it() -> None:
    """The next connection finds a session, so nobody else would ever tell."""
    contact = Contact(epoch=1, session_expected=True, contact_age_s=None, now=at(0))
    told: list[SessionEvent] = []
    broken = True

    async def event(one: SessionEvent) -> None:
        if broken:
            raise JournalError("the disk is full")
        told.append(one)

    class Clock:
        wall_ns = elapsed_ns = monotonic_ns = lambda self: S

    options = IngestOptions(host="broker", port=1883, topics=("city/#",))
    commit: Any = None
    reception = Mqtt5Reception(options, contact=contact, clock=Clock(), commit=commit, event=event)
    effects = [Tell(one) for one in contact.opened(session_present=False, now=at(1))]
    assert len(effects) == 2
    link: Any = type("Over", (), {"over": False})()
    with pytest.raises(JournalError):
        await reception._carry_out(link, effects)  # type: ignore[arg-type]

    broken = False
    await reception._tell([])
    assert [one.gap or one.event for one in told] == ["session_lost", "connected"]


def test_a_connection_too_short_to_hear_the_uptime_leaves_the_contact_before_it_in_doubt() -> None:
    contact = Contact(epoch=1, session_expected=True, contact_age_s=None, now=at(0))
    contact.opened(session_present=True, now=at(0))
    assert uptime(contact, 5000, at(1)) == ["uptime"]
    contact.lost("cut", at(10))
    contact.opened(session_present=True, now=at(20))  # killed at 12, up again at 15
    contact.lost("cut", at(22))
    contact.opened(session_present=True, now=at(30))
    assert uptime(contact, 20, at(35)) == ["gap", "uptime"]


@pytest.mark.parametrize("judged", [False, True])
def test_so_does_a_process_that_ended_before_it_heard_the_uptime(judged: bool) -> None:
    past = PastContact()
    past.take(Tick(WALL_NS, 100 * S, BOOT, True, True))
    past.take(SessionEvent(2, "connected", WALL_NS, session_present=True))
    if judged:
        past.take(SessionEvent(2, "uptime", WALL_NS))
    past.take(Tick(WALL_NS, 120 * S, BOOT, True, True))
    age_s = past.age_s(wall_ns=WALL_NS, elapsed_ns=130 * S, boot_id=BOOT)
    assert age_s == (10.0 if judged else 30.0)


def test_the_age_of_the_last_contact_does_not_follow_a_wall_clock_that_was_set_back() -> None:
    past = PastContact()
    past.take(Tick(WALL_NS, 100 * S, BOOT, True, True))
    assert past.age_s(wall_ns=WALL_NS - YEAR_NS, elapsed_ns=160 * S, boot_id=BOOT) == 60.0
    assert past.age_s(wall_ns=WALL_NS + 70 * S, elapsed_ns=S, boot_id=b"another boot id.") == 70.0
    assert past.age_s(wall_ns=WALL_NS - S, elapsed_ns=S, boot_id=b"another boot id.") == UNKNOWN_AGE_S


def test_a_gap_is_durable_before_what_would_hide_it_from_the_next_start() -> None:
    contact = Contact(epoch=1, session_expected=True, contact_age_s=100, now=at(0))
    opened = contact.opened(session_present=False, now=at(1))
    assert [event.event for event in opened] == ["gap", "connected"]
    assert uptime(contact, 3, at(4)) == ["gap", "uptime"]


# --- journal and reading ------------------------------------------------------------------------------


async def test_what_a_killed_process_did_not_sync_is_synced_before_it_is_read(tmp_path: Path) -> None:
    journal = SegmentJournal(tmp_path)
    await journal.append(Kind.TICK, [encode_tick(Tick(0, 0, BOOT, True, True))])
    await journal.close()
    synced: list[int] = []
    with patch.object(opening.os, "fsync", side_effect=synced.append):
        again = SegmentJournal(tmp_path)
    await again.close()
    assert synced and again.opening.next == 1


class Damaged:
    """A journal of 30 ticks whose records 5 to 24 can not be read since ``broken``."""

    first, next = 0, 30
    broken = False

    async def wait(self, sequence: int) -> None:
        return

    def read(self, sequence: int, *, bytes_max: int) -> list[Record]:
        if self.broken and 5 <= sequence < 25:
            raise JournalCorrupt("0.segment", 0, sequence, "gone", resume=25)
        payload = encode_tick(Tick(sequence, sequence, BOOT, True, True))
        return [Record(n, Kind.TICK, payload) for n in range(sequence, min(sequence + 5, self.next))]


async def test_a_follower_that_meets_damage_goes_on_where_the_others_chunks_begin() -> None:
    """It ended in the middle of a kept chunk and left out the rest of it, without a word."""
    journal: Any = Damaged()
    configuration = interpret_once(sources(LAMPS).pack(), "")
    translator = Translator(OPTIONS, lambda name: configuration, configuration)
    with patch("gateway.reader.RECENT_CHUNKS_MAX", 3):
        reader = Reader(journal, lambda sequence: translator, 0)
        position = 0
        while position < 30:
            position = (await reader.read("front", position, 5))[-1].next
    journal.broken = True
    seen, position = [], 0
    while position < 30:
        for chunk in await reader.read("behind", position, 5):
            assert chunk.first == position
            seen.append((chunk.first, chunk.next))
            position = chunk.next
    assert seen[0] == (0, 5)
    assert seen[1][1] < 25


def test_a_reading_of_the_same_instant_stays_another_one_across_a_reload() -> None:
    one, two = interpret_once(sources(LAMPS).pack(), "one"), interpret_once(sources(LAMPS[1:]).pack(), "two")
    translator = Translator(OPTIONS, {"one": one, "two": two}.__getitem__, one)
    reload = Record(1, Kind.CONTROL, encode_control(Control("configuration", 0, "two")))
    chunk = translator.translate([messages(0, reading(1, ts_ms=WALL_NS // 10**6)), reload])
    later = translator.translate([messages(2, reading(2, ts_ms=WALL_NS // 10**6, packet_id=2))])
    times = [
        int(part.batches[0].time_ns[0]) for part in (*chunk.parts, *later.parts) if isinstance(part, Run)
    ]
    assert times == [WALL_NS, WALL_NS + 1]


def test_a_new_session_gives_ids_anew_so_nothing_in_it_is_a_redelivery() -> None:
    redelivery = Redelivery()
    first = parse_block(Arrival(reading(1), 1, 0, 1), 0)
    again = parse_block(Arrival(reading(1, duplicate=True), 1, 0, 2), 1)
    assert redelivery.mark(first, 1).tolist() == [False]
    redelivery.session_began()
    assert redelivery.mark(again, 2).tolist() == [False]


def test_the_translator_forgets_ids_where_the_journal_says_the_session_was_new() -> None:
    configuration = interpret_once(sources(LAMPS).pack(), "")

    def redelivered(*, present: bool) -> int:
        translator = Translator(OPTIONS, lambda name: configuration, configuration)
        event = encode_session(SessionEvent(2, "connected", 0, session_present=present))
        records = [messages(0, reading(1)), Record(1, Kind.SESSION, event)]
        records.append(messages(2, reading(1, duplicate=True), epoch=2))
        return translator.translate(records).counts.redelivered

    assert (redelivered(present=True), redelivered(present=False)) == (1, 0)


def test_the_journal_is_kept_for_every_follower_from_the_first_moment(tmp_path: Path) -> None:
    """Without a snapshot the alarms can only be rebuilt from the beginning, which could be trimmed away."""
    world = World(1)
    plant = Plant(world, tmp_path, Broker(world, queue_max=10, window=10))
    with plant.patched(), quiet():
        plant.start()
        while not plant.ready:
            world.step()
        plant.kill()
    connection = connect(tmp_path / "data" / "state.db")
    assert set(cursors.positions(connection)) == {"alarm", "store"}
    assert cursors.read_snapshot(connection, "alarm") is not None
    connection.close()


class Failing:
    """A state.db whose first commit fails, or is cancelled before it began."""

    def __init__(self) -> None:
        self.failed = False
        self.written: list[Any] = []

    async def commit(self, effects: Any, position: int, counts: Counts, *snapshot: Any) -> None:
        if not self.failed:
            self.failed = True
            raise sqlite3.OperationalError("database or disk is full")
        self.written += effects


async def test_what_a_failed_commit_did_not_write_is_written_by_the_next() -> None:
    """The commit at shutdown moved cursor and snapshot past effects that nobody had written."""
    configuration = interpret_once(sources(LAMPS).pack(), "")
    configurations = Configurations(lambda name: sources(LAMPS).pack(), [(0, "one")])
    translator = Translator(OPTIONS, lambda name: configuration, configuration)
    gap = Record(0, Kind.SESSION, encode_session(SessionEvent(1, "gap", WALL_NS, gap="session_lost")))
    chunk = translator.translate([gap, messages(1, encode_publish("city/nobody", b"?", qos=1, packet_id=9))])
    clock: Any = SimulatedClock(World(1), WALL_NS)
    state, quarantine = Failing(), Failing()
    engine = AlarmEngine(configuration.fleet, [profile.spec for profile in configuration.profiles])
    alarms = AlarmFollower(
        engine,
        state,
        position=0,
        counts=Counts(),
        rebuild=lambda engine, control: engine,
        observe=lambda run: None,
        clock=clock,
        snapshot_s=30,
    )
    store: Any = type("Store", (), {"owns_cursor": False})()
    stored = StoreFollower(
        store, quarantine, position=0, counts=Counts(), configurations=configurations, clock=clock
    )
    for follower in (alarms, stored):
        with pytest.raises(sqlite3.OperationalError):
            await follower.take([chunk])
    await alarms.commit(snapshot=True)
    await stored.commit()
    assert [alarm.transition for _, alarm in state.written] == [1, 2]
    assert [reject.reason for reject in quarantine.written] == ["foreign_topic"]


# --- outbox -------------------------------------------------------------------------------------------


def test_a_wall_clock_set_back_by_years_does_not_hold_back_what_was_postponed(tmp_path: Path) -> None:
    connection = connect(tmp_path / "state.db")
    row = OutboxRow("ioc", "alarm", 1, "alarm-1", "", "application/json", b"{}", False)
    outbox.add(connection, [row], created_ns=WALL_NS)
    (due,) = outbox.due(connection, "ioc", now_ns=WALL_NS, limit=10)
    outbox.postponed(connection, due.id, next_attempt_ns=WALL_NS + 60 * S)
    assert outbox.due(connection, "ioc", now_ns=WALL_NS + 59 * S, limit=10) == []
    assert len(outbox.due(connection, "ioc", now_ns=WALL_NS + 60 * S, limit=10)) == 1
    assert len(outbox.due(connection, "ioc", now_ns=WALL_NS - YEAR_NS, limit=10)) == 1
    connection.close()
