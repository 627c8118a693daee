"""examples/deploy as a person would use it: unit, secrets, broker, configurations, dashboard."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from gateway.settings import Settings, build

SECRETS = {
    "mqtt-gateway-in",
    "mqtt-gateway-out",
    "mqtt-simulators",
    "influxdb-admin",
    "influxdb-token",
    "grafana-admin",
}
EXPOSURE_MAX = 20  # tenths; systemd-analyze calls up to 2.0 "OK"
DEADLINE_S = 20


@pytest.fixture(scope="session")
def deploy(root: Path) -> Path:
    return root / "examples" / "deploy"


# --- systemd ----------------------------------------------------------------------------------


@pytest.fixture
def unit(deploy: Path, tmp_path: Path) -> Path:
    """The unit with a program that exists; verify looks for it."""
    text = (deploy / "citylight-gateway.service").read_text()
    assert "ExecStart=/opt/citylight/bin/citylight run -c " in text
    copy = tmp_path / "citylight-gateway.service"
    copy.write_text(text.replace("/opt/citylight/bin/citylight", shutil.which("true") or "/bin/true"))
    return copy


def _systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program, "systemd-analyze is missing: sudo apt-get install --no-install-recommends systemd"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_unit_is_valid(unit):
    done = _systemd_analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_unit_is_hardened(unit):
    done = _systemd_analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit))
    assert done.returncode == 0, done.stdout[-500:]


def test_unit_does_not_restart_bad_configuration_and_watches_the_loop(unit):
    text = unit.read_text()
    for line in ("Type=notify", "Restart=on-failure", "RestartPreventExitStatus=2", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in text
    assert re.search(r"^WatchdogSec=\d+$", text, re.M)


def test_unit_hands_the_passwords_to_settings_that_exist(unit, tmp_path):
    """Each LoadCredential is used, and the variables name settings."""
    text = unit.read_text()
    loaded = set(re.findall(r"^LoadCredential=([\w-]+):", text, re.M))
    variables = dict(line.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.M))
    used = {value.removeprefix("%d/") for value in variables.values() if value.startswith("%d/")}
    assert loaded == used
    for name in loaded:
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o400)
    environment = {name: value.replace("%d", str(tmp_path)) for name, value in variables.items()}

    settings = build({}, "citylight.toml", tmp_path, environment)

    assert settings.mqtt.password.get_secret_value() == "secret"
    assert settings.ioc.mqtt.password.get_secret_value() == "secret"


# --- secrets ---------------------------------------------------------------------------------


@pytest.fixture
def secrets(deploy: Path, tmp_path: Path) -> Path:
    """``secrets.sh`` run in a copy of the project's layout."""
    clone = tmp_path / "a clone"
    shutil.copytree(deploy, clone / "examples" / "deploy", ignore=shutil.ignore_patterns("secrets"))
    script = clone / "examples" / "deploy" / "secrets.sh"
    subprocess.run(["sh", str(script)], check=True, capture_output=True, timeout=60)
    return script.parent / "secrets"


def test_secrets_are_random_closed_and_kept(secrets):
    first = {file.name: file.read_text() for file in secrets.iterdir()}
    assert set(first) == SECRETS
    assert len(set(first.values())) == len(SECRETS)
    assert all(re.fullmatch(r"[0-9a-f]{48}", text) for text in first.values())
    assert not any(stat.S_IMODE(file.stat().st_mode) & 0o007 for file in secrets.iterdir())

    subprocess.run(["sh", str(secrets.parent / "secrets.sh")], check=True, capture_output=True, timeout=60)

    assert {file.name: file.read_text() for file in secrets.iterdir()} == first
    environment = (secrets.parents[2] / ".env").read_text()
    assert environment == f"CITYLIGHT_GID={os.getgid()}\n"


def test_secrets_are_never_committed(root, deploy):
    assert "secrets/" in (deploy / ".gitignore").read_text().splitlines()
    assert ".env" in (root / ".gitignore").read_text().splitlines()


def test_compose_file_reads_the_secrets_that_are_made_and_listens_on_loopback(root):
    text = (root / "docker-compose.yml").read_text()
    assert set(re.findall(r"file: \./examples/deploy/secrets/([\w-]+)", text)) == SECRETS
    published = re.findall(r"^\s+ports: \[(.*)\]$", text, re.M)
    assert published
    assert len(published) == text.count("ports:")
    assert all(re.fullmatch(r'"127\.0\.0\.1:\d+:\d+"', ports) for ports in published)
    assert not re.search(r"^\s+\w*(?:PASSWORD|TOKEN|SECRET)\w*: (?!/run/secrets/)", text, re.M)


# --- the configurations of the containers ----------------------------------------------------------


@pytest.mark.parametrize("name", ["gateway.toml", "simulators.toml"])
def test_container_configuration_is_valid(deploy, secrets, name):
    text = (deploy / name).read_text().replace("/run/secrets", str(secrets))

    settings = build(tomllib.loads(text), name, deploy, {})

    assert isinstance(settings, Settings)
    assert settings.mqtt.password.get_secret_value()


# --- the broker of the containers ---------------------------------------------------------------------


@pytest.fixture
def broker(deploy: Path, secrets: Path, tmp_path: Path) -> Iterator[int]:
    """The real mosquitto with the shipped start script, configuration and ACL; paths and port substituted."""
    assert shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"), (
        "mosquitto is missing: sudo apt-get install --no-install-recommends mosquitto"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"/mosquitto/config": tmp_path / "config", "/mosquitto/data": tmp_path / "data"}
    places |= {"/run/mosquitto": tmp_path / "run", "/run/secrets": secrets}
    for place in places.values():
        place.mkdir(exist_ok=True)
    for name in ("mosquitto.conf", "acl", "start.sh"):
        text = (deploy / "broker" / name).read_text().replace("listener 1883", f"listener {port} 127.0.0.1")
        for there, here in places.items():
            text = text.replace(there, str(here))
        if name == "mosquitto.conf" and os.geteuid() == 0:
            text = f"user root\n{text}"
        (places["/mosquitto/config"] / name).write_text(text)
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    with (tmp_path / "broker.log").open("w") as log:
        start = ["sh", str(places["/mosquitto/config"] / "start.sh")]
        process = subprocess.Popen(start, stdout=log, stderr=log, env=environment)
    try:
        _await_port(port, process, tmp_path / "broker.log")
        yield port
    finally:
        process.kill()
        process.wait()


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(DEADLINE_S * 20):
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            threading.Event().wait(0.05)
        else:
            return
    pytest.fail(f"mosquitto does not listen: {log.read_text()}")


class Client:
    """One logged-in user; ``messages`` are the topics it was sent."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.topics: list[str] = []
        self._changed = threading.Condition()
        self._connected: str | None = None
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.username_pw_set(user, password)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._changed:
            self._connected = str(reason)
            self._changed.notify_all()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        with self._changed:
            self.topics.append(message.topic)
            self._changed.notify_all()

    def answer(self) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: self._connected is not None, DEADLINE_S)
            assert self._connected is not None
            return self._connected

    def subscribe(self, topic: str) -> None:
        self._client.subscribe(topic, qos=1)
        assert self._subscribed.wait(DEADLINE_S)

    def publish(self, topic: str) -> None:
        self._client.publish(topic, b"{}", qos=1).wait_for_publish(DEADLINE_S)

    def await_topic(self, topic: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: topic in self.topics, DEADLINE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def login(broker: int, secrets: Path) -> Iterator[Any]:
    opened: list[Client] = []

    def log_in(user: str, password: str | None = None) -> Client:
        known = (secrets / f"mqtt-{user}").read_text()
        opened.append(Client(broker, user, known if password is None else password))
        return opened[-1]

    yield log_in
    for client in opened:
        client.close()


def test_broker_takes_the_made_passwords_and_no_other(login):
    for user in ("gateway-in", "gateway-out", "simulators"):
        assert login(user).answer() == "Success"
    assert login("gateway-in", "guess").answer() == "Not authorized"


def test_only_the_devices_side_can_publish_to_device_topics(login):
    gateway_in, gateway_out, simulators = (login(u) for u in ("gateway-in", "gateway-out", "simulators"))
    gateway_in.answer()
    gateway_in.subscribe("city/#")
    for client, topic in [(gateway_in, "city/a/luminaire/x/up"), (gateway_out, "city/a/luminaire/y/up")]:
        client.answer()
        client.publish(topic)
    simulators.answer()
    simulators.publish("city/a/luminaire/z/up")

    gateway_in.await_topic("city/a/luminaire/z/up")

    assert gateway_in.topics == ["city/a/luminaire/z/up"]


# --- the dashboard -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def targets(deploy: Path) -> list[dict[str, Any]]:
    board = json.loads((deploy / "grafana" / "dashboards" / "street-lighting.json").read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 5
    return [target for panel in board["panels"] for target in panel["targets"]]


def test_dashboard_reads_only_provisioned_sources(deploy, targets):
    provisioned = (deploy / "grafana" / "provisioning" / "datasources" / "citylight.yml").read_text()
    uids = set(re.findall(r"^\s+uid: (\S+)$", provisioned, re.M))
    assert {target["datasource"]["uid"] for target in targets} == uids


def test_dashboard_asks_for_fields_that_profiles_have(root, targets):
    known = set()
    for file in (root / "device_profiles").rglob("*.toml"):
        profile = tomllib.loads(file.read_text(encoding="utf-8"))
        known |= {(profile.get("device_class"), field["name"]) for field in profile.get("field", ())}
    asked = [
        re.search(r'_measurement == "(\w+)" and r\._field == "(\w+)"', target["query"])
        for target in targets
        if "query" in target
    ]
    assert all(asked)
    assert {match.groups() for match in asked if match} <= known


def test_dashboard_asks_for_metrics_that_the_gateway_has(root, targets):
    source = (root / "gateway" / "metrics.py").read_text(encoding="utf-8")
    named = set(re.findall(r"_(?:gauge|counter)\(\s*\"(\w+)\"", source))
    asked = {
        name.removesuffix("_total")
        for target in targets
        for name in re.findall(r"citylight_(\w+)", target.get("expr", ""))
    }
    assert asked
    assert asked <= named
