"""A receiver over HTTP. In: outbox rows. Out: POST requests, and what their answers mean.

Follows no redirect, reads little of an answer, and connects only to the address it has checked: private,
loopback and link-local addresses are refused unless the receiver is configured as a private one.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from gateway.clock import Clock
from gateway.errors import ConfigurationError, DeliveryError
from gateway.notify.courier import Row

RESPONSE_BYTES_MAX: Final = 64 * 1024
REASON_CHARACTERS_MAX: Final = 200
REFUSED_STATUSES: Final = frozenset({400, 405, 406, 410, 411, 413, 414, 415, 422})
"""What a receiver will never take. Others, 401, 403 and 404 among them, an operator can mend: they wait."""
SIGNATURE_HEADER: Final = "Citylight-Signature"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """One receiver. ``private`` allows the host of ``url`` to be in a private network."""

    name: str
    url: str
    private: bool = False
    secret: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(self.name, "url", f"{self.url!r} is no web address", "write https://...")
        if parts.username or parts.password:
            raise ConfigurationError(self.name, "url", "holds a password", "use the secret setting instead")
        if self.timeout_s <= 0:
            raise ConfigurationError(self.name, "timeout_s", "is not positive", "set seconds, e.g. 10")


def signature(secret: str, at_s: int, body: bytes) -> str:
    """``t=<unix time>,v1=<hex>``: HMAC-SHA256 over the time stamp, a full stop and the body.

    The receiver computes it again and refuses old time stamps (see docs/delivery.md).
    """
    digest = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Webhook:
    """Sends to one receiver; use as ``async with``, then hand to a courier."""

    error = ""

    def __init__(self, options: WebhookOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        factory = None if self._options.private else _public_socket
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._options.tls or True, limit=1, use_dns_cache=False, socket_factory=factory
            ),
            timeout=aiohttp.ClientTimeout(total=self._options.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def deliver(self, row: Row) -> None:
        """POST one event. DeliveryError: refused for good (4xx), or to be tried again (everything else)."""
        if self._session is None:
            raise RuntimeError("the webhook is not open")
        headers = {"Content-Type": row.content_type, IDEMPOTENCY_HEADER: row.key}
        if self._options.secret:
            at_s = self._clock.wall_ns() // 1_000_000_000
            headers[SIGNATURE_HEADER] = signature(self._options.secret, at_s, row.body)
        try:
            async with self._session.post(
                self._options.url, data=row.body, headers=headers, allow_redirects=False
            ) as response:
                await self._judge(response)
        except TimeoutError as error:
            raise DeliveryError(f"no answer in {self._options.timeout_s:g} s", retryable=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(str(error) or type(error).__name__, retryable=True) from error

    async def reach(self) -> None:
        """Raise DeliveryError if nothing that speaks HTTP answers there; no event is sent."""
        if self._session is None:
            raise RuntimeError("the webhook is not open")
        try:
            async with self._session.head(self._options.url, allow_redirects=False):
                pass
        except TimeoutError as error:
            raise DeliveryError(f"no answer in {self._options.timeout_s:g} s", retryable=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(str(error) or type(error).__name__, retryable=True) from error

    async def _judge(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if 200 <= status < 300:
            return
        answer = await response.content.read(RESPONSE_BYTES_MAX)
        words = "".join(c if c.isprintable() else " " for c in answer.decode("utf-8", "replace"))
        reason = f"HTTP {status} {words[:REASON_CHARACTERS_MAX].strip()}".strip()
        if 300 <= status < 400:
            reason = f"HTTP {status}: redirects are not followed; set the final address"
        if status in REFUSED_STATUSES:
            raise DeliveryError(reason, retryable=False)
        raise DeliveryError(reason, retryable=True, retry_after_s=self._retry_after_s(response))

    def _retry_after_s(self, response: aiohttp.ClientResponse) -> float | None:
        """RFC 9110, section 10.2.3: seconds or a date; None when absent or neither."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, at.timestamp() - self._clock.wall_ns() / 1e9)


def _public_socket(address: tuple[Any, ...]) -> socket.socket:
    """Called with the very address that is connected to, so no second look-up can give another one."""
    family, kind, protocol, _, where = address
    if not _is_public(where[0]):
        raise PermissionError(errno.EACCES, f"{where[0]} is a private address; allow_private is not set")
    return socket.socket(family, kind, protocol)


def _is_public(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_global and not address.is_multicast
