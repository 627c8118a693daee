"""The one composition root. In: settings and a clock. Out: a running gateway, and its orderly end.

Every part is torn down in reverse of how it was set up, the line after it exists. Holds no logic of a room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from gateway import ledger, memory, wiring
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.misplaced import misplaced
from gateway.clock import Clock
from gateway.configuration import Configuration, interpret
from gateway.control.protocol import SOCKET_NAME
from gateway.control.server import ControlServer
from gateway.data_directory import DataDirectory
from gateway.deliveries import Deliveries
from gateway.embedded_broker import broker_url
from gateway.errors import StoreError
from gateway.feed import FedIntake, Feed
from gateway.followers import AlarmFollower, StoreFollower, unpack_snapshot
from gateway.gathering import gather, not_ready
from gateway.http import HttpServer
from gateway.intake import Intake
from gateway.lamps import LampPicture
from gateway.metrics import Figures
from gateway.model import Control, Counts, Run
from gateway.operations import Operations
from gateway.pipeline import Cadence, follow
from gateway.reader import Reader
from gateway.sections import Settings
from gateway.state import cursors
from gateway.state.configurations import hash_of
from gateway.tasks import Tasks
from gateway.tasks import end as end_tasks
from gateway.translation import Translator
from gateway.troubles import Facts

log = logging.getLogger("citylight")

TRIM_S = 30.0
TRIM_FULL_S = 1.0
STOP_S_MAX = 10.0
ALARM_READINGS_MAX = 5000


class Gateway:
    """A running gateway. ``failure`` is done when a part that must not end has ended."""

    def __init__(self, settings: Settings, clock: Clock, feed: Feed | None = None) -> None:
        """With ``feed`` it is one worker of several: the ingest process has broker, ticks and readers."""
        self.settings = settings
        self.clock = clock
        self.feed = feed
        tasks = Tasks()
        self.failure, self._spawn = tasks.failure, tasks.spawn
        self.broker_url = settings.mqtt.url
        self.began_ns = clock.monotonic_ns()
        self.trimming = asyncio.Lock()

    async def open(self, stack: AsyncExitStack) -> None:
        """Set everything up; what was set up is torn down by ``stack``, also if this fails half way."""
        memory.build()
        await self._open_files(stack)
        self.broker_url = await broker_url(self.settings, stack)
        await self._open_followers(stack)
        await self._open_intake(stack)
        await self._open_deliveries(stack)
        await self._open_doors(stack)
        memory.run()

    async def _open_files(self, stack: AsyncExitStack) -> None:
        packed = self.feed.sources if self.feed else wiring.sources(self.settings).pack()
        # A mistake in them ends the start before anything is touched.
        configuration = interpret(packed, hash_of("sources", packed))
        self.files = DataDirectory(self.settings, self.clock)
        await self.files.open(stack)
        self.database, self.journal = self.files.database, self.files.journal
        self.configurations, self.start = self.files.configurations, self.files.start
        await self.files.put_in_force(packed, configuration)
        del packed
        memory.give_back()  # before more is built: what reading the inventory took is the peak

    # --- followers ----------------------------------------------------------------------------------

    async def _open_followers(self, stack: AsyncExitStack) -> None:
        settings, start = self.settings, self.start
        self.store = wiring.store(settings, self.configurations.current, self.clock)
        stack.push_async_callback(self.store.close)
        wiring.check_recipients(settings, self.configurations.current)
        self.deliveries = Deliveries(
            settings, self.database, self.clock, lambda: self.configurations.current.fleet
        )
        self.alarms = self._alarm_follower()
        self.store_error = "not tried yet"
        position, counts = start.store or (0, Counts())
        if self.store.owns_cursor:
            await self.store.probe()
            own = await self.store.position()
            assert own is not None
            # What held no readings moved only state.db's cursor; an empty store takes all the journal has.
            if own.cursor >= position or not own.cursor:
                position, counts = own.cursor, own.counts
        self.stored = StoreFollower(
            self.store,
            ledger.SqliteStoreLedger(
                self.database,
                payload_bytes_max=settings.quarantine.payload_bytes_max,
                bytes_max=settings.quarantine.bytes_max,
            ),
            position=max(position, self.journal.first),
            counts=counts,
            configurations=self.configurations,
            clock=self.clock,
        )
        front = max(self.alarms.position, self.stored.position)
        self.reader = Reader(self.journal, self._translator_at, front, self.files.name_loss)
        stack.push_async_callback(self._end_followers)
        # A follower without a row of its own would not keep the journal from being trimmed.
        if start.snapshot is None:
            await self.alarms.commit(snapshot=True)
        if start.store is None:
            await self.stored.commit()
        alarm_cadence = Cadence(settings.alarms.gather_ms / 1e3, ALARM_READINGS_MAX)
        store_cadence = Cadence(settings.store.gather_ms / 1e3, settings.store.gather_rows)
        self._following = [
            self._spawn(follow(self.reader, self.alarms, alarm_cadence, self.clock)),
            self._spawn(self._follow_store(store_cadence)),
        ]

    def _alarm_follower(self) -> AlarmFollower:
        position, content = self.start.snapshot or (self.journal.first, b"")
        configuration = self.configurations.at(position)
        engine, counts = configuration.engine(), Counts()
        if content:
            counts, snapshot = unpack_snapshot(content)
            engine.restore(snapshot)
        self._look(configuration, engine)
        return AlarmFollower(
            engine,
            ledger.SqliteAlarmLedger(
                self.database,
                self.deliveries.teller,
                self.clock,
                self.deliveries.wake,
                ledger.Retention(self.settings.alarms.keep_days, self.settings.alarms.audit_keep_days),
            ),
            position=max(position, self.journal.first),
            counts=counts,
            rebuild=self._rebuild,
            observe=self._observe,
            clock=self.clock,
            snapshot_s=self.settings.alarms.snapshot_s,
        )

    def _rebuild(self, engine: AlarmEngine, control: Control) -> AlarmEngine:
        """The engine of the configuration that ``control`` puts in force, in the state of the old one."""
        configuration = self.configurations.named(control.hash)
        if configuration.fleet is engine.fleet:
            return engine
        new = configuration.engine()
        new.restore(engine.snapshot())
        self._look(configuration, new)
        return new

    def _look(self, configuration: Configuration, engine: AlarmEngine) -> None:
        specs = [profile.spec for profile in configuration.profiles]
        self.lamps = LampPicture(configuration.fleet, specs, engine.expectation)

    def _observe(self, run: Run) -> None:
        for batch in run.batches:
            self.lamps.observe(batch)

    async def _follow_store(self, cadence: Cadence) -> None:
        """Prove first that the store gives back what it is given; it may be away for as long as it likes."""
        delay_s = 1.0
        while self.store_error:
            try:
                await self.store.probe()
                self.store_error = ""
                log.info("store: ready")
            except StoreError as error:
                if str(error) != self.store_error:
                    log.warning("store: %s", error)
                self.store_error = str(error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, 30.0)
        await follow(self.reader, self.stored, cadence, self.clock)

    async def _end_followers(self) -> None:
        """Stop where they are and write that down, so that the next start has little to repeat."""
        await end_tasks(self._following)
        await self.alarms.commit(snapshot=True)
        await self.stored.commit()

    def _translator_at(self, sequence: int) -> Translator:
        options = wiring.translation(self.settings)
        return Translator(options, self.configurations.named, self.configurations.at(sequence))

    # --- in and out -----------------------------------------------------------------------------------

    async def _open_deliveries(self, stack: AsyncExitStack) -> None:
        tasks = await self.deliveries.open(
            stack,
            self._spawn,
            self.broker_url,
            lambda: {"not_ready": list(self.not_ready()), **self.intake.vitals()},
        )
        stack.push_async_callback(end_tasks, tasks)

    async def _open_intake(self, stack: AsyncExitStack) -> None:
        self.intake: Intake | FedIntake = (
            FedIntake(self.feed, self.files, self.clock, self.read_figures)
            if self.feed
            else Intake(
                self.settings,
                self.broker_url,
                journal=self.journal,
                database=self.database,
                last_epoch=self.start.epoch,
                dropped=self.start.dropped,
                clock=self.clock,
            )
        )
        receiving = self._spawn(self.intake.receive())
        works = [self.files.mend(), self._trim(), *self.intake.works(self._facts)]
        tasks = [receiving, *(self._spawn(work) for work in works)]

        async def end() -> None:
            self.intake.stop()
            await asyncio.wait({receiving}, timeout=STOP_S_MAX)
            await end_tasks(tasks)

        stack.push_async_callback(end)

    async def _trim(self) -> None:
        """Keep the journal within its bounds, never past the slowest follower."""
        trimmed_ns = self.clock.monotonic_ns()
        while True:
            await asyncio.sleep(TRIM_FULL_S)
            now_ns = self.clock.monotonic_ns()
            if not self.journal.full and now_ns - trimmed_ns < TRIM_S * 1e9:
                continue
            trimmed_ns = now_ns
            async with self.trimming:
                needed = await self.database.transact(cursors.oldest_needed)
                if needed is not None:
                    await asyncio.to_thread(self.journal.trim, keep_from=needed)
            await asyncio.to_thread(memory.trim)  # of what a snapshot took

    def _facts(self) -> Facts:
        return Facts(
            wall_ns=self.clock.wall_ns(),
            monotonic_ns=self.clock.monotonic_ns(),
            journal=self.journal.failure or self.journal.full,
            store=self.store_error or self.stored.error,
            thrown_away=self.stored.thrown_away,
        )

    # --- doors ----------------------------------------------------------------------------------------

    async def _open_doors(self, stack: AsyncExitStack) -> None:
        self.operations = Operations(
            self.database,
            self.intake.replaying(),
            self.store,
            self.deliveries.teller,
            lambda: self.configurations.current,
            self.clock,
            self.deliveries.wake,
        )
        handlers = self.operations.handlers() | {
            "figures.read": self.read_figures,
            "gateway.reload": self.files.reload,
            "rules.explain": self.explain_rules,
            "rules.misplaced": self.misplaced,
            "rules.radio": self.unheard,
            "maintenance.list": self.windows,
            "gateway.backup": partial(self.files.back_up, store=self.store, trimming=self.trimming),
        }
        control = ControlServer(self.settings.gateway.data_dir / SOCKET_NAME, handlers)
        await control.start()
        stack.push_async_callback(control.close)
        if self.feed:
            return
        self.http = HttpServer(self.settings.http.host, self.settings.http.port, self.figures)
        await self.http.start()
        stack.push_async_callback(self.http.close)

    # --- looking at it --------------------------------------------------------------------------------

    def figures(self) -> Figures:
        return gather(self)

    def not_ready(self) -> tuple[str, ...]:
        """What keeps it from its work, a line each."""
        return not_ready(self)

    async def read_figures(self) -> dict[str, Any]:
        """The figures as JSON values, for the control socket."""
        return asdict(self.figures())

    async def explain_rules(self, *, asset: str) -> list[dict[str, Any]]:
        """The rules of an asset as the alarm follower holds them."""
        return self.alarms.engine.explain(asset, self.clock.wall_ns())

    async def misplaced(self) -> list[dict[str, Any]]:
        """Devices that do not stand or hang where the inventory says."""
        return misplaced(self.alarms.engine)

    async def unheard(self) -> list[dict[str, Any]]:
        """Weak radios and silent devices, in pole order."""
        return self.alarms.engine.unheard()

    async def windows(self) -> list[dict[str, Any]]:
        """Maintenance windows and outages that are to come or in force."""
        return self.alarms.engine.quiet.documents()


@asynccontextmanager
async def running(settings: Settings, clock: Clock, feed: Feed | None = None) -> AsyncIterator[Gateway]:
    """A gateway, or one worker of it, set up; torn down in reverse when the block ends."""
    async with AsyncExitStack() as stack:
        gateway = Gateway(settings, clock, feed)
        await gateway.open(stack)
        yield gateway
