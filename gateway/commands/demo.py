"""``citylight demo``. In: how many lamps, how long. Out: a simulated district, seen live, and a report.

Embedded broker and store, everything on loopback; the wall clock starts ten minutes before dusk and runs
sixty times as fast (decision D13). Leaves nothing behind unless ``--data`` says where.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
from rich.console import Console
from rich.live import Live

from gateway import logs, settings, wiring
from gateway.app import Gateway, running
from gateway.commands.run import stop_on_signals, until
from gateway.errors import GatewayError
from gateway.system_clock import PacedClock, SystemClock
from gateway.view import ALARMS_SHOWN, Scene, TerminalView
from simulators import city
from simulators.connection import PublisherOptions
from simulators.demo_night import dusk_start_ns, faults
from simulators.fleet_publisher import FleetPublisher
from simulators.simulation import Simulation

INTERVAL_S = 60.0
"""Everything reports once a minute of the paced clock, so that there is something to see."""

FRAME_S, LINE_S = 0.5, 5.0
SETTLE_S_MAX = 60.0
PICTURE_COLUMNS = 120
ZONE = "Asia/Ho_Chi_Minh"


def demo(options: argparse.Namespace) -> int:
    """0 if every message came to its end; the report says what was counted."""
    logs.set_up("warning", "text")
    with contextlib.ExitStack() as stack:
        if options.data is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citylight-demo-")))
        else:
            directory = options.data
        report = asyncio.run(Demo(options, directory).run())
    text = json.dumps(report, indent=2)
    if options.report is not None:
        options.report.write_text(text + "\n", encoding="utf-8")
    print(text)
    accounted = report["stored"] + report["quarantined"] + report["pending"]
    complete = report["sent"] == report["received"] == accounted and report["pending"] == 0
    return 0 if complete else 1


@dataclass
class Demo:
    """One run, in ``directory``."""

    options: argparse.Namespace
    directory: Path
    ioc_messages: int = field(default=0, init=False)

    async def run(self) -> dict[str, Any]:
        """The contract's report of a demo."""
        options = self.options
        self._write_inventory()
        chosen = settings.build(self._document(), "demo", self.directory, {})
        clock = PacedClock(dusk_start_ns(SystemClock().wall_ns(), ZONE), options.pace)
        began_ns = clock.monotonic_ns()
        stop = stop_on_signals()
        if options.duration_s:
            asyncio.get_running_loop().call_later(options.duration_s, stop.set)
        async with running(chosen, clock) as gateway, self._listening(gateway):
            publisher = self._publisher(gateway)
            showing = asyncio.create_task(self._show(gateway, publisher))
            publishing = asyncio.create_task(publisher.run(stop))
            await until(stop, gateway)
            if gateway.failure.done():
                gateway.failure.result()
            await publishing
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            if self.options.picture is not None:
                await self._draw(gateway, publisher)
            await self._settle(gateway, publisher)
            return await self._report(gateway, publisher, (clock.monotonic_ns() - began_ns) / 1e9)

    def _write_inventory(self) -> None:
        folder = self.directory / "inventory"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in city.inventory(self.options.lamps, self.options.sensors).items():
            (folder / name).write_text(text, encoding="utf-8")

    def _document(self) -> dict[str, Any]:
        language = self.options.language or settings.user_language()
        return {
            "gateway": {"name": "demo", "data_dir": "data", "language": language, "inventory": "inventory"},
            "http": {"port": 0},
            "ioc": {"status": "Exercise"},
        }

    def _publisher(self, gateway: Gateway) -> FleetPublisher:
        configuration, clock = gateway.configurations.current, gateway.clock
        start_ns = clock.wall_ns()
        simulation = Simulation(
            configuration.fleet,
            {profile.name: profile for profile in configuration.profiles},
            faults(configuration.fleet, self.options.seed, start_ns),
            self.options.seed,
            start_ns,
            INTERVAL_S,
        )
        host, port, _ = wiring.address(gateway.broker_url)
        return FleetPublisher(simulation, clock, PublisherOptions(host=host, port=port))

    @contextlib.asynccontextmanager
    async def _listening(self, gateway: Gateway) -> AsyncIterator[None]:
        """An IOC of our own: counts what reaches it."""
        host, port, _ = wiring.address(gateway.broker_url)
        async with aiomqtt.Client(
            host, port, identifier="ioc", protocol=aiomqtt.ProtocolVersion.V5
        ) as client:
            await client.subscribe("ioc/events/#", qos=1)

            async def count() -> None:
                async for _ in client.messages:
                    self.ioc_messages += 1

            counting = asyncio.create_task(count())
            yield
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)

    async def _show(self, gateway: Gateway, publisher: FleetPublisher) -> None:
        """Frames on a terminal, lines elsewhere."""
        console = Console()
        view = TerminalView(gateway.settings.gateway.language, ZONE)
        frame_s = FRAME_S if console.is_terminal else LINE_S
        print(f"metrics: {gateway.http.url}/metrics", flush=True)
        with (
            Live(console=console, auto_refresh=False)
            if console.is_terminal
            else contextlib.nullcontext() as live
        ):
            before = 0
            while True:
                await asyncio.sleep(frame_s)
                sent = publisher.figures.sent
                scene = await self._scene(gateway, sent, (sent - before) / frame_s)
                before = sent
                if live is None:
                    print(view.line(scene), flush=True)
                else:
                    live.update(view.render(scene), refresh=True)

    async def _draw(self, gateway: Gateway, publisher: FleetPublisher) -> None:
        """The last frame as a picture, for people who would rather look than read."""
        console = Console(record=True, width=PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
        figures = publisher.figures
        scene = await self._scene(gateway, figures.sent, figures.sent / gateway.figures().uptime_s)
        console.print(TerminalView(gateway.settings.gateway.language, ZONE).render(scene))
        svg = re.sub(r"@font-face\s*{.*?}", "", console.export_svg(title="citylight demo"), flags=re.DOTALL)
        self.options.picture.write_text(svg, encoding="utf-8")  # its fonts would be fetched from elsewhere

    async def _scene(self, gateway: Gateway, sent: int, per_s: float) -> Scene:
        newest = await gateway.operations.alarms_list(all=True, limit=ALARMS_SHOWN)
        notes = (f"simulated: {sent} sent · IOC: {self.ioc_messages} events · {gateway.http.url}/metrics",)
        return Scene(gateway.figures(), newest, per_s, notes)

    async def _settle(self, gateway: Gateway, publisher: FleetPublisher) -> None:
        """Wait until what was sent has come to its end; GatewayError if it does not."""
        try:
            async with asyncio.timeout(SETTLE_S_MAX):
                while True:
                    figures = gateway.figures()
                    behind = any(follower.lag_records for follower in figures.followers.values())
                    received = figures.messages["received"] >= publisher.figures.sent
                    if received and not behind and not figures.recipients[wiring.MQTT_RECIPIENT].pending:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise GatewayError(f"not settled after {SETTLE_S_MAX:.0f} s: {gateway.figures()}") from None

    async def _report(self, gateway: Gateway, publisher: FleetPublisher, duration_s: float) -> dict[str, Any]:
        messages = gateway.figures().messages
        names = ("received", "stored", "quarantined", "pending", "redelivered", "retained", "status")
        return {
            "sent": publisher.figures.sent,
            **{name: messages[name] for name in names},
            "alarms": await gateway.database.transact(_alarm_events),
            "duration_s": round(duration_s, 3),
        }


def _alarm_events(connection: sqlite3.Connection) -> dict[str, int]:
    rows = dict(connection.execute("SELECT event, count(*) FROM transition GROUP BY event"))
    return {"raised": rows.get("raised", 0), "cleared": rows.get("cleared", 0)}
