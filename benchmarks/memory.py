"""Memory of a gateway in a large city, over time. In: devices, a rate, a duration. Out: the bench report.

200 rules are defined, 40 on each of five kinds of device, at a steady load through mosquitto; writes are
discarded. ``--duration 1h`` shows whether it is flat; the default shows where it stands.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import numpy as np

from benchmarks import figures, plant
from benchmarks.figures import Report
from benchmarks.meter import Meter, rss_mb
from benchmarks.rulebooks import rules

RULES_EACH = 40
SAMPLE_S = 1.0
SERIES_MAX = 60
LOAD_MESSAGES_MAX = 2_000_000


def measure(devices: int = 100_000, rate: int = 5000, duration_s: float = 90.0) -> Report:
    """``growth_share`` compares the last quarter with the second one: a start is not growth."""
    with ExitStack() as stack:
        # Sensors of every kind, so that the rules of each are held by some.
        line = plant.Line(stack, devices=devices, store="discard", sensors=1000, rules=rules(RULES_EACH))
        begun_mb = rss_mb(line.gateway.pid)
        messages = int(rate * duration_s)
        meter = Meter(line.pids)
        series: list[float] = []
        while (remaining := int(messages - rate * meter.seconds)) > rate:
            with ExitStack() as one:
                load = line.load(one, min(remaining, LOAD_MESSAGES_MAX), rate)
                plant.tell(load, "go")
                while load.poll() is None:
                    series.append(rss_mb(line.gateway.pid))
                    time.sleep(SAMPLE_S)
        plant.wait(lambda: line.pending() == 0, plant.STORED_S_MAX, "all messages stored")
        quarters = [float(np.median(part)) for part in np.array_split(series, 4)]
        run = figures.run(
            f"{devices} devices, {5 * RULES_EACH} rules",
            messages=line.stored(),
            devices=devices,
            seconds=meter.seconds,
            cpu_s=meter.cpu_s(),
            rss_mb=rss_mb(line.gateway.pid),
            figures={
                "rss_start_mb": begun_mb,
                "rss_peak_mb": max(series),
                "growth_share": round(quarters[3] / quarters[1] - 1, 4),
                "start_s": round(line.start_s, 1),
            },
        )
        step = max(1, len(series) // SERIES_MAX)
        run["series"] = {"every_s": step * SAMPLE_S, "rss_mb": series[::step]}
        return figures.report("memory", [run])
