"""What a gateway keeps on disk. In: settings. Out: journal, state.db and configurations, under one lock.

The same for a gateway that runs and for a command that works on the files of one that does not.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

from gateway import ledger, wiring
from gateway.clock import Clock
from gateway.configuration import Configuration, Configurations, interpret
from gateway.inventory.difference import difference
from gateway.journal.record import Kind, encode_control
from gateway.journal.segments import SegmentJournal
from gateway.model import Control
from gateway.sections import Settings
from gateway.state.database import StateDatabase
from gateway.state.lock import DirectoryLock

log = logging.getLogger("citylight")

STATE_FILE = "state.db"


class DataDirectory:
    """Open from ``open`` until its stack is unwound; one process at a time."""

    database: StateDatabase
    journal: SegmentJournal
    configurations: Configurations
    start: ledger.Start

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def open(self, stack: AsyncExitStack) -> None:
        """DirectoryLocked if another process has it, StateFormatTooNew if a later version wrote it."""
        directory = self._settings.gateway.data_dir
        stack.enter_context(DirectoryLock(directory))
        file = directory / STATE_FILE
        self.database = await StateDatabase.open(file)
        stack.push_async_callback(self.database.close)
        self.start = await ledger.read_start(self.database)
        options = wiring.journal(self._settings)
        self.journal = SegmentJournal(directory / "journal", options, floor=self.start.floor)
        stack.push_async_callback(self.journal.close)
        for loss in self.journal.opening.lost:
            log.error("journal: %s", loss)
        self.configurations = Configurations(ledger.configuration_loader(file), self.start.timeline)

    async def put_in_force(self, packed: bytes) -> Configuration:
        """Make packed sources what is read with from now on; nothing happens if they are that already."""
        name = await ledger.put_configuration(self.database, packed, self._clock.wall_ns())
        if name != self.configurations.current_hash:
            self.configurations.keep(interpret(packed, name))
            control = Control("configuration", self._clock.wall_ns(), name)
            sequence = await self.journal.append(Kind.CONTROL, [encode_control(control)])
            await ledger.put_in_force(self.database, sequence, name)
            self.configurations.put_in_force(sequence, name)
        return self.configurations.current

    async def reload(self, *, by: str = "") -> dict[str, Any]:
        """Read profiles and inventory again; refused whole if anything in them is wrong."""
        packed = wiring.sources(self._settings).pack()
        interpret(packed, "")
        before = self.configurations.current.fleet
        after = await self.put_in_force(packed)
        log.info("configuration %s is in force, ordered by %s", after.hash[:12], by or "nobody named")
        return {"configuration": after.hash} | asdict(difference(before, after.fleet))
