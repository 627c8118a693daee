"""State and journal to a file and back: whole, of one moment, never over anything that is there."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mqtt_client import MqttClient
from plant import Plant
from servers import InfluxDB, Mosquitto

from gateway import backup
from gateway.errors import OrderRefused, StateFormatTooNew


def reading(number: int, start_ms: int, lamp: int = 1) -> tuple[str, bytes]:
    document = {"ts": start_ms + number, "u": 230.5, "n": number}
    return f"city/hoa-phu/luminaire/L-{lamp}/up", json.dumps(document).encode()


def flood(millimetres: int) -> tuple[str, bytes]:
    document = {"id": "FL-1", "ns": time.time_ns(), "mm": millimetres}
    return "city/hoa-phu/flood/FL-1/up", json.dumps(document).encode()


def restored(plant: Plant, file: Path, directory: Path, **sections: Any) -> Plant:
    """Another gateway on what was in ``file``."""
    other = Plant(directory, {**plant.document, "http": {}, **sections})
    other.document["http"] = {"port": other.port}
    other.write()
    answer = other.citylight("restore", file)
    assert answer.code == 0, answer.err
    return other


def test_a_running_gateway_is_backed_up_without_a_pause_and_restored_as_it_was(
    mosquitto_with: Callable[..., Mosquitto], plant_of: Callable[..., Plant], tmp_path: Path
) -> None:
    mosquitto, start_ms = mosquitto_with(), time.time_ns() // 1_000_000 - 600_000
    plant, file = plant_of(mosquitto), tmp_path / "monday.tar.zst"
    stop = threading.Event()

    def publish_on() -> None:
        with MqttClient(mosquitto.host, mosquitto.port, "more") as devices:
            at = 1000
            while not stop.is_set():
                devices.publish_all(reading(number, start_ms) for number in range(at, at + 50))
                at += 50

    with plant:
        plant.until_ready()
        with MqttClient(mosquitto.host, mosquitto.port, "devices") as devices:
            devices.publish_all([*(reading(number, start_ms) for number in range(300)), flood(500)])
            devices.publish("city/hoa-phu/luminaire/L-1/up", b"{")
            plant.settled(302)
            alarms = plant.citylight("alarms", "list", "--json").json
            waiting = plant.citylight("quarantine", "list", "--json").json
            more = threading.Thread(target=publish_on)
            more.start()
            try:
                answer = plant.citylight("backup", file, "--json").json
            finally:
                stop.set()
                more.join()
    assert answer["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (plant.data / backup.SCRATCH).exists()

    other = restored(plant, file, tmp_path / "other", mqtt={"url": mosquitto_with().url})
    assert other.citylight("alarms", "list", "--json").json == alarms
    assert other.citylight("quarantine", "list", "--json").json == waiting
    with other:
        end = answer["journal"][1]
        figures = other.until(
            lambda figures: all(one["position"] >= end for one in figures["followers"].values())
        )
        messages = figures["messages"]
        assert messages["received"] >= 302
        assert messages["received"] == messages["stored"] + messages["quarantined"]
        history = other.citylight("history", "L-1", "switch_on_counter", "--last", "24h", "--json").json
        assert [row["value"] for row in history[:300]] == list(range(300))
        assert len(history) == messages["stored"] - 1
    assert "lost" not in other.log.replace("session_lost", "")


def test_what_a_killed_gateway_had_acknowledged_is_in_its_backup(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_of: Callable[..., Plant], tmp_path: Path
) -> None:
    plant, file = plant_of(mosquitto, influxdb), tmp_path / "after-the-fire.tar.zst"
    start_ms = time.time_ns() // 1_000_000 - 600_000
    with plant:
        plant.until_ready()
        influxdb.kill()
        with MqttClient(mosquitto.host, mosquitto.port, "devices") as devices:
            devices.publish_all(reading(number, start_ms) for number in range(500))
        plant.until(lambda figures: figures["broker"]["acknowledged_messages"] >= 500)
        plant.kill()
    assert plant.citylight("backup", file).code == 0
    influxdb.start()

    other = restored(plant, file, tmp_path / "other")
    with other:
        assert other.settled(500)["stored"] == 500


def test_a_backup_never_overwrites_and_says_where_it_can_not_write(
    plant_of: Callable[..., Plant], mosquitto: Mosquitto, tmp_path: Path
) -> None:
    plant, there = plant_of(mosquitto), tmp_path / "there.tar.zst"
    there.write_bytes(b"last week's")
    with plant:
        refused = plant.citylight("backup", there)
        nowhere = plant.citylight("backup", tmp_path / "no-such-directory" / "x.tar.zst")
    assert refused.code == nowhere.code == 1
    assert "is there already" in refused.err
    assert there.read_bytes() == b"last week's"
    assert "No such file or directory" in nowhere.err


def packed(file: Path, members: dict[str, bytes], **manifest: Any) -> Path:
    """A backup written by hand; ``manifest`` overrides what a true one says."""
    said = {
        "format": backup.FORMAT,
        "version": "0.1.0",
        "created": "2026-11-22T00:00:00Z",
        "state_version": 1,
        "journal_format": 1,
        "journal": [0, 1],
        "files": {name: len(content) for name, content in members.items()},
        **manifest,
    }
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in {backup.MANIFEST: json.dumps(said).encode(), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    file.write_bytes(zstandard.compress(plain.getvalue()))
    return file


WHOLE = {"state.db": b"s" * 5000, "journal/00000000000000000000.segment": b"j" * 50_000}


def test_a_whole_backup_is_restored_byte_by_byte(tmp_path: Path) -> None:
    target = tmp_path / "data"

    backup.restore(packed(tmp_path / "b", WHOLE), target)

    assert {name: (target / name).read_bytes() for name in WHOLE} == WHOLE


@pytest.mark.parametrize("name", ["format", "state_version", "journal_format"])
def test_a_backup_of_a_later_version_is_refused_before_anything_is_touched(tmp_path: Path, name: str) -> None:
    file, target = packed(tmp_path / "b", WHOLE, **{name: 99, "version": "9.9"}), tmp_path / "data"

    with pytest.raises(StateFormatTooNew, match=r"version 9\.9.*is 99"):
        backup.restore(file, target)

    assert not target.exists()


def test_a_directory_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / "state.db").write_bytes(b"mine")

    with pytest.raises(OrderRefused, match="is not empty"):
        backup.restore(packed(tmp_path / "b", WHOLE), target)

    assert [path.name for path in target.iterdir()] == ["state.db"]
    assert (target / "state.db").read_bytes() == b"mine"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_cut_backup_leaves_nothing_behind(tmp_path: Path, share: float) -> None:
    file, target = packed(tmp_path / "b", {**WHOLE, "state.db": bytes(range(256)) * 4000}), tmp_path / "data"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])

    with pytest.raises(OrderRefused):
        backup.restore(file, target)

    file.write_bytes(content)
    backup.restore(file, target)
    assert (target / "state.db").read_bytes() == bytes(range(256)) * 4000


@pytest.mark.parametrize(
    ("members", "manifest"),
    [
        ({"../evil": b"x", "state.db": b"s"}, {}),
        ({"state.db": b"s", "/tmp/evil": b"x"}, {}),
        ({"state.db": b"s"}, {"files": {"state.db": 2}}),
        ({"state.db": b"s"}, {"files": {"state.db": 1, "store.duckdb": 5}}),
        ({"state.db": b"s", "store.duckdb": b"d"}, {"files": {"state.db": 1}}),
        ({"store.duckdb": b"d"}, {}),
        ({"state.db": b"s"}, {"files": 3}),
        ({"state.db": b"s"}, {"format": "new"}),
    ],
)
def test_what_is_no_backup_of_ours_is_refused(
    tmp_path: Path, members: dict[str, bytes], manifest: dict[str, Any]
) -> None:
    with pytest.raises(OrderRefused):
        backup.restore(packed(tmp_path / "b", members, **manifest), tmp_path / "data")
    assert not (tmp_path / "evil").exists()
