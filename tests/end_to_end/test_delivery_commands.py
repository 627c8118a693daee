"""A gateway with three HTTP receivers: what each is told, signed, again on order, and looked up later."""

from __future__ import annotations

import hashlib
import hmac
import json
import queue
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mqtt_client import MqttClient
from plant import WAIT_S_MAX, Plant


class Desk:
    """A receiver on loopback: what it took, in order."""

    def __init__(self) -> None:
        self.taken: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue(maxsize=100)
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                desk.taken.put((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alarms"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.taken.get(timeout=WAIT_S_MAX)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def desks() -> Iterator[tuple[Desk, Desk, Desk]]:
    found = Desk(), Desk(), Desk()
    yield found
    for desk in found:
        desk.close()


def over_voltage(plant: Plant) -> None:
    """270 V at LP-1 for more than a minute of event time."""
    host, port = plant.figures()["broker"]["where"].removeprefix("mqtt://").split(":")
    start_ms = time.time_ns() // 1_000_000 - 200_000
    with MqttClient(host, int(port), "from-L-1", keep_alive=30) as client:
        for after_s in (0, 61):
            document = {"ts": start_ms + 1000 * after_s, "u": 270}
            client.publish("city/hoa-phu/luminaire/L-1/up", json.dumps(document).encode())


def test_an_alarm_leaves_in_every_form_and_what_was_told_can_be_looked_up(plant_on, desks) -> None:
    people, cap, sleeper = desks
    hooks: list[dict[str, Any]] = [
        {"name": "desk", "url": people.url, "secret": "shared", "morning_at": "", "areas": ["hoa-phu"]},
        {"name": "cap", "url": cap.url, "format": "cap", "morning_at": ""},
        {"name": "sleeper", "url": sleeper.url},  # the defaults: an over-voltage of one lamp can wait
    ]
    plant = plant_on(
        None,
        None,
        **{
            "ioc": {"status": "Exercise", "webhook_hosts": ["127.0.0.1"]},
            "ioc.webhook": [hook | {"allow_private": True} for hook in hooks],
        },
    )
    with plant:
        plant.until_ready()
        over_voltage(plant)
        headers, body = people.next()
        stamp, digest = (part.split("=")[1] for part in headers["Citylight-Signature"].split(","))
        signed = hmac.new(b"shared", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(digest, signed)
        event = json.loads(body)
        assert (event["type"], event["deliveryclass"]) == ("vn.citylight.alarm.raised", "morning")
        assert event["data"]["check"]["vi"]
        headers, alert = cap.next()
        assert headers["Content-Type"] == "application/cap+xml"
        assert b"<status>Exercise</status><msgType>Alert</msgType>" in alert
        assert "tại LP-1, cột 1 tuyến F-1".encode() in alert

        told = plant.citylight("alarms", "told", "--alarm", event["data"]["id"], "--json").json
        assert {(row["recipient"], row["body"]) for row in told if row["recipient"] in {"desk", "cap"}} == {
            ("desk", body.decode()),
            ("cap", alert.decode()),
        }
        shown = plant.citylight("alarms", "show", event["data"]["id"]).out
        assert f"Kiểm tra: {event['data']['check']['vi']}" in shown
        assert plant.citylight("alarms", "resync", "desk", "--json").json == {"desk": 1}
        assert json.loads(people.next()[1]) == event
        answer = plant.citylight("alarms", "resync", "nobody")
        assert (answer.code, "no recipient is called 'nobody'" in answer.err) == (1, True)

        assert plant.citylight("alarms", "test").code == 0
        assert json.loads(sleeper.next()[1])["data"]["type"] == "test"
        assert b"<status>Test</status><msgType>Alert</msgType>" in cap.next()[1]
        assert b"<msgType>Cancel</msgType>" in cap.next()[1]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"ioc": {"wake": ["lampFailure"]}}, "single lamps"),
        ({"ioc": {"record": ["noSuchType"]}}, "'noSuchType' is no type of alarm"),
        ({"ioc.mqtt": {"areas": ["nowhere"]}}, "'nowhere' is no area of the inventory"),
        (
            {
                "ioc": {"webhook_hosts": ["b.example"]},
                "ioc.webhook": [{"name": "a", "url": "https://a.example"}],
            },
            "a.example is not among webhook_hosts",
        ),
    ],
)
def test_recipients_that_can_not_be_are_refused_in_one_line(plant_on, sections, words: str) -> None:
    plant = plant_on(None, None, **sections)
    answer = plant.citylight("check")
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer
    assert words in answer.err
