"""Whether the simulated city could ever be the bottleneck. In: counts. Out: the bench report.

Three ways to make a load: computing the city (messages as a recorded journal keeps them), publishing it to a
mosquitto, and the pre-encoded generator that the other benches use.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from contextlib import ExitStack

from benchmarks import figures, plant
from benchmarks.figures import ROOT, Report, Run
from benchmarks.inside import START_NS, configuration
from benchmarks.meter import cpu_s
from gateway.journal.record import Kind, decode_arrival
from simulators.recording import records
from simulators.simulation import Simulation
from tests.servers import Mosquitto

EVENING_NS = START_NS + 8 * 3600 * 10**9  # every lamp has power
INTERVAL_S = 10.0
COMPUTED, PUBLISHED, ENCODED = "computed", "published", "pre-encoded"
PUBLISH_S = 18
SENT = re.compile(r"sent (\d+)")


def measure(messages: int = 200_000, devices: int = 20_000) -> Report:
    """The headline is what computes the city's messages; each run's own figure is per CPU second."""
    runs = [computed(messages, devices), published(devices), encoded(messages)]
    for run in runs:
        (spent_us,) = run["cpu_us_per_message"].values()
        run["figures"]["messages_per_core_s"] = round(1e6 / spent_us)
    return figures.report("simulator", runs, headline=COMPUTED)


def computed(messages: int, devices: int) -> Run:
    """The city's records for as many intervals as it takes."""
    known = configuration(devices)
    profiles = {profile.name: profile for profile in known.profiles}
    simulation = Simulation(known.fleet, profiles, (), 1, EVENING_NS, INTERVAL_S)
    until_ns = EVENING_NS + int((messages / devices + 1) * INTERVAL_S * 1e9)
    began, count = time.process_time(), 0
    for kind, payload in records(simulation, known.hash, EVENING_NS, until_ns):
        if kind is Kind.MESSAGES:
            count += decode_arrival(payload).count
    seconds = time.process_time() - began
    return figures.run(
        COMPUTED, messages=count, devices=devices, seconds=seconds, cpu_s={"simulator": seconds}
    )


def published(devices: int) -> Run:
    """``citylight simulate`` against a mosquitto, asked for more than it can do."""
    with ExitStack() as stack:
        directory = plant.temporary(stack)
        broker = stack.enter_context(Mosquitto(directory / "mosquitto", settings=plant.BROKER))
        plant.write_city(directory, devices)
        nowhere = "http://127.0.0.1:1"
        file = plant.write_configuration(directory, broker=broker.url, ioc=broker.url, store=nowhere, port=1)
        command = [sys.executable, "-m", "gateway.cli", "simulate", "-c", str(file), "--interval", "0.2s"]
        process = stack.enter_context(
            subprocess.Popen(
                [*command, "--for", f"{PUBLISH_S}s"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        assert process.stderr is not None
        said = ((SENT.match(line), time.monotonic(), cpu_s(process.pid)) for line in process.stderr)
        # From one line of progress to another: reading the inventory is no part of it.
        told = [(int(sent[1]), when, spent) for sent, when, spent in said if sent]
        (first, began, spent_s), (last, ended, all_s) = told[0], told[-1]
        return figures.run(
            PUBLISHED,
            messages=last - first,
            devices=devices,
            seconds=ended - began,
            cpu_s={"simulator": all_s - spent_s},
        )


def encoded(messages: int) -> Run:
    """The load generator's sending; it encodes before."""
    with ExitStack() as stack:
        directory = plant.temporary(stack)
        broker = stack.enter_context(Mosquitto(directory / "mosquitto", settings=plant.BROKER))
        city = plant.write_city(directory, 1000)
        counts = ("--messages", messages, "--devices", city.lamps)
        load = plant.start_helper(stack, "load", "--port", broker.port, *counts)
        plant.expect(load, "ready")
        plant.tell(load, "go")
        sent = json.loads(plant.hear(load))
        return figures.run(
            ENCODED,
            messages=sent["sent"],
            devices=1000,
            seconds=sent["seconds"],
            cpu_s={"load": sent["cpu_s"]},
        )
