"""``citylight simulate --to-journal``. In: an inventory or a scenario. Out: a raw journal and its truth.

No broker: the journal is what a gateway would have written that heard everything. What the gateway believes
about the city lies beside it, named by hash, so that ``replay`` needs nothing else.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import settings, wiring
from gateway.configuration import Configuration, Sources, interpret
from gateway.errors import ConfigurationError
from gateway.journal.recorded import JournalWriter
from gateway.model import nanoseconds
from gateway.state.configurations import hash_of
from simulators.astronomy import DAY_NS
from simulators.fault import Fault, parse_faults
from simulators.recording import records
from simulators.scenario import Lies, read_scenario
from simulators.simulation import Simulation
from simulators.staging import city_inventory, stage

START: Final = "2026-11-02T05:00:00Z"
"""Noon in Vietnam: a night in one piece, and outside the rainy season's first half."""

DAYS: Final = 7.0
SOURCES_SUFFIX: Final = ".sources"


def record(options: argparse.Namespace) -> int:
    """Writes journal, sources and truth."""
    made = bare(options) if options.scenario is None else staged(options)
    written = write(options.to_journal, made)
    if options.truth:
        write_truth(options.truth, made.simulation, made.until_ns)
    days = (made.until_ns - made.from_ns) / DAY_NS
    lamps = sum(asset.kind == "light_point" for asset in made.believed.fleet.assets)
    figures = {"records": written, "days": days, "seed": made.seed, "lamp_nights": round(lamps * days)}
    print(json.dumps(figures))
    return 0


@dataclass(frozen=True, slots=True)
class Recording:
    """A simulation, what the gateway believes of it, and the span to write."""

    simulation: Simulation
    sources: Sources
    believed: Configuration
    seed: int
    from_ns: int
    until_ns: int


def bare(options: argparse.Namespace) -> Recording:
    """The inventory of the settings, without field practice: physics and the faults of ``--faults``."""
    chosen = settings.read(options.config)
    sources = wiring.sources(chosen)
    configuration = interpret(sources.pack(), "")
    start_ns = start(options.start or START)
    seed = 1 if options.seed is None else options.seed
    simulation = Simulation(
        configuration.fleet,
        {profile.name: profile for profile in configuration.profiles},
        read_faults(options.faults, configuration, start_ns),
        seed,
        start_ns,
        options.interval_s,
        telemetry_topic=chosen.mqtt.telemetry_topic,
        status_topic=chosen.mqtt.status_topic,
    )
    days = DAYS if options.days is None else options.days
    until_ns = start_ns + round(days * DAY_NS)
    return Recording(simulation, sources, configuration, seed, start_ns, until_ns)


def staged(options: argparse.Namespace) -> Recording:
    """The scenario's own city with all of field practice; seed, start and days of the command line win."""
    scenario = read_scenario(_text(options.scenario), str(options.scenario))
    chosen = settings.build({}, "", Path(), {})
    replaced = {"seed": options.seed, "start": options.start, "days": options.days}
    scenario = msgspec.structs.replace(scenario, **{k: v for k, v in replaced.items() if v is not None})
    if options.honest:
        scenario = msgspec.structs.replace(scenario, lies=Lies(0.0, 0.0, 0.0, 0.0))
    start_ns = start(scenario.start)
    profiles = wiring.profiles(chosen)
    sources = Sources(profiles, city_inventory(scenario.city), chosen.gateway.time_zone)
    believed = interpret(sources.pack(), "")
    simulation = stage(
        scenario,
        believed.fleet,
        {profile.name: profile for profile in believed.profiles},
        extra=read_faults(options.faults, believed, start_ns),
        interval_s=options.interval_s,
    )
    until_ns = start_ns + round(scenario.days * DAY_NS)
    return Recording(simulation, sources, believed, scenario.seed, start_ns, until_ns)


def write(directory: Path, made: Recording) -> int:
    """The journal in ``directory``; how many records it has."""
    packed = made.sources.pack()
    name = hash_of("sources", packed)
    with JournalWriter(directory) as journal:
        (directory / f"{name}{SOURCES_SUFFIX}").write_bytes(packed)
        for kind, payload in records(made.simulation, name, made.from_ns, made.until_ns):
            journal.append(kind, payload)
    return journal.next


def write_truth(file: Path, simulation: Simulation, until_ns: int) -> None:
    """One JSON line for each thing that went wrong, or looked as if."""
    entries: list[dict[str, Any]] = list(simulation.truth(until_ns))
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    file.write_text("".join(lines), encoding="utf-8")


def read_faults(file: Path | None, configuration: Configuration, start_ns: int) -> tuple[Fault, ...]:
    """The faults of a TOML file, none where no file is named; ConfigurationError names what is wrong."""
    if file is None:
        return ()
    return parse_faults(_text(file), str(file), configuration.fleet, start_ns)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), "", f"can not be read: {error}", "name a TOML file") from error


def start(text: str) -> int:
    try:
        return nanoseconds(text)
    except ValueError as error:
        remedy = f"write a UTC time like {START}"
        raise ConfigurationError("--start", "", f"{text!r} is no time", remedy) from error
