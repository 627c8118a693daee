"""What every transport does alike: connect, lose, wait, connect again. In: the seam. Out: figures, log lines.

A transport fills in one connection. Never reconnects faster than asked, never says the same thing twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from gateway.clock import Clock
from gateway.errors import ConfigurationError, JournalError
from gateway.failpoints import Failpoint, passing
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.options import IngestFigures, IngestOptions, Tls
from gateway.model import Arrival, SessionEvent

log = logging.getLogger(__name__)

TICK_S = 0.5
"""How often time alone is looked at: keepalive, stalls, quiet."""

Commit = Callable[[Arrival], Awaitable[None]]
Event = Callable[[SessionEvent], Awaitable[None]]


class Reception(ABC):
    """Receives until ``stop``. ``commit`` and ``event`` return once their argument is durable.

    When they raise ``JournalError`` nothing is acknowledged, the connection is closed and the session kept.
    """

    def __init__(
        self, options: IngestOptions, *, contact: Contact, clock: Clock, commit: Commit, event: Event
    ) -> None:
        self.options = options
        self.contact = contact
        self._clock = clock
        self._commit = commit
        self._event = event
        self._tls = None if options.tls is None else tls_context(options.tls)
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._state = "stopped"
        self._said = ""
        self._last_error = ""
        self._reconnects = 0
        self._untold: list[SessionEvent] = []  # one connection's at most: the next waits for them
        self._committing_bytes = 0
        self.obstacle: Callable[[], str] = str
        """Why nothing could be made durable now, or "": no connection is opened for that long."""

    async def run(self) -> None:
        """Keep a connection until ``stop``; ends by that or by cancellation."""
        failures = 0
        while not self._stop.is_set():
            if obstacle := self.obstacle():
                self._state, self._last_error = "waiting", f"the journal takes nothing: {obstacle}"
                self._say(logging.WARNING, self._last_error)
                await self._pause(1)
                continue
            self._state = "connecting"
            began_ns = self._clock.monotonic_ns()
            try:
                await self._tell([])
                reason = await self._connection()
            except (OSError, TimeoutError) as error:
                reason = f"{self.options.host}:{self.options.port}: {error or type(error).__name__}"
            except JournalError as error:
                reason = f"the journal takes nothing: {error}"
            if self._stop.is_set():
                break
            lasted_s = (self._clock.monotonic_ns() - began_ns) / 1e9
            failures = 0 if lasted_s > self.options.reconnect_max_s else failures + 1
            self._state = "waiting"
            self._say(logging.WARNING, reason)
            self._last_error = reason
            self._reconnects += 1
            await self._pause(failures)
        self._state = "stopped"

    def stop(self) -> None:
        """Stop reading, make durable and acknowledge what has come, disconnect; ``run`` then returns."""
        self._stop.set()
        self._wake.set()

    @abstractmethod
    def figures(self) -> IngestFigures:
        """A snapshot of now."""

    @abstractmethod
    async def _connection(self) -> str:
        """One connection from its opening to its end; why it ended. OSError if it could not be opened."""

    def _now(self) -> Moment:
        return Moment(self._clock.wall_ns(), self._clock.monotonic_ns())

    async def _tell(self, events: list[SessionEvent]) -> None:
        """Make ``events`` durable, after those that could not be before; none is ever left out."""
        self._untold += events
        while self._untold:
            await self._event(self._untold[0])
            told = self._untold.pop(0)
            if told.event == "gap":
                log.error("data gap: %s; %s", told.gap, told.detail)

    async def _make_durable(self, arrival: Arrival) -> None:
        self._committing_bytes = len(arrival.packets)
        passing(Failpoint.RECEIVED)
        try:
            await self._commit(arrival)
        finally:
            self._committing_bytes = 0
        passing(Failpoint.APPENDED)

    async def _tick(self, keep_alive: Callable[[], None]) -> None:
        """To run beside a connection: time passes while a commit is waited for, too."""
        while True:
            await asyncio.sleep(TICK_S)
            keep_alive()
            self._wake.set()

    def _say(self, level: int, text: str) -> None:
        """Log a change of state once, however often it is met again."""
        if text != self._said:
            log.log(level, "%s", text)
        self._said = text

    async def _pause(self, failures: int) -> None:
        """Exponential back-off with jitter, cut short by ``stop``."""
        options = self.options
        longest_s = min(options.reconnect_max_s, options.reconnect_min_s * 2.0 ** min(failures - 1, 30))
        try:
            async with asyncio.timeout(longest_s * random.uniform(0.5, 1.0)):
                await self._stop.wait()
        except TimeoutError:
            pass


def tls_context(tls: Tls) -> ssl.SSLContext:
    """A context that checks the broker; ``ConfigurationError`` names a file that does not do."""
    file = tls.ca_file
    try:
        context = ssl.create_default_context(cafile=file)
        if tls.certificate_file is not None:
            file = tls.certificate_file
            context.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as error:
        raise ConfigurationError(
            str(file), "", f"can not be used for TLS: {error.strerror or error}", "name a readable PEM file"
        ) from error
    return context
