"""An InfluxDB 1.x that is often unwell. In: bodies of writes. Out: answers as recorded ones, or none at all.

``points`` is what it holds, by series and time. Lines of a poisoned field are refused, the others of the
request stored. A timeout or reset may come before the points were written, or after.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDict
from virtual_time import Crashed, SimulatedLoop, World

GUILTY = b",frequency=66"
"""A line with this is refused for good: the field is of another type already."""

FAULTS = ("refused", "missing", "overloaded", "failing", "silent", "reset_before", "reset_after", "small")


@dataclass
class Answer:
    """What aiohttp would give."""

    status: int
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)

    @property
    def content(self) -> Answer:
        return self

    async def read(self, count: int) -> bytes:
        return self.body[:count]


class Exchange:
    """``async with session.post(...)``."""

    def __init__(self, server: StoreServer, body: bytes) -> None:
        self._server, self._body = server, body

    async def __aenter__(self) -> Answer:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        if loop.dead:
            raise Crashed
        await asyncio.sleep(self._server.world.between(1e-4, 5e-2))
        return await self._server.answer(zlib.decompress(self._body, 31))

    async def __aexit__(self, *_: object) -> None:
        return


class StoreServer:
    """``fault`` is one of FAULTS, or empty."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fault = ""
        self.points: dict[tuple[bytes, int], bytes] = {}
        self.written = 0
        self.rewritten: list[tuple[bytes, bytes]] = []  # points that were overwritten with something else

    def post(self, path: str, *, data: bytes, **_: Any) -> Exchange:
        return Exchange(self, data)

    def get(self, path: str, **_: Any) -> Exchange:
        """What it may be asked about itself it does not know."""
        raise aiohttp.ServerDisconnectedError

    async def answer(self, body: bytes) -> Answer:
        match self.fault if self.world.chance(0.8) else "":
            case "refused":
                return _error(401, "authorization failed")
            case "missing":
                return _error(404, 'database not found: "citylight"')
            case "overloaded":
                answer = _error(503, "timeout")
                answer.headers["Retry-After"] = "2"
                return answer
            case "failing":
                return _error(500, "engine is closed")
            case "silent":
                await asyncio.sleep(5)
                if self.world.chance(0.5):
                    self._write(body)
                raise TimeoutError
            case "reset_before":
                raise aiohttp.ServerDisconnectedError
            case "reset_after":
                self._write(body)
                raise aiohttp.ServerDisconnectedError
            case "small" if len(body) > 700:
                return _error(413, "Request Entity Too Large")
        dropped = self._write(body)
        if dropped:
            words = (
                'input field "frequency" on measurement "lamp" is type string, already exists as type float'
            )
            return _error(400, f"partial write: field type conflict: {words} dropped={dropped}")
        return Answer(204)

    def _write(self, body: bytes) -> int:
        """Store what is good of it; how many lines are not."""
        dropped = 0
        for line in body.splitlines():
            if GUILTY in line:
                dropped += 1
                continue
            series, fields, time = line.rsplit(b" ", 2)
            before = self.points.get((series, int(time)))
            if before is not None and _number(before) != _number(fields):
                self.rewritten.append((before, fields))
            self.points[series, int(time)] = fields
            self.written += 1
        return dropped


def _number(fields: bytes) -> bytes:
    """What tells one message from another."""
    return fields.partition(b"number=")[2].partition(b",")[0]


def _error(status: int, words: str) -> Answer:
    return Answer(status, json.dumps({"error": words}).encode() + b"\n")
