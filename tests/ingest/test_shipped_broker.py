"""The shipped mosquitto.conf and ACL, in a real mosquitto, against those who would break their rules."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import mqtt5
import pytest
from mqtt_client import MqttClient
from servers import CERTIFICATES, Mosquitto, free_port, password_file

ROOT = Path(__file__).parents[2]
USERS = {"gateway-in": "in", "gateway-out": "out", "tools": "tool", "lamp-1": "one", "lamp-2": "two"}
DENIED = mqtt5.PubAckReasonCode.NOT_AUTHORIZED


class ShippedMosquitto(Mosquitto):
    """mosquitto with the files a user copies; only places and ports are changed."""

    def configuration(self) -> str:
        self.device_port = getattr(self, "device_port", free_port())
        changes = {
            "listener 1883 127.0.0.1": f"listener {self.port} {self.host}",
            "listener 8883": f"listener {self.device_port} {self.host}",
            "/var/lib/mosquitto/": f"{self.directory}/",
            "/etc/mosquitto/passwords": str(password_file(self.directory, USERS)),
            "/etc/mosquitto/acl": str(ROOT / "examples" / "mosquitto" / "acl"),
            "/etc/mosquitto/certs/server.crt": str(CERTIFICATES / "server.pem"),
            "/etc/mosquitto/certs/server.key": str(CERTIFICATES / "server.key"),
        }
        text = (ROOT / "mosquitto.conf").read_text()
        for shipped, here in changes.items():
            assert shipped in text
            text = text.replace(shipped, here)
        return f"user root\n{text}" if os.geteuid() == 0 else text


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[ShippedMosquitto]:
    with ShippedMosquitto(tmp_path / "mosquitto") as broker:
        yield broker


def inside(broker: ShippedMosquitto, user: str, client_id: str = "") -> MqttClient:
    """A connection to the loopback listener."""
    return MqttClient(
        broker.host, broker.port, client_id or user, username=user, password=USERS[user].encode()
    )


def device(broker: ShippedMosquitto, user: str, client_id: str = "any") -> MqttClient:
    """A connection to the devices' listener, over TLS."""
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))
    return MqttClient(
        "localhost",
        broker.device_port,
        client_id,
        tls=context,
        username=user,
        password=USERS[user].encode(),
    )


@pytest.mark.parametrize("user", ["gateway-in", "gateway-out", "tools"])
@pytest.mark.parametrize("name", ["lamp-1", "itself"])
@pytest.mark.parametrize("leaf", ["up", "status", "command"])
def test_no_user_of_ours_publishes_to_a_device_topic(shipped, user, name, leaf) -> None:
    with inside(shipped, user) as client:
        topic = f"city/ward-1/luminaire/{user if name == 'itself' else name}/{leaf}"
        assert client.publish(topic, b"{}") == DENIED


def test_a_device_speaks_for_itself_only(shipped) -> None:
    with device(shipped, "lamp-1") as lamp, inside(shipped, "tools") as tools:
        tools.subscribe("city/#")
        assert lamp.publish("city/ward-1/luminaire/lamp-2/up", b"forged") == DENIED
        assert lamp.publish("ioc/events/ward-1/critical", b"forged") == DENIED
        assert lamp.publish("citylight/marker/citylight-in", b"forged") == DENIED
        assert lamp.publish("city/ward-1/luminaire/lamp-1/up", b"true") == mqtt5.PubAckReasonCode.SUCCESS
        assert tools.expect(mqtt5.PublishPacket).payload == b"true"


def test_the_gateway_out_writes_to_the_ioc_and_reads_nothing(shipped) -> None:
    with inside(shipped, "gateway-out") as out, device(shipped, "lamp-1") as lamp:
        out.subscribe("#")
        assert lamp.publish("city/ward-1/luminaire/lamp-1/up", b"secret").value < 0x80
        assert out.publish("ioc/heartbeat", b"{}").value < 0x80
        out.send(mqtt5.PingReqPacket())
        assert isinstance(out.receive(), mqtt5.PingRespPacket)


def test_a_device_can_not_take_the_gateways_session(shipped) -> None:
    with inside(shipped, "gateway-in", "citylight-in") as gateway:
        with device(shipped, "lamp-1", "citylight-in") as thief:
            assert thief.connack.reason_code.value < 0x80
        gateway.send(mqtt5.PingReqPacket())
        assert isinstance(gateway.receive(), mqtt5.PingRespPacket)


def test_nobody_comes_without_a_password_or_tls(shipped) -> None:
    with MqttClient(shipped.host, shipped.port, "anonymous") as anonymous:
        assert anonymous.connack.reason_code.value >= 0x80
    with pytest.raises((ConnectionError, ValueError)):  # hangs up, perhaps after a TLS alert
        MqttClient(shipped.host, shipped.device_port, "lamp-1", username="lamp-1", password=b"one").close()


async def test_the_gateway_drains_by_its_marker_and_knows_the_uptime(shipped, receive) -> None:
    trial = receive(host=shipped.host, port=shipped.port, username="gateway-in", password=USERS["gateway-in"])
    await trial.until(lambda: trial.happened("drained") != [])
    assert trial.happened("drained")[0].detail == "marker"
    assert trial.happened("uptime") != []
    with device(shipped, "lamp-1") as lamp:
        await asyncio.to_thread(lamp.publish, "city/ward-1/luminaire/lamp-1/up", b"{}")
    await trial.until(lambda: trial.count == 1)
    await trial.stop()
