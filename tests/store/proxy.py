"""A proxy in front of a real server that can change what passes. In: a server's URL. Out: its own URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web


@dataclass
class Request:
    """What came in; a rule may change it before it goes on."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Proxy:
    """``rule`` may change a request in place or answer it itself; ``seen`` is every request as it came."""

    target: str
    url: str = ""
    rule: Callable[[Request], Awaitable[web.StreamResponse | None]] | None = None
    seen: list[Request] = field(default_factory=list)

    async def handle(self, incoming: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in incoming.headers.items() if k in ("Content-Encoding", "Authorization")}
        request = Request(incoming.path, dict(incoming.query), headers, await incoming.content.read())
        self.seen.append(Request(request.path, dict(request.query), dict(request.headers), request.body))
        if self.rule is not None and (answer := await self.rule(request)) is not None:
            return answer
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                incoming.method,
                self.target + request.path,
                params=request.query,
                headers={k: v for k, v in request.headers.items() if k == "Content-Encoding"},
                data=request.body or None,
            ) as answered,
        ):
            kept = {k: v for k, v in answered.headers.items() if k in ("Content-Type", "Content-Encoding")}
            return web.Response(status=answered.status, headers=kept, body=await answered.read())


@asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    """A running proxy on a free loopback port."""
    between = Proxy(target)
    # Bodies must pass as they are: aiohttp would unpack gzip otherwise.
    runner = web.AppRunner(_application(between), access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        between.url = f"http://{host}:{port}"
        yield between
    finally:
        await runner.cleanup()


def _application(between: Proxy) -> web.Application:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", between.handle)
    return application
