"""What a gateway keeps on disk. In: settings. Out: journal, state.db and configurations, under one lock.

The same for a gateway that runs and for a command that works on the files of one that does not.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from gateway import ledger, memory, wiring
from gateway.backup import back_up
from gateway.clock import Clock
from gateway.configuration import Configuration, Configurations, interpret
from gateway.errors import ConfigurationError, JournalCorrupt, JournalError
from gateway.inventory.difference import difference
from gateway.journal.record import Kind, encode_control, encode_session
from gateway.journal.segments import SegmentJournal
from gateway.model import Control, SessionEvent
from gateway.sections import Settings
from gateway.state import audit
from gateway.state.configurations import hash_of
from gateway.state.database import StateDatabase
from gateway.state.lock import DirectoryLock
from gateway.store.outcome import Store

log = logging.getLogger("citylight")

STATE_FILE = "state.db"
WORKERS_FILE = "workers"
"""Says among how many workers a data directory is divided; not there if it is not."""

MEND_S = 1.0
NAME_AGAIN_S = 1.0


class DataDirectory:
    """Open from ``open`` until its stack is unwound; one process at a time."""

    database: StateDatabase
    journal: SegmentJournal
    configurations: Configurations
    start: ledger.Start

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._naming = asyncio.Lock()

    async def open(self, stack: AsyncExitStack) -> None:
        """DirectoryLocked if another process has it, StateFormatTooNew if a later version wrote it."""
        directory = self._settings.gateway.data_dir
        stack.enter_context(DirectoryLock(directory))
        claim(directory, workers=1)
        file = directory / STATE_FILE
        self.database = await StateDatabase.open(file)
        stack.push_async_callback(self.database.close)
        self.start = await ledger.read_start(self.database)
        options = wiring.journal(self._settings)
        self.journal = SegmentJournal(directory / "journal", options, floor=self.start.floor)
        stack.push_async_callback(self.journal.close)
        for loss in self.journal.opening.lost:
            await self._name(loss.damage(), tries_max=1)  # a full disk must not keep it from starting
        self.configurations = Configurations(ledger.configuration_loader(file), self.start.timeline)

    async def name_loss(self, damage: JournalCorrupt) -> None:
        """Write into the journal, once, which records can not be read; returns when that is durable."""
        await self._name(damage, tries_max=None)

    async def _name(self, damage: JournalCorrupt, *, tries_max: int | None) -> None:
        async with self._naming:
            if await ledger.is_loss_named(self.database, damage.sequence):
                return
            log.error("journal: %s", damage)
            epoch, wall_ns = max(1, self.start.epoch), self._clock.wall_ns()
            gap = SessionEvent(epoch, "gap", wall_ns, gap="journal_corrupt", detail=str(damage))
            for attempt in count(1):
                try:
                    await self.journal.append(Kind.SESSION, [encode_session(gap)])
                except JournalError as error:
                    if attempt == tries_max:
                        log.error("journal: the loss is not named yet: %s", error)
                        return
                    await asyncio.sleep(NAME_AGAIN_S)
                else:
                    break
            await ledger.put_loss_named(self.database, damage.sequence)

    async def mend(self) -> None:
        """Take the journal up again after the disk failed it, for ever."""
        said = ""
        while True:
            await asyncio.sleep(MEND_S)
            if failure := self.journal.failure:
                if failure != said:
                    log.error("journal: %s", failure)
                said = failure
                with suppress(JournalError):
                    again = await self.journal.reopen()
                    log.warning("journal: taken up again: %s", again)
                    for loss in again.lost:
                        await self.name_loss(loss.damage())
                    said = ""

    async def put_in_force(self, packed: bytes, configuration: Configuration | None = None) -> Configuration:
        """Make packed sources what is read with from now on; nothing happens if they are that already.

        ``configuration`` is what they mean, where that is known: a large inventory takes seconds to read.
        """
        name = await ledger.put_configuration(self.database, packed, self._clock.wall_ns())
        if configuration is not None:
            self.configurations.keep(configuration)
        if name != self.configurations.current_hash:
            if configuration is None:
                self.configurations.keep(interpret(packed, name))
            control = Control("configuration", self._clock.wall_ns(), name)
            sequence = await self.journal.append(Kind.CONTROL, [encode_control(control)])
            await ledger.put_in_force(self.database, sequence, name)
            self.configurations.put_in_force(sequence, name)
        return self.configurations.current

    async def back_up(
        self, *, file: str, store: Store, trimming: AbstractAsyncContextManager[Any]
    ) -> dict[str, Any]:
        """Everything here in one file, as of one moment; OrderRefused when it can not be written."""
        directory, wall_ns = self._settings.gateway.data_dir, self._clock.wall_ns()
        return await back_up(
            Path(file),
            directory=directory,
            journal=self.journal,
            store=store,
            trimming=trimming,
            wall_ns=wall_ns,
        )

    async def reload(self, *, by: str = "") -> dict[str, Any]:
        """Read profiles and inventory again; refused whole if anything in them is wrong."""
        packed = wiring.sources(self._settings).pack()
        configuration = interpret(packed, hash_of("sources", packed))
        before = self.configurations.current.fleet
        after = await self.put_in_force(packed, configuration)
        entry = audit.Entry(self._clock.wall_ns(), by, "reload", after.hash)
        await self.database.transact(lambda connection: audit.append(connection, entry))
        memory.give_back()
        log.info("configuration %s is in force, ordered by %s", after.hash[:12], by or "nobody named")
        return {"configuration": after.hash} | asdict(difference(before, after.fleet))


def claim(directory: Path, *, workers: int) -> None:
    """Say among how many workers ``directory``, whose lock is held, is divided.

    ConfigurationError if it is divided otherwise: readings on their way, alarms that stand and what their
    rules remember lie with the worker that had them.
    """
    file = directory / WORKERS_FILE
    before = 1 if (directory / STATE_FILE).is_file() else 0
    if file.is_file():
        before = int(file.read_text(encoding="ascii"))
    if before not in {0, workers}:
        remedy = f"set it to {before}, or name a new data_dir"
        problem = f"{directory} was written with workers = {before} and can not be divided anew"
        raise ConfigurationError("settings", "gateway.workers", problem, remedy)
    if workers > 1 and not before:
        draft = file.with_suffix(".new")
        draft.write_text(f"{workers}\n", encoding="ascii")
        draft.replace(file)
