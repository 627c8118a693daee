"""What comes into the journal. In: the MQTT session's messages and events, ticks. Out: durable records.

Decides nothing about them; an append that fails is not acknowledged by whoever asked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from gateway import ledger, wiring
from gateway.clock import Clock
from gateway.errors import JournalCorrupt, JournalError
from gateway.ingest.contact import Contact, Moment, PastContact
from gateway.ingest.options import IngestFigures
from gateway.journal.record import (
    Kind,
    Record,
    decode_session,
    decode_tick,
    encode_arrival,
    encode_control,
    encode_session,
    encode_tick,
)
from gateway.journal.segments import SegmentJournal
from gateway.model import Arrival, SessionEvent, Tick
from gateway.sections import Settings
from gateway.state.database import StateDatabase
from gateway.system_clock import boot_id
from gateway.troubles import Facts, Troubles

log = logging.getLogger("citylight.intake")

HOUSE_S = 1.0
TAIL_RECORDS = 4096
"""How far back a start looks for the last sign of contact with the broker."""

READ_BYTES = 1 << 20


class Intake:
    """The session with the devices' broker, and the ticks that journal time is made of."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        *,
        journal: SegmentJournal,
        database: StateDatabase,
        last_epoch: int,
        dropped: int | None,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._database = database
        self._clock = clock
        self._tick_s = settings.alarms.tick_s
        now = Moment(clock.wall_ns(), clock.monotonic_ns())
        past = past_contact(journal)
        contact = Contact(
            epoch=last_epoch + 1,
            # The embedded broker forgets every session when it ends, and it ends with the gateway.
            session_expected=last_epoch > 0 and bool(settings.mqtt.url),
            contact_age_s=past.age_s(wall_ns=now.wall_ns, elapsed_ns=clock.elapsed_ns(), boot_id=boot_id()),
            now=now,
            dropped=dropped,
        )
        self._reception = wiring.reception(
            settings,
            url,
            contact=contact,
            clock=clock,
            commit=self._commit,
            event=self._event,
            obstacle=lambda: journal.failure or journal.full,
        )
        self._troubles = Troubles(store_away_s=settings.store.away_s)

    def figures(self) -> IngestFigures:
        return self._reception.figures()

    async def receive(self) -> None:
        """Until ``stop``."""
        await self._reception.run()

    def works(self, facts: Callable[[], Facts]) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside ``receive``, for ever."""
        return [self.tick(), self.watch(facts)]

    def vitals(self) -> dict[str, Any]:
        """What the heartbeat says beside the figures of this process: nothing."""
        return {}

    def replaying(self) -> SegmentJournal:
        """The journal as orders see it."""
        return self._journal

    def stop(self) -> None:
        """Make durable and acknowledge what has come, then disconnect."""
        self._reception.stop()

    async def tick(self) -> None:
        """A tick every ``tick_s``, for ever."""
        boot = boot_id()
        while True:
            figures = self.figures()
            wall_ns, elapsed_ns = self._clock.wall_ns(), self._clock.elapsed_ns()
            tick = Tick(wall_ns, elapsed_ns, boot, figures.connected, figures.drained)
            with contextlib.suppress(JournalError):  # said by whoever it keeps from acknowledging
                await self._journal.append(Kind.TICK, [encode_tick(tick)])
            await asyncio.sleep(self._tick_s)

    async def watch(self, facts: Callable[[], Facts]) -> None:
        """Write down what is wrong with the gateway itself when it begins and when it ends, for ever."""
        while True:
            for record in self._troubles.changes(facts()):
                with contextlib.suppress(JournalError):  # it comes again, for as long as it holds
                    await self._journal.append(Kind.CONTROL, [encode_control(record)])
                    self._troubles.told(record)
            await asyncio.sleep(HOUSE_S)

    async def _commit(self, arrival: Arrival) -> None:
        await self._journal.append(Kind.MESSAGES, [encode_arrival(arrival)])

    async def _event(self, event: SessionEvent) -> None:
        await ledger.note(self._database, event)
        await self._journal.append(Kind.SESSION, [encode_session(event)])


def tail(journal: SegmentJournal) -> Iterator[Record]:
    """The newest TAIL_RECORDS of a journal, as far as they can be read."""
    at = max(journal.first, journal.next - TAIL_RECORDS)
    while at < journal.next:
        try:
            records = journal.read(at, bytes_max=READ_BYTES)
        except JournalCorrupt as damage:
            at = damage.resume
            continue
        yield from records
        at = records[-1].sequence + 1


def past_contact(journal: SegmentJournal) -> PastContact:
    """From the journal's tail."""
    past = PastContact()
    for record in tail(journal):
        if record.kind is Kind.TICK:
            past.take(decode_tick(record.payload))
        elif record.kind is Kind.SESSION:
            past.take(decode_session(record.payload))
    return past
