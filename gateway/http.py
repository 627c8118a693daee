"""The loopback port for machines that watch the gateway. In: a function that gives figures. Out: three pages.

``/metrics`` for Prometheus, ``/healthz`` (the process turns), ``/readyz`` (broker and store can be reached).
Never serves anything that could change the gateway.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.metrics import Collector, Figures


class HttpServer:
    """Serves until closed."""

    def __init__(self, host: str, port: int, figures: Callable[[], Figures]) -> None:
        self._host, self._port = host, port
        self._figures = figures
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(Collector(figures))
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    @property
    def url(self) -> str:
        """Where it really listens (port 0 asks for any free one)."""
        assert self._runner is not None
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, _: web.Request) -> web.Response:
        reasons = self._figures().not_ready
        return web.Response(status=503 if reasons else 200, text="\n".join(reasons or ("ready",)) + "\n")
