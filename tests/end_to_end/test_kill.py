"""kill -9 in the middle of 20,000 QoS 1 messages: all of them are stored once, and no alarm comes twice."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from mqtt_client import MqttClient
from plant import WAIT_S_MAX, Ear, Plant, await_that, event_ids, transitions
from servers import InfluxDB, Mosquitto
from test_whole_way import influx

from gateway.model import nanoseconds

MESSAGES, LAMPS, ALARMING = 20_000, 40, 8
ROUNDS = MESSAGES // LAMPS
STEP_MS = 3_000
CYCLE, HIGH = 100, range(20, 60)
"""Of every 100 readings of an alarming lamp, 40 are far above the limit: two minutes of event time. All of it
is less than half an hour: what is older when it comes was kept back, and is not judged."""
PACE = 200
KILLS = 3


@pytest.fixture
def seed() -> int:
    """Another one each time; ``KILL_SEED`` repeats a run."""
    number = int(os.environ.get("KILL_SEED", time.time_ns() % 1_000_000))
    print(f"KILL_SEED={number}")
    return number


class Devices(threading.Thread):
    """Publishes all messages, lamp by lamp in rounds, without a look at the gateway; about four seconds."""

    def __init__(self, broker: Mosquitto, start_ms: int) -> None:
        super().__init__()
        self._broker = broker
        self._start_ms = start_ms
        self._progress = threading.Condition()
        self.sent = 0
        self.failure: BaseException | None = None

    def value(self, lamp: int, turn: int) -> float:
        """Distinct for every message; above 264 V while the lamp is to be in alarm."""
        high = lamp < ALARMING and turn % CYCLE in HIGH
        return (270 if high else 225) + lamp / 10 + turn / 10_000

    def time_ms(self, turn: int) -> int:
        return self._start_ms + turn * STEP_MS

    def run(self) -> None:
        try:
            with MqttClient(self._broker.host, self._broker.port, "devices") as client:
                every = [(lamp, turn) for turn in range(ROUNDS) for lamp in range(LAMPS)]
                for first in range(0, MESSAGES, PACE):
                    answers = client.publish_all(self._message(*one) for one in every[first : first + PACE])
                    assert all(answer.value < 0x80 for answer in answers)
                    with self._progress:
                        self.sent += PACE
                        self._progress.notify_all()
                    threading.Event().wait(0.04)  # a pace, so that kills fall in between
        except BaseException as failure:
            self.failure = failure
            raise

    def _message(self, lamp: int, turn: int) -> tuple[str, bytes]:
        document = {"ts": self.time_ms(turn), "u": self.value(lamp, turn), "n": turn}
        return f"city/hoa-phu/luminaire/L-{lamp + 1}/up", json.dumps(document).encode()

    def until(self, sent: int) -> None:
        with self._progress:
            assert self._progress.wait_for(lambda: self.sent >= sent or self.failure, WAIT_S_MAX)
        assert self.failure is None

    def due_transitions(self) -> set[tuple[str, int, int]]:
        """(asset, onset ms, transition): raised, cleared, and superseded by the next one."""
        cycles = ROUNDS // CYCLE
        return {
            (f"LP-{lamp + 1}", self.time_ms(cycle * CYCLE + HIGH.start), number)
            for lamp in range(ALARMING)
            for cycle in range(cycles)
            for number in ((1, 2, 3) if cycle + 1 < cycles else (1, 2))
        }


def stored_once(influxdb: InfluxDB, devices: Devices) -> None:
    found: dict[tuple[str, int], tuple[float, int]] = {}
    points = 0
    query = 'SELECT supply_voltage, switch_on_counter FROM "luminaire" GROUP BY device'
    for series in influx(influxdb, query):
        for time_ns, voltage, turn in series["values"]:
            found[series["tags"]["device"], time_ns] = voltage, turn
            points += 1
    due = {
        (f"L-{lamp + 1}", devices.time_ms(turn) * 1_000_000): (devices.value(lamp, turn), turn)
        for lamp in range(LAMPS)
        for turn in range(ROUNDS)
    }
    assert points == MESSAGES
    assert found == due


def alarms_once(ioc: Ear, plant: Plant, devices: Devices, kills: int) -> None:
    """Every transition is recorded once and told; a kill may cost one repetition, byte for byte the same.

    Between the broker's PUBACK and our note of it lies an instant that QoS 1 can not close: the event's id is
    what receivers deduplicate on. Couriers carry one row at a time, so one kill repeats one message at most.
    """
    due = devices.due_transitions()
    ioc.until(lambda came: len({m.payload for m in came if m.topic.startswith("ioc/events/")}) >= len(due))
    events = ioc.documents("ioc/events/")
    told = {
        (e["data"]["asset"], nanoseconds(e["data"]["onset"]) // 1_000_000, e["data"]["transition"])
        for e in events
    }
    assert told == due
    bodies = Counter(json.dumps(event, sort_keys=True) for event in events)
    ids = Counter(event_ids(json.loads(body) for body in bodies))
    assert max(ids.values()) == 1, "one id, one content"
    assert len(events) - len(ids) <= kills
    recorded = transitions(plant.data)
    assert len(recorded) == len(set(recorded)) == len(due)
    assert set(recorded) == set(ids)


@pytest.fixture
def plant(mosquitto: Mosquitto, influxdb: InfluxDB, plant_on: Callable[..., Plant]) -> Plant:
    return plant_on(mosquitto, influxdb, lamps=LAMPS, alarms={"snapshot_s": 0.5})


def test_killed_at_random_moments_it_stores_everything_once(mosquitto, influxdb, plant, seed) -> None:
    moments = sorted(random.Random(seed).sample(range(1000, MESSAGES - 1000), KILLS))
    devices = Devices(mosquitto, time.time_ns() // 1_000_000 - (ROUNDS + 1) * STEP_MS)
    with Ear(mosquitto, "ioc/events/#") as ioc:
        plant.start()
        plant.until_ready()
        devices.start()
        for moment in moments:
            devices.until(moment)
            plant.kill()
            plant.start()
        devices.join(WAIT_S_MAX)
        messages = plant.settled(MESSAGES)
        assert messages["stored"] == MESSAGES
        counters = plant.citylight("figures", "--json").json["messages"]
        assert counters["received"] == counters["stored"] == MESSAGES
        await_that(lambda: not plant.figures()["recipients"]["ioc-mqtt"]["pending"], lambda: plant.log)
        assert plant.terminate() == 0
        alarms_once(ioc, plant, devices, KILLS)
    stored_once(influxdb, devices)


def test_killed_with_its_store_it_stores_everything_once(mosquitto, influxdb, plant, seed) -> None:
    choice = random.Random(seed)
    store_dies, gateway_dies, store_returns, gateway_dies_again = (
        choice.randrange(start, start + 3000) for start in (1000, 5000, 9000, 14_000)
    )
    devices = Devices(mosquitto, time.time_ns() // 1_000_000 - (ROUNDS + 1) * STEP_MS)
    with Ear(mosquitto, "ioc/events/#") as ioc:
        plant.start()
        plant.until_ready()
        devices.start()
        devices.until(store_dies)
        influxdb.kill()
        devices.until(gateway_dies)
        plant.kill()
        plant.start()
        plant.until(lambda figures: any(reason.startswith("store:") for reason in figures["not_ready"]))
        devices.until(store_returns)
        influxdb.start()
        devices.until(gateway_dies_again)
        plant.kill()
        plant.start()
        devices.join(WAIT_S_MAX)
        assert plant.settled(MESSAGES)["stored"] == MESSAGES
        await_that(lambda: not plant.figures()["recipients"]["ioc-mqtt"]["pending"], lambda: plant.log)
        assert plant.terminate() == 0
        alarms_once(ioc, plant, devices, 2)
    stored_once(influxdb, devices)
