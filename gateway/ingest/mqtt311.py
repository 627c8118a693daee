"""MQTT 3.1.1 through paho. In: options and the seam. Out: the same durable blocks, in MQTT 5 encoding.

For brokers that speak nothing newer; a tenth of the speed. Never acknowledges before the commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from paho.mqtt import client as paho

from gateway.clock import Clock
from gateway.errors import ConfigurationError
from gateway.ingest.contact import Contact
from gateway.ingest.link311 import Link311, topic_of
from gateway.ingest.options import IngestFigures, IngestOptions
from gateway.ingest.packets import encode_publish
from gateway.ingest.reception import Commit, Event, Reception
from gateway.ingest.session import SUBSCRIBE_AGAIN_S
from gateway.model import Arrival, SessionEvent


class Mqtt311Reception(Reception):
    """Receives over MQTT 3.1.1; ``session_expiry_s`` and ``receive_maximum`` are the broker's to choose."""

    def __init__(
        self, options: IngestOptions, *, contact: Contact, clock: Clock, commit: Commit, event: Event
    ) -> None:
        super().__init__(options, contact=contact, clock=clock, commit=commit, event=event)
        if options.tls is not None and options.tls.server_name is not None:
            raise ConfigurationError(
                "ingest", "server_name", "is not possible with protocol 3.1.1", "connect by that name"
            )
        self._received_messages = self._received_bytes = self._acknowledged_messages = 0
        self._link: Link311 | None = None
        self._refusal = ""

    def figures(self) -> IngestFigures:
        link = self._link
        return IngestFigures(
            state=self._state if link is None else link.state,
            epoch=self.contact.epoch,
            connected=self.contact.connected,
            drained=self.contact.drained,
            received_messages=self._received_messages,
            received_bytes=self._received_bytes,
            acknowledged_messages=self._acknowledged_messages,
            pending_bytes=self._committing_bytes + (link.waiting_bytes if link else 0),
            reconnects=self._reconnects,
            gaps=self.contact.gaps,
            last_error=self._refusal or self._last_error,
        )

    async def _connection(self) -> str:
        options = self.options
        link = Link311(options, self._wake, self._clock)
        if self._tls is not None:
            link.client.tls_set_context(self._tls)
        await link.open()
        self._link = link
        ticker = asyncio.create_task(self._tick(link.keep_alive))
        try:
            await self._serve(link)
            await self._tell(self.contact.lost(link.reason, self._now()))
        finally:
            ticker.cancel()
            link.finish(link.reason)
            # An event that can not be told now is told before the next connection.
            self._untold += self.contact.lost(
                link.reason or "the gateway gave up the connection", self._now()
            )
            self._link = None
        return link.reason

    async def _serve(self, link: Link311) -> None:
        """Until the connection is over and all it brought is durable."""
        while True:
            self._wake.clear()
            if self._stop.is_set():
                link.hold()
            if link.session_present is not None and not self.contact.connected:
                present = link.session_present
                await self._tell(self.contact.opened(session_present=present, now=self._now()))
                self._subscribe(link)
            self._look_at_grant(link)
            if batch := link.take(self.options.block_messages_max):
                self.contact.heard(self._now())
                await self._receive(link, batch)
                continue
            if link.over:
                return
            if self._stop.is_set():
                link.finish("the gateway stops")
                return
            if link.state == "online":
                await self._tell(self.contact.quiet(self._now()))
            elif link.state == "refused" and link.subscribed_ago_s() > SUBSCRIBE_AGAIN_S:
                self._subscribe(link)
            await self._wake.wait()

    async def _receive(self, link: Link311, batch: Sequence[paho.MQTTMessage]) -> None:
        """Make a batch durable and acknowledge it, in order; own topics are taken out."""
        run: list[paho.MQTTMessage] = []
        for message in batch:
            topic = topic_of(message)
            if topic not in self.options.own_topics:
                run.append(message)
                continue
            await self._commit_run(link, run)
            run = []
            await self._tell(self._own_topic_came(topic, message))
            link.acknowledge(message)
        await self._commit_run(link, run)

    def _own_topic_came(self, topic: str, message: paho.MQTTMessage) -> list[SessionEvent]:
        payload, now = bytes(message.payload), self._now()
        if topic == self.options.marker_topic:
            return self.contact.marker_came(payload, now)
        if topic == self.options.uptime_topic:
            return self.contact.uptime_came(payload, now, retained=message.retain)
        return self.contact.dropped_came(payload, now, retained=message.retain)

    async def _commit_run(self, link: Link311, run: Sequence[paho.MQTTMessage]) -> None:
        if not run:
            return
        now = self._now()
        self.contact.message_came(now)
        packets = b"".join(
            encode_publish(
                topic_of(message),
                bytes(message.payload),
                qos=message.qos,
                packet_id=message.mid,
                retained=message.retain,
                duplicate=message.dup,
            )
            for message in run
        )
        self._received_messages += len(run)
        self._received_bytes += len(packets)
        link.committing_since_ns = now.monotonic_ns
        arrival = Arrival(packets, len(run), now.wall_ns, self.contact.epoch)
        await self._make_durable(arrival)
        link.committing_since_ns = None
        for message in run:
            self._acknowledged_messages += link.acknowledge(message)

    def _subscribe(self, link: Link311) -> None:
        topics = [*((topic, 1) for topic in self.options.topics), (self.options.marker_topic, 1)]
        topics += [(topic, 0) for topic in self.options.broker_topics]
        link.subscribe(topics)

    def _look_at_grant(self, link: Link311) -> None:
        granted, link.granted = link.granted, None
        if granted is None:
            return
        for topic, reason in zip(self.options.topics, granted, strict=False):
            if reason.is_failure:
                link.state = "refused"
                self._refusal = f"the broker refused the subscription to {topic}: {reason}"
                self._say(logging.ERROR, self._refusal)
                return
        link.state, self._refusal = "online", ""
        self._say(logging.INFO, f"receiving from {self.options.host}:{self.options.port}")
        link.client.publish(self.options.marker_topic, self.contact.subscribed(self._now()), qos=1)
