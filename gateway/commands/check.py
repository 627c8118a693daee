"""``citylight check``. In: a configuration file. Out: one line for each thing a gateway needs; an exit code.

Reads everything the gateway would read, then reaches broker, store and IOC the way it would. Leaves nothing
behind but the store's probe point; needs no gateway and disturbs none that runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import aiomqtt

from gateway import settings, vectors, wiring
from gateway.capacity import capacity
from gateway.configuration import Configuration, interpret
from gateway.decode.catalog import load_file
from gateway.decode.routes import Routes
from gateway.errors import ConfigurationError, DeliveryError, GatewayError, StoreError
from gateway.ingest.reception import tls_context
from gateway.notify.webhook import Webhook
from gateway.sections import Login, Settings
from gateway.system_clock import SystemClock

CONNECT_S_MAX = 10.0
REFUSED = 0x80


@dataclass(frozen=True, slots=True)
class Finding:
    """``problem`` is empty where all is well; ``note`` says what was seen."""

    what: str
    where: str
    note: str = ""
    problem: str = ""


Check = Callable[[], Awaitable[str]]
"""Returns what was seen; raises GatewayError, OSError or MqttError with what is wrong."""


def check(options: argparse.Namespace) -> int:
    """0 when a gateway could work with this file, 1 when something does not hold or can not be reached."""
    chosen = settings.read(options.config)
    sources = wiring.sources(chosen)
    configuration = interpret(sources.pack(), "")
    recipients = wiring.recipients(chosen)
    wiring.check_recipients(chosen, configuration)
    Routes(chosen.mqtt.telemetry_topic, chosen.mqtt.status_topic, configuration.fleet, {})
    fleet = configuration.fleet
    if options.capacity:
        return _capacity(options, chosen, configuration)
    findings = [
        Finding("configuration", str(options.config), f"{len(recipients)} recipients of alarms"),
        Finding(
            "inventory",
            str(chosen.gateway.inventory),
            f"{len(fleet.devices)} devices at {len(fleet.assets)} places",
        ),
        *_profiles(sources.profiles),
        _data(chosen.gateway.data_dir),
        *asyncio.run(_reach(chosen, configuration)),
    ]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            verdict = "FAILED" if finding.problem else "ok"
            print(f"{verdict:6} {finding.what:13} {finding.where}: {finding.problem or finding.note}")
    return 1 if any(finding.problem for finding in findings) else 0


def _capacity(options: argparse.Namespace, chosen: Settings, configuration: Configuration) -> int:
    """What the bounds mean for this inventory and this disk; nothing is reached."""
    free = shutil.disk_usage(_existing(chosen.gateway.data_dir)).free
    specs = [profile.spec for profile in configuration.profiles]
    lines = capacity(chosen, configuration.fleet, specs, free)
    if options.json:
        print(json.dumps([asdict(line) for line in lines]))
        return 0
    for line in lines:
        print(f"{line.what:15} {line.value:>18,.1f} {line.unit:14} {line.how}")
    return 0


def _existing(directory: Path) -> Path:
    """The directory, or the first one above it that exists."""
    return next(one for one in (directory, *directory.parents) if one.exists())


def _profiles(files: dict[str, bytes]) -> Iterator[Finding]:
    """One finding for all profiles that keep their golden vectors, and one for each that does not."""
    kept = 0
    for file in map(Path, files):
        vectors_file = file.parent / vectors.VECTORS_FILE
        text = vectors_file.read_text(encoding="utf-8") if vectors_file.is_file() else ""
        problem = next(vectors.check(load_file(file), text), "")
        if problem:
            yield Finding("profile", str(vectors_file), problem=problem)
        kept += not problem
    yield Finding("profiles", f"{len(files)} files", f"{kept} keep their golden vectors")


def _data(directory: Path) -> Finding:
    """Whether the data directory, or the first one above it that exists, can be written to."""
    place = _existing(directory)
    writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return Finding("data", str(directory), "writable", "" if writable else f"{place} can not be written to")


async def _reach(chosen: Settings, configuration: Configuration) -> list[Finding]:
    """All servers at once; the findings in the order of the way data goes."""
    own, ioc = chosen.mqtt, chosen.ioc.mqtt
    checks: list[tuple[str, str, Check]] = []
    if own.url:
        checks.append(("broker", own.url, partial(_broker, chosen)))
    if chosen.store.url:
        checks.append(("store", chosen.store.url, partial(_store, chosen, configuration)))
    url = ioc.url or own.url
    if ioc.enabled and url:
        checks.append(("ioc", url, partial(_connect, url, ioc, own.protocol)))
    for name, hook in wiring.webhooks(chosen, SystemClock()).items():
        where = next(receiver.url for receiver in chosen.ioc.webhook if receiver.name == name)
        checks.append((f"ioc {name}", where, partial(_webhook, hook)))
    embedded = []
    if not own.url:
        embedded.append(Finding("broker", "embedded", "starts with the gateway"))
    if not chosen.store.url:
        embedded.append(Finding("store", "embedded", "opens with the gateway"))
    return embedded + list(await asyncio.gather(*(_finding(*one) for one in checks)))


async def _finding(what: str, where: str, check: Check) -> Finding:
    try:
        return Finding(what, where, note=await check())
    except ConfigurationError:
        raise
    except (GatewayError, OSError, aiomqtt.MqttError, TimeoutError) as error:
        words = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(what, where, problem=" ".join(words.split()) or type(error).__name__)


async def _broker(chosen: Settings) -> str:
    """Log in as the gateway would and ask for the devices' topics, under a client id nobody else has."""
    topics = wiring.subscriptions(chosen)
    await _connect(chosen.mqtt.url, chosen.mqtt, chosen.mqtt.protocol, topics)
    return f"grants {' and '.join(topics)}"


async def _connect(url: str, login: Login, protocol: str, topics: tuple[str, ...] = ()) -> str:
    host, port, encrypted = wiring.address(url)
    tls = wiring.tls(login, encrypted)
    client = aiomqtt.Client(
        host,
        port,
        identifier=f"citylight-check-{secrets.token_hex(4)}",
        username=login.username or None,
        password=login.password.get_secret_value() or None,
        protocol=aiomqtt.ProtocolVersion.V5 if protocol == "5" else aiomqtt.ProtocolVersion.V311,
        tls_context=None if tls is None else tls_context(tls),
        timeout=CONNECT_S_MAX,
    )
    async with client:
        for topic in topics:
            for reason in await client.subscribe(topic, qos=1):
                if (reason if isinstance(reason, int) else reason.value) >= REFUSED:
                    raise DeliveryError(f"refuses the subscription to {topic}: {reason}", retryable=False)
    return "takes the login"


async def _store(chosen: Settings, configuration: Configuration) -> str:
    store = wiring.store(chosen, configuration, SystemClock())
    try:
        if problem := await store.health():
            raise StoreError(problem, retryable=True)
        await store.probe()
    finally:
        await store.close()
    return "gives back what it is given, at its own time"


async def _webhook(hook: Webhook) -> str:
    async with hook:
        await hook.reach()
    return "answers"
