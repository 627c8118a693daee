"""The webhook against a real HTTP server: what is sent, and what every kind of answer means."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from post import NOW_NS, RAISED, SteppedClock, rows_for, webhook_recipient

from gateway.errors import ConfigurationError, DeliveryError
from gateway.notify.webhook import Webhook, WebhookOptions, signature
from gateway.state.outbox import DueRow

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
(MESSAGE,) = rows_for(RAISED, [webhook_recipient()])
ROW = DueRow(
    1, "hook", RAISED.id, 1, MESSAGE.key, "", MESSAGE.content_type, MESSAGE.body, NOW_NS, 0, retain=False
)


@dataclass
class Server:
    """Answers by ``handler`` and keeps what it was sent."""

    url: str = ""
    handler: Handler | None = None
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.read()))
        self.paths.append(request.path)
        return web.Response(status=204) if self.handler is None else await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/alarms"
    yield server
    await runner.cleanup()


def options(server: Server, **changes: Any) -> WebhookOptions:
    return WebhookOptions(**{"name": "hook", "url": server.url, "private": True, **changes})


async def deliver(server: Server, **changes: Any) -> None:
    async with Webhook(options(server, **changes), SteppedClock()) as hook:
        await hook.deliver(ROW)


async def refusal(server: Server, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await deliver(server, **changes)
    return caught.value


def always(status: int, **more: Any) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, **more)

    return handler


async def test_a_structured_cloudevent_arrives_with_its_idempotency_key(server: Server) -> None:
    await deliver(server)
    ((headers, body),) = server.requests
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["Idempotency-Key"] == f"{RAISED.id}-1"
    document = json.loads(body)
    assert (document["specversion"], document["type"]) == ("1.0", "vn.citylight.alarm.raised")
    assert document["data"] == RAISED.document()
    assert "Citylight-Signature" not in headers


async def test_the_receiver_can_check_the_signature(server: Server) -> None:
    await deliver(server, secret="shared")
    ((headers, body),) = server.requests
    stamp, digest = (part.split("=")[1] for part in headers["Citylight-Signature"].split(","))
    assert int(stamp) == NOW_NS // 10**9
    expected = hmac.new(b"shared", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)
    assert "shared" not in repr(options(server, secret="shared"))


def test_the_signature_of_a_known_text() -> None:
    assert signature("key", 1, b"body") == (
        "t=1,v1=" + hmac.new(b"key", b"1.body", hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_a_delivery(server: Server, status: int) -> None:
    server.handler = always(status)
    await deliver(server)


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
async def test_what_is_never_taken_is_refused_for_good_and_says_why(server: Server, status: int) -> None:
    server.handler = always(status, text="no\nsuch \x00field")
    error = await refusal(server)
    assert not error.retryable
    assert str(error) == f"HTTP {status} no such  field"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(server: Server, status: int) -> None:
    server.handler = always(status, headers={"Retry-After": "17"})
    error = await refusal(server)
    assert (error.retryable, error.retry_after_s) == (True, 17.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("soon", None), ("-5", None), (formatdate(NOW_NS / 1e9 + 90, usegmt=True), 90.0)],
)
async def test_retry_after_in_all_its_forms(server: Server, text: str, seconds: float | None) -> None:
    server.handler = always(503, headers={"Retry-After": text})
    assert (await refusal(server)).retry_after_s == seconds


async def test_a_redirect_is_not_followed(server: Server) -> None:
    server.handler = always(307, headers={"Location": "/elsewhere"})
    error = await refusal(server)
    assert error.retryable
    assert "redirect" in str(error)
    assert server.paths == ["/alarms"]


async def test_a_slow_receiver_is_given_up_for_now(server: Server) -> None:
    never = asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    server.handler = handler
    error = await refusal(server, timeout_s=0.2)
    never.set()
    assert (error.retryable, str(error)) == (True, "no answer in 0.2 s")


async def test_an_endless_answer_is_not_read_to_its_end(server: Server) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except (ConnectionError, asyncio.CancelledError):
            return response

    server.handler = handler
    error = await refusal(server)
    assert error.retryable
    assert len(str(error)) < 300


async def test_nobody_listening_is_tried_again() -> None:
    error = await refusal(Server(url="http://127.0.0.1:9/"))
    assert error.retryable


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_a_private_address_is_refused_unless_allowed(server: Server, host: str) -> None:
    error = await refusal(server, private=False, url=server.url.replace("127.0.0.1", host))
    assert "private address" in str(error)
    assert server.requests == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [("ftp://host/x", "no web address"), ("https://", "no web address"), ("https://u:p@host/", "password")],
)
def test_a_wrong_address_is_a_configuration_error(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        WebhookOptions(name="hook", url=url)
