"""The targets, and whether they are met. In: reports of benches. Out: one verdict a target.

Source: issue "Faster than the broker that feeds it". Never measures, never rounds a figure over its limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import latency
from benchmarks.end_to_end import FULL, RATE, STEADY
from benchmarks.figures import Report

Figure = float | None


@dataclass(frozen=True, slots=True)
class Target:
    """``figure`` finds the number in the report of ``bench``; at most ``limit``, or at least."""

    text: str
    bench: str
    limit: float
    unit: str
    figure: Callable[[Report], Figure]
    at_least: bool = False

    def verdict(self, reports: Mapping[str, Report]) -> dict[str, Any]:
        """``figure`` and ``met`` are None where the bench did not run, or its peer is absent."""
        report = reports.get(self.bench)
        figure = self.figure(report) if report else None
        met = None if figure is None else figure >= self.limit if self.at_least else figure <= self.limit
        word = "at least" if self.at_least else "at most"
        return {
            "target": self.text,
            "limit": f"{word} {self.limit:g} {self.unit}".strip(),
            "figure": figure,
            "met": met,
            "command": f"citylight bench {self.bench.replace(DISTURBED, 'latency --disturbed')}",
        }


DISTURBED = "latency-disturbed"


HELD_SHARE: Final = 0.95
NOTHING: Final[Mapping[str, Any]] = defaultdict(lambda: defaultdict(lambda: None), messages_per_s=0)
"""The run that did not take place."""


def _cpu(run: str = "") -> Callable[[Report], Figure]:
    return lambda report: _run(report, run)["cpu_us_per_message"].get("gateway")


def _cpu_steady(report: Report) -> Figure:
    """None where the rate was not held: what waits comes in larger blocks, which cost less."""
    run = _run(report, STEADY)
    held = (run["messages_per_s"] or 0) >= HELD_SHARE * RATE
    return run["cpu_us_per_message"].get("gateway") if held else None


def _ratio(other: str, run: str = "") -> Callable[[Report], Figure]:
    return lambda report: _run(report, run)["ratio"][other]


def _p99(run: str) -> Callable[[Report], Figure]:
    return lambda report: _run(report, run)["latency_ms"]["p99"]


def _own(name: str, run: str = "") -> Callable[[Report], Figure]:
    return lambda report: _run(report, run)["figures"].get(name)


def _run(report: Report, name: str) -> Any:
    wanted = name or report["headline"]
    return next((run for run in report["runs"] if run["name"] == wanted), NOTHING)


STEADY_RATE = latency.RATES[-1]
TARGETS = (
    Target("gateway CPU per message at full load", "pipeline", 6.0, "µs", _cpu()),
    Target("the same at 20,000 messages/s through mosquitto", "end-to-end", 8.0, "µs", _cpu_steady),
    Target("at mosquitto's highest rate, gateway : mosquitto", "end-to-end", 0.4, "", _ratio("broker", FULL)),
    Target("the same load, gateway : telegraf", "peers", 0.25, "", _ratio("telegraf", "telegraf")),
    Target(
        "alarm latency p99 at 20,000 messages/s", "latency", 100.0, "ms", _p99(latency.name_of(STEADY_RATE))
    ),
    Target(
        "the same beside pages, history and a catch-up",
        DISTURBED,
        100.0,
        "ms",
        _p99(latency.name_of(STEADY_RATE, disturbed=True)),
    ),
    Target("memory, 100,000 devices, 200 rules", "memory", 300.0, "MB", _own("rss_peak_mb")),
    Target("growth of it, second half of the run", "memory", 0.03, "of it", _own("growth_share")),
    Target("cost growth, 1,000 to 1,000,000 devices", "growth", 1.3, "×", _own("growth")),
    Target("catch-up with 1,000,000 unread, times live", "catch-up", 3.0, "×", _own("times_live"), True),
    Target("two pinned workers, times one", "workers", 1.7, "×", _own("speed_up"), True),
    Target("simulator, messages/s per core", "simulator", 100_000, "", _own("messages_per_core_s"), True),
)


def verdicts(reports: Mapping[str, Report]) -> list[dict[str, Any]]:
    return [target.verdict(reports) for target in TARGETS]
