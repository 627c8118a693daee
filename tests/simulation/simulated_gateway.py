"""The real gateway in a simulated world. In: a world and its parts. Out: processes that live and die.

``app.Gateway`` opens its files, followers, session and couriers as ever; only the loop below it, the system
calls of the journal, the HTTP session of the store and the carrier of alarms are the world's.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scripted_broker import Broker
from scripted_disk import Disk
from scripted_store import StoreServer
from virtual_time import Crashed, SimulatedClock, SimulatedLoop, World

from gateway import app, configuration, data_directory, intake, ledger, settings, translation, wiring
from gateway.clock import Clock
from gateway.configuration import Configuration, Sources
from gateway.errors import DeliveryError, JournalCorrupt, StoreError
from gateway.fleet import Fleet
from gateway.journal import opening, segment, segments
from gateway.journal.opening import Opening
from gateway.journal.record import Kind
from gateway.journal.segments import SegmentJournal
from gateway.notify.courier import Courier, CourierOptions
from gateway.notify.places import Places
from gateway.notify.recipient import Recipient
from gateway.sections import Settings
from gateway.state import database
from gateway.state.database import StateDatabase
from gateway.telling import Teller

PROFILE = """
name = "lamp"
device_class = "lamp"
payload = "json"
interval_s = 20
silence_intervals = 3
[title]
vi = "Đèn"
en = "Lamp"
[time]
field = "ts"
format = "epoch_ms"
[[field]]
name = "number"
path = "n"
type = "integer"
unit = "1"
min = 0
max = 4294967295
[[field]]
name = "supply_voltage"
path = "u"
type = "float"
unit = "V"
min = 0
max = 500
[[field]]
name = "frequency"
path = "f"
type = "float"
unit = "Hz"
min = 40
max = 70
[[rule]]
type = "supplyVoltageTooHigh"
field = "supply_voltage"
severity = "major"
raise_above = 264
clear_below = 253
hold_s = 3
[[rule]]
type = "supplyVoltageTooLow"
field = "supply_voltage"
severity = "minor"
raise_below = 198
clear_above = 207
samples_min = 2
"""
LAMPS = tuple(f"L-{n}" for n in range(6))


def sources(lamps: tuple[str, ...]) -> Sources:
    """An inventory with ``lamps`` in this order, each at a light point of its own that always has power."""
    points = ["id,area,latitude,longitude,feeder,phase,pole_sequence,rated_power_w,programme"]
    points += [f"P{lamp},hoa-phu,11.05,106.68,F-1,A,{n + 1},150,all" for n, lamp in enumerate(LAMPS)]
    tables = {
        "areas": ["code,name,parent", "hoa-phu,Hòa Phú,"],
        "cabinets": ["id,area,latitude,longitude", "CB-1,hoa-phu,11.05,106.68"],
        "feeders": ["id,cabinet,group_switched", "F-1,CB-1,no"],
        "programmes": ["id,switch,steps,on,off", "all,astronomical,,,"],
        "light_points": points,
        "devices": ["id,profile", *(f"{lamp},lamp" for lamp in lamps)],
        "assignments": ["device,asset", *(f"{lamp},P{lamp}" for lamp in lamps)],
    }
    inventory = {f"{name}.csv": ("\n".join(lines) + "\n").encode() for name, lines in tables.items()}
    return Sources({"lamp/profile.toml": PROFILE.encode()}, inventory, "Asia/Ho_Chi_Minh")


interpret_once: Callable[[bytes, str], Configuration] = functools.lru_cache(64)(configuration.interpret)


class _NoThread:
    """In place of the journal's writer."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.join = end


class SteppedJournal(SegmentJournal):
    """The real journal; what its thread would do is done in the world's time."""

    world: World

    def _start_writer(self) -> Any:
        self._open = True
        return _NoThread(self._end)

    async def append(self, kind: Kind, payloads: Any) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        if loop.dead:
            raise Crashed
        self.world.after(self.world.between(5e-5, 2e-2), lambda: None if loop.dead else self._once())
        return await super().append(kind, payloads)

    def _once(self) -> None:
        if self._pending and not self._failure and self._open:
            group = self._take()
            try:
                self._commit(group)
            except OSError as error:
                self._fail(error, group)

    def _end(self) -> None:
        while self._pending and not self._failure:
            self._once()
        self.close_file()

    def close_file(self) -> None:
        if self._open:
            self._open = False
            segments.os.close(self._file)


class Recipients:
    """The IOC: takes alarms, or not. ``taken`` are (key, alarm, transition) in the order of arrival."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fault = False
        self.error = ""
        self.taken: list[tuple[str, bytes]] = []

    async def deliver(self, row: Any) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        if loop.dead:
            raise Crashed
        await asyncio.sleep(self.world.between(1e-4, 2e-2))
        if self.fault and self.world.chance(0.7):
            if self.world.chance(0.5):
                self.taken.append((row.key, row.body))
            raise DeliveryError("away", retryable=True)
        self.taken.append((row.key, row.body))


class SimulatedDeliveries:
    """In place of ``Deliveries``: one recipient, the real outbox and courier."""

    ioc: Recipients

    def __init__(
        self, settings: Settings, database: StateDatabase, clock: Clock, fleet: Callable[[], Fleet]
    ) -> None:
        recipient = Recipient(name="ioc", kind="webhook", source="urn:simulated")
        self.teller = Teller([recipient], lambda: Places(fleet()))
        self.figures: Mapping[str, Any] = {}
        self._courier = Courier("ioc", ledger.SqliteOutbox(database), self.ioc, clock, CourierOptions())

    async def open(self, stack: AsyncExitStack, spawn: Any, url: str, vitals: Any) -> list[Any]:
        return [spawn(self._courier.run())]

    def wake(self) -> None:
        self._courier.wake()


class SimulatedGateway(app.Gateway):
    async def open(self, stack: AsyncExitStack) -> None:
        """Everything but the doors and the embedded broker."""
        await self._open_files(stack)
        await self._open_followers(stack)
        await self._open_intake(stack)
        await self._open_deliveries(stack)


class Plant:
    """One data directory and the processes that own it, one after another."""

    def __init__(self, world: World, directory: Path, broker: Broker) -> None:
        self.world = world
        self.directory = directory
        self.broker = broker
        self.clock = SimulatedClock(world, 1_790_000_000 * 10**9)
        self.disk = Disk(world, directory / "data" / "journal")
        self.server = StoreServer(world)
        self.ioc = Recipients(world)
        self.lamps = self.first_lamps = LAMPS[:-1]
        self.loop: SimulatedLoop | None = None
        self.gateway: SimulatedGateway | None = None
        self.ready = False
        self.ended = ""
        self.committed = False
        """A transaction of state.db was tried since the last look."""
        self.lost: list[tuple[int, int]] = []  # sequences named as lost: [first, next)
        self._stop: asyncio.Event | None = None
        rng = world.rng
        document: dict[str, Any] = {
            "gateway": {"data_dir": str(directory / "data"), "name": "simulated"},
            "mqtt": {
                "url": "mqtt://broker:1883",
                "keepalive_s": 30,
                "block_messages_max": rng.choice((1, 3, 50, 4096)),
                "receive_maximum": rng.choice((20, 10_000)),
            },
            "store": {
                "kind": "influx1",
                "url": "http://store:8086",
                "gather_rows": rng.choice((1, 20, 5000)),
            },
            "alarms": {"tick_s": 2.0, "snapshot_s": rng.choice((0.5, 10.0, 60.0))},
        }
        self.settings = settings.build(document, "simulated", directory, {})
        self.journal_bounds = {
            "segment_bytes": rng.choice((400, 3000, 1 << 20)),
            "recent_bytes_max": rng.choice((1, 4000, 1 << 20)),
            "keep_bytes": rng.choice((0, 1 << 30)),
        }

    @contextmanager
    def patched(self) -> Iterator[None]:
        """The seams between the gateway and this world."""
        with ExitStack() as stack:

            def put(target: Any, name: str, value: Any) -> None:
                stack.enter_context(patch.object(target, name, value))

            for module in (segment, segments, opening):
                put(module, "os", self.disk)
            for module in (app, data_directory, configuration):
                put(module, "interpret", interpret_once)
            put(data_directory, "SegmentJournal", self._journal)
            put(app, "Deliveries", type("Deliveries", (SimulatedDeliveries,), {"ioc": self.ioc}))
            put(intake, "boot_id", lambda: self.clock.boot_id)
            put(wiring, "sources", lambda settings: sources(self.lamps))
            real_transact = database.transact

            def transact(connection: Any, work: Any) -> Any:
                self.committed = True
                if self.disk.fault == "full" and self.world.chance(0.3):
                    raise sqlite3.OperationalError("database or disk is full")
                return real_transact(connection, work)

            put(database, "transact", transact)
            real_store, real_lost = wiring.store, translation.Translator.lost
            put(wiring, "store", lambda *given: self._store(real_store(*given)))

            def lost(translator: Any, damage: JournalCorrupt) -> Any:
                self.lost.append((damage.sequence, damage.resume))
                return real_lost(translator, damage)

            put(translation.Translator, "lost", lost)
            yield

    def _journal(self, directory: Path, options: Any, *, floor: int) -> SteppedJournal:
        small = replace(options, **self.journal_bounds)
        kind = type("Journal", (SteppedJournal,), {"world": self.world})
        journal = kind(directory, small, floor=floor)
        self._named(journal.opening)
        return journal

    def _named(self, opened: Opening) -> None:
        self.lost += [(loss.first, loss.next) for loss in opened.lost]

    def _store(self, store: Any) -> Any:
        async def probe() -> None:
            await asyncio.sleep(0.01)
            if self.server.fault:
                raise StoreError("away", retryable=True)

        store._opened = lambda: self.server
        store.probe = probe
        return store

    # --- life and death -------------------------------------------------------------------------------

    def start(self) -> None:
        if self.loop is not None:
            return
        self.disk.restart()
        self.loop = self.world.loop = SimulatedLoop(self.world, self.broker.connect)
        self.ended = ""
        self.loop.create_task(self._live())

    def stop(self) -> None:
        """SIGTERM."""
        if self._stop is not None:
            self._stop.set()

    def kill(self, *, power: bool = False) -> None:
        """SIGKILL, or the mains plug: nothing in the process says goodbye."""
        if self.loop is None:
            return
        loop, gateway = self.loop, self.gateway
        if self.broker.wire:
            self.broker.wire.cut()
        loop.kill()
        self._forget()
        if gateway is not None:
            with suppress(AttributeError):
                gateway.database._connection.close()
                gateway.journal.close_file()
        if power:
            self.disk.cut_power()
            self.clock.reboot()

    async def _live(self) -> None:
        gateway = self.gateway = SimulatedGateway(self.settings, self.clock)
        stop = self._stop = asyncio.Event()
        stopped = asyncio.ensure_future(stop.wait())
        try:
            async with AsyncExitStack() as stack:
                await gateway.open(stack)
                self.ready = True
                await asyncio.wait({stopped, gateway.failure}, return_when=asyncio.FIRST_COMPLETED)
                if gateway.failure.done():
                    gateway.failure.result()
            self.ended = "stopped"
        except Exception as error:  # noqa: BLE001 - what ends a process is for the judge
            self.ended = repr(error)
            self.error = error
        finally:
            stopped.cancel()

    def reap(self) -> str:
        """If the process has ended by itself: how. Everything of it is gone then."""
        if self.loop is None or not self.ended:
            return ""
        ended, loop = self.ended, self.loop
        self._forget()
        loop.kill()
        return ended

    def _forget(self) -> None:
        self.loop = self.world.loop = self.gateway = self._stop = None
        self.ready = False
