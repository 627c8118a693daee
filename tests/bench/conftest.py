"""The guard's figures, measured once; CPU as a ratio to a fixed loop stands at the end of the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import guard
from benchmarks.figures import Report

BUILD = Path(__file__).parents[2] / "build"
SAID = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def guard_report(request: pytest.FixtureRequest) -> Report:
    """Also kept in build/guard.json."""
    found = guard.measure(messages=40_000)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "guard.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    figures = found["runs"][0]["figures"]
    request.config.stash[SAID] = ", ".join(f"{name} {value}" for name, value in figures.items())
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if SAID in config.stash:
        terminalreporter.write_line(f"guard: {config.stash[SAID]}")
