"""A gateway of several workers. In: settings, a clock. Out: one session, one picture, and their orderly end.

Has the broker, the ticks, the figures and the control socket; each worker is a gateway of its own in a
directory of its own. Never acknowledges before every worker concerned has committed; never judges a reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from typing import Any, Final

from gateway import merging, wiring
from gateway.clock import Clock
from gateway.configuration import Sources, interpret
from gateway.control.client import ControlClient, GatewayNotRunning
from gateway.control.protocol import SOCKET_NAME
from gateway.control.server import ControlServer
from gateway.data_directory import claim
from gateway.embedded_broker import broker_url
from gateway.errors import JournalError, OrderRefused
from gateway.http import HttpServer
from gateway.ingest.contact import Contact, Moment
from gateway.ingest.divide import Divider
from gateway.inventory.difference import difference
from gateway.journal.record import Kind, encode_control, encode_session, encode_tick
from gateway.link import Again, Append, Begin, Configure, Messages, Order, Vitals
from gateway.metrics import Figures
from gateway.model import Arrival, SessionEvent, Severity, Tick
from gateway.partition import Partition
from gateway.sections import Settings
from gateway.state.configurations import hash_of
from gateway.state.lock import DirectoryLock
from gateway.switchboard import Switchboard
from gateway.system_clock import boot_id
from gateway.tasks import Tasks, every, first_of
from gateway.tasks import end as end_tasks
from gateway.troubles import Troubles
from gateway.workers import Worker

log = logging.getLogger("citylight")

STOP_S_MAX: Final = 10.0
ANSWER_S_MAX: Final = 60.0
FIGURES_S_MAX: Final = 2.0
WATCH_S: Final = 1.0


class Foreman:
    """A running gateway of ``gateway.workers`` > 1. ``failure`` is done when a part that must not end has."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._tasks = Tasks()
        self.failure = self._tasks.failure
        self.broker_url = settings.mqtt.url
        self._began_ns = clock.monotonic_ns()
        self._dividing = asyncio.Lock()
        self._troubles = Troubles(store_away_s=settings.store.away_s)

    async def open(self, stack: AsyncExitStack) -> None:
        """Set everything up; what was set up is torn down by ``stack``, also if this fails half way."""
        self._take(wiring.sources(self.settings))  # a mistake ends the start before anything is touched
        directory = self.settings.gateway.data_dir
        stack.enter_context(DirectoryLock(directory))
        claim(directory, workers=self.settings.gateway.workers)
        self.broker_url = await broker_url(self.settings, stack)
        await self._open_workers(stack)
        await self._open_reception(stack)
        await self._open_doors(stack)

    def _take(self, sources: Sources) -> None:
        """Divide by ``sources`` from now on; ConfigurationError if anything in them is wrong."""
        packed, own = sources.pack(), self.settings.mqtt
        self.configuration = interpret(packed, hash_of("sources", packed))
        self._sources = sources
        workers = self.settings.gateway.workers
        partition = Partition(self.configuration.fleet, workers)
        self._divider = Divider((own.telemetry_topic, own.status_topic), partition.of_device, workers)

    # --- workers --------------------------------------------------------------------------------------

    async def _open_workers(self, stack: AsyncExitStack) -> None:
        numbers = range(self.settings.gateway.workers)
        self.workers = [Worker(number, self._begin, self._carry_out, self.clock) for number in numbers]
        tasks = [self._tasks.spawn(worker.run()) for worker in self.workers]

        async def end() -> None:
            await asyncio.gather(*(worker.stop() for worker in self.workers))
            await end_tasks(tasks)

        stack.push_async_callback(end)
        for worker in self.workers:
            reported = asyncio.ensure_future(worker.reported.wait())
            await first_of(reported, self.failure)
            reported.cancel()
            if self.failure.done():
                self.failure.result()

    def _begin(self, worker: int) -> Begin:
        own = wiring.for_worker(self.settings, worker, self.broker_url)
        return Begin(worker, pickle.dumps(own), self._share(worker))

    def _share(self, worker: int) -> bytes:
        sources, workers = self._sources, self.settings.gateway.workers
        share = (worker, workers)
        return Sources(sources.profiles, sources.inventory, sources.time_zone, share).pack()

    async def _carry_out(self, order: Order) -> None:
        if isinstance(order, Again):
            for arrival in order.arrivals:
                await self._commit(arrival)

    # --- in -------------------------------------------------------------------------------------------

    async def _open_reception(self, stack: AsyncExitStack) -> None:
        now = Moment(self.clock.wall_ns(), self.clock.monotonic_ns())
        elapsed_ns = self.clock.elapsed_ns()
        hellos = [worker.hello for worker in self.workers if worker.hello is not None]
        epoch = max(hello.epoch for hello in hellos)
        ages = [
            hello.contact_age_s + (elapsed_ns - hello.elapsed_ns) / 1e9
            for hello in hellos
            if hello.contact_age_s is not None
        ]
        contact = Contact(
            epoch=epoch + 1,
            # The embedded broker forgets every session when it ends, and it ends with the gateway.
            session_expected=epoch > 0 and bool(self.settings.mqtt.url),
            contact_age_s=min(ages, default=None),
            now=now,
            dropped=hellos[0].dropped,  # of the one that tells people of gaps
        )
        reception = self._reception = wiring.reception(
            self.settings,
            self.broker_url,
            contact=contact,
            clock=self.clock,
            commit=self._commit,
            event=self._event,
            obstacle=self._obstacle,
        )
        receiving = self._tasks.spawn(reception.run())
        tasks = [receiving, self._tasks.spawn(self._tick()), self._tasks.spawn(self._watch())]

        async def end() -> None:
            reception.stop()
            await asyncio.wait({receiving}, timeout=STOP_S_MAX)
            await end_tasks(tasks)

        stack.push_async_callback(end)

    async def _commit(self, arrival: Arrival) -> None:
        """Durable with every worker that has a part of it; all are waited for, so that none is overtaken."""
        async with self._dividing:
            parts = self._divider.divide(arrival)
            await every(self.workers[worker].durable(Messages(part)) for worker, part in parts)

    async def _event(self, event: SessionEvent) -> None:
        """In every journal: each worker listens or does not. One of them tells people of a gap."""
        elsewhere = replace(event, epoch=0) if event.event == "gap" else event
        orders = [
            Append(Kind.SESSION, encode_session(elsewhere if worker.number else event))
            for worker in self.workers
        ]
        await every(w.durable(order) for w, order in zip(self.workers, orders, strict=True))

    async def _tick(self) -> None:
        """A tick to every worker that is there, and how ingest is, for ever.

        While one is away messages wait for it, so nobody's silence counts; nor does the time it was away.
        """
        boot = boot_id()
        while True:
            ingest, figures = self._reception.figures(), self.figures()
            drained = ingest.drained and all(worker.up.is_set() for worker in self.workers)
            alarms = {severity.value: figures.alarms.get(severity.value, 0) for severity in Severity}
            vitals = Vitals(ingest, {"not_ready": list(figures.not_ready), "alarms": alarms})
            wall_ns, elapsed_ns = self.clock.wall_ns(), self.clock.elapsed_ns()
            for worker in self.workers:
                tick = Tick(wall_ns, elapsed_ns, boot, ingest.connected, drained and worker.ticked)
                worker.tell(Append(Kind.TICK, encode_tick(tick)))
                worker.tell(vitals)
                worker.ticked = worker.up.is_set()
            await asyncio.sleep(self.settings.alarms.tick_s)

    async def _watch(self) -> None:
        """What is wrong with the gateway itself is told by one worker, for ever."""
        while True:
            facts = merging.facts(self.figures(), monotonic_ns=self.clock.monotonic_ns())
            for record in self._troubles.changes(facts):
                with contextlib.suppress(JournalError):  # it comes again, for as long as it holds
                    await self.workers[0].durable(Append(Kind.CONTROL, encode_control(record)))
                    self._troubles.told(record)
            await asyncio.sleep(WATCH_S)

    def _obstacle(self) -> str:
        if trouble := next((worker.trouble for worker in self.workers if worker.trouble), ""):
            return trouble
        return merging.facts(self.figures(), monotonic_ns=0).journal

    # --- doors ----------------------------------------------------------------------------------------

    async def _open_doors(self, stack: AsyncExitStack) -> None:
        switchboard = Switchboard(
            self._ask,
            len(self.workers),
            shared=self.settings.store.kind != "embedded",
            configuration=lambda: self.configuration,
            clock=self.clock,
        )
        handlers = switchboard.handlers() | {"figures.read": self.read_figures, "gateway.reload": self.reload}
        control = ControlServer(self.settings.gateway.data_dir / SOCKET_NAME, handlers)
        await control.start()
        stack.push_async_callback(control.close)
        self.http = HttpServer(self.settings.http.host, self.settings.http.port, self.figures)
        await self.http.start()
        stack.push_async_callback(self.http.close)

    async def _ask(
        self, worker: int, name: str, arguments: dict[str, Any], wait_s: float = ANSWER_S_MAX
    ) -> Any:
        directory = wiring.for_worker(self.settings, worker).gateway.data_dir
        if trouble := self.workers[worker].trouble:
            raise OrderRefused(f"{trouble}; ask again in a few seconds")

        def ask() -> Any:
            with ControlClient(directory, wait_s) as client:
                return client.ask(name, **arguments)

        try:
            return await asyncio.to_thread(ask)
        except GatewayNotRunning as error:
            raise OrderRefused(f"worker {worker} does not answer; ask again in a few seconds") from error

    def figures(self) -> Figures:
        """The whole gateway, as its workers reported last."""
        found = merging.whole(
            [worker.figures for worker in self.workers if worker.figures is not None],
            self._reception.figures(),
            broker=self.broker_url,
            wall_ns=self.clock.wall_ns(),
            uptime_s=(self.clock.monotonic_ns() - self._began_ns) / 1e9,
        )
        troubles = tuple(f"workers: {worker.trouble}" for worker in self.workers if worker.trouble)
        return replace(found, not_ready=found.not_ready + troubles)

    def not_ready(self) -> tuple[str, ...]:
        """What keeps it from its work, a line each."""
        return self.figures().not_ready

    async def read_figures(self) -> dict[str, Any]:
        """The figures of this moment as JSON values; of a worker that is away, its last."""
        for worker in self.workers:
            with contextlib.suppress(OrderRefused):
                worker.take_figures(await self._ask(worker.number, "figures.read", {}, FIGURES_S_MAX))
        return asdict(self.figures())

    async def reload(self, *, by: str = "") -> dict[str, Any]:
        """Read profiles and inventory again; refused whole if anything in them is wrong.

        A device that belongs to another worker now is taken up by that one, from the next message on.
        """
        before = self.configuration.fleet
        async with self._dividing:
            self._take(wiring.sources(self.settings))
            await every(w.durable(Configure(self._share(w.number))) for w in self.workers)
        after = self.configuration
        log.info("configuration %s is in force, ordered by %s", after.hash[:12], by or "nobody named")
        return {"configuration": after.hash} | asdict(difference(before, after.fleet))


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[Foreman]:
    """A gateway of several workers, set up; torn down in reverse when the block ends."""
    async with AsyncExitStack() as stack:
        foreman = Foreman(settings, clock)
        await foreman.open(stack)
        yield foreman
