"""A replayed QoS 1 stream through a gateway process, writes discarded. In: counts. Out: the bench report.

The session, the journal with its fdatasync, both followers with their rules, and gzip line protocol are
the real ones, at full load; only the far ends are cheap.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

from benchmarks import figures, plant
from benchmarks.figures import Report, Run
from benchmarks.meter import Meter, rss_mb
from tests.servers import InfluxDB, Mosquitto, free_port


def measure(messages: int = 600_000, devices: int = 5000) -> Report:
    """RuntimeError if not every message was stored."""
    return figures.report("pipeline", [through(messages, devices)])


def through(messages: int, devices: int) -> Run:
    """One stream through one gateway."""
    with ExitStack() as stack:
        directory = plant.temporary(stack)
        ioc = stack.enter_context(Mosquitto(directory / "mosquitto"))
        store = stack.enter_context(InfluxDB(directory / "influxdb"))
        store.create("citylight")
        port, stream_port = free_port(), free_port()
        city = plant.write_city(directory, devices)
        _, address = plant.start_discard(stack, store.url)
        start_ms = int(time.time() * 1000) - messages
        counts = ("--messages", messages, "--start-ms", start_ms, "--devices", city.lamps)
        stream = plant.start_helper(stack, "broker", "--port", stream_port, *counts)
        plant.expect(stream, "ready")
        stream_url = f"mqtt://127.0.0.1:{stream_port}"
        configuration = plant.write_configuration(
            directory, broker=stream_url, ioc=ioc.url, store=address, port=port
        )
        began = time.monotonic()
        gateway = plant.start_gateway(stack, configuration)
        plant.expect(stream, "subscribed")
        start_s = plant.until_ready(gateway, port, devices, began)
        meter = Meter({"gateway": gateway.pid, "stream": stream.pid})
        plant.tell(stream, "go")
        what = f"{messages} messages stored"
        plant.wait(lambda: plant.stored(port) >= messages, plant.STORED_S_MAX, what)
        return figures.run(
            f"{devices} devices",
            messages=messages,
            devices=devices,
            seconds=meter.seconds,
            cpu_s=meter.cpu_s(),
            rss_mb=rss_mb(gateway.pid),
            figures={"start_s": round(start_s, 1)},
        )
