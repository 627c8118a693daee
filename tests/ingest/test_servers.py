"""The fixtures keep what they promise: the servers come back on the same port with the same files."""

from __future__ import annotations

import urllib.request

import pytest
from servers import InfluxDB, Mosquitto, VictoriaMetrics, find


def test_influxdb_keeps_its_points_over_a_kill(influxdb: InfluxDB) -> None:
    with urllib.request.urlopen(f"{influxdb.url}/write?db={influxdb.database}", b"m v=1 1", timeout=5):
        pass
    influxdb.kill()
    assert not influxdb.alive
    influxdb.start()
    with urllib.request.urlopen(
        f"{influxdb.url}/query?db={influxdb.database}&q=SELECT+v+FROM+m", timeout=5
    ) as response:
        assert b'["1970-01-01T00:00:00.000000001Z",1]' in response.read()


def test_victoria_metrics_shows_what_was_written(victoria_metrics: VictoriaMetrics) -> None:
    with urllib.request.urlopen(f"{victoria_metrics.url}/write", b"m,device=a v=1", timeout=5):
        pass
    [series] = victoria_metrics.export("m_v", samples_min=1)
    assert series["metric"]["device"] == "a"
    assert series["values"] == [1]


def test_mosquitto_restarts_on_its_port(mosquitto: Mosquitto) -> None:
    port = mosquitto.port
    mosquitto.stop()
    assert not mosquitto.ready()
    mosquitto.start()
    assert mosquitto.ready()
    assert mosquitto.port == port


def test_a_missing_binary_says_what_to_install() -> None:
    with pytest.raises(AssertionError, match="apt-get install influxdb"):
        find("no-such-server", "influxdb")
