"""What comes into a worker's journal. In: orders of the ingest process. Out: durable records, answers.

Stands where a gateway of its own has its ``Intake``. Decides nothing; ends when the ingest process does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import ledger
from gateway.clock import Clock
from gateway.data_directory import DataDirectory
from gateway.failpoints import Failpoint, passing
from gateway.ingest.options import IngestFigures
from gateway.intake import past_contact, tail
from gateway.journal.record import Kind, Record, decode_arrival, decode_session, encode_arrival
from gateway.journal.segments import SegmentJournal
from gateway.link import Again, Append, Configure, Hello, Link, Messages, Order, Report, Vitals, identity
from gateway.system_clock import boot_id
from gateway.troubles import Facts

REPORT_S: Final = 0.5
NEWEST_MAX: Final = 64
"""Identities told at the start. One block and one event at most were on their way when a worker ended."""

_UNKNOWN: Final = IngestFigures("stopped", 0, False, False, 0, 0, 0, 0, 0, 0, "")


@dataclass(frozen=True)
class Feed:
    """The ingest process, as a worker has it. ``over`` is set when it is gone."""

    link: Link
    sources: bytes
    over: asyncio.Event = field(default_factory=asyncio.Event)


class FedIntake:
    """Appends what it is told, and says how the worker is."""

    def __init__(
        self, feed: Feed, files: DataDirectory, clock: Clock, figures: Callable[[], Awaitable[dict[str, Any]]]
    ) -> None:
        self._feed = feed
        self._files = files
        self._clock = clock
        self._read_figures = figures
        self._vitals = Vitals(_UNKNOWN, {})

    def figures(self) -> IngestFigures:
        """As the ingest process said last."""
        return self._vitals.ingest

    def vitals(self) -> dict[str, Any]:
        """What the heartbeat says of the whole gateway."""
        return self._vitals.heartbeat

    async def receive(self) -> None:
        """Until the ingest process is gone, or ``stop``."""
        journal, clock = self._files.journal, self._clock
        age_s = past_contact(journal).age_s(
            wall_ns=clock.wall_ns(), elapsed_ns=clock.elapsed_ns(), boot_id=boot_id()
        )
        newest = newest_identities(journal)
        start = self._files.start
        self._feed.link.tell(Hello(start.epoch, start.dropped, age_s, clock.elapsed_ns(), newest))
        await self._feed.link.serve(self._carry_out)
        self._feed.over.set()

    def stop(self) -> None:
        """Take nothing more."""
        self._feed.link.shut()

    def works(self, facts: Callable[[], Facts]) -> list[Coroutine[Any, Any, None]]:  # noqa: ARG002
        """What goes on beside ``receive``, for ever; ticks come with the orders."""
        return [self._report()]

    def replaying(self) -> UpwardJournal:
        """The journal as orders see it: a replayed message goes where its device belongs now."""
        return UpwardJournal(self._files.journal, self._feed.link)

    async def _carry_out(self, order: Order) -> None:
        match order:
            case Messages(arrival):
                passing(Failpoint.RECEIVED)
                await self._files.journal.append(Kind.MESSAGES, [encode_arrival(arrival)])
                passing(Failpoint.APPENDED)
            case Append(kind, payload):
                if kind == Kind.SESSION:
                    await ledger.note(self._files.database, decode_session(payload))
                await self._files.journal.append(Kind(kind), [payload])
            case Configure(sources):
                await self._files.put_in_force(sources)
            case Vitals():
                self._vitals = order

    async def _report(self) -> None:
        while True:
            self._feed.link.tell(Report(await self._read_figures()))
            await asyncio.sleep(REPORT_S)


class UpwardJournal:
    """A worker's ``Journal``, but for message blocks: the ingest process divides them among all workers."""

    def __init__(self, journal: SegmentJournal, link: Link) -> None:
        self._journal = journal
        self._link = link
        self.wait, self.trim, self.close = journal.wait, journal.trim, journal.close

    @property
    def first(self) -> int:
        return self._journal.first

    @property
    def next(self) -> int:
        return self._journal.next

    async def append(self, kind: Kind, payloads: Sequence[bytes]) -> int:
        """As the worker's journal; of message blocks the sequence says nothing."""
        if kind is not Kind.MESSAGES:
            return await self._journal.append(kind, payloads)
        await self._link.ask(Again(tuple(decode_arrival(payload) for payload in payloads)))
        return self._journal.next - 1

    def read(self, sequence: int, *, bytes_max: int) -> list[Record]:
        return self._journal.read(sequence, bytes_max=bytes_max)


def newest_identities(journal: SegmentJournal) -> tuple[bytes, ...]:
    """Of the newest blocks and session events; replayed blocks may come twice and are left out."""
    kinds = {Kind.MESSAGES, Kind.SESSION}
    found = deque((record for record in tail(journal) if record.kind in kinds), maxlen=NEWEST_MAX)
    orders: list[Messages | Append] = []
    for record in found:
        if record.kind is Kind.SESSION:
            orders.append(Append(Kind.SESSION, record.payload))
        elif not (arrival := decode_arrival(record.payload)).replayed:
            orders.append(Messages(arrival))
    return tuple(identity(order) for order in orders)
