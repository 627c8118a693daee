"""``citylight simulate --to-journal``. In: an inventory or a scenario. Out: a raw journal and its truth.

No broker: the journal is what a gateway would have written that heard everything. What the gateway believes
about the city lies beside it, named by hash, so that ``replay`` needs nothing else.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

from gateway import settings, wiring
from gateway.configuration import Configuration, Sources, interpret
from gateway.errors import ConfigurationError
from gateway.journal.recorded import JournalWriter
from gateway.model import nanoseconds
from gateway.state.configurations import hash_of
from simulators.astronomy import DAY_NS
from simulators.fault import Fault, parse_faults
from simulators.recording import records
from simulators.simulation import Simulation

START: Final = "2026-11-02T05:00:00Z"
"""Noon in Vietnam: a night in one piece, and outside the rainy season's first half."""

SOURCES_SUFFIX: Final = ".sources"


def record(options: argparse.Namespace) -> int:
    """Writes journal, sources and truth."""
    chosen = settings.read(options.config)
    sources = wiring.sources(chosen)
    configuration = interpret(sources.pack(), "")
    start_ns = start(options.start or START)
    simulation = Simulation(
        configuration.fleet,
        {profile.name: profile for profile in configuration.profiles},
        read_faults(options.faults, configuration, start_ns),
        options.seed,
        start_ns,
        options.interval_s,
        telemetry_topic=chosen.mqtt.telemetry_topic,
        status_topic=chosen.mqtt.status_topic,
    )
    until_ns = start_ns + round(options.days * DAY_NS)
    written = write(options.to_journal, simulation, sources, start_ns, until_ns)
    if options.truth:
        write_truth(options.truth, simulation)
    print(json.dumps({"records": written, "days": options.days, "devices": len(simulation.devices)}))
    return 0


def write(directory: Path, simulation: Simulation, sources: Sources, from_ns: int, until_ns: int) -> int:
    """The journal of [from, until] in ``directory``; how many records it has."""
    packed = sources.pack()
    name = hash_of("sources", packed)
    with JournalWriter(directory) as journal:
        (directory / f"{name}{SOURCES_SUFFIX}").write_bytes(packed)
        for kind, payload in records(simulation, name, from_ns, until_ns):
            journal.append(kind, payload)
    return journal.next


def write_truth(file: Path, simulation: Simulation) -> None:
    """One JSON line for each thing that went wrong, or looked as if."""
    entries: list[dict[str, Any]] = list(simulation.truth())
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    file.write_text("".join(lines), encoding="utf-8")


def read_faults(file: Path | None, configuration: Configuration, start_ns: int) -> tuple[Fault, ...]:
    """The faults of a TOML file, none where no file is named; ConfigurationError names what is wrong."""
    if file is None:
        return ()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), "", f"can not be read: {error}", "name a TOML file") from error
    return parse_faults(text, str(file), configuration.fleet, start_ns)


def start(text: str) -> int:
    try:
        return nanoseconds(text)
    except ValueError as error:
        remedy = f"write a UTC time like {START}"
        raise ConfigurationError("--start", "", f"{text!r} is no time", remedy) from error
