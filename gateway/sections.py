"""The settings there are. In: nothing. Out: frozen, checked sections with their defaults and bounds.

Every key is documented in docs/settings.md (a test walks both). Never reads a file or the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.model import Severity
from gateway.vocabulary.kind import Delivery

MIB = 1024 * 1024

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Category = Literal[
    "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra"
]
"""Of CAP 1.2."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Gateway(Section):
    """Who this gateway is and where it keeps its files."""

    name: str = Field("citylight", pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    data_dir: Path = Path("citylight-data")
    language: Literal["vi", "en"] = "vi"
    inventory: Path = Path("inventory")
    profiles: tuple[Path, ...] = ()
    time_zone: str = "Asia/Ho_Chi_Minh"
    workers: int = Field(1, ge=1, le=64)

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("is no IANA time zone, like Asia/Ho_Chi_Minh")
        return name


class Login(Section):
    """Credentials of one connection; secrets come from files or the environment."""

    username: str = ""
    password_file: Path | None = None
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Login:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together")
        return self


def _broker_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname):
        raise ValueError("is not mqtt://host:port or mqtts://host:port")
    return _without_login(url, parts)


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("is not http://host:port or https://host:port")
    return _without_login(url, parts)


def _without_login(url: str, parts: SplitResult) -> str:
    """URLs are shown in logs and figures, so they may hold no secret."""
    if "@" in parts.netloc:
        raise ValueError("holds a login; set username and a secret file instead")
    if parts.port == 0:  # raises ValueError where it is no number up to 65535
        raise ValueError("names port 0")
    return url


class Mqtt(Login):
    """The broker the devices publish to. Without ``url``: the embedded broker, on loopback."""

    url: str = ""
    embedded_port: Port = 0
    protocol: Literal["5", "3.1.1"] = "5"
    client_id: str = Field("citylight-in", pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    telemetry_topic: str = "city/<area>/<class>/<device>/up"
    status_topic: str = "city/<area>/<class>/<device>/status"
    keepalive_s: int = Field(30, ge=5, le=3600)
    session_expiry_s: int = Field(7 * 86400, ge=60)
    receive_maximum: int = Field(10_000, ge=1, le=65535)
    memory_bytes_max: int = Field(64 * MIB, ge=8 * MIB)
    block_messages_max: int = Field(4096, ge=1, le=65535)
    linger_ms: float = Field(30.0, ge=0, le=1000)
    payload_bytes_max: int = Field(64 * 1024, ge=256)

    _url = field_validator("url")(_broker_url)


class Store(Section):
    """Where readings go. ``kind = "embedded"`` is DuckDB in the data directory."""

    kind: Literal["embedded", "influx1", "influx2", "influx3", "victoriametrics"] = "embedded"
    url: str = ""
    database: str = "citylight"
    retention_policy: str = ""
    organisation: str = ""
    bucket: str = "citylight"
    username: str = ""
    password_file: Path | None = None
    password: SecretStr = SecretStr("")
    token_file: Path | None = None
    token: SecretStr = SecretStr("")
    ca_file: Path | None = None
    timeout_s: Seconds = 30.0
    gather_ms: float = Field(250.0, ge=0, le=60_000)
    gather_rows: int = Field(5000, ge=1, le=100_000)
    retention_h: float = Field(0.0, ge=0)
    away_s: Seconds = 60.0

    _url = field_validator("url")(_http_url)

    @model_validator(mode="after")
    def _reachable(self) -> Store:
        if self.kind != "embedded" and not self.url:
            raise ValueError(f"url is needed for kind = {self.kind!r}")
        return self


class IocMqtt(Login):
    """IOC topics. Without ``url``: on the devices' broker, under the gateway's second user."""

    enabled: bool = True
    url: str = ""
    client_id: str = Field("citylight-out", pattern=r"^[A-Za-z0-9_.:-]{1,64}$")
    event_topic: str = "ioc/events/{area}/{severity}"
    state_topic: str = "ioc/alarms/{area}/{asset}/{type}"
    heartbeat_topic: str = "ioc/heartbeat"
    heartbeat_s: Seconds = 30.0
    areas: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    deliveries: tuple[Delivery, ...] = (Delivery.WAKE, Delivery.MORNING)
    categories: tuple[Category, ...] = ()

    _url = field_validator("url")(_broker_url)


class Webhook(Section):
    """One receiver of CloudEvents or CAP over HTTP POST; its defaults are for people, who sleep."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    url: str
    allow_private: bool = False
    secret_file: Path | None = None
    secret: SecretStr = SecretStr("")
    ca_file: Path | None = None
    format: Literal["cloudevents", "cap"] = "cloudevents"
    areas: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    deliveries: tuple[Delivery, ...] = (Delivery.WAKE, Delivery.MORNING)
    categories: tuple[Category, ...] = ()
    morning_at: str = Field("06:00", pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")
    digest: bool = True
    escalate_after_s: float = Field(0.0, ge=0)
    faults: bool = False
    timeout_s: Seconds = 10.0

    _url = field_validator("url")(_http_url)


class Ioc(Section):
    """Recipients, and what holds for all of them: exceptions to who is told when, floods, bounds."""

    mqtt: IocMqtt = IocMqtt()
    webhook: tuple[Webhook, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    status: Literal["Actual", "Exercise", "Test"] = "Actual"
    wake: tuple[str, ...] = ()
    morning: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    break_through: tuple[str, ...] = ()
    flood_begins: int = Field(10, ge=1)
    flood_ends: int = Field(5, ge=1)
    flood_window_s: Seconds = 600.0
    digest_s: Seconds = 900.0
    pending_max: int = Field(100_000, ge=100)

    @model_validator(mode="after")
    def _consistent(self) -> Ioc:
        if self.flood_ends > self.flood_begins:
            raise ValueError("flood_ends is above flood_begins")
        allowed = {host.lower() for host in self.webhook_hosts}
        for hook in self.webhook if allowed else ():
            host = urlsplit(hook.url).hostname or ""
            if host not in allowed:
                raise ValueError(f"webhook {hook.name!r}: {host} is not among webhook_hosts")
        return self


class Journal(Section):
    """The raw journal, trimmed by age and size, not past the slowest follower. Full, it takes no message."""

    segment_bytes: int = Field(64 * MIB, ge=MIB)
    keep_h: float = Field(72.0, ge=0)
    keep_bytes: int = Field(20 * 1024 * MIB, ge=16 * MIB)
    bytes_max: int = Field(0, ge=0)
    disk_free_bytes_min: int = Field(256 * MIB, ge=0)

    @field_validator("bytes_max")
    @classmethod
    def _room(cls, bytes_max: int) -> int:
        if 0 < bytes_max < 16 * MIB:
            raise ValueError("is less than 16 MiB; 0 leaves the bound to the disk")
        return bytes_max


class Quarantine(Section):
    payload_bytes_max: int = Field(16 * 1024, ge=256)
    bytes_max: int = Field(512 * MIB, ge=MIB)


class Alarms(Section):
    tick_s: Seconds = 1.0
    gather_ms: float = Field(20.0, ge=0, le=10_000)
    snapshot_s: Seconds = 30.0
    keep_days: int = Field(400, ge=30)
    audit_keep_days: int = Field(1830, ge=30)


class Http(Section):
    """Prometheus metrics, health and readiness; loopback unless said otherwise."""

    host: str = "127.0.0.1"
    port: Port = 9464


class Simulator(Section):
    """Login of ``citylight simulate``; ``{device}`` in the user name stands for each device's id."""

    username: str = ""
    password_file: Path | None = None
    password: SecretStr = SecretStr("")


class Logging(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Settings(Section):
    """Everything; sections as in the file."""

    gateway: Gateway = Gateway()
    mqtt: Mqtt = Mqtt()
    store: Store = Store()
    ioc: Ioc = Ioc()
    journal: Journal = Journal()
    quarantine: Quarantine = Quarantine()
    alarms: Alarms = Alarms()
    http: Http = Http()
    simulator: Simulator = Simulator()
    logging: Logging = Logging()
