"""``citylight replay``. In: a recorded journal. Out: its alarms and faults, one JSON line a transition.

The same translator and alarm follower as in a running gateway, at full speed, without broker, store or clock:
the same journal gives the same bytes. Never changes the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, TextIO

from gateway import ledger, settings, wiring
from gateway.alarm.engine import AlarmEngine
from gateway.alarms import Alarm, Fault
from gateway.commands.record import SOURCES_SUFFIX
from gateway.configuration import Configurations
from gateway.data_directory import STATE_FILE
from gateway.errors import ConfigurationError, JournalCorrupt
from gateway.followers import AlarmFollower
from gateway.journal.record import Kind, decode_control
from gateway.journal.recorded import walk
from gateway.model import Control, Counts
from gateway.sections import Settings
from gateway.state.configurations import timeline
from gateway.system_clock import SystemClock
from gateway.translation import Translator

STRETCH_BYTES: Final = 1 << 20
"""Compressed; how much of the journal is translated at once. What comes out does not depend on it."""

_NEVER_S: Final = 1e9


def replay(options: argparse.Namespace) -> int:
    """Writes the alarm file."""
    chosen = settings.build({}, "", Path(), {}) if options.config is None else settings.read(options.config)
    known = configurations(options.journal, chosen if options.config else None)
    with ExitStack() as stack:
        file, faults = (
            stack.enter_context(path.open("w", encoding="utf-8", newline="\n")) if path else None
            for path in (options.alarms, options.faults)
        )
        assert file is not None  # the grammar demands it
        counts, transitions = replay_journal(options.journal, file, known, chosen, faults=faults)
    figures = {"received": counts.received, "quarantined": counts.quarantined, "readings": counts.readings}
    print(json.dumps(figures | {"transitions": transitions}))
    return 0


def replay_journal(
    journal: Path,
    file: TextIO,
    known: Configurations,
    chosen: Settings,
    *,
    stretch_bytes: int = STRETCH_BYTES,
    faults: TextIO | None = None,
) -> tuple[Counts, int]:
    """Follow ``journal`` from its first record to its last; (counts, transitions written to ``file``)."""
    return asyncio.run(_follow(journal, _AlarmFile(file, faults), known, chosen, stretch_bytes))


async def _follow(
    journal: Path, alarms: _AlarmFile, known: Configurations, chosen: Settings, stretch_bytes: int
) -> tuple[Counts, int]:
    in_force = known.at(0)
    translator = Translator(wiring.translation(chosen), known.named, in_force)

    def rebuild(engine: AlarmEngine, control: Control) -> AlarmEngine:
        configuration = known.named(control.hash)
        if configuration.fleet is engine.fleet:
            return engine
        new = configuration.engine()
        new.restore(engine.snapshot())
        return new

    follower = AlarmFollower(
        in_force.engine(),
        alarms,
        position=0,
        counts=Counts(),
        rebuild=rebuild,
        observe=lambda _: None,
        clock=SystemClock(),  # paces commits that would move nothing but a cursor; decides nothing
        snapshot_s=_NEVER_S,
    )
    for stretch in walk(journal, bytes_max=stretch_bytes):
        if isinstance(stretch, JournalCorrupt):
            await follower.take([translator.lost(stretch)])
        else:
            await follower.take([translator.translate(stretch)])
    return follower.counts, alarms.written


class _AlarmFile:
    """An ``AlarmLedger`` that keeps nothing but the transitions, as lines."""

    def __init__(self, file: TextIO, faults: TextIO | None) -> None:
        self._file, self._faults = file, faults
        self.written = 0

    async def commit(
        self,
        transitions: Sequence[tuple[int, Alarm]],
        position: int,  # noqa: ARG002
        counts: Counts,  # noqa: ARG002
        snapshot: bytes | None,  # noqa: ARG002
        faults: Sequence[tuple[int, Fault]] = (),
    ) -> None:
        if self._faults is not None:
            for _, fault in faults:
                self._faults.write(json.dumps(fault.document(), ensure_ascii=False) + "\n")
        for _, alarm in transitions:
            self._file.write(json.dumps(alarm.document(), ensure_ascii=False) + "\n")
        self.written += len(transitions)


def configurations(journal: Path, chosen: Settings | None) -> Configurations:
    """What the journal names: from ``chosen`` where given, else from beside it or a state.db above it."""
    if chosen is not None:
        packed = wiring.sources(chosen).pack()
        return Configurations(lambda _: packed, [(-1, "")])
    state = next((p for p in (journal / STATE_FILE, journal.parent / STATE_FILE) if p.is_file()), None)
    since = _since(state) if state else list(_named_by(journal))
    if not since:
        raise ConfigurationError(
            str(journal), "", "names no configuration to be read with", "name a configuration with -c"
        )
    kept = ledger.configuration_loader(state) if state else lambda _: None
    return Configurations(_loader(journal, kept), since)


def _loader(journal: Path, kept: Callable[[str], bytes | None]) -> Callable[[str], bytes | None]:
    def load(name: str) -> bytes | None:
        file = journal / f"{name}{SOURCES_SUFFIX}"
        return file.read_bytes() if file.is_file() else kept(name)

    return load


def _since(state: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return timeline(connection)


def _named_by(journal: Path) -> Iterator[tuple[int, str]]:
    """The first configuration the journal itself names."""
    for stretch in walk(journal, bytes_max=STRETCH_BYTES):
        if isinstance(stretch, JournalCorrupt):
            continue
        for record in stretch:
            if record.kind is Kind.CONTROL:
                control = decode_control(record.payload)
                if control.kind == "configuration":
                    yield record.sequence - 1, control.hash
                    return
