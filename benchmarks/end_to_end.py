"""mosquitto to a real InfluxDB through a gateway process. In: counts. Out: the contract's bench object."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import plant
from tests.servers import InfluxDB, Mosquitto, free_port

IN_FLIGHT = ("max_inflight_messages 20000", "max_queued_messages 1000000")


def measure(messages: int, devices: int) -> dict[str, Any]:
    """Run once; RuntimeError if not every message was stored."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citylight-bench-")))
        broker = stack.enter_context(Mosquitto(directory / "mosquitto", settings=IN_FLIGHT))
        store = stack.enter_context(InfluxDB(directory / "influxdb"))
        store.create("citylight")
        port, listing = free_port(), plant.write_inventory(directory, devices)
        gateway = plant.start_gateway(
            stack, directory, broker=broker.url, ioc=broker.url, store=store.url, port=port
        )
        plant.wait(lambda: plant.ready(port), plant.READY_S_MAX, "the gateway ready")
        counts = ("--messages", str(messages), "--devices", str(listing))
        load = plant.start_helper(stack, "load", "--port", str(broker.port), *counts)
        plant.expect(load, "ready")
        pids = {"gateway": gateway.pid, "broker": broker.pid, "store": store.pid, "load": load.pid}
        meter = plant.Meter(pids)
        plant.tell(load, "go")
        what = f"{messages} messages stored"
        plant.wait(lambda: plant.stored(port) >= messages, plant.STORED_S_MAX, what)
        return meter.figures("end-to-end", messages, devices)
