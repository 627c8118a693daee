"""Blocks divided among workers. In: an arrival. Out: for each worker its packets, in the order they came.

Looks at a packet's length and topic alone: PUBLISH packets stay the bytes they were. Never drops one: what
leads to no device has a worker like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from gateway.model import Arrival

TOPICS_MAX: Final = 1 << 20
"""The cache of topics is emptied when it is full."""


class Divider:
    """``patterns`` are topics as the settings have them; ``of_device`` names the worker of a device."""

    def __init__(self, patterns: Sequence[str], of_device: Callable[[str], int], workers: int) -> None:
        self._workers = workers
        self._of = _Cache([pattern.encode().split(b"/") for pattern in patterns], of_device)

    def divide(self, arrival: Arrival) -> list[tuple[int, Arrival]]:
        """(worker, its part) for each worker that has one. Every packet is in exactly one part."""
        data, of = arrival.packets, self._of
        pieces: list[list[bytes]] = [[] for _ in range(self._workers)]
        position, size = 0, len(data)
        while position < size:
            try:
                length, body = data[position + 1], position + 2
                if length >= 0x80:
                    length, body = _length(data, position + 1)
                topic = data[body + 2 : body + 2 + (data[body] << 8 | data[body + 1])]
                end = body + length
            except IndexError:  # the journal takes it as it is, and the quarantine after that
                topic, end = b"", size
            pieces[of[topic]].append(data[position:end])
            position = end
        return [
            (worker, replace(arrival, packets=b"".join(own), count=len(own)))
            for worker, own in enumerate(pieces)
            if own
        ]


class _Cache(dict[bytes, int]):
    """Topic to worker."""

    def __init__(self, patterns: Sequence[Sequence[bytes]], of_device: Callable[[str], int]) -> None:
        super().__init__()
        self._patterns = patterns
        self._of_device = of_device

    def __missing__(self, topic: bytes) -> int:
        if len(self) >= TOPICS_MAX:
            self.clear()
        worker = self[topic] = self._of_device(self._device(topic.split(b"/")) or topic.decode("latin-1"))
        return worker

    def _device(self, levels: Sequence[bytes]) -> str:
        """What stands at ``<device>`` in the first pattern that fits; "" where none does."""
        for pattern in self._patterns:
            pairs = list(zip(pattern, levels, strict=False))
            if len(pattern) == len(levels) and all(a == b or a.startswith(b"<") for a, b in pairs):
                return levels[pattern.index(b"<device>")].decode("latin-1")
        return ""


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer (MQTT 5, 1.5.5) and where it ends; IndexError if it is cut short."""
    value = shift = 0
    while True:
        octet = data[at]
        value |= (octet & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octet < 0x80 or shift > 21:
            return value, at
