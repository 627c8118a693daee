"""What the ingest process and a worker say to each other. In: one end of a socket pair. Out: orders, answers.

Both ends may order; an order is answered once it is done. Never interprets one, never reconnects: when the
other end is gone, everything still unanswered fails.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from itertools import count
from typing import Any, Final

import msgspec

from gateway.errors import GatewayError, JournalError
from gateway.ingest.options import IngestFigures
from gateway.model import Arrival

BUFFER_BYTES: Final = 4 << 20
UNSENT_BYTES_MAX: Final = 1 << 20
"""An end that takes nothing is told nothing more than this; only what is told again and again is left out."""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """The first word to a worker: pickled ``Settings``, which are not to be read twice, and its sources."""

    worker: int
    settings: bytes
    sources: bytes


class Hello(msgspec.Struct, frozen=True, tag=True):
    """The first word of a worker. ``newest``: identities of the newest records it has.

    ``epoch`` 0: it never had a session. ``dropped``: the broker's count when it was last asked. The last
    contact is ``contact_age_s`` old at ``elapsed_ns``.
    """

    epoch: int
    dropped: int | None
    contact_age_s: float | None
    elapsed_ns: int
    newest: tuple[bytes, ...]


class Messages(msgspec.Struct, frozen=True, tag=True):
    """Append this block."""

    arrival: Arrival


class Append(msgspec.Struct, frozen=True, tag=True):
    """Append this session event, tick or control record as it is encoded. ``kind`` is a journal ``Kind``."""

    kind: int
    payload: bytes


class Configure(msgspec.Struct, frozen=True, tag=True):
    """Put these packed sources in force."""

    sources: bytes


class Vitals(msgspec.Struct, frozen=True, tag=True):
    """How ingest is, and what a heartbeat says of the whole gateway."""

    ingest: IngestFigures
    heartbeat: dict[str, Any]


class Report(msgspec.Struct, frozen=True, tag=True):
    """How a worker is: its ``Figures`` as JSON values."""

    figures: dict[str, Any]


class Again(msgspec.Struct, frozen=True, tag=True):
    """A worker's wish: divide these replayed blocks and append them where they belong."""

    arrivals: tuple[Arrival, ...]


Order = Begin | Hello | Messages | Append | Configure | Vitals | Report | Again


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    """``number`` 0: nobody waits for an answer. Without ``order``: the answer; ``error`` says why not."""

    number: int
    order: Order | None = None
    error: str = ""


_frames = msgspec.msgpack.Decoder(_Frame)


class LinkLost(ConnectionError):
    """The other end is gone."""


class Link:
    """One end; ``serve`` until the other end is gone, beside which ``ask`` and ``tell`` work."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[str]] = {}  # bounded: by callers, who each wait for theirs
        self._working: set[asyncio.Task[None]] = set()  # bounded: by the other end's callers

    @classmethod
    async def open(cls, end: socket.socket) -> Link:
        """Takes ``end`` over."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=BUFFER_BYTES))

    async def first(self) -> Order:
        """The first order, before ``serve``; LinkLost if none comes."""
        frame = await self._read()
        if frame is None or frame.order is None:
            raise LinkLost("the other end is gone")
        return frame.order

    async def serve(self, handle: Callable[[Order], Awaitable[None]]) -> None:
        """Carry out what comes, begun in the order it came; returns when the other end is gone."""
        try:
            while (frame := await self._read()) is not None:
                if frame.order is not None:
                    task = asyncio.create_task(self._carry_out(frame.number, frame.order, handle))
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
                elif (answer := self._answers.get(frame.number)) is not None and not answer.done():
                    answer.set_result(frame.error)
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(LinkLost("the other end is gone"))

    async def ask(self, order: Order) -> None:
        """Returns when the order is done; JournalError in the other end's words, LinkLost without any."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(_Frame(number, order))
            await self._writer.drain()
            error = await answer
        finally:
            del self._answers[number]
        if error:
            raise JournalError(error)

    def tell(self, order: Order) -> None:
        """Say it without waiting; left out where the other end is gone or takes nothing."""
        if (
            self._writer.transport.get_write_buffer_size() < UNSENT_BYTES_MAX
            and not self._writer.is_closing()
        ):
            self._send(_Frame(0, order))

    def shut(self) -> None:
        """Take and say nothing more; ``serve`` then returns on both ends."""
        self._writer.close()

    async def close(self) -> None:
        """``shut``, and leave what is being carried out."""
        self.shut()
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _carry_out(self, number: int, order: Order, handle: Callable[[Order], Awaitable[None]]) -> None:
        error = ""
        try:
            await handle(order)
        except GatewayError as refused:
            error = str(refused)
        if number and not self._writer.is_closing():
            self._send(_Frame(number, error=error))

    def _send(self, frame: _Frame) -> None:
        content = msgspec.msgpack.encode(frame)
        self._writer.write(len(content).to_bytes(4, "big") + content)

    async def _read(self) -> _Frame | None:
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            return _frames.decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None


def identity(order: Messages | Append) -> bytes:
    """Tells a record that came over the link from any other: after a crash it may be appended already."""
    if isinstance(order, Append):
        return blake2b(order.payload, digest_size=16).digest()
    time = order.arrival.received_ns.to_bytes(8, "big")
    return blake2b(order.arrival.packets, digest_size=16, key=time).digest()
