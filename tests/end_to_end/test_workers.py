"""Two workers on real servers: killed one by one and all at once, they store and tell everything once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    own = {"workers": WORKERS}
    return halved(plant_on(mosquitto, influxdb, lamps=LAMPS, gateway=own, alarms={"snapshot_s": 0.5}))


def halved(plant: Plant) -> Plant:
    """Lamps with even numbers are worker 0's, the others worker 1's."""
    assert [worker_of(cabinet, WORKERS) for cabinet in CABINETS] == [0, 1]
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


APART_MS = 30_000
"""Between those of ``reading``, which begin twenty minutes ago: late, but not too late to be judged."""


def reading(device: str, turn: int, volts: float = 225) -> tuple[str, bytes]:
    """Every value its own, half a minute after the one before."""
    at_ms = time.time_ns() // 1_000_000 - 1_200_000 + turn * APART_MS
    document = {"ts": at_ms, "u": volts + turn / 1000, "n": turn}
    return f"city/hoa-phu/luminaire/{device}/up", json.dumps(document).encode()


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
    messages = [reading(lamp, turn) for turn in range(100) for lamp in ("L-1", "L-2")]
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


def test_operators_see_one_gateway(mosquitto: Mosquitto, plant_on: Callable[..., Plant]) -> None:
    """Alarms of both workers, a device enrolled at another worker than it waited with, one heartbeat."""
    plant = halved(
        plant_on(mosquitto, None, gateway={"workers": WORKERS}, **{"ioc.mqtt": {"heartbeat_s": 0.2}})
    )
    _append(plant.inventory / "light_points.csv", "LP-9,hoa-phu,11.05,106.68,F-1,A,9,150,all-night")
    assert worker_of("NEW-1", WORKERS) == 0
    plant.start()
    plant.until_ready()
    with MqttClient(mosquitto.host, mosquitto.port, "devices") as client:
        client.publish_all(reading(lamp, turn, 270) for turn in range(20) for lamp in ("L-1", "L-2"))
        client.publish_all([reading("NEW-1", turn) for turn in range(3)])
    assert plant.settled(43)["quarantined"] == 3
    high = _high_voltages(plant)
    for alarm in high.values():
        assert plant.citylight("alarms", "ack", alarm["id"], "--by", "lan", "--json").json["by"] == "lan"
    _await_states(plant, {"LP-1": "acknowledged", "LP-2": "acknowledged"})
    assert plant.citylight("alarms", "stats", "--json").json["told"] == 2
    enrol = ("quarantine", "enrol", "NEW-1", "--profile", "luminaire-controller", "--asset", "LP-9", "--json")
    assert plant.citylight(*enrol).json["replayed"] == 3
    plant.until(lambda figures: figures["messages"]["stored"] == 43)
    assert len(plant.citylight("history", "NEW-1", "supply_voltage", "--json").json) == 3
    with Ear(mosquitto, "ioc/heartbeat", "ioc/alarms/#") as ioc:
        beats = lambda: [sum(beat["alarms"].values()) for beat in ioc.documents("ioc/heartbeat")]  # noqa: E731
        ioc.until(lambda _: beats()[-3:] == [len(high)] * 3)  # what a worker says reaches it a little later
        assert {state["asset"] for state in ioc.documents("ioc/alarms/")} == set(high)

    assert plant.citylight("alarms", "faults", "--json").json == []
    assert "no fault has the id" in plant.citylight("alarms", "ticket", "nobody", "--number", "1").err
    works = ("feeder:F-1", "--for", "1h", "--kind", "out_of_service", "--comment", "works", "--by", "lan")
    assert plant.citylight("maintenance", "add", *works).code == 0
    storm = ("area:hoa-phu", "--for", "1h", "--comment", "storm", "--by", "lan")
    assert plant.citylight("maintenance", "add", *storm).code == 0
    assert len(plant.citylight("maintenance", "list", "--json").json) == 2
    audit = plant.citylight("alarms", "audit", "--json").json
    assert sorted(entry["action"] for entry in audit) == [
        *("acknowledge", "acknowledge", "replay"),
        "window",
        "window",
    ]
    _await_states(plant, {"LP-1": "suppressed", "LP-2": "suppressed"})

    assert plant.terminate() == 0
    assert plant.citylight("quarantine", "list", "--json").json == []
    _await_states(plant, {"LP-1": "suppressed", "LP-2": "suppressed"})
    for workers in (1, 3):
        plant.document["gateway"]["workers"] = workers
        plant.write()
        assert f"set it to {WORKERS}" in plant.refused(2)


def _high_voltages(plant: Plant) -> dict[str, dict[str, Any]]:
    """The alarms of L-1 and L-2, which are at different workers, by asset."""
    found: dict[str, dict[str, Any]] = {}

    def both() -> bool:
        alarms = plant.citylight("alarms", "list", "--json").json
        found.update({alarm["asset"]: alarm for alarm in alarms if alarm["type"] == "supplyVoltageTooHigh"})
        return len(found) == WORKERS

    await_that(both, lambda: plant.log)
    return found


def _await_states(plant: Plant, due: dict[str, str]) -> None:
    def now() -> dict[str, str]:
        return {a["asset"]: a["state"] for a in plant.citylight("alarms", "list", "--json").json}

    await_that(lambda: now() == due, lambda: f"{now()}\n{plant.log}")
