"""A full journal, a full disk: nothing acknowledged is lost, an alarm says so, room ends it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt_client import MqttClient
from plant import Ear, Plant
from servers import InfluxDB, Mosquitto

MIB = 1 << 20
JUNK_BYTES = 12_000
LAMPS = 3


def good(count: int, first: int = 0) -> list[tuple[str, bytes]]:
    """Readings of the lamps, each at a millisecond of its own."""
    now_ms = time.time_ns() // 1_000_000 - 600_000
    return [
        (
            f"city/hoa-phu/luminaire/L-{number % LAMPS + 1}/up",
            json.dumps({"ts": now_ms + number, "u": 230.5, "n": number}).encode(),
        )
        for number in range(first, first + count)
    ]


def junk(count: int) -> list[tuple[str, bytes]]:
    """What no profile reads and no compressor makes small."""
    return [("city/hoa-phu/luminaire/L-1/up", os.urandom(JUNK_BYTES)) for _ in range(count)]


def journal_says(figures: dict[str, Any]) -> list[str]:
    return [reason for reason in figures["not_ready"] if reason.startswith("journal")]


def seen(ear: Ear, kind: str) -> list[tuple[str, str]]:
    """(what happened, severity) of the events of one alarm type, in order."""
    events = ear.documents("ioc/events/")
    return [
        (event["type"].rpartition(".")[2], event["data"]["severity"])
        for event in events
        if event["data"]["type"] == kind
    ]


def test_a_full_journal_stops_acknowledging_says_so_and_recovers_by_itself(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_of: Callable[..., Plant]
) -> None:
    plant = plant_of(
        mosquitto,
        influxdb,
        journal={"bytes_max": 16 * MIB, "disk_free_bytes_min": 0},
        store={"away_s": 1.0},
        alarms={"snapshot_s": 1.0},
    )
    with plant, Ear(mosquitto, "ioc/events/#") as ear:
        plant.until_ready()
        influxdb.kill()
        with MqttClient(mosquitto.host, mosquitto.port, "devices") as devices:
            devices.publish_all(good(200))
            plant.until(lambda figures: figures["store"]["error"])
            devices.publish_all(junk(2000))
            full = plant.until(lambda figures: journal_says(figures) and not figures["broker"]["connected"])
            devices.publish_all(good(100, first=200))
        ear.until(lambda _: seen(ear, "journalFull") == [("raised", "critical")])
        ear.until(lambda _: seen(ear, "storeUnavailable") == [("raised", "major")])
        assert full["journal"]["full"] == 1
        assert full["journal"]["bytes"] <= 16 * MIB + 64 * 1024, "only ticks and their kin go past the bound"
        assert full["messages"]["received"] < 2300, "the broker keeps what the journal did not take"

        influxdb.start()

        messages = plant.settled(2300)
        assert (messages["stored"], messages["quarantined"]) == (300, 2000)
        plant.until(lambda figures: not figures["not_ready"])
        ear.until(lambda _: [what for what, _ in seen(ear, "journalFull")] == ["raised", "cleared"])
        ear.until(lambda _: [what for what, _ in seen(ear, "storeUnavailable")] == ["raised", "cleared"])
        assert plant.figures()["broker"]["gaps"] == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 64 MiB where the gateway keeps its data."""
    directory = tmp_path / "plant" / "data"
    directory.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", directory], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a tmpfs: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Somebody else's file, so large that only ``leave_bytes`` stay free."""
    file = disk / "somebody-elses"
    free = os.statvfs(disk)
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as content:
        left = free.f_bavail * free.f_frsize - leave_bytes
        while left > 0:
            left -= content.write(bytes(min(left, MIB)))
    return file


@pytest.mark.parametrize("leave_bytes", [MIB, 0])
def test_a_full_disk_loses_nothing_and_the_gateway_goes_on_when_there_is_room(
    small_disk: Path,
    mosquitto: Mosquitto,
    influxdb: InfluxDB,
    plant_of: Callable[..., Plant],
    leave_bytes: int,
) -> None:
    plant = plant_of(mosquitto, influxdb)
    with plant, Ear(mosquitto, "ioc/events/#") as ear:
        plant.until_ready()
        with MqttClient(mosquitto.host, mosquitto.port, "devices") as devices:
            devices.publish_all(good(200))
            plant.settled(200)
            file = fill(small_disk, leave_bytes)
            plant.until(journal_says)
            devices.publish_all(good(200, first=200))
            if leave_bytes:
                ear.until(lambda _: seen(ear, "journalFull") == [("raised", "critical")])
            file.unlink()
        messages = plant.settled(400)
        assert messages["stored"] == 400
        plant.until(lambda figures: not figures["not_ready"])
        if leave_bytes:
            ear.until(lambda _: [what for what, _ in seen(ear, "journalFull")] == ["raised", "cleared"])
        assert plant.figures()["broker"]["gaps"] == 0
