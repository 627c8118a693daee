"""A worker that dies at the worst moments, as the ingest process has it: a real process, killed by itself."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from servers import free_port

from gateway import wiring
from gateway.configuration import Sources
from gateway.failpoints import Failpoint
from gateway.ingest.packets import encode_publish
from gateway.journal.record import Kind, encode_session, encode_tick
from gateway.link import Again, Append, Begin, Messages, Order
from gateway.model import Arrival, SessionEvent, Tick
from gateway.sections import Settings
from gateway.settings import shipped
from gateway.system_clock import SystemClock
from gateway.tasks import end
from gateway.workers import Worker

CLOCK = SystemClock()
BLOCKS = 4
WAIT_S_MAX = 40.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "gateway": {"data_dir": tmp_path, "inventory": shipped("new-city"), "workers": 2},
            "mqtt": {"url": f"mqtt://127.0.0.1:{free_port()}"},
            "ioc": {"mqtt": {"enabled": False}},
        }
    )


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    packed = wiring.sources(settings)
    share = Sources(packed.profiles, packed.inventory, packed.time_zone, (0, 2)).pack()
    own = pickle.dumps(wiring.for_worker(settings, 0))

    async def wish(order: Order) -> None:
        assert isinstance(order, Again)

    worker = Worker(0, lambda number: Begin(number, own, share), wish, CLOCK)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.stop()
        await end([running])


def block(number: int) -> Messages:
    """One message of a device that nobody knows: it ends in the quarantine, and is counted."""
    packet = encode_publish(
        "city/a/luminaire/NOBODY/up", json.dumps({"n": number}).encode(), qos=1, packet_id=7
    )
    return Messages(Arrival(packet, 1, CLOCK.wall_ns(), 1))


async def received(worker: Worker, least: int) -> int:
    """Messages counted, once they are at least so many and none is on its way."""
    while True:
        worker.reported.clear()
        await worker.reported.wait()
        assert worker.figures is not None
        messages = worker.figures.messages
        if messages["received"] >= least and not messages["pending"]:
            return messages["received"]


@pytest.mark.parametrize("failpoint", [Failpoint.RECEIVED, Failpoint.APPENDED])
async def test_what_it_did_not_answer_is_sent_again_and_appended_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, failpoint: Failpoint
) -> None:
    """Once it dies before the block is on disk, once just after: it is there exactly once in both."""
    monkeypatch.setenv("CITYLIGHT_FAILPOINT", f"{failpoint}:3")
    async with asyncio.timeout(WAIT_S_MAX), working(settings) as worker:
        await worker.durable(Append(Kind.SESSION, encode_session(SessionEvent(1, "connected", 1))))
        first = worker.hello
        for number in range(BLOCKS):
            await worker.durable(block(number))
        assert worker.hello is not first, "it did not die"
        assert worker.hello is not None
        assert worker.hello.epoch == 1
        assert await received(worker, BLOCKS) == BLOCKS


async def test_it_ends_in_order_when_whoever_feeds_it_is_gone(settings: Settings) -> None:
    async with asyncio.timeout(WAIT_S_MAX), working(settings) as worker:
        await worker.durable(block(0))
        pid = int((settings.gateway.data_dir / "worker-0" / "lock").read_text())
        os.kill(pid, signal.SIGTERM)  # systemd sends it to every process at once; the session's end decides
        await worker.durable(block(1))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    async with asyncio.timeout(WAIT_S_MAX), working(settings) as worker:
        tick = Tick(CLOCK.wall_ns(), CLOCK.elapsed_ns(), bytes(16), True, True)
        await worker.durable(Append(Kind.TICK, encode_tick(tick)))
        assert await received(worker, 2) == 2
