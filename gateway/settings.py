"""What the user may set. In: citylight.toml and ``CITYLIGHT_*`` variables. Out: one frozen ``Settings``.

The only reader of the environment; resolves paths against the file. Never connects to anything and never
prints a secret. Every key is documented in docs/settings.md (a test walks both).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from gateway.errors import ConfigurationError
from gateway.model import Severity

ENVIRONMENT_PREFIX = "CITYLIGHT_"
MIB = 1024 * 1024

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Gateway(Section):
    """Who this gateway is and where it keeps its files."""

    name: str = Field("citylight", pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    data_dir: Path = Path("citylight-data")
    language: Literal["vi", "en"] = "vi"
    inventory: Path = Path("inventory")
    profiles: tuple[Path, ...] = ()
    time_zone: str = "Asia/Ho_Chi_Minh"

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
    return url


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("is not http://host:port or https://host:port")
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
    memory_bytes_max: int = Field(64 * MIB, ge=MIB)
    block_messages_max: int = Field(4096, ge=1, le=65535)
    linger_ms: float = Field(4.0, ge=0, le=1000)
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

    _url = field_validator("url")(_broker_url)


class Webhook(Section):
    """One receiver of CloudEvents over HTTP POST."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    url: str
    allow_private: bool = False
    secret_file: Path | None = None
    secret: SecretStr = SecretStr("")
    ca_file: Path | None = None
    areas: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    timeout_s: Seconds = 10.0

    _url = field_validator("url")(_http_url)


class Ioc(Section):
    mqtt: IocMqtt = IocMqtt()
    webhook: tuple[Webhook, ...] = ()


class Journal(Section):
    """The raw journal. It is trimmed by age and size, never past the slowest follower."""

    segment_bytes: int = Field(64 * MIB, ge=MIB)
    keep_h: float = Field(72.0, ge=0)
    keep_bytes: int = Field(20 * 1024 * MIB, ge=16 * MIB)


class Quarantine(Section):
    payload_bytes_max: int = Field(16 * 1024, ge=256)
    bytes_max: int = Field(512 * MIB, ge=MIB)


class Alarms(Section):
    tick_s: Seconds = 1.0
    gather_ms: float = Field(20.0, ge=0, le=10_000)
    snapshot_s: Seconds = 30.0


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


def read(file: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of ``file`` with ``CITYLIGHT_SECTION__KEY`` variables on top.

    Raises ConfigurationError: one line with file, key and remedy.
    """
    environment = os.environ if environment is None else environment
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigurationError(str(file), "", problem, "name a readable file with -c") from error
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8"
        raise ConfigurationError(str(file), "", problem, "save it as UTF-8") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), "", f"not TOML: {error}", "mend that line") from error
    return build(document, str(file), file.parent, environment)


def build(document: dict[str, Any], source: str, base: Path, environment: Mapping[str, str]) -> Settings:
    """Checked settings from a TOML document; relative paths are taken from ``base``."""
    _overlay(document, environment)
    try:
        raw = Settings.model_validate(document)
    except ValidationError as error:
        raise _one_line(source, error.errors()[0]) from error
    resolved = _resolve(raw.model_dump(), base, environment, (source, ""))
    return Settings.model_validate(resolved)


def _overlay(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put ``CITYLIGHT_MQTT__URL=…`` at ``mqtt.url``; a wrong name is an error like any unknown key."""
    for name, value in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        *sections, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        place = document
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigurationError(name, section, "is no section", "see docs/settings.md for the keys")
        place[key] = value


def _one_line(source: str, detail: ErrorDetails) -> ConfigurationError:
    key = ".".join(str(part) for part in detail["loc"])
    problem = detail["msg"].removeprefix("Value error, ")
    remedy = "see docs/settings.md for the values it takes"
    if detail["type"] == "extra_forbidden":
        problem = "is no setting"
        close = difflib.get_close_matches(str(detail["loc"][-1]), _keys(Settings, detail["loc"][:-1]), 1)
        remedy = f"did you mean {close[0]!r}?" if close else "see docs/settings.md for the keys"
    elif detail["type"] == "missing":
        problem, remedy = "is missing", "add it"
    return ConfigurationError(source, key, problem, remedy)


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at ``path``; used only to suggest a spelling."""
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _resolve(
    tree: dict[str, Any], base: Path, environment: Mapping[str, str], where: tuple[str, str]
) -> dict[str, Any]:
    """Paths made absolute (``$CREDENTIALS_DIRECTORY`` is systemd's), secret files read into their secrets."""
    source, prefix = where
    for key, value in list(tree.items()):
        inside = (source, f"{prefix}{key}.")
        if isinstance(value, dict):
            tree[key] = _resolve(value, base, environment, inside)
        elif isinstance(value, Path):
            tree[key] = _absolute(value, base, environment)
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            tree[key] = [_absolute(item, base, environment) for item in value]
        elif isinstance(value, tuple) and value and isinstance(value[0], dict):
            tree[key] = [_resolve(item, base, environment, inside) for item in value]
    for key in ("password", "token", "secret"):
        file = tree.get(f"{key}_file")
        if file is not None:
            tree[key] = SecretStr(_secret(file, source, f"{prefix}{key}_file"))
    return tree


def _absolute(path: Path, base: Path, environment: Mapping[str, str]) -> Path:
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    text = str(path).replace("$CREDENTIALS_DIRECTORY", credentials or "$CREDENTIALS_DIRECTORY")
    return Path(os.path.normpath(base.absolute() / Path(text).expanduser()))


def _secret(file: Path, source: str, key: str) -> str:
    try:
        mode = file.stat().st_mode
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "make the file readable to this user"
        raise ConfigurationError(source, key, f"{file} can not be read", remedy) from error
    if mode & 0o007:
        raise ConfigurationError(source, key, f"{file} is open to everyone", f"chmod 600 {file.name}")
    return content


def shipped(name: str) -> Path:
    """Files that come with the project: ``device_profiles`` or ``new-city``; from the wheel or the clone."""
    packed = Path(__file__).parent / "_data" / name
    if packed.is_dir():
        return packed
    clone = Path(__file__).parent.parent
    return clone / name if name == "device_profiles" else clone / "examples" / name


def service_environment() -> tuple[str, str]:
    """systemd's ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``; empty where it does not supervise."""
    return os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", "")


def default_file() -> Path:
    """The configuration file when none is named."""
    return Path(os.environ.get("CITYLIGHT_CONFIG", "citylight.toml"))


def user_name() -> str:
    """Who is at the keyboard, for the audit trail."""
    return os.environ.get("USER", "")


def user_language() -> Literal["vi", "en"]:
    """Language of the terminal: Vietnamese where the locale says so, English otherwise."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "vi" if locale.startswith("vi") else "en"
