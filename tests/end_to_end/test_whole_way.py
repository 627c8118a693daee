"""The whole way on real servers: what devices publish is what the store holds and what the IOC hears."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from mqtt_client import MqttClient
from plant import Ear, Plant, event_ids
from servers import InfluxDB, Mosquitto, VictoriaMetrics, get

ROOT = Path(__file__).parents[2]
DEVICES = ("L-1", "L-2", "L-3", "CC-1", "FL-1", "WX-1", "TR-1")
USERS = {"gateway-in": "in", "gateway-out": "out", "tools": "tool"} | dict.fromkeys(DEVICES, "device")
SECOND = 1_000_000_000
LOGINS = {"mqtt": {"username": "gateway-in"}, "ioc.mqtt": {"username": "gateway-out", "heartbeat_s": 1}}
RECEIVED = object()
"""Stands for the receive time, which only the gateway knows."""


@pytest.fixture
def broker(mosquitto_with: Callable[..., Mosquitto]) -> Mosquitto:
    """Users and the shipped ACL: every device writes below its own name only."""
    return mosquitto_with(users=USERS, acl=(ROOT / "examples" / "mosquitto" / "acl").read_text())


@pytest.fixture
def publish(broker: Mosquitto) -> Iterator[Callable[[str, str, Any], None]]:
    """``publish(class, device, document)``: each device on its own connection, under its own name."""
    with ExitStack() as stack:
        connections: dict[str, MqttClient] = {}

        def send(kind: str, device: str, document: Any) -> None:
            if device not in connections:
                client = MqttClient(broker.host, broker.port, device, username=device, password=b"device")
                connections[device] = stack.enter_context(client)
            payload = json.dumps(document, ensure_ascii=False).encode()
            answer = connections[device].publish(f"city/hoa-phu/{kind}/{device}/up", payload)
            assert answer.value < 0x80

        yield send


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYLIGHT_MQTT__PASSWORD", USERS["gateway-in"])
    monkeypatch.setenv("CITYLIGHT_IOC__MQTT__PASSWORD", USERS["gateway-out"])


@dataclass
class Sent:
    """One message, and the points it must become: (time ns, fields, flagged fields)."""

    kind: str
    device: str
    document: dict[str, Any]
    points: list[tuple[Any, dict[str, Any], dict[str, str]]]
    tags: dict[str, str] = field(default_factory=dict)


LAMP = {
    "dim": 70, "u": 231.4, "i": 0.412, "p": 92.1, "pf": 0.966, "e": 184.2235, "f": 50.01,
    "h": 4123.2, "n": 812, "tc": 41.5, "tg": 58, "lf": False,
}  # fmt: skip
LAMP_STORED = {
    "dimming_level": 70.0, "supply_voltage": 231.4, "supply_current": 0.412, "active_power": 92.1,
    "power_factor": 0.966, "active_energy": 184223.5, "frequency": 50.01, "lamp_operating_hours": 4123.2,
    "switch_on_counter": 812, "controller_temperature": 41.5, "gear_temperature": 58.0, "lamp_failure": False,
}  # fmt: skip
MISSING = dict.fromkeys(
    ("supply_current", "active_power", "power_factor", "active_energy", "frequency", "lamp_operating_hours",
     "gear_temperature", "lamp_failure"),
    "missing",
)  # fmt: skip
LUMINAIRE = {"area": "hoa-phu", "feeder": "F-1", "profile": "luminaire-controller"}


def messages(now_ns: int) -> list[Sent]:
    """Every kind of value the shipped profiles know, with times in the last minutes before ``now_ns``."""
    ms = now_ns // 1_000_000 - 120_000
    us = now_ns // 1000 - 90_000_000
    ns = now_ns - 60 * SECOND + 7
    s = now_ns // SECOND - 3600
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us) + timedelta(hours=7)
    phases = [{"u": 230.5, "i": 12.25, "p": 2.5, "pf": 0.97}, {"u": 231, "p": -0.001}]
    cabinet = {
        "time": local.replace(tzinfo=None).isoformat(timespec="microseconds"),
        "phases": phases,
        "energy": {"import_kwh": 12345.678},
        "hz": 49.98,
        "leak_ma": 65535,
        "temp": 38,
        "io": {"contactor": 1, "door": "closed", "selector": "MAN", "breaker": 0, "rcd": 1},
    }
    cabinet_stored = {
        "phase1_voltage": 230.5, "phase1_current": 12.25, "phase1_active_power": 2500.0,
        "phase1_power_factor": 0.97, "phase2_voltage": 231.0, "phase2_active_power": -1.0,
        "active_energy": 12345678.0, "frequency": 49.98, "cabinet_temperature": 38.0,
        "contactor_closed": True, "door_open": False, "selector_mode": "manual",
        "breaker_tripped": False, "residual_current_trip": True,
    }  # fmt: skip
    absent = ("phase2_current", "phase2_power_factor", "phase3_voltage", "phase3_current",
              "phase3_active_power", "phase3_power_factor")  # fmt: skip
    flood = {"id": "FL-1", "ns": ns, "mm": 125, "bat": 3605, "st": 1, "fw": 'v2, "beta" = \\ Đ 7'}
    weather = {
        "ts": us,
        "t10": -32768,
        "rh": 81,
        "pa": 100_450,
        "wind": {"v100": 512, "dir": 270},
        "rain": 900,
    }
    bins = [
        {"end": s, "n": {"moto": 812, "car": 95, "truck": 7}, "v": 28.5, "occ": 0.31},
        {"end": s + 900, "n": {"moto": 640, "car": 80, "truck": 0}, "v": -1, "occ": 0.22},
    ]
    counts = {
        "motorcycle_count": 812,
        "car_count": 95,
        "truck_count": 7,
        "mean_speed": 28.5,
        "occupancy": 31.0,
    }
    later = {"motorcycle_count": 640, "car_count": 80, "truck_count": 0, "occupancy": 22.0}
    sensor = {"area": "hoa-phu"}
    return [
        Sent("luminaire", "L-1", {"ts": ms, **LAMP}, [(ms * 1_000_000, LAMP_STORED, {})], LUMINAIRE),
        Sent(
            "luminaire",
            "L-2",
            {"ts": ms, "dim": 255, "u": 900, "n": 3, "tc": "41"},
            [
                (
                    ms * 1_000_000,
                    {"switch_on_counter": 3},
                    MISSING
                    | {
                        "dimming_level": "sentinel",
                        "supply_voltage": "out_of_range",
                        "controller_temperature": "wrong_type",
                    },
                )
            ],
            LUMINAIRE,
        ),
        Sent("luminaire", "L-3", LAMP, [(RECEIVED, LAMP_STORED, {})], LUMINAIRE),
        Sent(
            "cabinet",
            "CC-1",
            cabinet,
            [(us * 1000, cabinet_stored, dict.fromkeys(absent, "missing") | {"leakage_current": "sentinel"})],
            {"area": "hoa-phu", "profile": "feeder-cabinet"},
        ),
        Sent(
            "flood",
            "FL-1",
            flood,
            [
                (
                    ns,
                    {
                        "water_level": 0.125,
                        "battery_voltage": 3.605,
                        "gauge_state": "no_echo",
                        "firmware_version": flood["fw"],
                    },
                    {},
                )
            ],
            sensor | {"profile": "flood-level", "datum": "carriageway"},
        ),
        Sent(
            "weather",
            "WX-1",
            weather,
            [
                (
                    us * 1000,
                    {
                        "relative_humidity": 81.0,
                        "atmospheric_pressure": 1004.5,
                        "wind_speed": 5.12,
                        "wind_direction": 270.0,
                    },
                    {
                        "temperature": "sentinel",
                        "rain_rate": "out_of_range",
                        "solar_irradiance": "missing",
                        "illuminance": "missing",
                    },
                )
            ],
            sensor | {"profile": "weather"},
        ),
        Sent(
            "traffic",
            "TR-1",
            {"id": "TR-1", "dir": "N", "bins": bins},
            [
                (s * SECOND, counts | {"direction": "north"}, {}),
                ((s + 900) * SECOND, later | {"direction": "north"}, {"mean_speed": "sentinel"}),
            ],
            sensor | {"profile": "traffic-counter"},
        ),
    ]


def influx(server: InfluxDB, query: str) -> list[dict[str, Any]]:
    """Series of one query, times in ns."""
    arguments = urllib.parse.urlencode({"db": server.database, "epoch": "ns", "q": query})
    (result,) = json.loads(get(f"{server.url}/query?{arguments}"))["results"]
    assert "error" not in result, result
    return list(result.get("series", []))


def influx_points(server: InfluxDB) -> list[tuple[str, dict[str, str], int, dict[str, Any]]]:
    """(measurement, tags, time ns, fields) of everything but the gateway's own probe."""
    found = []
    for series in influx(server, "SELECT * FROM /.*/ GROUP BY *"):
        if series["name"] == "citylight_probe":
            continue
        tags = {key: value for key, value in series["tags"].items() if value}
        for time_ns, *values in series["values"]:
            names = series["columns"][1:]
            fields = {name: v for name, v in zip(names, values, strict=True) if v is not None}
            found.append((series["name"], tags, time_ns, fields))
    return found


def flags(text: str) -> dict[str, str]:
    return dict(word.split("=") for word in text.split(",")) if text else {}


def same(found: dict[str, Any], sent: dict[str, Any]) -> None:
    """Same names, types and values; floats as near as scaling by a decimal power can be."""
    assert found.keys() == sent.keys()
    for name, value in sent.items():
        if type(value) is float:
            assert found[name] == pytest.approx(value, rel=1e-12), name
        else:
            assert (type(found[name]), found[name]) == (type(value), value), name


def test_what_devices_send_is_what_influxdb_holds(broker, influxdb, plant_on, publish, login) -> None:
    with plant_on(broker, influxdb, **LOGINS) as plant:
        plant.until_ready()
        began_ns = time.time_ns()
        sent = messages(began_ns)
        for message in sent:
            publish(message.kind, message.device, message.document)
        assert plant.settled(len(sent))["stored"] == len(sent)
        ended_ns = time.time_ns()

    points = influx_points(influxdb)
    for message in sent:
        own = [point for point in points if point[1].get("device") == message.device]
        assert len(own) == len(message.points), message
        for (kind, tags, time_ns, fields), (due_ns, values, flagged) in zip(own, message.points, strict=True):
            received_ns = fields.pop("received_at")
            assert began_ns <= received_ns <= ended_ns
            assert kind == message.kind
            assert tags == {"device": message.device} | message.tags
            assert time_ns == (received_ns if due_ns is RECEIVED else due_ns)
            assert flags(fields.pop("quality", "")) == flagged
            same(fields, values)
    assert len(points) == sum(len(message.points) for message in sent), "nothing else may be there"
    kinds = {row[0]: row[1] for row in influx(influxdb, 'SHOW FIELD KEYS FROM "luminaire"')[0]["values"]}
    assert {kinds[name] for name in ("active_power", "supply_voltage")} == {"float"}
    assert (kinds["switch_on_counter"], kinds["lamp_failure"]) == ("integer", "boolean")


def test_what_devices_send_is_what_victoriametrics_holds(
    broker, victoria_metrics: VictoriaMetrics, plant_on, publish, login
) -> None:
    codes = {"manual": 2, "no_echo": 1, "north": 0}
    with plant_on(broker, victoria_metrics, **LOGINS) as plant:
        plant.until_ready()
        began_ns = time.time_ns()
        sent = messages(began_ns)
        for message in sent:
            publish(message.kind, message.device, message.document)
        assert plant.settled(len(sent))["stored"] == len(sent)
        ended_ns = time.time_ns()

    expected: dict[tuple[str, str], list[tuple[Any, float]]] = {}
    for message in sent:
        for due_ns, values, _ in message.points:
            for name, value in values.items():
                if name == "firmware_version":
                    continue  # it keeps numbers only
                number = float(codes.get(value, value) if isinstance(value, str) else value)
                due_ms = RECEIVED if due_ns is RECEIVED else due_ns // 1_000_000
                expected.setdefault((message.device, f"{message.kind}_{name}"), []).append((due_ms, number))
    tags = {message.device: message.tags for message in sent}
    samples_min = sum(len(samples) for samples in expected.values())
    samples_min += sum(len(message.points) for message in sent)  # received_at
    found: dict[tuple[str, str], list[tuple[Any, float]]] = {}
    for series in victoria_metrics.export('{device=~".+"}', samples_min=samples_min):
        labels = dict(series["metric"])
        name, device = labels.pop("__name__"), labels.pop("device")
        labels.pop("db", None)
        assert labels == tags[device]
        if name.endswith("_received_at"):
            assert all(began_ns - 1024 <= value <= ended_ns + 1024 for value in series["values"])
            continue
        found[device, name] = sorted(zip(series["timestamps"], series["values"], strict=True))
    assert set(found) == set(expected)
    for key, samples in expected.items():
        assert [value for _, value in found[key]] == pytest.approx([value for _, value in samples], rel=1e-12)
        for (time_ms, _), (due_ms, _) in zip(found[key], samples, strict=True):
            if due_ms is RECEIVED:
                assert began_ns // 1_000_000 <= time_ms <= ended_ns // 1_000_000
            else:
                assert time_ms == due_ms


@pytest.fixture
async def hook() -> Any:
    """A receiver of CloudEvents: its URL, and a queue of what it took."""
    taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        assert request.headers["Content-Type"].startswith("application/cloudevents+json")
        taken.put_nowait({"key": request.headers["Idempotency-Key"], "event": await request.json()})
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/alarms", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/alarms", taken
    await runner.cleanup()


async def test_an_over_voltage_reaches_the_ioc_and_ends(
    broker, influxdb, plant_on, publish, login, hook
) -> None:
    url, taken = hook
    hook_settings = {"name": "city", "url": url, "allow_private": True, "morning_at": ""}
    sections = LOGINS | {"ioc.webhook": [hook_settings]}
    plant = plant_on(broker, influxdb, **sections)
    await asyncio.to_thread(_over_voltage, broker, plant, publish)

    bodies = [await asyncio.wait_for(taken.get(), 30) for _ in range(3)]
    await asyncio.to_thread(plant.terminate)
    assert [body["event"]["type"].rpartition(".")[2] for body in bodies] == [
        "raised",
        "acknowledged",
        "cleared",
    ]
    assert [body["key"] for body in bodies] == [body["event"]["id"] for body in bodies]
    schema = json.loads((ROOT / "docs" / "schemas" / "cloudevent.schema.json").read_text())
    for body in bodies:
        jsonschema.validate(body["event"], schema)
        assert body["event"]["source"] == "urn:citylight:plant"


def _over_voltage(broker: Mosquitto, plant: Plant, publish: Callable[[str, str, Any], None]) -> None:
    """270 V for more than a minute of event time, acknowledged by a person, then 230 V again."""
    state_topic = "ioc/alarms/hoa-phu/LP-1/supplyVoltageTooHigh"
    tools = {"user": "tools", "password": USERS["tools"]}
    start_ms = time.time_ns() // 1_000_000 - 200_000
    plant.start()
    plant.until_ready()
    with Ear(broker, "ioc/#", **tools) as ioc:
        publish("luminaire", "L-1", {"ts": start_ms, "u": 270})
        publish("luminaire", "L-2", {"ts": start_ms, "u": 230})
        publish("luminaire", "L-1", {"ts": start_ms + 59_000, "u": 271})
        publish("luminaire", "L-1", {"ts": start_ms + 61_000, "u": 272.5})
        ioc.until(lambda came: any(m.topic == state_topic for m in came))
        (raised,) = ioc.documents("ioc/events/hoa-phu/major")
        data = raised["data"]
        assert (data["type"], data["asset"], data["device"]) == ("supplyVoltageTooHigh", "LP-1", "L-1")
        assert (data["value"], data["limit"], data["transition"]) == (272.5, 264, 1)
        assert (
            data["onset"]
            == datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            + f"{start_ms % 1000 * 1_000_000:09d}Z"
        )
        with Ear(broker, state_topic, **tools, name="late") as late:
            late.until(lambda came: came)
            assert late.messages[0].retain
            assert late.documents()[0]["state"] == "unacknowledged"

        answer = plant.citylight("alarms", "ack", data["id"], "--by", "An", "--comment", "đang sửa", "--json")
        assert answer.json["alarm"] == data["id"]
        publish("luminaire", "L-1", {"ts": start_ms + 120_000, "u": 260})  # not yet below 253
        publish("luminaire", "L-1", {"ts": start_ms + 150_000, "u": 231})
        ioc.until(lambda came: [m for m in came if m.topic == state_topic][-1].payload == b"")
        ioc.until(lambda came: len([m for m in came if m.topic.startswith("ioc/events/")]) >= 3)
        events = ioc.documents("ioc/events/")
        assert event_ids(events) == [(data["id"], number) for number in (1, 2, 3)]
        assert (events[1]["data"]["by"], events[1]["data"]["comment"]) == ("An", "đang sửa")
        assert events[2]["data"]["state"] == "normal"
        ioc.until(lambda came: len([m for m in came if m.topic == "ioc/heartbeat"]) >= 2)
        beat = ioc.documents("ioc/heartbeat")[-1]
        assert (beat["gateway"], beat["state"], beat["not_ready"]) == ("plant", "online", [])
    with Ear(broker, "ioc/alarms/#", "ioc/heartbeat", **tools, name="later") as later:
        later.until(lambda came: any(m.topic == "ioc/heartbeat" for m in came))
        assert not later.documents("ioc/alarms/"), "nothing stands, so nothing is retained"
