"""What ingest can be told, and what it tells of itself. In: plain values. Out: checked options, figures.

Never reads a file or the environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.errors import ConfigurationError

UPTIME_TOPIC = "$SYS/broker/uptime"
DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Encrypt, and check the broker's certificate against ``ca_file`` (default: the system's authorities).

    ``certificate_file`` and ``key_file`` identify us; ``server_name`` is checked in the host's place.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """One subscription to one broker. Bounds are checked here; ``ConfigurationError`` names the key.

    ``memory_bytes_max`` bounds what was received and is not yet durable; half of it is the receive buffer.
    ``packet_bytes_max`` is announced to the broker, which withholds longer messages in silence: keep its own
    message size limit below. ``stall_s`` is the age of an unacknowledged message at which the connection
    is given up (the session is kept). ``uptime_topic``, ``dropped_topic``: "" where the broker has none.
    """

    host: str
    port: int
    topics: tuple[str, ...]
    client_id: str = "citylight-in"
    protocol: Literal["5", "3.1.1"] = "5"
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None
    keepalive_s: int = 30
    session_expiry_s: int = 7 * 86_400
    receive_maximum: int = 10_000
    packet_bytes_max: int = 1 << 20
    memory_bytes_max: int = 64 << 20
    block_messages_max: int = 4096
    linger_ms: float = 30.0
    stall_s: float = 60.0
    connect_s: float = 10.0
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 30.0
    uptime_topic: str = UPTIME_TOPIC
    dropped_topic: str = DROPPED_TOPIC

    @property
    def marker_topic(self) -> str:
        """Where the session publishes to itself to learn that its backlog has come."""
        return f"citylight/marker/{self.client_id}"

    @property
    def broker_topics(self) -> tuple[str, ...]:
        """What the broker says of itself; taken with QoS 0, so that nothing old is queued for us."""
        return tuple(topic for topic in (self.uptime_topic, self.dropped_topic) if topic)

    @property
    def own_topics(self) -> tuple[str, ...]:
        """Topics that bring no readings."""
        return (self.marker_topic, *self.broker_topics)

    def __post_init__(self) -> None:
        self._between("port", 1, 65_535)
        self._between("keepalive_s", 1, 65_535)
        self._between("session_expiry_s", 1, 0xFFFFFFFF)
        self._between("receive_maximum", 1, 65_535)
        self._between("packet_bytes_max", 1024, 16 << 20)
        self._between("memory_bytes_max", 4 * self.packet_bytes_max, 1 << 30)
        self._between("block_messages_max", 1, 65_535)
        self._between("linger_ms", 0, 1000)
        self._between("stall_s", 1, 3600)
        self._between("connect_s", 0.1, 300)
        self._between("reconnect_min_s", 0.001, 3600)
        self._between("reconnect_max_s", self.reconnect_min_s, 3600)
        if not self.topics:
            raise ConfigurationError("ingest", "topics", "nothing to subscribe to", "name at least one topic")
        if not self.client_id:
            raise ConfigurationError(
                "ingest", "client_id", "is empty, so no session can be kept", "choose a name of its own"
            )

    def _between(self, key: str, low: float, high: float) -> None:
        value = getattr(self, key)
        if not low <= value <= high:
            raise ConfigurationError("ingest", key, f"{value} is out of bounds", f"choose {low} to {high}")


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """A snapshot. ``state``: stopped | connecting | waiting | subscribing | online | refused.

    ``pending_bytes`` were received and are not yet durable; ``gaps`` counts losses that were named.
    """

    state: str
    epoch: int
    connected: bool
    drained: bool
    received_messages: int
    received_bytes: int
    acknowledged_messages: int
    pending_bytes: int
    reconnects: int
    gaps: int
    last_error: str
