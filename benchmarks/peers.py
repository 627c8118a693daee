"""The same load into what others use. In: counts. Out: the bench report, one run a peer.

The gateway first, then Telegraf and Node-RED where their binaries are on PATH, each between a mosquitto of
its own and the same discarding store; who is not there is named as absent. Configurations are made here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import end_to_end, figures, plant
from benchmarks.figures import PEERS, Report, Run
from benchmarks.meter import Meter, rss_mb
from tests.servers import InfluxDB, Mosquitto, free_port

GATEWAY = "citylight-gateway"
CONNECTED_S_MAX = 60.0
TOPIC = "city/+/luminaire/+/up"
NUMBERS = ("dim", "u", "i", "p", "pf", "e", "f", "h", "n", "tc", "tg")


def measure(messages: int = 200_000, devices: int = 5000) -> Report:
    """``ratio`` of a peer's run: CPU of the gateway a message over the peer's."""
    absent = [peer for peer in PEERS if shutil.which(peer) is None]
    gateway = end_to_end.through(GATEWAY, messages, devices, store="discard")
    own_us = gateway["cpu_us_per_message"]["gateway"]
    runs = [gateway]
    for peer in PEERS:
        if peer not in absent:
            run = through(peer, messages, devices)
            run["ratio"][peer] = round(own_us / run["cpu_us_per_message"][peer], 3)
            runs.append(run)
    return figures.report("peers", runs, absent=absent)


def through(peer: str, messages: int, devices: int) -> Run:
    """One load through one peer; done when as many lines have come out as messages went in."""
    with ExitStack() as stack:
        directory = plant.temporary(stack)
        broker = stack.enter_context(Mosquitto(directory / "mosquitto", settings=plant.BROKER))
        store = stack.enter_context(InfluxDB(directory / "influxdb"))
        store.create("citylight")
        discard, address = plant.start_discard(stack, store.url)
        city = plant.write_city(directory, devices)
        command = COMMANDS[peer](directory, broker.port, address)
        log = stack.enter_context((directory / f"{peer}.log").open("wb"))
        process = stack.enter_context(subprocess.Popen(command, cwd=directory, stdout=log, stderr=log))
        stack.callback(process.terminate)
        counts = ("--messages", messages, "--devices", city.lamps)
        load = plant.start_helper(stack, "load", "--port", broker.port, *counts)
        plant.expect(load, "ready")
        plant.wait(lambda: broker.log.count(f"as {CLIENT}") > 0, CONNECTED_S_MAX, f"{peer} connected")
        pids = {peer: process.pid, "broker": broker.pid, "store": discard.pid, "load": load.pid}
        meter = Meter(pids)
        plant.tell(load, "go")
        what = f"{messages} lines out of {peer}"
        plant.wait(lambda: lines(address) >= messages, plant.STORED_S_MAX, what)
        return figures.run(
            peer,
            messages=messages,
            devices=devices,
            seconds=meter.seconds,
            cpu_s=meter.cpu_s(),
            rss_mb=rss_mb(process.pid),
        )


def lines(address: str) -> int:
    return int(plant.get(f"{address}/lines") or 0)


def telegraf(directory: Path, port: int, store: str) -> list[str]:
    """mqtt_consumer, QoS 1, persistent session; types by name; its own batches, gzip as by default."""
    file = directory / "telegraf.conf"
    file.write_text(
        f"""[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 1000000
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{port}"]
  topics = ["{TOPIC}"]
  qos = 1
  persistent_session = true
  client_id = "{CLIENT}"
  max_undelivered_messages = 20000
  data_format = "json"
  json_time_key = "ts"
  json_time_format = "unix_ms"
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "{TOPIC}"
    measurement = "_/_/measurement/_/_"
    tags = "_/area/_/device/_"
[[outputs.influxdb]]
  urls = ["{store}"]
  database = "citylight"
  skip_database_creation = true
  content_encoding = "gzip"
""",
        encoding="utf-8",
    )
    return ["telegraf", "--config", str(file)]


def node_red(directory: Path, port: int, store: str) -> list[str]:
    """mqtt in (QoS 1, kept session) → json → function → batches of 1,000 lines → HTTP POST."""
    home = directory / "node-red"
    home.mkdir()
    fields = ",".join(f'"{name}="+p.{name}' for name in NUMBERS)
    line = (
        "const p = msg.payload, t = msg.topic.split('/');\n"
        f"const f = [{fields}, 'lf='+p.lf].join(',');\n"
        "msg.payload = `luminaire,area=${t[1]},device=${t[3]} ${f} ${p.ts}000000`;\nreturn msg;"
    )
    post = {"method": "POST", "ret": "txt", "url": f"{store}/write?db=citylight"}
    flow = [
        {"id": "bench-tab", "type": "tab", "label": "bench"},
        {
            "id": "bench-broker",
            "type": "mqtt-broker",
            "broker": "127.0.0.1",
            "port": str(port),
            "clientid": CLIENT,
            "protocolVersion": "5",
            "cleansession": False,
            "sessionExpiry": "3600",
            "keepalive": "60",
        },
        _node("in", "mqtt in", "json", topic=TOPIC, qos="1", datatype="utf8", broker="bench-broker"),
        _node("json", "json", "line", property="payload", action="obj"),
        _node("line", "function", "join", func=line, outputs=1),
        _node(
            "join",
            "join",
            "post",
            mode="custom",
            build="string",
            property="payload",
            propertyType="msg",
            joiner="\\n",
            joinerType="str",
            count="1000",
            timeout="1",
        ),
        _node("post", "http request", "", **post),
    ]
    (home / "flows.json").write_text(json.dumps(flow), encoding="utf-8")
    (home / "settings.js").write_text(
        f'module.exports = {{flowFile: "flows.json", uiPort: {free_port()}, uiHost: "127.0.0.1"}};\n',
        encoding="utf-8",
    )
    return ["node-red", "--userDir", str(home)]


def _node(identity: str, kind: str, wire: str, **settings: object) -> dict[str, object]:
    """Ids that no property's value equals; a place, or it would be taken for a configuration."""
    wires = [[f"bench-{wire}"]] if wire else [[]]
    place = {"z": "bench-tab", "x": 100, "y": 100}
    return {"id": f"bench-{identity}", "type": kind, "name": "", "wires": wires, **place, **settings}


CLIENT = "peer"
COMMANDS: dict[str, Callable[[Path, int, str], list[str]]] = {"telegraf": telegraf, "node-red": node_red}
