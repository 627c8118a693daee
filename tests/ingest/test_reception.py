"""What a user would miss, against a real mosquitto, for both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from mqtt_client import MqttClient
from servers import Mosquitto

from gateway.ingest.options import Tls

TOPIC = "city/ward-1/luminaire/lamp-1/up"


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def device(mosquitto: Mosquitto) -> Iterator[MqttClient]:
    with MqttClient(mosquitto.host, mosquitto.port, "device") as client:
        yield client


def numbered(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    return [(TOPIC, str(number).encode()) for number in range(start, start + count)]


def padded(count: int) -> list[tuple[str, bytes]]:
    return [(TOPIC, b"%06d" % number + b"." * 194) for number in range(count)]


def payloads(trial) -> list[bytes]:
    return [payload for _, payload, _ in trial.messages]


async def test_messages_arrive_once_and_in_order(receive, device, protocol) -> None:
    trial = receive(protocol=protocol)
    await trial.online()
    await asyncio.to_thread(device.publish_all, numbered(2000))
    await trial.until(lambda: trial.count >= 2000)
    await trial.until(lambda: trial.reception.figures().acknowledged_messages == 2000)
    assert payloads(trial) == [str(number).encode() for number in range(2000)]
    assert {topic for topic, _, _ in trial.messages} == {TOPIC}
    figures = trial.reception.figures()
    assert (figures.received_messages, figures.pending_bytes, figures.epoch) == (2000, 0, 1)
    await trial.stop()
    own = [event.event for event in trial.events if event.event != "dropped"]
    assert own == ["connected", "uptime", "drained", "disconnected"]


async def test_a_crash_before_the_commit_brings_the_message_back(receive, device, protocol) -> None:
    first = receive(protocol=protocol)
    await first.online()
    first.open.clear()
    await asyncio.to_thread(device.publish, TOPIC, b"precious")
    await first.until(lambda: first.waiting != [])
    await first.kill()
    second = receive(protocol=protocol, contact={"epoch": 2, "session_expected": True})
    await second.until(lambda: second.count == 1)
    assert second.messages == [(TOPIC, b"precious", True)]
    assert second.arrivals[0].epoch == 2
    assert second.happened("gap") == []


async def test_a_crash_after_the_acknowledgement_does_not(receive, device, protocol) -> None:
    first = receive(protocol=protocol)
    await first.online()
    await asyncio.to_thread(device.publish, TOPIC, b"kept")
    await first.until(lambda: first.reception.figures().acknowledged_messages == 1)
    await first.kill()
    second = receive(protocol=protocol, contact={"epoch": 2, "session_expected": True})
    await second.until(lambda: second.happened("drained") != [])
    assert second.messages == []


async def test_a_failing_journal_acknowledges_nothing(receive, device, protocol) -> None:
    trial = receive(protocol=protocol)
    await trial.online()
    trial.broken = True
    await asyncio.to_thread(device.publish, TOPIC, b"precious")
    await trial.until(lambda: trial.reception.figures().reconnects >= 1)
    assert trial.reception.figures().acknowledged_messages == 0
    assert "the disk is full" in trial.reception.figures().last_error
    trial.broken = False
    await trial.until(lambda: trial.count == 1)
    assert trial.messages == [(TOPIC, b"precious", True)]
    told = [event.event for event in trial.events if event.event in {"connected", "disconnected"}]
    assert told[:3] == ["connected", "disconnected", "connected"]


async def test_a_restarted_broker_is_met_again_and_named(receive, mosquitto, device, protocol) -> None:
    trial = receive(protocol=protocol)
    await trial.until(lambda: trial.happened("drained") != [])
    await asyncio.to_thread(mosquitto.stop)
    await trial.until(lambda: trial.happened("disconnected") != [])
    await asyncio.to_thread(mosquitto.start)
    await trial.until(lambda: len(trial.happened("drained")) == 2)
    assert trial.happened("connected")[1].session_present
    await trial.until(lambda: trial.happened("gap") != [])
    assert [event.gap for event in trial.happened("gap")] == ["broker_restarted"]
    with MqttClient(mosquitto.host, mosquitto.port, "device-2") as after:
        await asyncio.to_thread(after.publish, TOPIC, b"after")
    await trial.until(lambda: trial.count == 1)
    assert trial.arrivals[0].epoch == 2


async def test_a_killed_broker_that_forgot_us_is_a_gap(receive, mosquitto_with, protocol) -> None:
    forgetful = mosquitto_with(persistence=False)
    trial = receive(protocol=protocol, host=forgetful.host, port=forgetful.port)
    await trial.until(lambda: trial.happened("drained") != [])
    await asyncio.to_thread(forgetful.kill)
    await asyncio.to_thread(forgetful.start)
    await trial.until(lambda: len(trial.happened("gap")) == 2)
    assert {event.gap for event in trial.happened("gap")} == {"session_lost", "broker_restarted"}
    assert trial.reception.figures().gaps == 2


async def test_a_queue_that_was_full_while_we_were_away_is_a_gap(receive, mosquitto_with, protocol) -> None:
    small = mosquitto_with(settings=("max_queued_messages 20", "sys_interval 1"))
    there = {"host": small.host, "port": small.port}
    first = receive(protocol=protocol, **there)
    await first.until(lambda: first.happened("drained") != [])
    await first.stop()
    with MqttClient(small.host, small.port, "device-3") as device:
        for number in range(200):
            await asyncio.to_thread(device.publish, TOPIC, b"%d" % number)
    known = {"epoch": 2, "session_expected": True, "dropped": 0}
    again = receive(protocol=protocol, contact=known, **there)
    await again.until(lambda: again.happened("gap") != [])
    assert [event.gap for event in again.happened("gap")] == ["broker_dropped"]
    assert int(again.happened("dropped")[0].detail) == 200 - again.count


async def test_a_session_lost_while_we_were_away_is_a_gap(receive, protocol) -> None:
    trial = receive(protocol=protocol, contact={"epoch": 8, "session_expected": True, "contact_age_s": 1e6})
    await trial.until(lambda: len(trial.happened("gap")) == 2)
    assert [event.gap for event in trial.happened("gap")] == ["session_lost", "broker_restarted"]
    assert trial.happened("gap")[0].epoch == 8


async def test_drained_comes_after_the_backlog(receive, device, protocol) -> None:
    first = receive(protocol=protocol)
    await first.online()
    await first.stop()
    await asyncio.to_thread(device.publish_all, numbered(3000))
    second = receive(protocol=protocol, contact={"epoch": 2, "session_expected": True})
    seen_when_drained: list[int] = []
    event = second._event

    async def remember(one):
        if one.event == "drained":
            seen_when_drained.append(second.count)
        await event(one)

    second.reception._event = remember
    await second.until(lambda: second.happened("drained") != [])
    assert seen_when_drained == [3000]
    assert second.happened("drained")[0].detail == "marker"
    assert all("marker" not in topic for topic, _, _ in second.messages)


async def test_stopping_makes_durable_what_has_come(receive, device, protocol) -> None:
    trial = receive(protocol=protocol)
    await trial.online()
    trial.open.clear()
    await asyncio.to_thread(device.publish_all, numbered(50))
    await trial.until(lambda: trial.waiting != [])
    await trial.stop()
    figures = trial.reception.figures()
    assert figures.state == "stopped"
    assert figures.acknowledged_messages == trial.count > 0
    second = receive(protocol=protocol, contact={"epoch": 2, "session_expected": True})
    await second.until(lambda: second.happened("drained") != [])
    received = payloads(trial) + payloads(second)
    if protocol == "3.1.1":  # paho closes at once, which can cut off the last acknowledgements
        received = list(dict.fromkeys(received))
    assert received == [payload for _, payload in numbered(50)]


async def test_acknowledgements_die_with_their_connection(receive, mosquitto_with, protocol) -> None:
    """Packet ids start again after a lost session; an old PUBACK would swallow a new message."""
    forgetful = mosquitto_with(persistence=False)
    trial = receive(protocol=protocol, host=forgetful.host, port=forgetful.port)
    await trial.online()
    trial.open.clear()
    with MqttClient(forgetful.host, forgetful.port, "device") as device:
        await asyncio.to_thread(device.publish_all, numbered(5))
        await trial.until(lambda: trial.waiting != [])
        await asyncio.to_thread(forgetful.kill)
    await asyncio.to_thread(forgetful.start)
    trial.open.set()
    await trial.until(lambda: len(trial.happened("connected")) == 2)
    await trial.online()
    trial.open.clear()
    with MqttClient(forgetful.host, forgetful.port, "device") as device:
        await asyncio.to_thread(device.publish_all, numbered(5, start=100))
    await trial.until(lambda: trial.waiting != [])
    assert trial.reception.figures().acknowledged_messages == 0
    await trial.kill()
    second = receive(
        protocol=protocol, host=forgetful.host, port=forgetful.port, contact={"session_expected": True}
    )
    await second.until(lambda: second.count == 5)
    assert payloads(second) == [str(number).encode() for number in range(100, 105)]


async def test_tls_and_password(receive, mosquitto_with, protocol) -> None:
    guarded = mosquitto_with(tls=True, users={"gateway-in": "secret", "lamp-1": "light"})
    trial = receive(
        protocol=protocol,
        host="localhost",
        port=guarded.port,
        username="gateway-in",
        password="secret",
        tls=Tls(ca_file=guarded.ca_file),
    )
    await trial.online()
    await trial.until(lambda: trial.happened("drained") != [])
    await trial.stop()


async def test_a_client_certificate_names_the_gateway(receive, mosquitto_with, protocol) -> None:
    guarded = mosquitto_with(client_certificates=True, acl="user gateway-in\ntopic readwrite #\n")
    directory = guarded.ca_file.parent
    tls = Tls(
        ca_file=guarded.ca_file,
        certificate_file=directory / "client.pem",
        key_file=directory / "client.key",
    )
    trial = receive(protocol=protocol, host="localhost", port=guarded.port, tls=tls)
    await trial.until(lambda: trial.happened("drained") != [])
    await trial.stop()


# paho leaves the socket of a failed handshake to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_unknown_authority_is_refused(receive, mosquitto_with, protocol) -> None:
    guarded = mosquitto_with(tls=True)
    trial = receive(protocol=protocol, host="localhost", port=guarded.port, tls=Tls())
    await trial.until(lambda: trial.reception.figures().reconnects >= 1)
    assert "certificate verify failed" in trial.reception.figures().last_error
    assert trial.events == []


async def test_the_broker_refuses_a_wrong_password_and_we_say_so_once(
    receive, mosquitto_with, protocol, caplog
) -> None:
    guarded = mosquitto_with(users={"gateway-in": "secret"})
    trial = receive(
        protocol=protocol, host=guarded.host, port=guarded.port, username="gateway-in", password="wrong"
    )
    await trial.until(lambda: trial.reception.figures().reconnects >= 3)
    said = [record.message for record in caplog.records if "refused the connection" in record.message]
    assert len(said) == 1
    assert "authori" in said[0].lower()
    assert trial.events == []


async def test_memory_stays_bounded_while_the_journal_stands_still(receive, mosquitto_with, protocol) -> None:
    bound, count = 4 << 20, 50_000 if protocol == "5" else 25_000
    broker = mosquitto_with(settings=("max_inflight_messages 60000",))
    trial = receive(
        protocol=protocol,
        port=broker.port,
        memory_bytes_max=bound,
        packet_bytes_max=1 << 18,
        receive_maximum=60_000,
    )
    await trial.online()
    trial.open.clear()
    highest = 0
    with MqttClient(broker.host, broker.port, "device") as device:
        publishing = asyncio.create_task(asyncio.to_thread(device.publish_all, padded(count)))
        while not publishing.done():
            await asyncio.wait({publishing}, timeout=0.05)
            highest = max(highest, trial.reception.figures().pending_bytes)
    assert bound // 4 < highest <= bound
    trial.open.set()
    await trial.until(lambda: trial.count >= count)
    assert payloads(trial) == [payload for _, payload in padded(count)]
