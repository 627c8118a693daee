"""What one transaction of state.db must hold together (D8). In: effects of the followers. Out: commits.

Composes the functions of ``state``; holds no SQL of its own and decides nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from gateway.alarms import Alarm, Fault
from gateway.clock import Clock
from gateway.failpoints import Failpoint, passing
from gateway.model import Counts, Reject, SessionEvent, rfc3339
from gateway.notify.courier import Backlog
from gateway.state import alarms, audit, configurations, cursors, facts, faults, outbox, quarantine
from gateway.state.database import StateDatabase
from gateway.telling import Teller

EPOCH = "epoch"
"""Fact: the last epoch of the MQTT session that began."""

DROPPED = "dropped"
"""Fact: how many messages the broker had dropped when it was last asked."""

LOSS = "loss"
"""Fact, with a sequence: damaged records that begin there are named in the journal."""

BELIEVED = "believed_time"
"""Fact: the wall time up to which history may be let go."""

DAY_NS = 86_400 * 1_000_000_000
DELIVERED_KEEP_NS = 7 * DAY_NS
FORGOTTEN_MAX = 500
"""Alarms, faults and entries forgotten with one snapshot at most: a commit stays short."""


def believed_ns(connection: sqlite3.Connection, wall_ns: int, elapsed_ns: int) -> int:
    """Wall time to forget by, ``elapsed_ns`` after it was last asked for.

    A clock that jumps ahead would let go of years in an instant and for good; so this follows it
    at twice our own pace at most. After a stop it lags by as much, and history is kept a little longer.
    """
    known_ns = facts.get(connection, BELIEVED)
    if known_ns is None or wall_ns > known_ns:
        known_ns = wall_ns if known_ns is None else min(wall_ns, known_ns + 2 * elapsed_ns)
        facts.put(connection, BELIEVED, known_ns)
    return min(wall_ns, known_ns)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is over is kept, in days. What stands is kept for ever."""

    alarms_days: int = 400
    audit_days: int = 1830

    def forget(self, connection: sqlite3.Connection, now_ns: int) -> None:
        """Delete what is older, whole days at a time; leaving the audit trail is written in it."""
        today_ns = now_ns - now_ns % DAY_NS
        over_ns, limit = today_ns - self.alarms_days * DAY_NS, FORGOTTEN_MAX
        alarms.forget(connection, over_before_ns=over_ns, limit=limit)
        faults.forget(connection, ended_before_ns=over_ns, limit=limit)
        kept_from_ns = today_ns - self.audit_days * DAY_NS
        if gone := audit.forget(connection, before_ns=kept_from_ns, limit=limit):
            until = f"{gone} entries from before {rfc3339(kept_from_ns)}"
            audit.append(connection, audit.Entry(now_ns, "gateway", "trim", "audit", until))


class SqliteAlarmLedger:
    """Cursor, transitions, outbox and snapshot of the alarm follower."""

    def __init__(
        self,
        database: StateDatabase,
        teller: Teller,
        clock: Clock,
        wake: Callable[[], None],
        retention: Retention | None = None,
    ) -> None:
        self._retention = retention or Retention()
        self._database = database
        self._teller = teller
        self._clock = clock
        self._wake = wake
        self._forgot_ns = clock.elapsed_ns()

    async def commit(
        self,
        transitions: Sequence[tuple[int, Alarm]],
        position: int,
        counts: Counts,
        snapshot: bytes | None,
        repairs: Sequence[tuple[int, Fault]] = (),
    ) -> None:
        now_ns = self._clock.wall_ns()

        def work(connection: sqlite3.Connection) -> bool:
            new: list[tuple[int, Alarm | Fault]] = [
                (sequence, alarm)
                for sequence, alarm in transitions
                if alarms.record(connection, [(sequence, alarm)])
            ]
            new += [
                (sequence, fault)
                for sequence, fault in repairs
                if faults.record(connection, [(sequence, fault)])
            ]
            new.sort(key=itemgetter(0))  # of one record the alarms before their faults
            told = self._teller.tell(connection, [one for _, one in new], now_ns)
            cursors.move(connection, "alarm", position, counts)
            if snapshot is not None:
                cursors.put_snapshot(connection, "alarm", position, snapshot)
                passing(Failpoint.SNAPSHOT)
                self._forget(connection, now_ns)
            return bool(told)

        if await self._database.transact(work):
            passing(Failpoint.RECORDED)
            self._wake()

    def _forget(self, connection: sqlite3.Connection, wall_ns: int) -> None:
        elapsed_ns = self._clock.elapsed_ns()
        now_ns = believed_ns(connection, wall_ns, elapsed_ns - self._forgot_ns)
        self._forgot_ns = elapsed_ns
        outbox.forget(connection, delivered_before_ns=now_ns - DELIVERED_KEEP_NS)
        self._retention.forget(connection, now_ns)


class SqliteStoreLedger:
    """Quarantine and cursor of the store follower."""

    def __init__(self, database: StateDatabase, *, payload_bytes_max: int, bytes_max: int) -> None:
        self._database = database
        self._bounds = {"payload_bytes_max": payload_bytes_max, "bytes_max": bytes_max}

    async def commit(self, rejects: Sequence[Reject], position: int, counts: Counts) -> None:
        def work(connection: sqlite3.Connection) -> None:
            quarantine.add(connection, rejects, **self._bounds)
            cursors.move(connection, "store", position, counts)

        await self._database.transact(work)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a restart goes on. ``snapshot`` and positions as the last process left them."""

    epoch: int
    dropped: int | None
    alarm: tuple[int, Counts]
    snapshot: tuple[int, bytes] | None
    store: tuple[int, Counts] | None
    timeline: list[tuple[int, str]]
    floor: int


async def read_start(database: StateDatabase) -> Start:
    """Everything the followers and ingest must know before they begin."""

    def work(connection: sqlite3.Connection) -> Start:
        return Start(
            epoch=facts.get(connection, EPOCH) or 0,
            dropped=facts.get(connection, DROPPED),
            alarm=cursors.read(connection, "alarm") or (0, Counts()),
            snapshot=cursors.read_snapshot(connection, "alarm"),
            store=cursors.read(connection, "store"),
            timeline=configurations.timeline(connection),
            floor=max(cursors.positions(connection).values(), default=0),
        )

    return await database.transact(work)


async def note(database: StateDatabase, event: SessionEvent) -> None:
    """What the next start must know of it: the last epoch, the broker's count of dropped messages."""
    fact, value = EPOCH, event.epoch
    if event.event == "dropped":
        fact, value = DROPPED, int(event.detail)
    if event.event in {"connected", "dropped"}:
        await database.transact(lambda connection: facts.put(connection, fact, value))


async def is_loss_named(database: StateDatabase, sequence: int) -> bool:
    """Whether the journal says already that its records from ``sequence`` on are damaged."""
    return await database.transact(lambda c: facts.get(c, f"{LOSS} {sequence}") is not None)


async def put_loss_named(database: StateDatabase, sequence: int) -> None:
    """The journal says so now."""
    await database.transact(lambda c: facts.put(c, f"{LOSS} {sequence}", 1))


async def put_configuration(database: StateDatabase, content: bytes, created_ns: int) -> str:
    """Keep packed sources; their hash."""
    return await database.transact(
        lambda connection: configurations.put(connection, "sources", content, created_ns=created_ns)
    )


async def put_in_force(database: StateDatabase, sequence: int, name: str) -> None:
    """Journal record ``sequence`` put ``name`` in force."""
    await database.transact(lambda connection: configurations.put_in_force(connection, sequence, name))


def configuration_loader(file: Path) -> Callable[[str], bytes | None]:
    """Packed sources by hash, read at once: translators can not wait for the state thread."""

    def load(name: str) -> bytes | None:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return configurations.get(connection, name)

    return load


class SqliteOutbox:
    """The outbox as couriers see it."""

    def __init__(self, database: StateDatabase) -> None:
        self._transact = database.transact

    async def due(self, recipient: str, *, now_ns: int, limit: int) -> list[outbox.DueRow]:
        return await self._transact(lambda c: outbox.due(c, recipient, now_ns=now_ns, limit=limit))

    async def delivered(self, ids: Sequence[int], *, at_ns: int) -> None:
        await self._transact(lambda c: outbox.delivered(c, ids, at_ns=at_ns))

    async def postponed(self, row: int, *, next_attempt_ns: int) -> None:
        await self._transact(lambda c: outbox.postponed(c, row, next_attempt_ns=next_attempt_ns))

    async def failed(self, row: int, *, reason: str) -> None:
        await self._transact(lambda c: outbox.failed(c, row, reason=reason))

    async def backlog(self, recipient: str) -> Backlog:
        waiting = await self._transact(lambda c: outbox.backlog(c, recipient))
        return Backlog(waiting.pending, waiting.oldest_ns)
