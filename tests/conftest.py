"""Fixtures for the whole suite: real servers, each with its own port and directory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from servers import InfluxDB, Mosquitto, Server, VictoriaMetrics

settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start a mosquitto with options of one's own, e.g. ``mosquitto_with(tls=True, users={"u": "p"})``."""
    with ExitStack() as stack:
        numbers = count(1)

        def start(**options: Any) -> Mosquitto:
            return stack.enter_context(Mosquitto(tmp_path / f"mosquitto-{next(numbers)}", **options))

        yield start


@pytest.fixture
def mosquitto(mosquitto_with: Callable[..., Mosquitto]) -> Mosquitto:
    """An open, persistent mosquitto of this test's own."""
    return mosquitto_with()


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxDB]:
    """An InfluxDB 1.6 of this test's own with one empty database, named in ``.database``."""
    with InfluxDB(tmp_path / "influxdb") as server:
        server.create("city")
        yield server


@pytest.fixture
def victoria_metrics(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    """An empty VictoriaMetrics of this test's own; ``export`` waits until writes are visible."""
    with VictoriaMetrics(tmp_path / "victoria-metrics") as server:
        yield server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failing test shows the end of the log of every server that was up."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        for server in Server.running:
            report.sections.append((f"log of {server.binary} on {server.port}", server.log))
