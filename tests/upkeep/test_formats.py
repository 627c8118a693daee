"""Files of earlier versions are taken up as they are; those of later ones are refused and left alone.

``data/backup-format-1.tar.zst`` was written by version 0.1.0: backup format 1, state.db version 1, journal
format 1, an alarm snapshot of format 1. It is never written again; a new format adds a file beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from plant import Plant
from servers import InfluxDB, Mosquitto

from gateway.journal import segment
from gateway.state.schema import SCHEMA_VERSION

OLD = Path(__file__).parent / "data" / "backup-format-1.tar.zst"
STORED, PENDING = 21, 10
"""Readings its store had, and those that only its journal had; two more messages were in quarantine."""


def test_the_data_of_version_1_is_read_and_gone_on_with(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_of: Callable[..., Plant]
) -> None:
    plant = plant_of(mosquitto, influxdb)
    assert plant.citylight("restore", OLD).code == 0

    alarms = plant.citylight("alarms", "list", "--json").json
    waiting = plant.citylight("quarantine", "list", "--json").json
    assert [(alarm["type"], alarm["state"]) for alarm in alarms] == [("floodLevelCritical", "unacknowledged")]
    assert sorted(row["reason"] for row in waiting) == ["unknown_device", "unparsable"]

    with plant:
        messages = plant.settled(STORED + PENDING + len(waiting))
        assert (messages["stored"], messages["quarantined"]) == (STORED + PENDING, len(waiting))
        standing = plant.citylight("alarms", "list", "--json").json
        assert [alarm["id"] for alarm in standing if alarm["asset"] != "gateway"] == [alarms[0]["id"]]
        history = plant.citylight("history", "L-2", "switch_on_counter", "--last", "9999d", "--json").json
        assert [row["value"] for row in history] == list(range(20, 30)), "stored at their own time"
    with closing(sqlite3.connect(plant.data / "state.db")) as state:
        assert state.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_gateway_refuses_the_data_of_a_later_version_and_says_what_to_do(
    mosquitto: Mosquitto, plant_of: Callable[..., Plant]
) -> None:
    plant = plant_of(mosquitto)
    assert plant.citylight("restore", OLD).code == 0
    with closing(sqlite3.connect(plant.data / "state.db")) as state:
        state.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = {path: path.read_bytes() for path in plant.data.rglob("*.segment")}

    said = plant.refused(1)

    assert f"is of version {SCHEMA_VERSION + 1}; this version reads up to {SCHEMA_VERSION}" in said
    assert "Traceback" not in said
    assert {path: path.read_bytes() for path in plant.data.rglob("*.segment")} == before
    assert segment.FORMAT == 1, "a new format needs a fixture of its own beside this one"
