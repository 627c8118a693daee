"""MQTT 5 over TCP or TLS. In: options and the seam. Out: durable blocks, acknowledged after that.

One task owns the session and the connection, so nothing is acknowledged on a later one. Received bytes
wait in one fixed buffer while a commit runs; when it is full, reading pauses. Never parses MQTT itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import numpy as np

from gateway.clock import Clock
from gateway.errors import JournalError
from gateway.failpoints import Failpoint, passing
from gateway.ingest.contact import Contact
from gateway.ingest.options import IngestFigures, IngestOptions
from gateway.ingest.reception import Commit, Event, Reception
from gateway.ingest.session import Close, Effect, Journal, Phase, Send, Session, Tell

TAKE_BYTES_MAX = 1 << 20
"""Bytes taken from the buffer at a time, or one packet, if that may be longer."""

ROOM_BYTES_MIN = 64 * 1024
"""Below this much room in the buffer reading pauses."""

LOOK_S = 0.001
"""So long is looked whether more keeps coming."""

STREAM_NS = 1_000_000_000
"""A stream is one still after a commit that took so long."""

CLOSE_S_MAX = 2.0
"""So long the broker has to close its end, before it is cut."""


class Mqtt5Reception(Reception):
    """Receives over MQTT 5."""

    def __init__(
        self, options: IngestOptions, *, contact: Contact, clock: Clock, commit: Commit, event: Event
    ) -> None:
        super().__init__(options, contact=contact, clock=clock, commit=commit, event=event)
        self._session = Session(options, contact)
        self._link: Link | None = None
        self._taken_ns = 0
        self._streaming = False
        self._take_bytes_max = max(TAKE_BYTES_MAX, options.packet_bytes_max)

    def figures(self) -> IngestFigures:
        session, offline = self._session, self._session.phase is Phase.OFFLINE
        return IngestFigures(
            state=self._state if offline else session.phase.value,
            epoch=self.contact.epoch,
            connected=self.contact.connected,
            drained=self.contact.drained,
            received_messages=session.received_messages,
            received_bytes=session.received_bytes,
            acknowledged_messages=session.acknowledged_messages,
            pending_bytes=self._committing_bytes + (len(self._link) if self._link else 0),
            reconnects=self._reconnects,
            gaps=self.contact.gaps,
            last_error=session.refusal or self._last_error,
        )

    async def _connection(self) -> str:
        options, loop = self.options, asyncio.get_running_loop()
        link = self._link = Link(options.memory_bytes_max // 2, self._clock, self._wake)
        server_name = (options.tls.server_name or options.host) if options.tls else None
        async with asyncio.timeout(options.connect_s):
            await loop.create_connection(
                lambda: link, options.host, options.port, ssl=self._tls, server_hostname=server_name
            )
        ticker = loop.create_task(self._tick(lambda: self._keep_alive(link)))
        try:
            await self._serve(link)
            await self._carry_out(link, self._session.lost(link.reason, self._now()))
        except JournalError:
            self._at_once(link, self._session.leave("the journal takes nothing", self._now()))
            raise
        finally:
            ticker.cancel()
            self._session.severed()
            # An event that can not be told now is told before the next connection.
            self._untold += self.contact.lost(
                link.reason or "the gateway gave up the connection", self._now()
            )
            self._session.phase = Phase.OFFLINE
            await link.close()
            self._link = None
        return link.reason

    async def _serve(self, link: Link) -> None:
        """Until the connection is over and all it brought is durable."""
        session, options = self._session, self.options
        await self._carry_out(link, session.opened(self._now()))
        while True:
            self._wake.clear()
            if self._stop.is_set():
                link.hold()
            taken = 0
            if len(link) and not link.resting:
                await self._linger(link)
                data = link.peek(self._take_bytes_max)
                effects, taken = session.received(data, self._now())
                link.consume(taken)
                if self._streaming and len(link) < ROOM_BYTES_MIN:  # else there is more to take now
                    link.rest(options.linger_ms / 1000 - LOOK_S)
                await self._carry_out(link, effects)
            if taken:
                continue
            if link.over:
                return
            if self._stop.is_set():
                await self._carry_out(link, session.leave("the gateway stops", self._now()))
                return
            await self._carry_out(link, session.tick(self._now()))
            self._report()
            await self._wake.wait()

    async def _carry_out(self, link: Link, effects: list[Effect]) -> None:
        """In order. Where the journal takes nothing, what is left to tell waits for the next connection."""
        for at, effect in enumerate(effects):
            try:
                await self._carry_out_one(link, effect)
            except JournalError:
                self._untold += [later.event for later in effects[at + 1 :] if isinstance(later, Tell)]
                raise

    async def _carry_out_one(self, link: Link, effect: Effect) -> None:
        if link.over:
            self._session.severed()
        match effect:
            case Journal():
                await self._make_durable(effect.arrival)
                if link.over:
                    self._session.severed()
                self._at_once(link, self._session.committed(self._now()))
                passing(Failpoint.ACKNOWLEDGED)
            case Tell():
                await self._tell([effect.event])
            case _:
                self._at_once(link, [effect])

    def _keep_alive(self, link: Link) -> None:
        if not link.over:
            now = self._now()
            self._at_once(
                link, self._session.keep_alive(now, heard_ns=link.heard_ns, paused_ns=link.paused_ns)
            )

    def _at_once(self, link: Link, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                link.write(effect.data)
            elif isinstance(effect, Close):
                link.finish(effect.reason)

    async def _linger(self, link: Link) -> None:
        """Soon after the last block, wait a little while more keeps coming: blocks grow under load.

        Where nothing more comes the broker may be waiting for our acknowledgements. Where more came to the
        end, nothing is read for the whole of the next time but a last look: each packet would wake us.
        """
        due_ns = self._taken_ns + int(self.options.linger_ms * 1e6)
        nap_s = LOOK_S
        self._streaming = self._streaming and self._clock.monotonic_ns() - due_ns < STREAM_NS
        while (left_ns := due_ns - self._clock.monotonic_ns()) > 0 and len(link) < self._take_bytes_max:
            if link.over or self._stop.is_set():
                break
            before = len(link)
            await link.nap(min(nap_s, left_ns / 1e9))
            self._streaming = len(link) > before
            if not self._streaming:
                break
            nap_s *= 2
        self._taken_ns = self._clock.monotonic_ns()

    def _report(self) -> None:
        session = self._session
        if session.phase is Phase.REFUSED:
            self._say(logging.ERROR, session.refusal)
        elif session.phase is Phase.ONLINE:
            self._say(logging.INFO, f"receiving from {self.options.host}:{self.options.port}")


class Link(asyncio.BufferedProtocol):
    """One TCP or TLS connection with one buffer of fixed size; ``len`` is what waits in it."""

    def __init__(self, buffer_bytes: int, clock: Clock, wake: asyncio.Event) -> None:
        self._buffer = np.empty(buffer_bytes, dtype=np.uint8).data  # pages are touched as they fill
        self._waste = memoryview(bytearray(ROOM_BYTES_MIN))
        self._start = self._end = 0
        self._clock = clock
        self._wake = wake
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self.over = False
        self.reason = ""
        self.heard_ns = clock.monotonic_ns()
        self.paused_ns: int | None = None
        self._held = False
        self._rest: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._end - self._start

    def peek(self, bytes_max: int) -> bytes:
        """A copy of what waits, at most ``bytes_max``."""
        return bytes(self._buffer[self._start : min(self._end, self._start + bytes_max)])

    def consume(self, count: int) -> None:
        """Forget the first ``count`` waiting bytes; read on below half of the buffer."""
        self._start += count
        if self._start == self._end:
            self._start = self._end = 0
        room = len(self) < len(self._buffer) // 2
        if self.paused_ns is not None and room and not self.over and not self._held:
            self.paused_ns = None
            self.heard_ns = self._clock.monotonic_ns()
            self._live().resume_reading()

    def pause(self) -> None:
        """Read no more until ``consume`` has made room."""
        if self.paused_ns is None and not self.over:
            self.paused_ns = self._clock.monotonic_ns()
            self._live().pause_reading()

    def hold(self) -> None:
        """Read no more at all."""
        self._held = True
        self.pause()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    @property
    def resting(self) -> bool:
        """Whether nothing is read for a while."""
        return self._rest is not None and not self.over

    def rest(self, seconds: float) -> None:
        """Read nothing for so long, then wake; the kernel gathers what comes."""
        if self._rest is None and self.paused_ns is None and not self.over:
            self._live().pause_reading()
            self._rest = asyncio.get_running_loop().call_later(max(0.0, seconds), self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._wake.set()
        if self.paused_ns is None and not self.over:
            self._live().resume_reading()

    async def nap(self, seconds: float) -> None:
        """Let the kernel gather for a while, then read it all at once: fewer, larger reads."""
        if self.paused_ns is None and not self.over:
            self._live().pause_reading()
        await asyncio.sleep(seconds)
        if self.paused_ns is None and not self.over:
            self._live().resume_reading()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def write(self, data: bytes) -> None:
        """Send; nothing happens on a connection that is over."""
        if not self.over:
            self._live().write(data)

    def finish(self, reason: str) -> None:
        """Take nothing more; what was received before can still be taken.

        The broker closes its end after a DISCONNECT. Closing ours with bytes unread would reset the
        connection, and the last acknowledgements with it.
        """
        if not self.over:
            self.over, self.reason = True, reason
            if self.paused_ns is not None or self._rest is not None:
                self._live().resume_reading()

    async def close(self) -> None:
        """Wait until the broker has closed after ``finish``; by force if it does not, or was not told."""
        if not self.over:
            self.over = True
            self._live().abort()
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._gone.wait()
        except TimeoutError:
            self._live().abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.heard_ns = self._clock.monotonic_ns()

    def get_buffer(self, sizehint: int) -> Any:  # noqa: ARG002 the loop's signature
        if self.over:
            return self._waste
        if len(self._buffer) - self._end < ROOM_BYTES_MIN and self._start:
            waiting = len(self)
            self._buffer[:waiting] = self._buffer[self._start : self._end]
            self._start, self._end = 0, waiting
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        if self.over:
            return
        self._end += nbytes
        self.heard_ns = self._clock.monotonic_ns()
        if len(self._buffer) - len(self) < ROOM_BYTES_MIN:
            self.pause()
        self._wake.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over:
            self.over = True
            self.reason = str(exc) if exc else "the broker closed the connection"
        self._gone.set()
        self._wake.set()

    def _live(self) -> asyncio.Transport:
        if self._transport is None:
            raise ConnectionError("there is no connection yet")
        return self._transport
