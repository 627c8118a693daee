"""``citylight simulate``. In: a configuration file, faults. Out: a simulated fleet at the configured broker.

Uses the inventory, profiles and broker of the file, and logs in as its ``[simulator]`` section says.
Never reads what the gateway makes of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys

from gateway import settings, wiring
from gateway.commands.record import read_faults, record
from gateway.commands.run import stop_on_signals
from gateway.configuration import interpret
from gateway.errors import ConfigurationError
from gateway.sections import Settings
from gateway.system_clock import PacedClock, SystemClock
from simulators.connection import PublisherOptions
from simulators.fleet_publisher import Figures, FleetPublisher
from simulators.simulation import Simulation

PROGRESS_S = 5.0


def simulate(options: argparse.Namespace) -> int:
    """Publishes until the time is up or a signal comes; 1 if the broker refused messages."""
    if options.to_journal:
        return record(options)
    if options.scenario:
        raise ConfigurationError("--scenario", "", "is for journals", "name --to-journal, too")
    chosen = settings.read(options.config)
    if not chosen.mqtt.url:
        raise ConfigurationError(str(options.config), "mqtt.url", "is empty", "name the broker to publish to")
    configuration = interpret(wiring.sources(chosen).pack(), "")
    start_ns = SystemClock().wall_ns()
    faults = read_faults(options.faults, configuration, start_ns)
    simulation = Simulation(
        configuration.fleet,
        {profile.name: profile for profile in configuration.profiles},
        faults,
        1 if options.seed is None else options.seed,
        start_ns,
        options.interval_s,
        telemetry_topic=chosen.mqtt.telemetry_topic,
        status_topic=chosen.mqtt.status_topic,
    )
    if options.truth:
        lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in simulation.truth())
        options.truth.write_text("".join(lines), encoding="utf-8")
    figures = asyncio.run(_publish(options, chosen, simulation, start_ns))
    print(json.dumps({"sent": figures.sent, "status": figures.status, "refused": figures.refused}))
    return 1 if figures.refused or figures.dropped else 0


async def _publish(
    options: argparse.Namespace, chosen: Settings, simulation: Simulation, start_ns: int
) -> Figures:
    host, port, encrypted = wiring.address(chosen.mqtt.url)
    own = chosen.simulator
    tls = ssl.create_default_context(cafile=chosen.mqtt.ca_file) if encrypted else None
    publisher = FleetPublisher(
        simulation,
        PacedClock(start_ns, options.pace),
        PublisherOptions(
            host=host,
            port=port,
            per_device=options.per_device,
            username=own.username or None,
            password=own.password.get_secret_value() or None,
            tls=tls,
        ),
    )
    stop = stop_on_signals()
    if options.duration_s:
        asyncio.get_running_loop().call_later(options.duration_s, stop.set)
    progress = asyncio.create_task(_progress(publisher))
    try:
        return await publisher.run(stop)
    finally:
        progress.cancel()


async def _progress(publisher: FleetPublisher) -> None:
    """One line every few seconds on stderr; on a terminal it rewrites itself."""
    end = "\r" if sys.stderr.isatty() else "\n"
    while True:
        await asyncio.sleep(PROGRESS_S)
        f = publisher.figures
        trouble = f", {f.last_error}" if f.last_error and not f.connected else ""
        print(f"sent {f.sent}, waiting {f.pending}, refused {f.refused}{trouble}", end=end, file=sys.stderr)
