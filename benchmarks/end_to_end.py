"""mosquitto to a store through a gateway process. In: counts. Out: the bench report.

Three runs: into a real InfluxDB as fast as it takes, the same with writes discarded (the highest rate
mosquitto sustains), and 20,000 messages a second.
"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks import figures, plant
from benchmarks.figures import Report, Run
from benchmarks.meter import Meter, rss_mb

RATE = 20_000
FULL = "as fast as mosquitto hands on, writes discarded"
STEADY = f"{RATE} messages/s, writes discarded"


def measure(messages: int = 200_000, devices: int = 5000) -> Report:
    """RuntimeError if not every message was stored."""
    runs = [
        through("as fast as InfluxDB takes", messages, devices, store="influxdb"),
        through(FULL, 2 * messages, devices, store="discard"),
        through(STEADY, 2 * messages, devices, store="discard", rate=RATE),
    ]
    return figures.report("end-to-end", runs)


def through(name: str, messages: int, devices: int, *, store: str, rate: float = 0.0) -> Run:
    """One load through one plant."""
    with ExitStack() as stack:
        line = plant.Line(stack, devices=devices, store=store)
        load = line.load(stack, messages, rate)
        meter = Meter(line.pids | {"load": load.pid})
        plant.tell(load, "go")
        what = f"{messages} messages stored"
        plant.wait(lambda: line.stored() >= messages, plant.STORED_S_MAX, what)
        return figures.run(
            name,
            messages=messages,
            devices=devices,
            seconds=meter.seconds,
            cpu_s=meter.cpu_s(),
            rss_mb=rss_mb(line.gateway.pid),
        )
