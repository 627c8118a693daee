"""A simulated fleet against a real broker. In: a simulation, a clock, options. Out: messages, figures.

Paces messages by the clock it is given, so a demo may run sixty times as fast. A broker that falls behind
holds the fleet back; nothing is dropped before ``stop``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

from gateway.clock import Clock
from simulators.connection import Connection, PublisherOptions, Tally
from simulators.simulation import Message, Simulation

PACE_S = 0.05
"""How often the clock is looked at: the grain of sending times."""


@dataclass(frozen=True, slots=True)
class Figures:
    """``sent`` counts telemetry the broker has acknowledged; ``status`` online/offline alike.

    ``pending`` is handed over but not acknowledged, ``refused`` acknowledged with an error, ``dropped`` due
    but given up because the run was stopped.
    """

    sent: int
    status: int
    refused: int
    pending: int
    dropped: int
    connected: int
    reconnects: int
    last_error: str


class FleetPublisher:
    """Publishes ``simulation`` until stopped; ``figures`` can be read at any time."""

    def __init__(self, simulation: Simulation, clock: Clock, options: PublisherOptions) -> None:
        self._simulation, self._clock, self._options = simulation, clock, options
        self._tally = Tally()
        self._connections: dict[str, Connection] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._dropped = 0

    @property
    def figures(self) -> Figures:
        tally = self._tally
        return Figures(
            sent=tally.sent,
            status=tally.status,
            refused=tally.refused,
            pending=sum(connection.pending for connection in self._connections.values()),
            dropped=self._dropped,
            connected=tally.connected,
            reconnects=tally.reconnects,
            last_error=tally.last_error,
        )

    async def run(self, stop: asyncio.Event) -> Figures:
        """Publish what falls due until ``stop`` is set, then wait for the last acknowledgements."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if self._tally.failure is not None:
                    raise self._tally.failure
                for message in self._simulation.messages(self._clock.wall_ns()):
                    await self._publish(message, stopped)
                await asyncio.wait({stopped}, timeout=PACE_S)
        finally:
            stopped.cancel()
            await self._close(self._options.drain_s if stop.is_set() else 0.0)
        return self.figures

    async def _publish(self, message: Message, stopped: asyncio.Task[bool]) -> None:
        connection = self._connection(message)
        if connection is None:
            return
        if stopped.done():
            self._dropped += not message.status
        elif connection.queue.full():
            handing = asyncio.create_task(connection.queue.put(message))
            await asyncio.wait({handing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not handing.done():
                handing.cancel()
                self._dropped += not message.status
        else:
            connection.queue.put_nowait(message)

    def _connection(self, message: Message) -> Connection | None:
        """The connection that carries ``message``; None where breaking one says it (a last will)."""
        options = self._options
        if not options.per_device:
            # A device keeps to one connection, so that its messages stay in order.
            name = f"{options.client_id}-{sum(message.device.encode()) % options.connections}"
            return self._opened(name, "", "")
        name = f"{options.client_id}-{message.device}" if options.username is None else message.device
        if message.status and message.payload == b"offline":
            connection = self._connections.pop(name, None)
            if connection is not None:
                self._tally.status += 1
                self._ending(connection.abort(options.drain_s))
            return None
        return self._opened(name, self._simulation.status_topic(message.device), message.device)

    def _opened(self, name: str, will_topic: str, device: str) -> Connection:
        if name not in self._connections:
            self._connections[name] = Connection(self._options, name, self._tally, will_topic, device)
        return self._connections[name]

    def _ending(self, end: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(end)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _close(self, drain_s: float) -> None:
        connections = list(self._connections.values())
        await asyncio.gather(*(connection.close(drain_s) for connection in connections))
        await asyncio.gather(*self._endings)


async def publish(
    simulation: Simulation, clock: Clock, options: PublisherOptions, stop: asyncio.Event
) -> Figures:
    """Run a FleetPublisher until ``stop``; its last figures."""
    return await FleetPublisher(simulation, clock, options).run(stop)
