"""What a second core brings. In: counts. Out: the bench report: one worker, two of them, a gateway of two.

Workers are the real processes, each pinned to a core and fed a stream of its own devices over its link, as
the ingest process does; writes are discarded. ``speed_up`` compares two with one: by the clock, which shows
whatever else the machine does, and by CPU per message, which does not.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from benchmarks import figures, plant
from benchmarks.figures import Report, Run
from benchmarks.load import encode
from benchmarks.meter import Meter, rss_mb
from gateway import settings, wiring
from gateway.configuration import Sources, interpret
from gateway.control.client import ControlClient
from gateway.link import Begin, Messages, Order
from gateway.model import Arrival
from gateway.partition import Partition
from gateway.sections import Settings
from gateway.system_clock import SystemClock
from gateway.tasks import end
from gateway.workers import Worker
from tests.servers import InfluxDB, Mosquitto, free_port

BLOCK_MESSAGES = 4096
LOOK_S = 0.05
WORKERS = range(2)
CLOCK = SystemClock()


def measure(messages: int = 400_000, devices: int = 5000) -> Report:
    """``messages`` for each worker. RuntimeError if not every message was stored."""
    before, two, after = (pinned(workers, messages, devices) for workers in (1, 2, 1))
    rate = (before["messages_per_s"] + after["messages_per_s"]) / 2
    alone = sum(run["cpu_us_per_message"]["worker-0"] for run in (before, after)) / 2
    each = [two["cpu_us_per_message"][f"worker-{k}"] * len(WORKERS) for k in WORKERS]
    two["figures"]["speed_up"] = round(two["messages_per_s"] / rate, 2)
    two["figures"]["speed_up_by_cpu"] = round(sum(alone / own for own in each), 2)
    after["name"] += ", again"
    return figures.report("workers", [before, two, after, whole(messages, devices)], headline=two["name"])


def pinned(workers: int, messages: int, devices: int) -> Run:
    """So many workers, each on a core of its own with ``messages`` of its own."""
    with ExitStack() as stack:
        chosen = _settings(stack, workers, devices, f"mqtt://127.0.0.1:{free_port()}", free_port())
        return asyncio.run(_fed(chosen, messages, devices))


def whole(messages: int, devices: int) -> Run:
    """``citylight run`` with two workers and one replayed QoS 1 stream: what receiving and dividing cost."""
    with ExitStack() as stack:
        stream_port, port = free_port(), free_port()
        chosen = _settings(stack, 2, devices, f"mqtt://127.0.0.1:{stream_port}", port)
        directory = chosen.gateway.inventory.parent
        start_ms = int(time.time() * 1000) - messages
        counts = ("--messages", messages, "--start-ms", start_ms, "--devices", directory / "lamps.txt")
        stream = plant.start_helper(stack, "broker", "--port", stream_port, *counts)
        plant.expect(stream, "ready")
        began = time.monotonic()
        gateway = plant.start_gateway(stack, directory / "citylight.toml")
        plant.expect(stream, "subscribed")
        plant.until_ready(gateway, port, devices, began)
        pids = {"ingest": gateway.pid} | {f"worker-{k}": _pid(chosen, k) for k in WORKERS}
        meter = Meter(pids)
        plant.tell(stream, "go")
        what = f"{messages} messages stored"
        plant.wait(lambda: plant.stored(port) >= messages, plant.STORED_S_MAX, what)
        spent = meter.cpu_s()
        return figures.run(
            "a gateway of two workers",
            messages=messages,
            devices=devices,
            seconds=meter.seconds,
            cpu_s={"gateway": sum(spent.values()), **spent},
            rss_mb=round(sum(map(rss_mb, pids.values())), 1),
        )


async def _fed(chosen: Settings, messages: int, devices: int) -> Run:
    """Start them one by one, feed all at once."""
    count = chosen.gateway.workers
    sources = wiring.sources(chosen)
    streams = _streams(chosen, messages)
    cores = os.sched_getaffinity(0)
    async with AsyncExitStack() as stack:
        workers = []
        for number, core in zip(range(count), sorted(cores), strict=False):
            share = Sources(sources.profiles, sources.inventory, sources.time_zone, (number, count)).pack()
            begin = Begin(number, pickle.dumps(wiring.for_worker(chosen, number)), share)
            worker = Worker(number, lambda _, begin=begin: begin, _no_wish, CLOCK)  # type: ignore[misc]
            os.sched_setaffinity(0, {core})  # all threads of a child begin with it
            running = asyncio.create_task(worker.run())
            stack.push_async_callback(end, [running])
            stack.push_async_callback(worker.stop)
            await worker.reported.wait()
            workers.append(worker)
        os.sched_setaffinity(0, cores)
        pids = {f"worker-{worker.number}": _pid(chosen, worker.number) for worker in workers}
        meter, feeder = Meter(pids), Meter({"feeder": os.getpid()})
        async with asyncio.TaskGroup() as group:
            for worker, stream in zip(workers, streams, strict=True):
                group.create_task(_feed(chosen, worker, stream, messages))
        return figures.run(
            "one worker" if count == 1 else f"{count} workers",
            messages=messages * count,
            devices=devices,
            seconds=meter.seconds,
            cpu_s=meter.cpu_s() | feeder.cpu_s(),
            rss_mb=round(sum(map(rss_mb, pids.values())), 1),
        )


async def _feed(chosen: Settings, worker: Worker, stream: Sequence[Arrival], messages: int) -> None:
    """Until all is stored; one block at a time, as a session does it."""
    for arrival in stream:
        await worker.durable(Messages(arrival))
    directory = wiring.for_worker(chosen, worker.number).gateway.data_dir
    deadline = time.monotonic() + plant.STORED_S_MAX
    while await asyncio.to_thread(_stored, directory) < messages:
        if time.monotonic() > deadline:
            raise RuntimeError(f"worker {worker.number} has not stored {messages} messages")
        await asyncio.sleep(LOOK_S)


def _streams(chosen: Settings, messages: int) -> list[list[Arrival]]:
    """For each worker blocks of its own devices' readings."""
    count = chosen.gateway.workers
    lines = (chosen.gateway.inventory.parent / "lamps.txt").read_text(encoding="utf-8").splitlines()
    fleet = interpret(wiring.sources(chosen).pack(), "").fleet
    partition = Partition(fleet, count)
    start_ms = int(time.time() * 1000) - messages
    streams = []
    for number in range(count):
        own = [(a, d) for a, d in map(str.split, lines) if partition.of_device(d) == number]
        packets = encode(own, messages, start_ms)
        groups = [packets[at : at + BLOCK_MESSAGES] for at in range(0, messages, BLOCK_MESSAGES)]
        first_ns = start_ms * 1_000_000
        streams.append(
            [
                Arrival(b"".join(group), len(group), first_ns + k * BLOCK_MESSAGES, 1)
                for k, group in enumerate(groups)
            ]
        )
    return streams


def _settings(stack: ExitStack, workers: int, devices: int, broker: str, port: int) -> Settings:
    """A city on disk, a discarding store, an IOC's broker; the configuration is in the city's directory."""
    directory = plant.temporary(stack)
    ioc = stack.enter_context(Mosquitto(directory / "mosquitto"))
    store = stack.enter_context(InfluxDB(directory / "influxdb"))
    store.create("citylight")
    plant.write_city(directory, devices)
    sink_port = free_port()
    plant.expect(plant.start_helper(stack, "sink", "--port", sink_port, "--to", store.url), "ready")
    address = f"http://127.0.0.1:{sink_port}"
    file = plant.write_configuration(directory, broker=broker, ioc=ioc.url, store=address, port=port)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[gateway]\n", f"[gateway]\nworkers = {workers}\n"), encoding="utf-8")
    return settings.read(file, {})


async def _no_wish(order: Order) -> None:
    raise RuntimeError(f"a worker asked for {order}")


def _stored(directory: Path) -> int:
    with ControlClient(directory) as client:
        return int(client.ask("figures.read")["messages"]["stored"])


def _pid(chosen: Settings, worker: int) -> int:
    directory = wiring.for_worker(chosen, worker).gateway.data_dir
    return int((directory / "lock").read_text(encoding="ascii"))
