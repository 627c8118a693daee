"""The fleet against a real mosquitto, watched by an independent subscriber."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from gateway.decode.profile import Profile, load
from gateway.inventory.parser import parse
from gateway.model import nanoseconds
from simulators.astronomy import HOUR_NS, MINUTE_NS, SECOND_NS
from simulators.city import inventory
from simulators.connection import QUEUE_MAX, PublisherOptions
from simulators.fault import parse_faults
from simulators.fleet_publisher import FleetPublisher, publish
from simulators.simulation import Simulation

NIGHT = nanoseconds("2026-11-21T13:00:00Z")


class SteppedClock:
    """A wall clock that shows what a test sets."""

    def __init__(self, wall_ns: int) -> None:
        self.now_ns = wall_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def elapsed_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    files = (Path(__file__).parents[2] / "device_profiles").glob("*/profile.toml")
    return {path.parent.name: load(path.read_text(encoding="utf-8"), str(path)) for path in files}


def city(
    profiles: dict[str, Profile], lamps: int = 60, faults: str = "", interval_s: float = 60
) -> Simulation:
    fleet = parse({name: text.encode() for name, text in inventory(lamps, 6, seed=2).items()})
    return Simulation(
        fleet, profiles, parse_faults(faults, "faults.toml", fleet, NIGHT), 1, NIGHT, interval_s
    )


class Heard:
    """What an independent subscriber has received."""

    def __init__(self) -> None:
        self.messages: Counter[tuple[str, bytes]] = Counter()
        self._changed = asyncio.Event()

    async def listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            self.messages[message.topic.value, message.payload] += 1
            self._changed.set()

    async def until(self, enough: Any) -> None:
        async with asyncio.timeout(20):
            while not enough():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def subscriber(broker: Any, topics: str = "city/#") -> AsyncIterator[Heard]:
    heard = Heard()
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(topics, qos=1)
        listening = asyncio.create_task(heard.listen(client))
        try:
            yield heard
        finally:
            listening.cancel()
            await asyncio.wait({listening})


async def reached(enough: Any) -> None:
    async with asyncio.timeout(20):
        while not enough():  # noqa: ASYNC110 - figures are a snapshot, there is nothing to wait on
            await asyncio.sleep(0.01)


def options(broker: Any, **more: Any) -> PublisherOptions:
    return PublisherOptions(host=broker.host, port=broker.port, drain_s=20, **more)


@pytest.mark.parametrize("in_flight_max", [1, 20, 100])
async def test_what_is_sent_is_what_an_independent_subscriber_receives(
    mosquitto: Any, profiles: dict[str, Profile], in_flight_max: int
) -> None:
    span = 5 * MINUTE_NS
    expected = Counter((m.topic, m.payload) for m in city(profiles).messages(NIGHT + span))
    stop = asyncio.Event()
    async with subscriber(mosquitto) as heard:
        how = options(mosquitto, in_flight_max=in_flight_max)
        publisher = FleetPublisher(city(profiles), SteppedClock(NIGHT + span), how)
        running = asyncio.create_task(publisher.run(stop))
        await heard.until(lambda: heard.messages.total() >= expected.total())
        stop.set()
        figures = await running
        assert heard.messages == expected
    assert figures.sent == sum(n for (topic, _), n in expected.items() if topic.endswith("/up"))
    assert figures.status == expected.total() - figures.sent
    assert (figures.pending, figures.dropped, figures.refused, figures.reconnects) == (0, 0, 0, 0)


async def test_a_device_that_dies_leaves_its_last_will(mosquitto: Any, profiles: dict[str, Profile]) -> None:
    fault = '[[fault]]\nkind = "silence"\nasset = "LP-01-1-007"\nfrom = "+3m"\nto = "+20m"\n'
    simulation = city(profiles, faults=fault)
    clock, stop = SteppedClock(NIGHT + 2 * MINUTE_NS), asyncio.Event()
    publisher = FleetPublisher(simulation, clock, options(mosquitto, per_device=True))
    running = asyncio.create_task(publisher.run(stop))
    await reached(lambda: publisher.figures.connected == len(simulation.devices))
    async with subscriber(mosquitto, "city/+/+/+/status") as heard:
        await heard.until(lambda: len(heard.messages) == len(simulation.devices))
        assert {payload for _, payload in heard.messages} == {b"online"}
        clock.now_ns = NIGHT + 6 * MINUTE_NS
        await heard.until(lambda: any(payload == b"offline" for _, payload in heard.messages))
        assert publisher.figures.connected == len(simulation.devices) - 1
        clock.now_ns = NIGHT + 25 * MINUTE_NS
        await reached(lambda: publisher.figures.connected == len(simulation.devices))
    stop.set()
    await running
    async with subscriber(mosquitto, "city/+/+/+/status") as heard:  # an orderly end leaves no wills
        await heard.until(lambda: len(heard.messages) == len(simulation.devices))
        assert {payload for _, payload in heard.messages} == {b"online"}


async def test_a_restarted_broker_loses_nothing_the_fleet_counted(
    mosquitto: Any, profiles: dict[str, Profile]
) -> None:
    """Killed in mid-stream: every telemetry message is acknowledged in the end, none is given up."""
    span = HOUR_NS // 2
    expected = [m for m in city(profiles, lamps=200).messages(NIGHT + span) if not m.status]
    publisher = FleetPublisher(
        city(profiles, lamps=200), SteppedClock(NIGHT + span), options(mosquitto, connections=2)
    )
    stop = asyncio.Event()
    running = asyncio.create_task(publisher.run(stop))
    await reached(lambda: publisher.figures.sent >= 500)
    mosquitto.kill()
    assert publisher.figures.sent < len(expected)
    mosquitto.start()
    await reached(lambda: publisher.figures.sent == len(expected))
    stop.set()
    figures = await running
    assert (figures.sent, figures.pending, figures.dropped) == (len(expected), 0, 0)
    assert figures.reconnects >= 2


async def test_stopping_while_the_broker_is_away_ends_and_says_what_was_lost(
    mosquitto: Any, profiles: dict[str, Profile]
) -> None:
    mosquitto.kill()
    how = PublisherOptions(host=mosquitto.host, port=mosquitto.port, connections=1, drain_s=0.2)
    publisher = FleetPublisher(city(profiles, lamps=200), SteppedClock(NIGHT + HOUR_NS // 2), how)
    stop = asyncio.Event()
    running = asyncio.create_task(publisher.run(stop))
    await reached(lambda: publisher.figures.last_error and publisher.figures.pending >= QUEUE_MAX)
    stop.set()
    async with asyncio.timeout(10):
        figures = await running
    assert figures.sent == 0
    assert figures.dropped > 0
    assert figures.pending == QUEUE_MAX


async def test_each_device_can_have_its_own_user(mosquitto_with: Any, profiles: dict[str, Profile]) -> None:
    simulation = city(profiles, lamps=5)
    users = dict.fromkeys(simulation.devices, "secret")
    acl = "pattern write city/+/+/%u/up\npattern write city/+/+/%u/status\n"
    broker = mosquitto_with(users=users, acl=acl)
    how = options(broker, per_device=True, username="{device}", password="secret")
    clock, stop = SteppedClock(NIGHT + 2 * MINUTE_NS + 30 * SECOND_NS), asyncio.Event()
    publisher = FleetPublisher(simulation, clock, how)
    running = asyncio.create_task(publisher.run(stop))
    due = city(profiles, lamps=5).messages(clock.now_ns)
    await reached(lambda: publisher.figures.sent == sum(not m.status for m in due))
    stop.set()
    assert (await running).refused == 0
    refused = await run_briefly(city(profiles, lamps=5), clock, options(broker, username="x", password="y"))
    assert refused.sent == 0
    assert "BAD_USER_NAME_OR_PASSWORD" in refused.last_error or "NOT_AUTHORIZED" in refused.last_error


async def run_briefly(simulation: Simulation, clock: SteppedClock, how: PublisherOptions) -> Any:
    stop = asyncio.Event()
    publisher = FleetPublisher(simulation, clock, how)
    running = asyncio.create_task(publisher.run(stop))
    await reached(lambda: "refuses" in publisher.figures.last_error)
    refused = publisher.figures
    running.cancel()
    await asyncio.wait({running})
    return refused


async def test_publish_is_the_publisher_run_to_its_end(mosquitto: Any, profiles: dict[str, Profile]) -> None:
    stop = asyncio.Event()
    stop.set()
    figures = await publish(city(profiles), SteppedClock(NIGHT), options(mosquitto), stop)
    assert (figures.sent, figures.connected) == (0, 0)


@pytest.mark.parametrize("wrong", [{"in_flight_max": 0}, {"connections": 0}, {"keepalive_s": 0}])
def test_options_out_of_bounds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PublisherOptions(host="h", port=1, **wrong)
    assert "secret" not in repr(PublisherOptions(host="h", port=1, password="secret"))
