"""Blocks grow under load, and nobody waits for it: against a real mosquitto."""

from __future__ import annotations

import asyncio
import time

from mqtt_client import MqttClient

from gateway.embedded_broker import EmbeddedBroker

TOPIC = "city/ward-1/luminaire/lamp-1/up"
LINGER_MS = 1000.0
"""Long, so that one that should not be is seen whatever else the machine does."""


def numbered(count: int) -> list[tuple[str, bytes]]:
    return [(TOPIC, str(number).encode()) for number in range(count)]


async def test_a_stream_is_gathered_into_few_blocks(receive, mosquitto) -> None:
    trial = receive(linger_ms=200.0)
    await trial.online()
    with MqttClient(mosquitto.host, mosquitto.port, "device") as device:
        await asyncio.to_thread(device.publish_all, numbered(3000), window=1)
    await trial.until(lambda: trial.count == 3000)
    assert [payload for _, payload, _ in trial.messages] == [payload for _, payload in numbered(3000)]
    assert len(trial.arrivals) < 300


async def test_two_messages_in_a_row_do_not_wait_for_a_third(receive, mosquitto) -> None:
    trial = receive(linger_ms=LINGER_MS)
    await trial.online()
    with MqttClient(mosquitto.host, mosquitto.port, "device") as device:
        for number in range(2):
            began = time.monotonic()
            await asyncio.to_thread(device.publish, TOPIC, b"precious")
            await trial.until(lambda wanted=number + 1: trial.count == wanted)
            assert time.monotonic() - began < LINGER_MS / 2000


async def test_a_broker_that_waits_for_our_acknowledgements_is_not_made_to_wait(receive, tmp_path) -> None:
    """The embedded broker hands on a hundred, and then waits."""
    broker = EmbeddedBroker(tmp_path, 0, 4096)
    await broker.start()
    port = int(broker.url.rpartition(":")[2])
    trial = receive(port=port, linger_ms=LINGER_MS, uptime_topic="", dropped_topic="")
    await trial.online()
    trial.open.clear()
    with MqttClient("127.0.0.1", port, "device", keep_alive=60) as device:
        await asyncio.to_thread(device.publish_all, numbered(2000), window=50)
    began = time.monotonic()
    trial.open.set()
    await trial.until(lambda: trial.count == 2000)
    assert len(trial.arrivals) >= 20
    assert time.monotonic() - began < 20 * LINGER_MS / 1000 / 4
    await trial.stop()
    await broker.close()


async def test_a_stop_in_the_midst_of_a_stream_is_an_orderly_one(receive, mosquitto) -> None:
    trial = receive(linger_ms=LINGER_MS)
    await trial.online()
    over = asyncio.Event()

    async def publish(device: MqttClient) -> None:
        while not over.is_set():
            await asyncio.to_thread(device.publish, TOPIC, b"1")

    with MqttClient(mosquitto.host, mosquitto.port, "device") as device:
        publishing = asyncio.create_task(publish(device))
        await trial.until(lambda: trial.count >= 100)
        began = time.monotonic()
        await trial.stop()
        assert time.monotonic() - began < LINGER_MS / 1000
        over.set()
        await publishing
    assert trial.reception.figures().acknowledged_messages == trial.count
    assert trial.events[-1].event == "disconnected"
