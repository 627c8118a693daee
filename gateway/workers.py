"""The worker processes, one object each. In: what a worker begins with. Out: records it has made durable.

A worker that ends is started again, and what it had not answered is sent again unless it has it already.
Never decides which worker a message belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from gateway.clock import Clock
from gateway.errors import GatewayError, JournalError
from gateway.link import Append, Begin, Configure, Hello, Link, LinkLost, Messages, Order, Report, identity
from gateway.metrics import Figures, restore

log = logging.getLogger("citylight.workers")

PROGRAM: Final = "gateway.commands.worker"
START_S_MAX: Final = 120.0
STOP_S_MAX: Final = 30.0
SILENT_S: Final = 5.0
RESTART_S_MIN, RESTART_S_MAX = 0.2, 10.0
STARTS_MAX: Final = 8
"""So many starts in a row that came to nothing end the gateway: its service starts it anew, and says so."""


class Worker:
    """One worker. ``begin`` says with what it begins, at each start; ``wish`` takes what it asks for."""

    def __init__(
        self,
        number: int,
        begin: Callable[[int], Begin],
        wish: Callable[[Order], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self.number = number
        self.hello: Hello | None = None
        self.figures: Figures | None = None
        self.up = asyncio.Event()
        self.reported = asyncio.Event()
        self.ticked = False
        """Whether it was told the time since it is up."""
        self._begin = begin
        self._wish = wish
        self._clock = clock
        self._link: Link | None = None
        self._process: Process | None = None
        self._has: frozenset[bytes] = frozenset()
        self._stopping = False
        self._reported_ns = 0

    @property
    def trouble(self) -> str:
        """Why nothing can be made durable by it now, or ""."""
        if not self.up.is_set():
            return f"worker {self.number} is starting"
        silent_s = (self._clock.monotonic_ns() - self._reported_ns) / 1e9
        return f"worker {self.number} is silent" if silent_s > SILENT_S else ""

    async def run(self) -> None:
        """Keep the process running until ``stop``; GatewayError when it can not be started."""
        vain = 0
        while not self._stopping:
            link, self._process = await self._start()
            reached = await self._attend(link)
            code = await self._end()
            if self._stopping:
                return
            vain = 0 if reached else vain + 1
            log.error("worker %d ended (%s)%s", self.number, code, "" if vain else "; starting it again")
            if vain >= STARTS_MAX:
                raise GatewayError(f"worker {self.number} does not start; its last words are above")
            longest_s = min(RESTART_S_MAX, RESTART_S_MIN * 2.0**vain)
            await asyncio.sleep(longest_s * random.uniform(0.5, 1.0))

    async def durable(self, order: Messages | Append | Configure) -> None:
        """Returns once it is on disk, however often the worker ends meanwhile; JournalError if it refuses."""
        again = False
        while True:
            await self.up.wait()
            if again and not isinstance(order, Configure) and identity(order) in self._has:
                return
            assert self._link is not None
            try:
                await self._link.ask(order)
            except LinkLost:
                again = True
            except JournalError as error:
                raise JournalError(f"worker {self.number}: {error}") from error
            else:
                return

    def tell(self, order: Order) -> None:
        """Say it without waiting; nothing happens while the worker is away."""
        if self._link is not None and self.up.is_set():
            self._link.tell(order)

    def take_figures(self, figures: Mapping[str, Any]) -> None:
        """What it says of itself now."""
        self.figures = restore(figures)

    async def stop(self) -> None:
        """An orderly end: it writes down where it is."""
        self._stopping = True
        self.up.clear()
        if self._link is not None:
            self._link.shut()
        await self._end()

    async def _start(self) -> tuple[Link, Process]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", PROGRAM, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the ingest process, which ends its workers in order
            )
        return await Link.open(ours), process

    async def _attend(self, link: Link) -> bool:
        """Until the worker is gone; whether it ever was there."""
        try:
            link.tell(self._begin(self.number))
            async with asyncio.timeout(START_S_MAX):
                hello = await link.first()
            assert isinstance(hello, Hello)
            self.hello, self._has = hello, frozenset(hello.newest)
            self._reported_ns = self._clock.monotonic_ns()
            self._link, self.ticked = link, False
            self.up.set()
            await link.serve(self._carry_out)
        except (ConnectionError, TimeoutError):
            return False
        else:
            return True
        finally:
            self.up.clear()
            self._link = None
            await link.close()

    async def _carry_out(self, order: Order) -> None:
        if isinstance(order, Report):
            self.take_figures(order.figures)
            self._reported_ns = self._clock.monotonic_ns()
            self.reported.set()
        else:
            await self._wish(order)

    async def _end(self) -> str:
        """Wait for the process, by force if it takes too long; how it ended."""
        process = self._process
        if process is None:
            return "not started"
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
        code = process.returncode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"
