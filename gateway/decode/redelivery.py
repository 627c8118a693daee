"""Messages the broker sends again after a reconnect (decision D2). In: blocks in journal order. Out: marks.

Remembers the tail of what earlier epochs brought; a function of the journal alone, however it is cut
into blocks. Never drops anything itself.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from gateway.model import Bools, Publishes

TAIL_MESSAGES: Final = 20_000


class Redelivery:
    """A redelivery has its DUP flag set, and an earlier epoch brought the same bytes under its packet id."""

    def __init__(self, tail_messages: int = TAIL_MESSAGES) -> None:
        """``tail_messages`` (>= 1): how many messages before a reconnect are remembered."""
        self._tail_messages = tail_messages
        self._tail: deque[Publishes] = deque(maxlen=tail_messages + 1)
        self._tail_count = 0
        self._epoch: int | None = None
        self._earlier: dict[int, tuple[str, bytes]] = {}

    def mark(self, publishes: Publishes, epoch: int) -> Bools:
        """bool[n] for one block of connection ``epoch``. Replayed messages are never marked."""
        marks = np.zeros(len(publishes.topics), dtype=np.bool_)
        if publishes.replayed.any() or not len(publishes.topics):
            return marks  # a replay comes from the quarantine, not from the broker
        if epoch != self._epoch:
            self._earlier = self._last_by_id()
            self._epoch = epoch
        for at in np.flatnonzero(publishes.duplicate & (publishes.packet_ids != 0)).tolist():
            packet_id = int(publishes.packet_ids[at])
            if self._earlier.get(packet_id) == (publishes.topics[at], publishes.payloads[at]):
                marks[at] = True
                del self._earlier[packet_id]
        self._remember(publishes)
        return marks

    def session_began(self) -> None:
        """The broker has no memory of earlier epochs: it gives ids anew and sends nothing again."""
        self._tail.clear()
        self._tail_count = 0

    def _remember(self, publishes: Publishes) -> None:
        self._tail.append(publishes)
        self._tail_count += len(publishes.topics)
        while self._tail_count - len(self._tail[0].topics) >= self._tail_messages:
            self._tail_count -= len(self._tail.popleft().topics)

    def _last_by_id(self) -> dict[int, tuple[str, bytes]]:
        """The newest message of each packet id among the last ``tail_messages``."""
        found: dict[int, tuple[str, bytes]] = {}
        skip = max(0, self._tail_count - self._tail_messages)
        for block in self._tail:
            ids = block.packet_ids.tolist()
            found.update(
                zip(ids[skip:], zip(block.topics[skip:], block.payloads[skip:], strict=True), strict=True)
            )
            skip = max(0, skip - len(ids))
        found.pop(0, None)
        return found
