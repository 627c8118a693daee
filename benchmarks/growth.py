"""What a message costs in a larger city. In: counts. Out: the bench report, one run a size.

The same replayed stream as ``pipeline``; every device speaks at least once.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import figures, pipeline
from benchmarks.figures import Report

SIZES = (1000, 100_000, 1_000_000)


def measure(messages: int = 600_000, sizes: Sequence[int] = SIZES) -> Report:
    """The headline is the largest; ``growth`` is its CPU a message over that of the smallest."""
    runs = [pipeline.through(max(messages, devices), devices) for devices in sizes]
    smallest = runs[0]["cpu_us_per_message"]["gateway"]
    for run in runs:
        run["figures"]["growth"] = round(run["cpu_us_per_message"]["gateway"] / smallest, 2)
    return figures.report("growth", runs, headline=runs[-1]["name"])
