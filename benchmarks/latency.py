"""Publish of the crossing reading to its event at the IOC. In: rates, a duration. Out: the bench report.

Through mosquitto and a gateway, at fixed rates, alarms of a type without group wait (``floodLevelCritical``).
``disturbed`` adds what else a gateway has to do: a large page, history, and a store follower that catches up.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks import figures, plant
from benchmarks.figures import Report, Run
from benchmarks.meter import Meter, rss_mb
from gateway.control.client import ControlClient

RATES = (1, 1000, 5000, 20_000)
PROBES_PER_S = 20.0
"""Crossings a second on top of the load; at lower rates, they are the load."""
SENSORS = 400  # one in four is a gauge
SETTLE_S = 2.0
PAGE_DEVICES = 20_000
ALARMS_LISTED = 20_000
PASSED_EVERY = 20
AWAY_SHARE = 0.3
HISTORY_S = 1.0
SYNC_S, SYNC_BYTES = 0.1, 4096
HISTORY_FIELD = "active_power"


def measure(
    rates: Sequence[int] = RATES,
    devices: int = 5000,
    duration_s: float = 20.0,
    store: str = "discard",
    disturbed: bool = False,
) -> Report:
    """The headline is the highest rate."""
    if disturbed:
        runs = [at_rate(rates[-1], PAGE_DEVICES, duration_s, store, disturbed=True)]
    else:
        runs = [at_rate(rate, devices, duration_s, store) for rate in rates]
    return figures.report("latency", runs, headline=runs[-1]["name"])


def name_of(rate: int, disturbed: bool = False) -> str:
    return f"{rate} messages/s" + (", disturbed" if disturbed else "")


def at_rate(rate: int, devices: int, duration_s: float, store: str, *, disturbed: bool = False) -> Run:
    """One gateway, one rate. RuntimeError if an event never came."""
    with ExitStack() as stack:
        passed_every = PASSED_EVERY if disturbed else 0
        line = plant.Line(stack, devices=devices, store=store, sensors=SENSORS, passed_every=passed_every)
        probes_per_s = min(PROBES_PER_S, rate)
        load_rate = rate - probes_per_s
        seconds = duration_s + 2 * SETTLE_S
        load = line.load(stack, int(load_rate * seconds), load_rate) if load_rate else None
        probe = plant.start_helper(
            stack,
            "probe",
            *("--port", line.broker.port, "--gauges", line.city.gauges),
            *("--rate", probes_per_s, "--seconds", duration_s),
        )
        plant.expect(probe, "ready")
        if load:
            plant.tell(load, "go")
            time.sleep(SETTLE_S)
        before, meter = line.stored(), Meter(line.pids)
        plant.tell(probe, "go")
        with disk(line) as synced_ms, disturbance(line, duration_s if disturbed else 0.0) as done:
            heard = json.loads(plant.hear(probe))
        spent, stored = meter.cpu_s(), line.stored() - before
        if heard["unheard"]:
            raise RuntimeError(f"{heard['unheard']} crossings never became an event at the IOC")
        return figures.run(
            name_of(rate, disturbed),
            messages=max(1, stored),
            devices=devices,
            seconds=meter.seconds,
            cpu_s=spent,
            latencies_ms=heard["latencies_ms"],
            rss_mb=rss_mb(line.gateway.pid),
            figures={
                "crossings": len(heard["latencies_ms"]),
                "fdatasync_ms_p50": figures.percentiles(synced_ms)["p50"],
                "fdatasync_ms_p99": figures.percentiles(synced_ms)["p99"],
                **done,
            },
        )


@contextmanager
def disk(line: plant.Line) -> Iterator[list[float]]:
    """How long the disk takes for one fdatasync meanwhile: the part of a latency that is the machine's."""
    ended = threading.Event()
    synced_ms: list[float] = []

    def sync() -> None:
        with (line.directory / "disk").open("wb", buffering=0) as file:
            while not ended.wait(SYNC_S):
                file.write(bytes(SYNC_BYTES))
                began = time.monotonic()
                os.fdatasync(file.fileno())
                synced_ms.append((time.monotonic() - began) * 1e3)

    worker = threading.Thread(target=sync)
    worker.start()
    try:
        yield synced_ms
    finally:
        ended.set()
        worker.join()


@contextmanager
def disturbance(line: plant.Line, duration_s: float) -> Iterator[dict[str, float | None]]:
    """Pages and history all the time; the store stands still for a while and is then caught up with.

    Yields what was done, filled in as it goes; nothing is where ``duration_s`` is 0.
    """
    if not duration_s:
        yield {}
        return
    done: dict[str, float | None] = {"pages": 0, "histories": 0, "backlog": 0}
    ended = threading.Event()
    workers = [
        threading.Thread(target=_pages, args=(line, ended, done)),
        threading.Thread(target=_histories, args=(line, ended, done)),
        threading.Thread(target=_absence, args=(line, duration_s, done)),
    ]
    for worker in workers:
        worker.start()
    try:
        yield done
    finally:
        ended.set()
        for worker in workers:
            worker.join()


def _pages(line: plant.Line, ended: threading.Event, done: dict[str, float | None]) -> None:
    """What a page of the whole city asks for, one after the other."""
    data = line.directory / "data"
    with ControlClient(data) as client:
        while not ended.wait(0.2):
            client.ask("alarms.list", limit=ALARMS_LISTED, all=True)
            client.ask("fleet.list")
            client.ask("figures.read")
            done["pages"] = (done["pages"] or 0) + 1


def _histories(line: plant.Line, ended: threading.Event, done: dict[str, float | None]) -> None:
    """A day of one device's readings, again and again."""
    lamps = [row.split()[1] for row in line.city.lamps.read_text(encoding="utf-8").splitlines()]
    with ControlClient(line.directory / "data") as client:
        for k in range(1_000_000):
            if ended.wait(HISTORY_S):
                return
            now_ns = time.time_ns()
            device = lamps[k % len(lamps)]
            client.ask(
                "history.read",
                device=device,
                field=HISTORY_FIELD,
                start_ns=now_ns - 86_400 * 10**9,
                end_ns=now_ns,
            )
            done["histories"] = (done["histories"] or 0) + 1


def _absence(line: plant.Line, duration_s: float, done: dict[str, float | None]) -> None:
    """The store stands still for a share of the time; then its follower has to catch up."""
    os.kill(line.store_pid, signal.SIGSTOP)
    try:
        time.sleep(duration_s * AWAY_SHARE)
        done["backlog"] = line.pending()
    finally:
        os.kill(line.store_pid, signal.SIGCONT)
