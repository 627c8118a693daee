"""From settings to the options of each room. In: checked ``Settings``. Out: options, readers of sources.

One function a room; nothing here is started. The only module that knows both vocabularies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway import sections
from gateway.alarms import Alarm
from gateway.clock import Clock
from gateway.configuration import Configuration, Sources
from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.ingest.contact import Contact
from gateway.ingest.mqtt import Mqtt5Reception
from gateway.ingest.mqtt311 import Mqtt311Reception
from gateway.ingest.options import DROPPED_TOPIC, UPTIME_TOPIC, IngestOptions, Tls
from gateway.ingest.reception import Commit, Event, Reception, tls_context
from gateway.inventory.directory import read_directory
from gateway.journal.options import JournalOptions
from gateway.notify.mqtt import MqttOptions, MqttPublisher
from gateway.notify.places import Places
from gateway.notify.recipient import Around, Policy, Recipient, policy
from gateway.sections import Login, Settings
from gateway.settings import shipped
from gateway.store.address import InfluxSettings
from gateway.store.answer import Dialect
from gateway.store.influx import InfluxStore
from gateway.store.outcome import Store
from gateway.telling import FloodOptions, Teller
from gateway.translation import TranslationOptions
from gateway.vocabulary.kind import Delivery
from gateway.vocabulary.kinds import KINDS

if TYPE_CHECKING:
    from gateway.notify.webhook import Webhook

MQTT_RECIPIENT = "ioc-mqtt"
PORT, TLS_PORT = 1883, 8883


def sources(settings: Settings) -> Sources:
    """The texts of profiles and inventory as they are on disk now; ConfigurationError if they are not."""
    return Sources(profiles(settings), read_directory(settings.gateway.inventory), settings.gateway.time_zone)


def profiles(settings: Settings) -> dict[str, bytes]:
    """The shipped and the user's profiles and regulations; ConfigurationError if a directory has none."""
    found: dict[str, bytes] = {}
    for directory in (shipped("device_profiles"), *settings.gateway.profiles):
        files = sorted(directory.glob("*/profile.toml"))
        if not files:
            raise ConfigurationError(
                str(directory), "", "no <name>/profile.toml in it", "mend gateway.profiles"
            )
        files += sorted(directory.glob("*.toml"))  # regulations
        found |= {str(file): file.read_bytes() for file in files}
    return found


def translation(settings: Settings) -> TranslationOptions:
    return TranslationOptions(
        telemetry_topic=settings.mqtt.telemetry_topic,
        status_topic=settings.mqtt.status_topic,
        payload_bytes_max=settings.mqtt.payload_bytes_max,
        redelivery_messages_max=2 * settings.mqtt.receive_maximum,
    )


def journal(settings: Settings) -> JournalOptions:
    own = settings.journal
    return JournalOptions(
        segment_bytes=own.segment_bytes,
        keep_h=own.keep_h,
        keep_bytes=own.keep_bytes,
        bytes_max=own.bytes_max,
        disk_free_bytes_min=own.disk_free_bytes_min,
    )


def address(url: str) -> tuple[str, int, bool]:
    """(host, port, encrypted) of a broker URL."""
    parts = urlsplit(url)
    encrypted = parts.scheme == "mqtts"
    return parts.hostname or "", parts.port or (TLS_PORT if encrypted else PORT), encrypted


def tls(login: Login, encrypted: bool) -> Tls | None:
    if not encrypted:
        return None
    return Tls(ca_file=login.ca_file, certificate_file=login.cert_file, key_file=login.key_file)


def subscriptions(settings: Settings) -> tuple[str, ...]:
    """The topic filters of the devices' readings and of their status."""
    topics = []
    for pattern in (settings.mqtt.telemetry_topic, settings.mqtt.status_topic):
        for placeholder in ("<area>", "<class>", "<device>"):
            pattern = pattern.replace(placeholder, "+")
        topics.append(pattern)
    return tuple(topics)


def reception(
    settings: Settings,
    url: str,
    *,
    contact: Contact,
    clock: Clock,
    commit: Commit,
    event: Event,
    obstacle: Callable[[], str],
) -> Reception:
    """The MQTT session; ``url`` is the broker's, or the embedded one's, which knows no ``$SYS``."""
    own = settings.mqtt
    host, port, encrypted = address(url)
    options = IngestOptions(
        host=host,
        port=port,
        topics=subscriptions(settings),
        client_id=own.client_id,
        protocol=own.protocol,
        username=own.username,
        password=own.password.get_secret_value(),
        tls=tls(own, encrypted),
        keepalive_s=own.keepalive_s,
        session_expiry_s=own.session_expiry_s,
        receive_maximum=own.receive_maximum,
        memory_bytes_max=own.memory_bytes_max,
        block_messages_max=own.block_messages_max,
        linger_ms=own.linger_ms,
        uptime_topic=UPTIME_TOPIC if own.url else "",
        dropped_topic=DROPPED_TOPIC if own.url else "",
    )
    kind = Mqtt5Reception if own.protocol == "5" else Mqtt311Reception
    reception = kind(options, contact=contact, clock=clock, commit=commit, event=event)
    reception.obstacle = obstacle
    return reception


def for_worker(settings: Settings, worker: int, url: str = "") -> Settings:
    """What one of ``gateway.workers`` is told: a directory of its own, its part of what disks may hold.

    ``url`` is the devices' broker, where the embedded one stands in for it. One heartbeat is enough.
    """
    own, out = settings.gateway, settings.ioc.mqtt
    apart = {} if worker == 0 else {"client_id": f"{out.client_id}-{worker}", "heartbeat_topic": ""}
    journal, quarantine = settings.journal, settings.quarantine
    return settings.model_copy(
        update={
            "gateway": own.model_copy(update={"data_dir": own.data_dir / f"worker-{worker}", "workers": 1}),
            "mqtt": settings.mqtt.model_copy(update={"url": url or settings.mqtt.url}),
            "ioc": settings.ioc.model_copy(update={"mqtt": out.model_copy(update=apart)}),
            "journal": journal.model_copy(
                update={
                    "keep_bytes": journal.keep_bytes // own.workers,
                    "bytes_max": journal.bytes_max // own.workers,
                }
            ),
            "quarantine": quarantine.model_copy(update={"bytes_max": quarantine.bytes_max // own.workers}),
        }
    )


def store(settings: Settings, configuration: Configuration, clock: Clock) -> Store:
    own = settings.store
    specs = [profile.spec for profile in configuration.profiles]
    if own.kind == "embedded":
        from gateway.store.embedded import EmbeddedStore  # DuckDB is 12 MB that others do without

        file = settings.gateway.data_dir / "store.duckdb"
        return EmbeddedStore(file, specs, clock, retention_h=own.retention_h)
    database = own.bucket if own.kind == "influx2" else own.database
    options = InfluxSettings(
        dialect=Dialect(own.kind),
        url=own.url,
        database=database,
        organisation=own.organisation,
        retention_policy=own.retention_policy,
        username=own.username,
        secret=lambda: _secret(settings),
        ca_file=own.ca_file,
        timeout_s=own.timeout_s,
        retention_h=own.retention_h,
    )
    return InfluxStore(options, specs, clock)


def source(settings: Settings) -> str:
    """Who speaks, as CloudEvents name it."""
    return f"urn:citylight:{settings.gateway.name}"


def recipients(settings: Settings) -> list[Recipient]:
    """Everybody who is told of alarms. ConfigurationError where two share a name."""
    ioc = settings.ioc
    deliveries = {Delivery.WAKE: ioc.wake, Delivery.MORNING: ioc.morning, Delivery.RECORD: ioc.record}
    own_policy = policy(deliveries, ioc.break_through)
    found = [_hooked(settings, hook, own_policy) for hook in ioc.webhook]
    own = ioc.mqtt
    if own.enabled:
        found.append(
            Recipient(
                name=MQTT_RECIPIENT,
                kind="mqtt",
                source=source(settings),
                areas=frozenset(own.areas),
                severities=frozenset(own.severities),
                deliveries=frozenset(own.deliveries),
                categories=frozenset(own.categories),
                event_topic=own.event_topic,
                state_topic=own.state_topic,
                policy=own_policy,
            )
        )
    names = [recipient.name for recipient in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError("ioc.webhook", "name", f"{name!r} is there twice", "give each its own")
    return found


def _hooked(settings: Settings, hook: sections.Webhook, own_policy: Policy) -> Recipient:
    hours, _, minutes = hook.morning_at.partition(":")
    return Recipient(
        name=hook.name,
        kind="webhook",
        source=source(settings),
        areas=frozenset(hook.areas),
        severities=frozenset(hook.severities),
        deliveries=frozenset(hook.deliveries),
        categories=frozenset(hook.categories),
        morning_minute=60 * int(hours) + int(minutes) if hours else None,
        digest=hook.digest,
        after_s=hook.escalate_after_s,
        faults=hook.faults,
        format=hook.format,
        status=settings.ioc.status,
        policy=own_policy,
    )


def teller(settings: Settings, fleet: Callable[[], Fleet]) -> Teller:
    """Who is told what; ``fleet`` gives the inventory in force."""
    ioc = settings.ioc
    known: list[tuple[Fleet, Places]] = []  # bounded: by the one in force

    def places() -> Places:
        present = fleet()
        if not known or known[0][0] is not present:
            known[:] = [(present, Places(present))]
        return known[0][1]

    flood = FloodOptions(ioc.flood_begins, ioc.flood_ends, ioc.flood_window_s, ioc.digest_s)
    return Teller(recipients(settings), places, flood, ioc.pending_max)


def check_recipients(settings: Settings, configuration: Configuration) -> None:
    """ConfigurationError for an area the inventory does not have, or a type of alarm that nothing raises."""
    ioc = settings.ioc
    for where, areas in (
        ("ioc.mqtt", ioc.mqtt.areas),
        *((f"ioc.webhook {h.name}", h.areas) for h in ioc.webhook),
    ):
        for area in areas:
            if area not in configuration.fleet.area_by_code:
                problem = f"{area!r} is no area of the inventory"
                raise ConfigurationError(where, "areas", problem, "write a code of areas.csv")
    ruled = {rule.type for profile in configuration.profiles for rule in profile.spec.rules}
    for key in ("wake", "morning", "record", "break_through"):
        for kind in getattr(ioc, key):
            if kind not in KINDS and kind not in ruled:
                problem = f"{kind!r} is no type of alarm"
                raise ConfigurationError("ioc", key, problem, "docs/delivery.md has them")


def publisher(
    settings: Settings,
    url: str,
    *,
    recipient: Recipient,
    active: Callable[[], Awaitable[Sequence[Alarm]]],
    vitals: Callable[[], Mapping[str, Any]],
    clock: Clock,
    around: Around,
) -> MqttPublisher:
    """The IOC's topics; without a broker of their own they are on the devices' broker (``url``)."""
    own = settings.ioc.mqtt
    host, port, encrypted = address(own.url or url)
    login = tls(own, encrypted)
    options = MqttOptions(
        host=host,
        port=port,
        client_id=own.client_id,
        gateway=settings.gateway.name,
        username=own.username,
        password=own.password.get_secret_value(),
        tls=None if login is None else tls_context(login),
        heartbeat_topic=own.heartbeat_topic,
        heartbeat_s=own.heartbeat_s,
    )
    return MqttPublisher(options, recipient, active, vitals, clock, around)


def webhooks(settings: Settings, clock: Clock) -> dict[str, Webhook]:
    """One sender a receiver, by name."""
    return {hook.name: _webhook(hook, clock) for hook in settings.ioc.webhook}


def _webhook(hook: sections.Webhook, clock: Clock) -> Webhook:
    from gateway.notify.webhook import Webhook, WebhookOptions  # aiohttp is 8 MB that others do without

    encrypted = hook.url.startswith("https:")
    options = WebhookOptions(
        name=hook.name,
        url=hook.url,
        private=hook.allow_private,
        secret=hook.secret.get_secret_value(),
        tls=tls_context(Tls(ca_file=hook.ca_file)) if encrypted else None,
        timeout_s=hook.timeout_s,
    )
    return Webhook(options, clock)


def _secret(settings: Settings) -> str:
    """The store's secret as its file has it now: a new one needs no restart."""
    own = settings.store
    file: Path | None = own.password_file if own.username else own.token_file
    if file is not None and file.is_file():
        return file.read_text(encoding="utf-8").strip()
    return (own.password if own.username else own.token).get_secret_value()
