"""A replayed QoS 1 stream through a gateway process, writes discarded. In: counts. Out: the bench object.

The session, the journal with its fdatasync, both followers with their rules, and gzip line protocol are
the real ones, at full load; only the far ends are cheap.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import plant
from tests.servers import InfluxDB, Mosquitto, free_port


def measure(messages: int, devices: int) -> dict[str, Any]:
    """Run once; RuntimeError if not every message was stored."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citylight-bench-")))
        ioc = stack.enter_context(Mosquitto(directory / "mosquitto"))
        store = stack.enter_context(InfluxDB(directory / "influxdb"))
        store.create("citylight")
        port, stream_port, write_port = free_port(), free_port(), free_port()
        listing = plant.write_inventory(directory, devices)
        plant.start_helper(stack, "discard", "--port", str(write_port), "--to", store.url)
        start_ms = int(time.time() * 1000) - messages
        counts = ("--messages", str(messages), "--start-ms", str(start_ms), "--devices", str(listing))
        stream = plant.start_helper(stack, "broker", "--port", str(stream_port), *counts)
        plant.expect(stream, "ready")
        gateway = plant.start_gateway(
            stack,
            directory,
            broker=f"mqtt://127.0.0.1:{stream_port}",
            ioc=ioc.url,
            store=f"http://127.0.0.1:{write_port}",
            port=port,
        )
        plant.expect(stream, "subscribed")
        plant.wait(lambda: plant.ready(port), plant.READY_S_MAX, "the gateway ready")
        meter = plant.Meter({"gateway": gateway.pid, "stream": stream.pid})
        plant.tell(stream, "go")
        plant.expect(stream, "acknowledged")  # figures are not asked for meanwhile: they have a price, too
        what = f"{messages} messages stored"
        plant.wait(lambda: plant.stored(port) >= messages, plant.STORED_S_MAX, what)
        return meter.figures("pipeline", messages, devices)
