"""The IOC's broker. In: outbox rows, standing alarms, vital signs. Out: PUBLISH packets it acknowledged.

Beside the outbox it keeps a heartbeat with a last will, and after each reconnect it publishes the
retained state of every standing alarm again. A client of its own: it subscribes to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiomqtt
import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.alarms import Alarm
from gateway.clock import Clock
from gateway.errors import DeliveryError
from gateway.model import Severity, rfc3339
from gateway.notify.courier import Row
from gateway.notify.dispatch import STATE_CONTENT_TYPE, state_row
from gateway.notify.recipient import Around, Recipient

log = logging.getLogger("citylight.notify")

HEARTBEAT_TOPIC: Final = "ioc/heartbeat"
GOODBYE_S_MAX: Final = 1.0
REFUSED: Final = 0x80  # MQTT 5, section 2.4: reason codes from here on are failures


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttOptions:
    """Where and as whom to connect; times in real seconds. Without ``heartbeat_topic``: no heartbeat."""

    host: str
    port: int
    client_id: str
    gateway: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    heartbeat_topic: str = HEARTBEAT_TOPIC
    heartbeat_s: float = 30.0
    keepalive_s: int = 30
    timeout_s: float = 10.0
    retry_s_min: float = 1.0
    retry_s_max: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_s_min <= self.retry_s_max:
            raise ValueError("retry_s_min must be positive and at most retry_s_max")
        if min(self.heartbeat_s, self.keepalive_s, self.timeout_s) <= 0:
            raise ValueError("heartbeat_s, keepalive_s and timeout_s must be positive")


class _Client(aiomqtt.Client):
    """Keeps the reason of the last PUBACK, which aiomqtt 2.5 drops: a refusal is no delivery."""

    reason: ReasonCode | None = None

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        self.reason = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)


class MqttPublisher:
    """Connection to one broker; ``run`` until cancelled, ``deliver`` waits for the connection."""

    def __init__(
        self,
        options: MqttOptions,
        recipient: Recipient,
        active: Callable[[], Awaitable[Sequence[Alarm]]],
        vitals: Callable[[], Mapping[str, Any]],
        clock: Clock,
        around: Around = lambda area: (area,),
    ) -> None:
        self.error = "not connected yet"
        self._well: bool | None = None  # what was said last
        self._options = options
        self._recipient = recipient
        self._around = around
        self._active = active
        self._vitals = vitals
        self._clock = clock
        self._client: _Client | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()  # so that a reason code belongs to the packet in hand

    async def deliver(self, row: Row) -> None:
        """Publish at QoS 1; returns when the broker has acknowledged it."""
        await self._connected.wait()
        client = self._client
        if client is None:
            raise DeliveryError("the connection was lost", retryable=True)
        publish = asyncio.create_task(
            self._publish(client, row.topic, row.body, row.content_type, row.retain)
        )
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({publish, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not publish.done():
                raise DeliveryError("the connection was lost before the acknowledgement", retryable=True)
            publish.result()
        except aiomqtt.MqttError as error:
            raise DeliveryError(str(error), retryable=True) from error
        finally:
            publish.cancel()
            lost.cancel()
            await asyncio.gather(publish, lost, return_exceptions=True)

    async def run(self) -> None:
        """Stay connected, for ever."""
        delay_s = self._options.retry_s_min
        while True:
            try:
                async with self._new_client() as client:
                    self._say("")
                    await self._resynchronize(client)
                    delay_s = self._options.retry_s_min
                    await self._serve(client)
            except aiomqtt.MqttError as error:
                self._say(str(error))
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, self._options.retry_s_max)

    def _new_client(self) -> _Client:
        options = self._options
        return _Client(
            options.host,
            options.port,
            identifier=options.client_id,
            username=options.username or None,
            password=options.password or None,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=options.tls,
            keepalive=options.keepalive_s,
            timeout=options.timeout_s,
            will=(
                aiomqtt.Will(options.heartbeat_topic, self._last_words("lost"), qos=1, retain=True)
                if options.heartbeat_topic
                else None
            ),
        )

    async def _serve(self, client: _Client) -> None:
        self._client = client
        self._lost.clear()
        self._connected.set()
        tasks = {asyncio.create_task(self._watch(client))}
        if self._options.heartbeat_topic:
            tasks.add(asyncio.create_task(self._beat(client)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            await self._say_goodbye(client)
            raise
        finally:
            self._client = None
            self._connected.clear()
            self._lost.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @staticmethod
    async def _watch(client: _Client) -> None:
        """Nothing is subscribed to, so this ends only by the exception that names the disconnection."""
        async for _ in client.messages:
            pass

    async def _beat(self, client: _Client) -> None:
        while True:
            await self._offer(client, self._options.heartbeat_topic, await self._heartbeat())
            await asyncio.sleep(self._options.heartbeat_s)

    async def _heartbeat(self) -> bytes:
        by_severity = Counter(alarm.severity for alarm in await self._active())
        return msgspec.json.encode(
            {
                "gateway": self._options.gateway,
                "state": "online",
                "time": rfc3339(self._clock.wall_ns()),
                "alarms": {severity.value: by_severity[severity] for severity in Severity},
                **self._vitals(),
            }
        )

    def _last_words(self, state: str) -> bytes:
        return msgspec.json.encode({"gateway": self._options.gateway, "state": state})

    async def _say_goodbye(self, client: _Client) -> None:
        if not self._options.heartbeat_topic:
            return
        words = self._last_words("stopped")
        try:
            async with asyncio.timeout(GOODBYE_S_MAX):
                await self._publish(client, self._options.heartbeat_topic, words, STATE_CONTENT_TYPE, True)
        except (aiomqtt.MqttError, DeliveryError, TimeoutError) as error:
            log.debug("no goodbye to the IOC: %s", error)

    async def _resynchronize(self, client: _Client) -> None:
        for alarm in await self._active():
            if self._recipient.wants(alarm, self._around):
                row = state_row(alarm, self._recipient)
                await self._offer(client, row.topic, row.body)

    async def _offer(self, client: _Client, topic: str, body: bytes) -> None:
        """A retained message beside the outbox: a refusal is said, and the next one says more."""
        try:
            await self._publish(client, topic, body, STATE_CONTENT_TYPE, True)
        except DeliveryError as error:
            self._say(str(error))
        else:
            self._say("")

    async def _publish(
        self, client: _Client, topic: str, body: bytes, content_type: str, retain: bool
    ) -> None:
        """MqttError when the connection ends first; DeliveryError when the broker refuses the packet."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = content_type
        async with self._one_at_a_time:
            client.reason = None
            await client.publish(topic, body, qos=1, retain=retain, properties=properties)
            reason = client.reason
        if reason is not None and reason.value >= REFUSED:
            raise DeliveryError(f"the broker refused {topic}: {reason}", retryable=True)

    def _say(self, error: str) -> None:
        where = f"{self._options.host}:{self._options.port}"
        if error and self._well is not False:
            log.warning("IOC broker %s: %s", where, error)
        elif not error and not self._well:
            log.info("IOC broker %s: connected", where)
        self._well, self.error = not error, error
