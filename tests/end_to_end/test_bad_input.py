"""What devices, strangers and attackers may send: quarantined with its reason, never under a wrong name."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mqtt_client import MqttClient
from plant import Plant
from servers import InfluxDB, Mosquitto
from test_whole_way import influx_points

from gateway.model import rfc3339

EVIL = 'x",water_level=99i 1790000000000000000 flood,device=FL-9 \\'
DEEP = b'{"u":230,"x":' + b"[" * 4000 + b"]" * 4000 + b"}"


def up(kind: str, device: str, area: str = "hoa-phu") -> str:
    return f"city/{area}/{kind}/{device}/up"


def text(document: Any) -> bytes:
    return json.dumps(document).encode()


def bad_messages(now_ms: int) -> list[tuple[str, bytes, str]]:
    """(topic, payload, reason)."""
    lamp, flood = up("luminaire", "L-1"), up("flood", "FL-1")
    water = {"id": "FL-1", "ns": now_ms * 1_000_000, "mm": 5}
    bins = [{"end": now_ms // 1000 - n, "n": {"car": n}} for n in range(97)]
    return [
        (lamp, b'{"u": 230', "unparsable"),
        (lamp, b"", "unparsable"),
        (lamp, b"[230]", "unparsable"),
        (lamp, b'{"u": NaN}', "unparsable"),
        (lamp, b'{"u": 230}\x00', "unparsable"),
        (lamp, b'{"u": 230, "note": "' + b"x" * 70_000 + b'"}', "oversize"),
        (lamp, DEEP, "too_deep"),
        (lamp, b'{"u": 230, "note": "\xff\xfe"}', "bad_utf8"),
        (lamp, b'{"u": 230, "note": "\\ud800"}', "bad_utf8"),
        (lamp, b"{}", "no_value"),
        (lamp, text({"ts": now_ms, "dim": 255, "u": 9000, "p": "90"}), "no_value"),
        (flood, text({**water, "id": "FL-2"}), "id_mismatch"),
        (flood, text({**water, "extra": 1}), "unknown_key"),
        (flood, text(water)[:-1] + b', "mm": 6}', "duplicate_key"),
        (flood, text({**water, "fw": "v1\u0000"}), "control_character"),
        (flood, text({**water, "fw": "v1\nflood,device=FL-9 water_level=9 1"}), "control_character"),
        (up("traffic", "TR-1"), text({"id": "TR-1", "bins": bins}), "too_many_records"),
        (up("luminaire", "L-99"), text({"ts": now_ms, "u": 230}), "unknown_device"),
        (up("cabinet", "L-1"), text({"u": 230}), "class_mismatch"),
        (up("luminaire", "L-1,area=evil u=1"), text({"u": 230}), "bad_id"),
        (up("luminaire", "L-1 "), text({"u": 230}), "bad_id"),
        (up("luminaire", "x" * 65), text({"u": 230}), "bad_id"),
        ("legacy/lamp", text({"u": 230}), "foreign_topic"),
    ]


@pytest.fixture
def earlier_session(mosquitto: Mosquitto) -> None:
    """The broker holds a session of the gateway's from before, with a subscription it no longer wants."""
    expiry = {"session_expiry_interval": 3600}
    with MqttClient(mosquitto.host, mosquitto.port, "citylight-in", clean_start=False, **expiry) as earlier:
        earlier.subscribe("legacy/#")


@pytest.fixture
def device(mosquitto: Mosquitto) -> Iterator[MqttClient]:
    with MqttClient(mosquitto.host, mosquitto.port, "anybody") as client:
        yield client


def test_each_bad_message_is_quarantined_with_its_reason(
    mosquitto: Mosquitto,
    influxdb: InfluxDB,
    plant_on: Callable[..., Plant],
    device: MqttClient,
    earlier_session: None,
) -> None:
    bad = bad_messages(time.time_ns() // 1_000_000)
    with plant_on(mosquitto, influxdb) as plant:
        plant.until_ready()
        began_ns = time.time_ns()
        assert all(answer.value < 0x80 for answer in device.publish_all((t, p) for t, p, _ in bad))
        device.publish("city/hoa-phu/luminaire/L-1/status", b"perhaps")
        messages = plant.settled(len(bad))
        assert (messages["stored"], messages["quarantined"], messages["status"]) == (0, len(bad), 1)

        rows = plant.citylight("quarantine", "list", "--json").json
        found = Counter((row["topic"], row["reason"]) for row in rows)
        due = Counter((topic, reason) for topic, _, reason in bad)
        assert found == due + Counter({("city/hoa-phu/luminaire/L-1/status", "bad_status"): 1})
        assert all(rfc3339(began_ns) < row["received"] < rfc3339(time.time_ns()) for row in rows)
        few = plant.citylight("quarantine", "list", "--reason", "id_mismatch", "--json").json
        assert [(row["device"], row["stage"]) for row in few] == [("FL-1", "decode")]
        whole = plant.citylight("quarantine", "show", few[0]["key"], "--json").json
        assert json.loads(base64.b64decode(whole["payload_base64"]))["id"] == "FL-2"
        (large,) = plant.citylight("quarantine", "list", "--reason", "oversize", "--json").json
        assert large["payload_bytes"] > 70_000

        plant.until(lambda figures: sum(figures["quarantine"].values()) == len(rows))
        assert plant.figures()["quarantine"] == Counter(row["reason"] for row in rows)
    assert influx_points(influxdb) == []


def test_what_is_odd_but_good_is_stored_under_its_own_name(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant], device: MqttClient
) -> None:
    now_ms = time.time_ns() // 1_000_000
    device.publish(up("luminaire", "L-2"), text({"ts": now_ms - 5000, "u": 1.0}), retain=True)
    with plant_on(mosquitto, influxdb) as plant:
        plant.until_ready()
        began_ns = time.time_ns()
        device.publish(up("luminaire", "L-1", "a b,c=d\u00a0\"'"), text({"ts": now_ms, "u": 230}))
        device.publish(up("luminaire", "L-2"), text({"ts": now_ms, "u": 231}), retain=True)
        device.publish(up("luminaire", "L-3"), text({"ts": 946_684_800_000, "u": 232}))  # the year 2000
        device.publish(up("luminaire", "L-3"), text({"ts": now_ms + 86_400_000, "u": 233}))  # tomorrow
        device.publish(up("luminaire", "L-3"), text({"ts": 1e300, "u": 234}))
        device.publish(
            up("flood", "FL-1"), text({"id": "FL-1", "ns": now_ms * 1_000_000, "mm": 7, "fw": EVIL})
        )
        bins = [{"end": now_ms // 1000, "n": {"car": 4}}, {"end": now_ms // 1000 - 9, "n": {"car": -4}}]
        device.publish(up("traffic", "TR-1"), text({"id": "TR-1", "bins": bins}))
        messages = plant.settled(7)
        assert (messages["stored"], messages["retained"], messages["clock"]) == (7, 1, 3)
        (half,) = plant.citylight("quarantine", "list", "--json").json
        assert (half["reason"], half["key"].count(".")) == ("no_value", 2), "one sample, not the message"
        ended_ns = time.time_ns()
    points = influx_points(influxdb)
    assert len(points) == 7
    by_value = {fields.get("supply_voltage"): (tags, at, fields) for _, tags, at, fields in points}
    assert by_value[230][0]["area"] == "hoa-phu", "the area of a topic is a label"
    assert 1.0 not in by_value, "a retained copy is no reading"
    for voltage in (232, 233, 234):
        _, at, fields = by_value[voltage]
        assert began_ns < at < ended_ns
        assert at == fields["received_at"]
        assert "time=clock" in fields["quality"].split(",")
    (flood,) = [fields for kind, _, _, fields in points if kind == "flood"]
    assert (flood["firmware_version"], flood["water_level"]) == (EVIL, 0.007)
    assert {kind for kind, *_ in points} == {"luminaire", "flood", "traffic"}
    assert {tags["device"] for _, tags, *_ in points} == {"L-1", "L-2", "L-3", "FL-1", "TR-1"}


METER = """
name = "meter"
device_class = "meter"
payload = "json"
interval_s = 900
silence_intervals = 4
[title]
vi = "Công tơ"
en = "Meter"
[time]
field = "at"
format = "epoch_s"
[[field]]
name = "active_power"
path = "{path}"
type = "float"
unit = "W"
min = 0
max = 10000
"""


def test_replay_after_the_mistake_is_mended(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant], device: MqttClient
) -> None:
    plant = plant_on(mosquitto, influxdb, gateway={"profiles": ["profiles"]})
    profile = plant.directory / "profiles" / "meter" / "profile.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text(METER.format(path="watt"), encoding="utf-8")
    with (plant.inventory / "devices.csv").open("a") as devices:
        devices.write("M-1,meter\n")
    now_s = time.time_ns() // 1_000_000_000
    flood_ns = now_s * 1_000_000_000 - 77
    with plant:
        plant.until_ready()
        began_ns = time.time_ns()
        device.publish(up("meter", "M-1"), text({"at": now_s - 60, "W": 41.5}))
        device.publish(up("meter", "M-1"), text({"at": now_s - 30, "W": 42.5}))
        device.publish(up("flood", "FL-9"), text({"id": "FL-9", "ns": flood_ns, "mm": 2000}))
        assert plant.settled(3)["quarantined"] == 3
        ended_ns = time.time_ns()

        profile.write_text(METER.format(path="W"), encoding="utf-8")
        for file, row in (
            ("devices", "FL-9,flood-level"),
            ("sensors", "S-FL-9,hoa-phu,11.05,106.68"),
            ("assignments", "FL-9,S-FL-9"),
        ):
            with (plant.inventory / f"{file}.csv").open("a") as table:
                table.write(f"{row}\n")
        assert "FL-9" in json.dumps(plant.citylight("reload", "--json").json)
        (flood,) = plant.citylight("quarantine", "list", "--reason", "unknown_device", "--json").json
        assert plant.citylight("quarantine", "replay", flood["key"], "--json").json == {
            "replayed": 1,
            "cut_short": 0,
        }
        answer = plant.citylight("quarantine", "replay", "--reason", "no_value")
        assert (answer.code, answer.out.strip()) == (0, "2 messages are in the journal again")
        messages = plant.settled(6)
        assert (messages["stored"], messages["quarantined"]) == (3, 3)
        assert plant.citylight("quarantine", "list", "--json").json == []
        assert plant.citylight("alarms", "list", "--all", "--json").json == [], (
            "a replay is stored, not judged"
        )
        again = plant.citylight("quarantine", "replay", flood["key"], "--json").json
        assert again["replayed"] == 1, "an operator may insist"
        plant.settled(7)
    points = {(tags["device"], at): fields for _, tags, at, fields in influx_points(influxdb)}
    assert set(points) == {
        ("M-1", (now_s - 60) * 1_000_000_000),
        ("M-1", (now_s - 30) * 1_000_000_000),
        ("FL-9", flood_ns),
    }
    assert points["FL-9", flood_ns]["water_level"] == 2.0
    assert points["M-1", (now_s - 30) * 1_000_000_000]["active_power"] == 42.5
    assert all(began_ns < fields["received_at"] < ended_ns for fields in points.values())


def test_what_the_store_refuses_can_be_replayed_once_it_takes_it(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant], device: MqttClient
) -> None:
    """The quarantine holds the line that was refused; a replay takes the message itself from the journal."""
    write = f"{influxdb.url}/write?db={influxdb.database}"
    urllib.request.urlopen(write, b'weather,device=WX-1 wind_speed="calm"\n', timeout=10).close()
    at_us = time.time_ns() // 1000
    with plant_on(mosquitto, influxdb) as plant:
        plant.until_ready()
        device.publish(up("weather", "WX-1"), text({"ts": at_us, "rh": 80, "wind": {"v100": 120}}))
        device.publish(up("weather", "WX-1"), text({"ts": at_us + 1, "rh": 81}))
        messages = plant.settled(2)
        assert (messages["stored"], messages["quarantined"]) == (1, 1)
        (row,) = plant.citylight("quarantine", "list", "--json").json
        assert (row["stage"], row["reason"], row["device"]) == ("store", "type_conflict", "WX-1")

        drop = f"{influxdb.url}/query?db={influxdb.database}&q=DROP%20MEASUREMENT%20weather"
        urllib.request.urlopen(drop, b"", timeout=10).close()
        assert plant.citylight("quarantine", "replay", row["key"], "--json").json["replayed"] == 1
        messages = plant.settled(3)
        assert (messages["stored"], messages["quarantined"]) == (2, 1)
        assert plant.citylight("quarantine", "list", "--json").json == []
    (point,) = influx_points(influxdb)
    assert point[2] == at_us * 1000
    assert (point[3]["wind_speed"], point[3]["relative_humidity"]) == (1.2, 80)
