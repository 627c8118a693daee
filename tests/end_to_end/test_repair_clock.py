"""A fault from the field to the operations centre: opened, its ticket, verified by a healthy sample."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from mqtt_client import MqttClient
from plant import Ear, Plant
from servers import Mosquitto

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def test_a_ticket_does_not_stop_the_clock_a_healthy_sample_does(
    mosquitto: Mosquitto, plant_on: Callable[..., Plant]
) -> None:
    plant = plant_on(mosquitto, None)
    plant.start()
    plant.until_ready()
    start_ms = time.time_ns() // 1_000_000 - 300_000

    def faults(messages: list[Any]) -> list[dict[str, Any]]:
        events = [json.loads(m.payload) for m in messages if m.topic.startswith("ioc/events/")]
        return [event for event in events if ".fault." in event["type"]]

    with MqttClient(mosquitto.host, mosquitto.port, "L-1") as lamp, Ear(mosquitto, "ioc/#") as ioc:

        def hot(second: int, degrees: float) -> None:
            document = {"ts": start_ms + second * 1000, "tc": degrees}
            lamp.publish("city/hoa-phu/luminaire/L-1/up", json.dumps(document).encode())

        hot(0, 85.0)
        hot(60, 86.0)
        ioc.until(lambda came: len(faults(came)) == 1)
        name = faults(ioc.messages)[0]["data"]["id"]
        closed = ("--number", "SC-7", "--crew", "Đội 3", "--closed", "2026-11-21T22:00:00+07:00")
        assert plant.citylight("alarms", "ticket", name, *closed, "--by", "An", "--json").json["tickets"] == 1
        ioc.until(lambda came: len(faults(came)) == 2)
        (running,) = plant.citylight("alarms", "faults", "--json").json
        assert (running["state"], running["minutes"]) == ("claimed", None)
        hot(180, 60.0)
        ioc.until(lambda came: len(faults(came)) == 3)
        events = faults(ioc.messages)
    assert plant.citylight("alarms", "faults", "--json").json == []
    plant.terminate()

    words = ("opened", "updated", "verified")
    assert [event["type"] for event in events] == [f"vn.citylight.fault.{word}" for word in words]
    assert [event["id"] for event in events] == [f"{name}-fault-{n}" for n in (1, 2, 3)]
    for event in events:
        for schema, document in (("cloudevent", event), ("fault", event["data"])):
            jsonschema.validate(document, json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
    healed = events[2]["data"]
    assert (healed["state"], healed["minutes"]) == ("verified", 2.0)
    assert (healed["sample"]["device"], healed["sample"]["value"]) == ("L-1", 60.0)
    assert healed["ticket"]["number"] == "SC-7"
