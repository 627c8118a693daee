"""What an operator types, with servers there or away, a gateway running or stopped."""

from __future__ import annotations

import json
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt_client import MqttClient
from plant import Ear, Plant, await_that, citylight
from servers import InfluxDB, Mosquitto, Server, free_port, get

ROOT = Path(__file__).parents[2]


def readiness(plant: Plant) -> tuple[int, str]:
    """Status and words of ``/readyz``."""
    try:
        return 200, get(f"{plant.url}/readyz").decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def report(plant: Plant, what: str, device: str, **document: Any) -> None:
    """One reading over the embedded or the configured broker."""
    host, port = plant.figures()["broker"]["where"].removeprefix("mqtt://").split(":")
    with MqttClient(host, int(port), f"from-{device}", keep_alive=30) as client:
        client.publish(f"city/hoa-phu/{what}/{device}/up", json.dumps(document).encode())


# --- citylight run ------------------------------------------------------------------------------------


def test_run_waits_for_broker_and_store(tmp_path: Path, plant_on: Callable[..., Plant]) -> None:
    broker, store = Mosquitto(tmp_path / "mosquitto"), InfluxDB(tmp_path / "influxdb")
    store.database = "city"
    with plant_on(broker, store) as plant:
        plant.until(lambda figures: len(figures["not_ready"]) == 2)
        status, words = readiness(plant)
        assert status == 503
        assert [line.partition(":")[0] for line in words.splitlines()] == ["broker", "store"]
        assert get(f"{plant.url}/healthz") == b"ok\n"
        await_that(lambda: plant.figures()["broker"]["reconnects"] >= 3, lambda: plant.log)
        said = [line.split(maxsplit=2)[2] for line in plant.log.splitlines() if " WARNING " in line]
        assert any(str(broker.port) in line for line in said)
        assert any(str(store.port) in line for line in said)
        assert len(said) == len(set(said)), "nobody says a thing twice"
        assert len(said) <= 4, "receiver, store, IOC, and all in one line"
        with broker, store:
            store.create("city")
            await_that(lambda: readiness(plant) == (200, "ready\n"), lambda: plant.log)
            report(plant, "luminaire", "L-1", u=230)
            plant.settled(1)
            assert b"citylight_ready 1.0" in get(f"{plant.url}/metrics")
            await_that(lambda: "ready: broker and store answer" in plant.log, lambda: plant.log)
            assert plant.terminate() == 0
    assert {file.name for file in plant.data.iterdir()} == {"journal", "lock", "state.db"}
    assert stat.S_IMODE(plant.data.stat().st_mode) == 0o700
    assert "Traceback" not in plant.log


def test_a_second_gateway_on_the_same_data_is_refused(plant_on: Callable[..., Plant]) -> None:
    with plant_on(None, None) as plant:
        plant.document["http"] = {"port": free_port()}
        plant.write()
        words = plant.refused(1)
        assert words == f"citylight: {plant.data} is in use by process {plant.pid}\n"


def test_secrets_are_said_nowhere(
    mosquitto_with: Callable[..., Mosquitto], plant_on: Callable[..., Plant], tmp_path: Path
) -> None:
    """Logs at their most talkative, figures, metrics, the heartbeat and what ``check`` prints."""
    secrets = {name: f"s3cret-{name}" for name in ("gateway-in", "gateway-out", "store", "hook")}
    for name, secret in secrets.items():
        file = tmp_path / name
        file.write_text(secret)
        file.chmod(0o600)
    broker = mosquitto_with(users={name: secrets[name] for name in ("gateway-in", "gateway-out")})
    away = f"http://127.0.0.1:{free_port()}"
    plant = plant_on(
        broker,
        None,
        mqtt={"username": "gateway-in", "password_file": f"{tmp_path}/gateway-in"},
        store={"kind": "influx1", "url": away, "username": "u", "password_file": f"{tmp_path}/store"},
        logging={"level": "debug", "format": "json"},
        **{
            "ioc.mqtt": {
                "username": "gateway-out",
                "password_file": f"{tmp_path}/gateway-out",
                "heartbeat_s": 0.1,
            },
            "ioc.webhook": [
                {"name": "hook", "url": away, "allow_private": True, "secret_file": f"{tmp_path}/hook"}
            ],
        },
    )
    login = {"user": "gateway-out", "password": secrets["gateway-out"]}
    with plant, Ear(broker, "ioc/heartbeat", **login) as ear:
        plant.until(lambda figures: figures["broker"]["drained"])
        assert plant.citylight("alarms", "test").code == 0
        plant.until(lambda figures: figures["recipients"]["hook"]["error"])
        said = json.dumps(plant.figures()) + plant.citylight("check").out + readiness(plant)[1]
        said += get(f"{plant.url}/metrics").decode()
        ear.until(lambda came: came)
        said += ear.messages[-1].payload.decode()
        assert plant.terminate() == 0
    said += plant.log_file.read_text()
    assert not [secret for secret in secrets.values() if secret in said]


# --- citylight check ----------------------------------------------------------------------------------


def test_check_is_content_when_all_are_there(mosquitto, influxdb, plant_on: Callable[..., Plant]) -> None:
    plant = plant_on(mosquitto, influxdb)
    answer = plant.citylight("check")
    assert answer.code == 0, answer
    lines = answer.out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    assert [line.split()[1] for line in lines] == [
        "configuration", "inventory", "profiles", "data", "broker", "store", "ioc",
    ]  # fmt: skip
    assert not plant.data.exists(), "a check leaves nothing behind"


@pytest.mark.parametrize("absent", ["broker", "store", "ioc"])
def test_check_names_what_can_not_be_reached(
    mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant], absent: str
) -> None:
    servers: dict[str, Server] = {"broker": mosquitto, "store": influxdb}
    own = {"ioc.mqtt": {"url": f"mqtt://127.0.0.1:{free_port()}"}} if absent == "ioc" else {}
    plant = plant_on(mosquitto, influxdb, **own)
    if absent in servers:
        servers[absent].kill()
    answer = plant.citylight("check", "--json")
    assert (answer.code, answer.err) == (1, "")
    failed = {finding["what"]: finding for finding in json.loads(answer.out) if finding["problem"]}
    assert set(failed) == ({"broker", "ioc"} if absent == "broker" else {absent})
    assert all(finding["where"].startswith(("mqtt://", "http://")) for finding in failed.values())


def test_check_finds_what_would_go_wrong_later(
    mosquitto_with: Callable[..., Mosquitto], influxdb: InfluxDB, plant_on: Callable[..., Plant]
) -> None:
    broker = mosquitto_with(users={"gateway-in": "x"})
    away = f"http://127.0.0.1:{free_port()}/alarms"
    plant = plant_on(
        broker,
        influxdb,
        gateway={"profiles": ["profiles"]},
        mqtt={"username": "gateway-in", "password": "old"},
        store={"database": "nowhere"},
        **{
            "ioc.mqtt": {"username": "gateway-in", "password": "x"},
            "ioc.webhook": [
                {"name": "away", "url": away, "allow_private": True},
                {"name": "private", "url": influxdb.url},
            ],
        },
    )
    folder = plant.directory / "profiles" / "flood-gauge"
    folder.mkdir(parents=True)
    shipped = (ROOT / "device_profiles" / "flood-level" / "profile.toml").read_text(encoding="utf-8")
    (folder / "profile.toml").write_text(shipped.replace("flood-level", "flood-gauge"), encoding="utf-8")
    answer = plant.citylight("check", "--json")
    assert answer.code == 1
    problems = {one["what"]: one["problem"] for one in json.loads(answer.out) if one["problem"]}
    for what, words in {
        "profile": "no vectors",
        "broker": "uthori",
        "store": "nowhere",
        "ioc away": "Cannot connect",
        "ioc private": "private address",
    }.items():
        assert words in problems.pop(what)
    assert not problems


# --- bad configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "key", "remedy"),
    [
        ({"mqtt": {"urll": "mqtt://x"}}, "mqtt.urll", "did you mean 'url'?"),
        ({"mqqt": {"url": "mqtt://x"}}, "mqqt", "did you mean 'mqtt'?"),
        ({"mqtt": {"keepalive_s": 1}}, "mqtt.keepalive_s", "docs/settings.md"),
        ({"mqtt": {"url": "http://x"}}, "mqtt.url", "mqtt://host:port"),
        ({"mqtt": {"url": "mqtt://user:pw@x"}}, "mqtt.url", "username"),
        ({"store": {"kind": "influx9"}}, "store.kind", "docs/settings.md"),
        ({"store": {"kind": "influx1"}}, "store", "url is needed"),
        ({"store": {"kind": "influx1", "url": "http://u:pw@x"}}, "store.url", "username"),
        ({"mqtt": {"password_file": "nowhere"}}, "mqtt.password_file", "readable"),
        ({"gateway": {"inventory": "elsewhere"}}, "elsewhere", ""),
        ({"gateway": {"profiles": ["elsewhere"]}}, "elsewhere", "gateway.profiles"),
        ({"gateway": {"time_zone": "Asia/Saigonn"}}, "gateway.time_zone", "IANA"),
        ({"mqtt": {"telemetry_topic": "city/<area>/up"}}, "mqtt.telemetry_topic", "<device>"),
        ({"mqtt": {"telemetry_topic": "city/#/<device>"}}, "mqtt.telemetry_topic", "plain levels"),
        ({"ioc.mqtt": {"event_topic": "ioc/{city}"}}, "event_topic", "{area}"),
        ({"ioc.webhook": [{"name": "a", "url": "http://x"}] * 2}, "name", "give each its own"),
        ({"ioc.webhook": [{"name": "a", "url": "ftp://x"}]}, "ioc.webhook.0.url", "http"),
        ({"mqtt": {"url": "mqtts://127.0.0.1:1", "ca_file": "nowhere.pem"}}, "nowhere.pem", "PEM"),
        ({"mqtt": {"memory_bytes_max": 2_000_000}}, "memory_bytes_max", ""),
    ],
)
def test_bad_configuration_is_one_line(plant_on, sections, key, remedy) -> None:
    plant = plant_on(None, None, **sections)
    answer = plant.citylight("check")
    assert answer.code == 2, answer
    assert (answer.out, answer.err.count("\n")) == ("", 1)
    assert answer.err.startswith("citylight: ")
    assert key in answer.err
    assert remedy in answer.err
    assert "pw" not in answer.err


def test_a_bad_line_of_the_inventory_is_named(plant_on) -> None:
    plant = plant_on(None, None)
    points = plant.inventory / "light_points.csv"
    lines = points.read_text(encoding="utf-8").splitlines()
    points.write_text("\n".join([*lines, lines[-1].replace("LP-3", "LP-4").replace("11.05", "95")]))
    for words in (plant.refused(2), plant.citylight("check").err):
        assert words.count("\n") == 1
        assert "light_points.csv" in words
        assert ":5" in words or "line 5" in words
        assert "latitude" in words
    assert not plant.data.exists()


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    bad = tmp_path / "citylight.toml"
    for content, said in ((None, "No such file"), (b"[mqtt\n", "not TOML"), (b"\xff\n", "not UTF-8")):
        if content is not None:
            bad.write_bytes(content)
        answer = citylight("check", "-c", bad)
        assert answer.code == 2
        assert answer.err.startswith(f"citylight: {bad}: ")
        assert said in answer.err
        assert answer.err.count("\n") == 1


# --- queries and orders -------------------------------------------------------------------------------


def test_queries_and_orders_of_a_running_gateway_and_of_a_stopped_one(
    plant_on: Callable[..., Plant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "thu")
    now_ms = time.time_ns() // 1_000_000
    plant = plant_on(None, None)
    with plant:
        plant.until_ready()
        for age_s, volts in ((100, 270.0), (30, 271.5)):
            report(plant, "luminaire", "L-1", ts=now_ms - age_s * 1000, u=volts)
        for age_s, volts in ((100, 271.0), (30, 272.0), (5, 230.0)):
            report(plant, "luminaire", "L-2", ts=now_ms - age_s * 1000, u=volts)
        plant.settled(5)
        await_that(lambda: len(plant.ask("alarms.list")) == 2, lambda: plant.log)
        running = _ask_everything(plant)
        ids = {alarm["asset"]: alarm["id"] for alarm in running["alarms"]}
        test = plant.citylight("alarms", "test", "--json").json
        assert test["recipients"] == ["ioc-mqtt"]
        acknowledged = plant.citylight("alarms", "ack", ids["LP-1"])
        assert acknowledged.out == f"acknowledged {ids['LP-1']} in the name of thu\n"
        await_that(lambda: len(plant.ask("alarms.show", alarm=ids["LP-1"])) == 2, lambda: plant.log)
        again = plant.citylight("alarms", "ack", ids["LP-1"])
        assert again.code == 1
        assert again.err == (
            f"citylight: alarm {ids['LP-1']} is acknowledged; there is nothing to acknowledge\n"
        )
        figures = plant.citylight("figures", "--json").json
        assert figures["messages"]["stored"] == 5
        assert plant.terminate() == 0

    stopped = _ask_everything(plant)
    states = {alarm["asset"]: alarm["state"] for alarm in stopped.pop("alarms")}
    assert states == {"LP-1": "acknowledged", "LP-2": "returned"}
    del running["alarms"]
    assert stopped == running
    for name in ("figures",):
        answer = plant.citylight(name)
        assert (answer.code, answer.err) == (
            1,
            f"citylight: no gateway runs on {plant.data}; start it with 'citylight run'\n",
        )
    order = plant.citylight("alarms", "ack", ids["LP-2"], "--by", "An", "--comment", "seen", "--json")
    assert order.json == {"alarm": ids["LP-2"], "by": "An"}
    with plant:
        await_that(lambda: len(plant.ask("alarms.show", alarm=ids["LP-2"])) == 3, lambda: plant.log)
        last = plant.citylight("alarms", "show", ids["LP-2"], "--json").json[-1]
        assert (last["event"], last["state"], last["by"], last["comment"]) == (
            "acknowledged",
            "normal",
            "An",
            "seen",
        )
        assert plant.settled(5)["stored"] == 5, "a restart repeats nothing"


def _ask_everything(plant: Plant) -> dict[str, Any]:
    found = {
        "alarms": plant.citylight("alarms", "list", "--json").json,
        "history": plant.citylight("history", "L-2", "supply_voltage", "--last", "1h", "--json").json,
        "fleet": plant.citylight("fleet", "--json").json,
        "asset": plant.citylight("fleet", "LP-2", "--json").json,
        "radio": plant.citylight("rules", "radio", "--json").json,
        "misplaced": plant.citylight("rules", "misplaced", "--json").json,
    }
    assert [sample["value"] for sample in found["history"]] == [271.0, 272.0, 230.0]
    assert found["asset"]["devices"] == ["L-2"]
    assert found["fleet"]["assets"] == {"cabinet": 1, "light_point": 3, "sensor": 4}
    table = plant.citylight("alarms", "list")
    assert table.code == 0
    assert "supplyVoltageTooHigh" in "".join(table.out.split())
    for arguments, words in {
        ("alarms", "show", "0" * 24): "no alarm has the id",
        ("alarms", "ack", "0" * 24): "no alarm has the id",
        ("quarantine", "show", "99.0"): "nothing in quarantine has the key",
        ("quarantine", "show", "first"): "is no key like",
        ("quarantine", "replay"): "say which",
        ("fleet", "LP-77"): "no asset",
    }.items():
        answer = plant.citylight(*arguments)
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1), (arguments, answer)
        assert words in answer.err
    return found


def test_a_test_alarm_goes_to_everybody_and_stands_nowhere(mosquitto, plant_on: Callable[..., Plant]) -> None:
    with plant_on(mosquitto, None) as plant, Ear(mosquitto, "ioc/#") as ioc:
        plant.until(lambda figures: figures["recipients"].get("ioc-mqtt", {}).get("error") == "")
        answer = plant.citylight("alarms", "test", "--json").json
        ioc.until(lambda came: len([m for m in came if m.topic == "ioc/events/_/info"]) == 3)
        events = [event["data"] for event in ioc.documents("ioc/events/")]
        assert {(event["id"], event["type"]) for event in events} == {(answer["alarm"], "test")}
        assert [event["transition"] for event in events] == [1, 2, 3]
        assert events[-1]["state"] == "normal"
        assert plant.citylight("alarms", "list", "--all", "--json").json == []
        ioc.until(lambda came: [m for m in came if m.topic.startswith("ioc/alarms/")][-1].payload == b"")


def test_reload_takes_the_new_inventory_or_none_of_it(plant_on: Callable[..., Plant]) -> None:
    with plant_on(None, None) as plant:
        plant.until_ready()
        devices = plant.inventory / "devices.csv"
        good = devices.read_text(encoding="utf-8")
        devices.write_text(good + "L-4,luminaire-controler\n", encoding="utf-8")
        refused = plant.citylight("reload")
        assert refused.code != 0
        assert "devices.csv" in refused.err
        assert refused.err.count("\n") == 1
        report(plant, "luminaire", "L-4", u=230)
        assert plant.settled(1)["quarantined"] == 1
        devices.write_text(good + "L-4,luminaire-controller\n", encoding="utf-8")
        assert plant.citylight("reload").code == 0
        report(plant, "luminaire", "L-4", u=231)
        assert plant.settled(2)["stored"] == 1
        plant.terminate()
        devices.write_text(good + "L-4,luminaire-controller\nL-5,luminaire-controller\n", encoding="utf-8")
    assert plant.citylight("reload", "--json").json["devices"]["added"] == ["L-5"]
    with plant:
        plant.until_ready()
        report(plant, "luminaire", "L-5", u=232)
        assert plant.settled(3)["stored"] == 2


def test_no_data_no_answers(plant_on: Callable[..., Plant]) -> None:
    plant = plant_on(None, None)
    answer = plant.citylight("alarms", "list")
    assert answer.code == 1
    assert answer.err == f"citylight: {plant.data} holds no gateway's data; start one with 'citylight run'\n"
    assert not plant.data.exists()


def test_an_unknown_device_is_enrolled_in_one_step(plant_on: Callable[..., Plant]) -> None:
    with plant_on(None, None) as plant:
        plant.until_ready()
        report(plant, "luminaire", "L-9", u=229)
        assert plant.settled(1)["quarantined"] == 1
        enrolled = plant.citylight(
            "quarantine", "enrol", "L-9", "--profile", "luminaire-controller", "--asset", "LP-9"
        )
        assert enrolled.code != 0, "there is no such place"
        assert "L-9" not in (plant.inventory / "devices.csv").read_text(encoding="utf-8")
        points = plant.inventory / "light_points.csv"
        with points.open("a", encoding="utf-8") as table:
            table.write("LP-9,hoa-phu,11.05,106.68,F-1,A,9,150,all-night\n")
        arguments = ("enrol", "L-9", "--profile", "luminaire-controller", "--asset", "LP-9", "--json")
        assert plant.citylight("quarantine", *arguments).json["replayed"] == 1
        assert plant.settled(2)["stored"] == 1
        (sample,) = plant.citylight("history", "L-9", "supply_voltage", "--json").json
        assert sample["value"] == 229.0


def test_commands_end_as_scripts_expect(plant_on: Callable[..., Plant]) -> None:
    assert citylight().code == 2
    assert citylight("alarms").code == 2
    assert citylight("no-such-command").code == 2
    assert citylight("history", "L-1", "u", "--last", "yesterday").code == 2
    assert citylight("--version").code == 0
    assert os.environ.get("CITYLIGHT_CONFIG") is None
