"""The IOC's broker, a real mosquitto: acknowledged deliveries, heartbeat and will, resynchronization."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import aiomqtt
import pytest
from post import (
    ACKNOWLEDGED,
    CLEARED,
    RAISED,
    WAIT_S,
    RunningClock,
    SqliteOutbox,
    SteppedClock,
    mqtt_recipient,
    rows_for,
    running,
)
from servers import Mosquitto

from gateway.alarms import Alarm
from gateway.errors import DeliveryError
from gateway.notify.courier import Courier, CourierOptions
from gateway.notify.mqtt import MqttOptions, MqttPublisher

QUICK = CourierOptions(retry_s_min=0.05, retry_s_max=0.2)


def publisher(broker: Mosquitto, active: Sequence[Alarm] = (), **changes: Any) -> MqttPublisher:
    options = MqttOptions(
        host=broker.host,
        port=broker.port,
        client_id="citylight-out",
        gateway="test",
        retry_s_min=0.05,
        retry_s_max=0.2,
    )

    async def standing() -> Sequence[Alarm]:
        return active

    return MqttPublisher(
        replace(options, **changes), mqtt_recipient(), standing, lambda: {"store": "ok"}, SteppedClock()
    )


async def collect(
    broker: Mosquitto, count: int, until: str = "", **login: Any
) -> list[tuple[str, bytes, bool]]:
    """(topic, body, retained) of the next messages below ioc/ that are no heartbeats."""
    found: list[tuple[str, bytes, bool]] = []
    async with asyncio.timeout(WAIT_S), aiomqtt.Client(broker.host, broker.port, **login) as client:
        await client.subscribe("ioc/#", qos=1)
        async for message in client.messages:
            topic = str(message.topic)
            if topic.startswith("ioc/heartbeat") and not until:
                continue
            found.append((topic, bytes(message.payload), message.retain))  # type: ignore[arg-type]
            if len(found) == count or (until and until in str(message.payload)):
                return found
    raise AssertionError("unreachable")


async def retained(broker: Mosquitto, topic: str) -> list[bytes]:
    """What the broker retains below ``topic``; a marker of our own says when it has sent everything."""
    bodies: list[bytes] = []
    async with asyncio.timeout(WAIT_S), aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe([(topic, 1), ("marker", 1)])
        await client.publish("marker", b"x", qos=1)
        async for message in client.messages:
            if str(message.topic) == "marker":
                return bodies
            bodies.append(bytes(message.payload))  # type: ignore[arg-type]
    raise AssertionError("unreachable")


async def test_an_alarm_reaches_a_subscriber_and_its_state_is_retained_until_normal(
    mosquitto: Mosquitto, outbox: SqliteOutbox
) -> None:
    ioc = publisher(mosquitto)
    job = Courier("ioc", outbox, ioc, SteppedClock(), QUICK)
    for alarm in (RAISED, ACKNOWLEDGED):
        await outbox.add(rows_for(alarm, [mqtt_recipient()]))
    async with running(ioc.run, job.run):
        await outbox.emptied("ioc")
        (state,) = await retained(mosquitto, "ioc/alarms/#")
        assert json.loads(state) == ACKNOWLEDGED.document()
        await outbox.add(rows_for(CLEARED, [mqtt_recipient()]))
        job.wake()
        await outbox.emptied("ioc")
        assert await retained(mosquitto, "ioc/alarms/#") == []


async def test_events_arrive_at_qos_1_with_their_content_type(
    mosquitto: Mosquitto, outbox: SqliteOutbox
) -> None:
    ioc = publisher(mosquitto)
    job = Courier("ioc", outbox, ioc, SteppedClock(), QUICK)
    async with aiomqtt.Client(
        mosquitto.host, mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5
    ) as subscriber:
        await subscriber.subscribe("ioc/events/#", qos=1)
        await outbox.add(rows_for(RAISED, [mqtt_recipient()]))
        async with running(ioc.run, job.run), asyncio.timeout(WAIT_S):
            message = await anext(aiter(subscriber.messages))
    assert (str(message.topic), message.qos) == ("ioc/events/hoa-phu/minor", 1)
    assert message.properties is not None
    assert message.properties.ContentType == "application/cloudevents+json"
    assert json.loads(bytes(message.payload))["data"]["id"] == RAISED.id  # type: ignore[arg-type]


async def test_a_broker_that_restarts_in_between_loses_nothing(
    mosquitto: Mosquitto, outbox: SqliteOutbox
) -> None:
    alarms = [replace(RAISED, id=f"{n:024x}", asset=f"LP{n}") for n in range(300)]
    ioc = publisher(mosquitto)
    job = Courier("ioc", outbox, ioc, RunningClock(), QUICK)
    subscriber = {"identifier": "auditor", "clean_session": False}
    async with aiomqtt.Client(mosquitto.host, mosquitto.port, **subscriber) as client:
        await client.subscribe("ioc/events/#", qos=1)
    await outbox.add([row for alarm in alarms for row in rows_for(alarm, [mqtt_recipient()])])
    async with running(ioc.run, job.run):
        async with asyncio.timeout(WAIT_S):
            while (await outbox.backlog("ioc")).pending > 500:
                outbox.changed.clear()
                await outbox.changed.wait()
        await asyncio.to_thread(mosquitto.stop)
        await asyncio.to_thread(mosquitto.start)
        await outbox.emptied("ioc")
    seen: set[str] = set()
    async with (
        asyncio.timeout(WAIT_S),
        aiomqtt.Client(mosquitto.host, mosquitto.port, **subscriber) as client,
    ):
        async for message in client.messages:
            seen.add(json.loads(bytes(message.payload))["data"]["id"])  # type: ignore[arg-type]
            if len(seen) == len(alarms):
                break
    assert seen == {alarm.id for alarm in alarms}


async def test_after_each_reconnect_standing_alarms_are_retained_again(
    mosquitto_with: Callable[..., Mosquitto],
) -> None:
    broker = mosquitto_with(persistence=False)
    others = replace(RAISED, asset="LP2", id="c" * 24)
    ioc = publisher(broker, [RAISED, others])
    async with running(ioc.run):
        assert len(await collect(broker, 2)) == 2
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        found = await collect(broker, 2)
    assert {topic for topic, _, _ in found} == {
        "ioc/alarms/hoa-phu/LP1/lampFailure",
        "ioc/alarms/hoa-phu/LP2/lampFailure",
    }


async def test_the_heartbeat_counts_alarms_and_the_will_says_when_we_are_lost(mosquitto: Mosquitto) -> None:
    ioc = publisher(mosquitto, [RAISED], heartbeat_s=0.05)
    async with running(ioc.run):
        beat = json.loads((await collect(mosquitto, 99, until='"online"'))[-1][1])
        assert beat["alarms"] == {"critical": 0, "major": 0, "minor": 1, "info": 0}
        assert (beat["gateway"], beat["store"]) == ("test", "ok")
        async with asyncio.timeout(WAIT_S):
            intruder = aiomqtt.Client(mosquitto.host, mosquitto.port, identifier="citylight-out")
            async with intruder:  # takes the client id over: the broker cuts us and publishes the will
                await collect(mosquitto, 99, until='"lost"')


async def test_an_orderly_stop_says_so(mosquitto: Mosquitto) -> None:
    ioc = publisher(mosquitto)
    async with running(ioc.run):
        await collect(mosquitto, 99, until='"online"')
    (last,) = await retained(mosquitto, "ioc/heartbeat")
    assert json.loads(last) == {"gateway": "test", "state": "stopped"}


async def test_a_refused_publish_is_not_a_delivery(
    mosquitto_with: Callable[..., Mosquitto], outbox: SqliteOutbox
) -> None:
    broker = mosquitto_with(acl="topic read ioc/#\n")
    ioc = publisher(broker)
    await outbox.add(rows_for(RAISED, [mqtt_recipient()]))
    (row, *_) = await outbox.due("ioc", now_ns=2**62, limit=1)
    async with running(ioc.run), asyncio.timeout(WAIT_S):
        with pytest.raises(DeliveryError, match="Not authorized") as refused:
            await ioc.deliver(row)
        assert refused.value.retryable
        assert "Not authorized" in ioc.error


async def test_tls_with_a_password(mosquitto_with: Callable[..., Mosquitto], outbox: SqliteOutbox) -> None:
    broker = mosquitto_with(tls=True, users={"gateway-out": "s3cret"})
    context = ssl.create_default_context(cafile=str(broker.ca_file))
    login = {"username": "gateway-out", "password": "s3cret", "tls": context}
    ioc = publisher(broker, host="localhost", **login)
    await outbox.add(rows_for(RAISED, [mqtt_recipient()]))
    async with running(ioc.run, Courier("ioc", outbox, ioc, SteppedClock(), QUICK).run):
        await outbox.emptied("ioc")
    assert "s3cret" not in repr(MqttOptions(host="h", port=1, client_id="c", gateway="g", password="s3cret"))


async def test_a_wrong_password_is_said_and_not_fatal(
    mosquitto_with: Callable[..., Mosquitto], caplog: pytest.LogCaptureFixture
) -> None:
    said = asyncio.Event()
    handler = logging.Handler()
    handler.emit = lambda record: said.set()  # type: ignore[method-assign]
    logging.getLogger("citylight.notify").addHandler(handler)
    broker = mosquitto_with(users={"gateway-out": "s3cret"})
    ioc = publisher(broker, username="gateway-out", password="wrong")
    try:
        async with running(ioc.run), asyncio.timeout(WAIT_S):
            await said.wait()
    finally:
        logging.getLogger("citylight.notify").removeHandler(handler)
    assert "Not authorized" in ioc.error
    assert "wrong" not in caplog.text
