"""Killed and started again anywhere: the same ids, no second raise, no missing clear, hold times go on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
import pytest
from district import LUMINAIRE, MINUTE, fleet, local, run, tick
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.engine import AlarmEngine
from gateway.alarm.ledger import alarm_id
from gateway.followers import AlarmFollower, unpack_snapshot
from gateway.ledger import SqliteAlarmLedger
from gateway.model import Chunk, Control, Counts, SessionEvent
from gateway.notify.places import Places
from gateway.notify.recipient import Recipient
from gateway.state import cursors
from gateway.state.database import migrate, transact
from gateway.state.schema import MIGRATIONS
from gateway.telling import Teller

T = TypeVar("T")
NIGHT = local("2026-11-20 20:00")
IOC = Recipient(name="ioc", kind="mqtt", source="urn:citylight:test")
DUTY = Recipient(name="duty", kind="webhook", source="urn:citylight:test", format="cap", digest=True)
TELLER = Teller([IOC, DUTY], lambda: Places(fleet()))
OVER_VOLTAGE = alarm_id("LP1", "supplyVoltageTooHigh", NIGHT + 10 * MINUTE)
LAMP = alarm_id("LP3", "lampFailure", NIGHT + 20 * MINUTE)


class Killed(Exception):
    """The process ends here."""


class Disk:
    """state.db without its thread: what a transaction commits is there after a kill, the rest is not."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.connection, MIGRATIONS)
        self.killed_in_transaction = False

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def dying(connection: sqlite3.Connection) -> T:
            result = work(connection)
            if self.killed_in_transaction:
                raise Killed
            return result

        return transact(self.connection, dying)

    def contents(self) -> dict[str, list[Any]]:
        """All that people were or will be told, and what is remembered of it."""
        tables = {
            "alarm": "alarm_id",
            "transition": "alarm_id, number",
            "fault": "fault_id",
            "fault_transition": "fault_id, number",
            "outbox": "id",
        }
        told = {name: self.connection.execute(f"SELECT * FROM {name} ORDER BY {by}").fetchall()
                for name, by in tables.items()}  # fmt: skip
        told["outbox"] = [row[1:9] for row in told["outbox"]]  # ids may have holes
        return told


class Clock:
    def wall_ns(self) -> int:
        return NIGHT

    monotonic_ns = elapsed_ns = wall_ns


def volts(minute: float, value: float) -> Any:
    return lambda n: run(
        {"device": 1, "time": NIGHT + round(minute * MINUTE), "supply_voltage": value}, sequence=n
    )


def watts(minute: float, value: float) -> Any:
    return lambda n: run(
        {"device": 3, "time": NIGHT + round(minute * MINUTE), "active_power": value}, sequence=n
    )


def alive(minute: float) -> Any:
    """All devices report; the third falls silent after half an hour."""
    time_ns = NIGHT + round(minute * MINUTE) + 1
    heard = [device for device in range(4) if device != 2 or minute < 30]
    return lambda n: run(
        *({"device": d, "time": time_ns, "controller_temperature": 40.0} for d in heard), sequence=n
    )


def order(kind: str, minute: float, /, **body: Any) -> Control:
    return Control(kind, NIGHT + round(minute * MINUTE), body={"by": "An", "comment": "đã xem", **body})


def at(minute: float) -> Any:
    return tick(NIGHT + round(minute * MINUTE))


def journal() -> list[Any]:
    """A busy evening: holds that run across everything, acts, a window, silence, a repair with its ticket."""
    window = {"id": "w1", "kind": "out_of_service", "scope": "feeder:F-live"}
    hours = {"from_ns": NIGHT + 40 * MINUTE, "to_ns": NIGHT + 50 * MINUTE}
    events = [
        (10, volts(10, 270.0)),
        (10.5, volts(10.5, 270.0)),
        (11, volts(11, 271.0)),  # held for a minute: raised
        (12, order("acknowledge", 12, alarm=OVER_VOLTAGE)),
        (14, volts(14, 230.0)),
        (20, watts(20, 0.4)),
        (25, watts(25, 0.4)),  # the second sample: raised
        (26, order("ticket", 26, alarm=LAMP, number="SC-1", crew="Đội 3")),
        (27, order("shelve", 27, alarm=LAMP, until_ns=NIGHT + 35 * MINUTE)),
        (28, order("comment", 28, alarm="nobody's")),
        (30, SessionEvent(3, "gap", NIGHT + 30 * MINUTE, gap="session_lost")),
        (31, order("window", 31, **window, **hours)),
        (42, volts(42, 275.0)),
        (44, volts(44, 275.0)),
        (52, order("ticket", 52, alarm=LAMP, closed_ns=NIGHT + 51 * MINUTE)),
        (70, watts(70, 99.0)),  # lit and healthy: the clock stops
        (71, order("ticket", 71, alarm=LAMP, cause="hỏng driver")),
        (80, volts(80, 230.0)),
    ]
    events += [(quarter, alive(quarter)) for quarter in range(0, 110, 15)]
    ticks = [(float(minute), at(minute)) for minute in range(0, 110, 2)]
    ordered = sorted([*events, *ticks], key=lambda item: item[0])
    return [part(n) if callable(part) else part for n, (_, part) in enumerate(ordered)]


JOURNAL = journal()


def chunk(first: int, end: int) -> Chunk:
    return Chunk(first, end, tuple(JOURNAL[first:end]), tuple(range(first, end)))


class Process:
    """The alarm follower of one life, begun from what the last one left on disk."""

    def __init__(self, disk: Disk) -> None:
        kept = cursors.read_snapshot(disk.connection, "alarm")
        engine, counts, position = AlarmEngine(fleet(), [LUMINAIRE]), Counts(), 0
        if kept is not None:
            position, content = kept
            counts, snapshot = unpack_snapshot(content)
            engine.restore(snapshot)
        self.follower = AlarmFollower(
            engine,
            SqliteAlarmLedger(disk, TELLER, Clock(), lambda: None),  # type: ignore[arg-type]
            position=position,
            counts=counts,
            rebuild=lambda engine, _: engine,
            observe=lambda _: None,
            clock=Clock(),
            snapshot_s=1e9,
        )


async def live(disk: Disk, lives: Sequence[tuple[list[int], str]]) -> bytes:
    """Each life takes stretches of these lengths and ends as told; a last one goes on to the end."""
    for lengths, ending in lives:
        follower = Process(disk).follower
        for length in lengths:
            if follower.position < len(JOURNAL):
                end = min(follower.position + length, len(JOURNAL))
                await follower.take([chunk(follower.position, end)])
        if ending == "snapshot":
            await follower.commit(snapshot=True)
        if ending == "killed while writing":
            disk.killed_in_transaction = True
            with pytest.raises(Killed):
                await follower.commit(snapshot=True)
            disk.killed_in_transaction = False
    follower = Process(disk).follower
    if follower.position < len(JOURNAL):
        await follower.take([chunk(follower.position, len(JOURNAL))])
    await follower.commit(snapshot=False)
    return follower.engine.snapshot()


@cache
def one_life() -> tuple[dict[str, list[Any]], bytes]:
    disk = Disk()
    memory = asyncio.run(live(disk, []))
    return disk.contents(), memory


def test_the_evening_holds_what_it_is_meant_to_test() -> None:
    told, _ = one_life()
    events = [(row[3], msgspec.json.decode(row[4])["state"]) for row in told["transition"]]
    assert {event for event, _ in events} == {"raised", "updated", "acknowledged", "cleared"}
    assert {"shelved", "out_of_service", "returned", "normal"} <= {state for _, state in events}
    faults = [msgspec.json.decode(row[3])["event"] for row in told["fault_transition"] if row[0] == LAMP]
    assert faults == ["opened", "updated", "updated", "verified", "updated"]
    assert len(told["outbox"]) > 20


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 40), max_size=4),
            st.sampled_from(["snapshot", "killed", "killed while writing"]),
        ),
        max_size=6,
    )
)
def test_killed_anywhere_it_tells_the_same_once(lives: list[tuple[list[int], str]]) -> None:
    disk = Disk()
    memory = asyncio.run(live(disk, lives))
    assert (disk.contents(), memory) == one_life()
    disk.connection.close()
