"""The spine. In: a journal and the followers, handed in. Out: each follower brought to the journal's end.

A reading is written down first, then thought about: everything here only reads the journal, and a
follower that crashed or was rewound reaches the same result again. Never opens, connects or writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.clock import Clock
from gateway.model import Chunk
from gateway.reader import Reader


class Follower(Protocol):
    """Something that is a function of the journal: alarms, the store, indicators."""

    name: str
    position: int  # sequence of the next record it needs

    async def take(self, chunks: Sequence[Chunk]) -> None:
        """Make the effect of ``chunks`` durable (sooner or later) and move ``position`` to their end."""
        ...


@dataclass(frozen=True, slots=True)
class Cadence:
    """At once when idle; under load no more often than every ``gather_s``, unless behind."""

    gather_s: float
    readings_max: int


async def follow(reader: Reader, follower: Follower, cadence: Cadence, clock: Clock) -> None:
    """Bring ``follower`` to the end of the journal and keep it there; ends only by cancellation or error."""
    taken_ns = clock.monotonic_ns()
    while True:
        chunks = await reader.read(follower.name, follower.position, cadence.readings_max)
        await follower.take(chunks)
        if sum(chunk.counts.readings for chunk in chunks) < cadence.readings_max:
            await asyncio.sleep(max(0.0, cadence.gather_s - (clock.monotonic_ns() - taken_ns) / 1e9))
        taken_ns = clock.monotonic_ns()
