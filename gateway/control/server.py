"""The listening end of the control socket. In: handlers by name. Out: answers to whoever may open the file.

The file is 0600 from the moment it exists. Never raises on what a client sends; never answers two
requests of one connection at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.control.address import reachable
from gateway.control.protocol import REQUEST_BYTES_MAX, Answer, decode_request, encode
from gateway.errors import GatewayError

Handler = Callable[..., Awaitable[Any]]

log = logging.getLogger("citylight.control")


class ControlServer:
    """Serves until closed; ``handlers`` are awaited with the request's arguments as keywords."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            with reachable(self._path) as address:
                self._server = await asyncio.start_unix_server(self._accept, address, limit=REQUEST_BYTES_MAX)
        finally:
            os.umask(mask)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while line := await reader.readline():
                writer.write(encode(await self._answer(line)))
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            log.debug("control connection ended: %s", error)
        except asyncio.CancelledError:
            pass  # the gateway is stopping; the client sees the connection close
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = decode_request(line)
        except ValueError as error:
            return Answer(error=f"not a request: {error}")
        handler = self._handlers.get(request.name)
        if handler is None:
            return Answer(error=f"no such query or order: {request.name}")
        try:
            return Answer(result=await handler(**request.arguments))
        except GatewayError as error:
            return Answer(error=str(error))
        except (TypeError, ValueError) as error:
            return Answer(error=f"{request.name}: {error}")
