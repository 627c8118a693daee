"""One MQTT 3.1.1 connection through paho. In: options. Out: messages that wait, acknowledged when told.

paho runs in the event loop's thread; only connecting, which blocks, has one of its own. A client object
serves one connection, so an acknowledgement can not outlive it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.clock import Clock
from gateway.ingest.options import IngestOptions

READS_MAX = 256
"""Packets read before the loop gets its turn."""


class Link311:
    """One connection of a paho client, driven by the event loop; what came waits in ``take``."""

    def __init__(self, options: IngestOptions, wake: asyncio.Event, clock: Clock) -> None:
        self._options = options
        self._wake = wake
        self._clock = clock
        self._inbox: list[paho.MQTTMessage] = []  # bounded in bytes: reading pauses
        self._socket: Any = None
        self._held = False
        self._callbacks = 0
        self._paused_ns: int | None = None
        self._subscribed_ns = 0
        self.waiting_bytes = 0
        self.committing_since_ns: int | None = None
        self.session_present: bool | None = None
        self.granted: Sequence[Any] | None = None
        self.over = False
        self.reason = ""
        self.state = "connecting"
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.client.connect_timeout = options.connect_s
        if options.username:
            self.client.username_pw_set(options.username, options.password or None)

    async def open(self) -> None:
        """Connect (name look-up and TLS in a thread) and let the loop read; OSError if that fails."""
        client, options = self.client, self._options
        await asyncio.to_thread(client.connect, options.host, options.port, options.keepalive_s)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        loop = asyncio.get_running_loop()
        client.on_socket_close = self._forget
        client.on_socket_register_write = self._write_later
        client.on_socket_unregister_write = self._write_no_more
        self._socket = client.socket()
        if self._socket is None:
            raise ConnectionError("the broker closed the connection")
        loop.add_reader(self._socket.fileno(), self._read)
        self._read()

    def take(self, count_max: int) -> list[paho.MQTTMessage]:
        """The oldest messages that wait; reading goes on when half of the room is free."""
        batch, self._inbox = self._inbox[:count_max], self._inbox[count_max:]
        self.waiting_bytes -= sum(len(message.payload) for message in batch)
        if self._paused_ns is not None and self.waiting_bytes < self._options.memory_bytes_max // 4:
            self._resume()
        return batch

    def hold(self) -> None:
        """Read no more at all."""
        self._held = True
        self._pause()

    def acknowledge(self, message: paho.MQTTMessage) -> bool:
        """PUBACK on this connection, or nothing if it is over."""
        if self.over or message.qos == 0:
            return False
        return self.client.ack(message.mid, message.qos) == paho.MQTT_ERR_SUCCESS

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        self.state = "subscribing"
        self._subscribed_ns = self._clock.monotonic_ns()
        self.client.subscribe(topics)

    def subscribed_ago_s(self) -> float:
        return (self._clock.monotonic_ns() - self._subscribed_ns) / 1e9

    def keep_alive(self) -> None:
        """Pings, and gives up a connection whose messages wait too long; the session is kept."""
        if self.over:
            return
        now_ns, options = self._clock.monotonic_ns(), self._options
        if self.committing_since_ns and now_ns - self.committing_since_ns > options.stall_s * 1e9:
            self.finish("a message waits too long for its commit")
        elif self._paused_ns is not None and now_ns - self._paused_ns > options.keepalive_s * 5e8:
            self.finish("reading was paused for half the keepalive")
        else:
            self.client.loop_misc()

    def finish(self, reason: str) -> None:
        """DISCONNECT and close; what was received can still be taken."""
        if not self.over:
            self.over, self.reason = True, reason
            self.client.disconnect()
            self.client.loop_write()

    def _read(self) -> None:
        for _ in range(READS_MAX):
            before = self._callbacks
            try:
                self.client.loop_read()
            except (ValueError, LookupError, struct.error) as error:
                self.finish(f"protocol violation: {error}")
            if self.over or self._paused_ns is not None or self._callbacks == before:
                break
        if self.waiting_bytes > self._options.memory_bytes_max // 2:
            self._pause()
        elif not self.over and self._options.tls is not None and self._socket.pending():
            asyncio.get_running_loop().call_soon(self._read)

    def _pause(self) -> None:
        if self._paused_ns is None and not self.over:
            self._paused_ns = self._clock.monotonic_ns()
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def _resume(self) -> None:
        if not self.over and not self._held:
            self._paused_ns = None
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
            asyncio.get_running_loop().call_soon(self._read)

    def _write_later(self, client: paho.Client, _data: Any, sock: Any) -> None:
        asyncio.get_running_loop().add_writer(sock.fileno(), client.loop_write)

    def _write_no_more(self, _client: Any, _data: Any, sock: Any) -> None:
        asyncio.get_running_loop().remove_writer(sock.fileno())

    def _forget(self, client: paho.Client, data: Any, sock: Any) -> None:
        asyncio.get_running_loop().remove_reader(sock.fileno())
        self._write_no_more(client, data, sock)

    def _happened(self) -> None:
        self._callbacks += 1
        self._wake.set()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.over, self.reason = True, f"the broker refused the connection: {reason}"
        else:
            self.session_present = bool(flags.session_present)
        self._happened()

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._inbox.append(message)
        self.waiting_bytes += len(message.payload)
        self._happened()

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        self.granted = reasons
        self._happened()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.over:
            self.over, self.reason = True, f"the connection was lost: {reason}"
        self._happened()


def topic_of(message: paho.MQTTMessage) -> str:
    """Its topic; "" (which the quarantine takes) if that is not UTF-8."""
    try:
        return str(message.topic)
    except UnicodeDecodeError:
        return ""
