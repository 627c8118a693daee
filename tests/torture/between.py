"""A small TCP proxy in front of the real store that can spoil what passes. In: its port, a mode. Out: a port.

Runs in a thread with a loop of its own. ``spoil`` cuts what is open, so that a mode begins at once. Canned
answers have the words of a real InfluxDB 1.6; all else is the server's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import Final, Self

LATENCY_S: Final = 0.5
TRICKLE_BYTES, TRICKLE_S = 400, 0.01
LARGE_BYTES: Final = 2000
"""Above this a write is too large while the store says 413."""

JSON: Final = "Content-Type: application/json\r\n"
ANSWERS: Final = {
    "401": ("401 Unauthorized", JSON, '{"error":"authorization failed"}'),
    "403": ("403 Forbidden", JSON, '{"error":"\\"gateway\\" user is not authorized to write to database"}'),
    "404": ("404 Not Found", JSON, '{"error":"database not found: \\"city\\""}'),
    "413": ("413 Request Entity Too Large", JSON, '{"error":"Request Entity Too Large"}'),
    "429": ("429 Too Many Requests", f"{JSON}Retry-After: 1\r\n", '{"error":"too many requests"}'),
    "500": ("500 Internal Server Error", JSON, '{"error":"timeout"}'),
    "503": ("503 Service Unavailable", f"{JSON}Retry-After: 1\r\n", '{"error":"try again"}'),
    "policy": ("500 Internal Server Error", JSON, '{"error":"retention policy not found: never"}'),
}
MODES: Final = ("pass", "latency", "cut", "half_open", "trickle", "reset", "reset_after_commit", *ANSWERS)


class Between:
    """``with Between(port) as proxy``: listens on ``proxy.port``; ``spoiled`` counts connections spoiled."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode = "pass"
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="between", daemon=True)
        self.port = 0
        self.spoiled = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 26), self._loop
        )
        self._server = listening.result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def spoil(self, mode: str) -> None:
        """From now on ``mode``; ``pass`` heals."""
        assert mode in MODES, mode
        self._mode = mode
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open[writer] = task  # a loop alone does not keep a task that waits for ever
        try:
            await self._exchange(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either end has hung up, which is what this is for, or all is over
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Request by request, as HTTP frames them; the gateway never sends chunks."""
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                mode = self._mode
                self.spoiled += mode != "pass"
                if mode == "cut":
                    return
                if mode == "reset":
                    _reset(writer)
                    return
                if mode == "half_open":
                    await asyncio.Event().wait()
                if mode in ANSWERS and (mode != "413" or len(body) > LARGE_BYTES):
                    await _say(writer, mode)
                    continue
                if mode == "latency":
                    await asyncio.sleep(LATENCY_S)
                server = server or await asyncio.open_connection("127.0.0.1", self._target)
                await _forward(server[1], head + body, slowly=mode == "trickle")
                answer = await _answer(server[0])
                if mode == "reset_after_commit":
                    _reset(writer)
                    return
                await _forward(writer, answer, slowly=False)
        finally:
            if server is not None:
                server[1].transport.abort()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """A whole response: by its length, in chunks, or without a body."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            body += line + await reader.readexactly(int(line, 16) + 2)
            if int(line, 16) == 0:
                return head + body
    return head + await reader.readexactly(_length(head))


async def _forward(writer: asyncio.StreamWriter, data: bytes, *, slowly: bool) -> None:
    step = TRICKLE_BYTES if slowly else len(data)
    for first in range(0, len(data), step):
        writer.write(data[first : first + step])
        await writer.drain()
        if slowly:
            await asyncio.sleep(TRICKLE_S)


async def _say(writer: asyncio.StreamWriter, mode: str) -> None:
    status, headers, body = ANSWERS[mode]
    writer.write(f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    with contextlib.suppress(OSError):
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
