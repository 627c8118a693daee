"""A simulated fleet against a real broker. In: a simulation, a clock, options. Out: messages, figures.

Paces messages by the clock it is given, so a demo may run sixty times as fast. A broker that falls behind
holds the fleet back; nothing is dropped before ``stop``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
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
        self._number = {name: sum(name.encode()) % options.connections for name in simulation.devices}
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
                await self._publish(self._simulation.messages(self._clock.wall_ns()), stopped)
                await asyncio.wait({stopped}, timeout=PACE_S)
        finally:
            stopped.cancel()
            await self._close(self._options.drain_s if stop.is_set() else 0.0)
        return self.figures

    async def _publish(self, messages: Sequence[Message], stopped: asyncio.Task[bool]) -> None:
        if self._options.per_device:
            for message in messages:
                if (connection := self._connection(message)) is not None:
                    await self._hand(connection, [message], stopped)
            return
        # A device keeps to one connection, so that its messages stay in order.
        parts: list[list[Message]] = [[] for _ in range(self._options.connections)]
        for message in messages:
            parts[self._number[message.device]].append(message)
        shared = (self._opened(f"{self._options.client_id}-{number}", "", "") for number in range(len(parts)))
        hands = zip(shared, parts, strict=True)
        await asyncio.gather(*(self._hand(connection, part, stopped) for connection, part in hands if part))

    async def _hand(
        self, connection: Connection, messages: Sequence[Message], stopped: asyncio.Task[bool]
    ) -> None:
        """All of them, as fast as they are taken; what is left when the run is stopped is dropped."""
        first = 0
        while not stopped.done() and (first := connection.hand(messages, first)) < len(messages):
            vacancy = asyncio.create_task(connection.vacancy())
            await asyncio.wait({vacancy, stopped}, return_when=asyncio.FIRST_COMPLETED)
            vacancy.cancel()
            if self._tally.failure is not None:
                raise self._tally.failure
        self._dropped += sum(not message.status for message in messages[first:])

    def _connection(self, message: Message) -> Connection | None:
        """The device's own connection; None where breaking it says what the message does (a last will)."""
        options = self._options
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
