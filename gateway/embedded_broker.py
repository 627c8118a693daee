"""The broker of a gateway without one, from the ``iotcore`` wheel. In: a directory, a port. Out: a URL.

For demos and trials on one machine: loopback only, no users, state in memory. Never used when a URL is set.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from pathlib import Path

from iotcore import Broker

from gateway.errors import GatewayError
from gateway.sections import Settings

HOST = "127.0.0.1"

# Speaks MQTT 5 on one listener. rumqttd closes a session that subscribes to $SYS, resends without the DUP
# flag, and holds at most 100 messages in flight: good enough to try things, not to run a city.
CONFIGURATION = """\
id = 0

[router]
id = 0
max_connections = 4096
max_outgoing_packet_count = 200
max_segment_size = 16777216
max_segment_count = 16

[v5.1]
name = "v5"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload_bytes_max}
max_inflight_count = 100
dynamic_filters = true
"""


class EmbeddedBroker:
    """A broker process of our own; it ends with this process, whatever happens to it."""

    def __init__(self, directory: Path, port: int, payload_bytes_max: int) -> None:
        self._port = port or _free_port()
        self._file = directory / "rumqttd.toml"
        self._payload_bytes_max = payload_bytes_max
        self._broker: Broker | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{HOST}:{self._port}"

    async def start(self) -> None:
        """Returns when it listens; GatewayError when it can not."""
        text = CONFIGURATION.format(host=HOST, port=self._port, payload_bytes_max=self._payload_bytes_max)
        self._file.write_text(text)
        logging.getLogger("iotcore").setLevel(logging.WARNING)
        self._broker = Broker(port=self._port, listen=HOST, config_path=str(self._file))
        try:
            await asyncio.to_thread(self._broker.start)
        except (OSError, RuntimeError) as error:
            raise GatewayError(f"the embedded broker does not start on port {self._port}: {error}") from error

    async def close(self) -> None:
        if self._broker is not None:
            await asyncio.to_thread(self._broker.stop)


async def broker_url(settings: Settings, stack: AsyncExitStack) -> str:
    """Of the broker that is set, or of an embedded one, which ``stack`` ends."""
    own = settings.mqtt
    if own.url:
        return own.url
    broker = EmbeddedBroker(settings.gateway.data_dir, own.embedded_port, own.payload_bytes_max)
    await broker.start()
    stack.push_async_callback(broker.close)
    return broker.url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
