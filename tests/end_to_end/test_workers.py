"""Two workers on real servers: killed one by one and all at once, they store and tell everything once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt_client import MqttClient
from plant import WAIT_S_MAX, Ear, Plant, await_that
from servers import InfluxDB, Mosquitto
from test_kill import LAMPS, MESSAGES, ROUNDS, STEP_MS, Devices, alarms_once, stored_once

from gateway.partition import worker_of

WORKERS = 2
CABINETS = ("CB-4", "CB-1")


@pytest.fixture
def plant(mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant]) -> Plant:
    """Lamps with even numbers are worker 0's, the others worker 1's."""
    assert [worker_of(cabinet, WORKERS) for cabinet in CABINETS] == [0, 1]
    plant = plant_on(
        mosquitto, influxdb, lamps=LAMPS, gateway={"workers": WORKERS}, alarms={"snapshot_s": 0.5}
    )
    _append(plant.inventory / "cabinets.csv", "CB-4,hoa-phu,11.06,106.69")
    _append(plant.inventory / "feeders.csv", "F-4,CB-4,no")
    points = plant.inventory / "light_points.csv"
    header, *rows = points.read_text().splitlines()
    rows[1::2] = [row.replace(",F-1,", ",F-4,") for row in rows[1::2]]
    points.write_text("\n".join([header, *rows]) + "\n")
    return plant


def _append(file: Path, line: str) -> None:
    file.write_text(f"{file.read_text()}{line}\n")


def worker_pids(plant: Plant) -> list[int]:
    """By number; a worker's directory says who has its lock."""
    return [int((plant.data / f"worker-{number}" / "lock").read_text()) for number in range(WORKERS)]


def _ended(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def reading(lamp: int, turn: int) -> tuple[str, bytes]:
    """Every value its own."""
    document = {
        "ts": time.time_ns() // 1_000_000 - 3_600_000 + turn * 1000,
        "u": 225 + turn / 1000,
        "n": turn,
    }
    return f"city/hoa-phu/luminaire/L-{lamp}/up", json.dumps(document).encode()


def test_killed_one_by_one_and_then_at_the_head_they_store_everything_once(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant: Plant
) -> None:
    devices = Devices(mosquitto, time.time_ns() // 1_000_000 - (ROUNDS + 1) * STEP_MS)
    with Ear(mosquitto, "ioc/events/#") as ioc:
        plant.start()
        plant.until_ready()
        devices.start()
        for at, worker in ((3000, 0), (7000, 1)):
            devices.until(at)
            os.kill(worker_pids(plant)[worker], signal.SIGKILL)
        devices.until(14_000)
        orphans = worker_pids(plant)
        plant.kill()
        await_that(lambda: all(map(_ended, orphans)), lambda: plant.log)
        plant.start()
        devices.join(WAIT_S_MAX)
        messages = plant.settled(MESSAGES)
        assert messages["stored"] == MESSAGES
        await_that(lambda: not plant.figures()["recipients"]["ioc-mqtt"]["pending"], lambda: plant.log)
        assert plant.terminate() == 0
        alarms_once(ioc, plant, devices, 3)
    stored_once(influxdb, devices)


def test_nothing_is_acknowledged_before_the_slowest_worker_has_it(mosquitto: Mosquitto, plant: Plant) -> None:
    """Worker 1 stands still; then everything is killed. What worker 0 had already is not judged twice."""
    plant.start()
    plant.until_ready()
    quick, slow = worker_pids(plant)
    messages = [reading(lamp, turn) for turn in range(100) for lamp in (1, 2)]
    plant.pause()  # so that all of them are one block
    os.kill(slow, signal.SIGSTOP)
    with MqttClient(mosquitto.host, mosquitto.port, "devices") as client:
        client.publish_all(messages)
    plant.resume()
    figures = plant.until(lambda figures: figures["messages"]["received"] == 100)
    assert figures["broker"]["acknowledged_messages"] == 0
    assert figures["broker"]["pending_bytes"] > 0
    for pid in (plant.pid, quick, slow):
        os.kill(pid, signal.SIGKILL)
    plant.kill()
    plant.start()
    plant.until(lambda figures: figures["messages"]["redelivered"] == 100)
    assert plant.settled(len(messages))["stored"] == len(messages)
