"""What the simulators send is what the gateway reads: encode, then the project's own decode and normalize."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gateway.decode.decoder import Decoder
from gateway.decode.profile import Profile, load
from gateway.decode.routes import Routes
from gateway.fleet import Fleet
from gateway.inventory.parser import parse
from gateway.model import FieldKind, Publishes, Quality, nanoseconds
from gateway.normalize.normalizer import Normalizer
from simulators.astronomy import HOUR_NS, Sky
from simulators.cabinet import Cabinets
from simulators.city import inventory
from simulators.luminaire import Luminaires
from simulators.noise import Noise
from simulators.payload import Encoder, resolution
from simulators.sensor import Sensors
from simulators.simulation import Message, Simulation

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in (ROOT / "device_profiles").glob("*/profile.toml"))
EVENING = nanoseconds("2026-11-21T12:00:00Z")


def profile(name: str) -> Profile:
    file = ROOT / "device_profiles" / name / "profile.toml"
    return load(file.read_text(encoding="utf-8"), str(file))


def one_device(name: str) -> Fleet:
    files = {key: text.encode() for key, text in inventory(1, 1, seed=1).items()}
    files["devices.csv"] = f"id,profile\nD-1,{name}\n".encode()
    files["assignments.csv"] = b"device,asset,from,to\nD-1,SN-TC-01,,\n"
    return parse(files)


def publishes(messages: list[tuple[str, bytes]], received_ns: np.ndarray) -> Publishes:
    n = len(messages)
    return Publishes(
        sequence=np.ones(n, dtype=np.int64),
        index=np.arange(n, dtype=np.int32),
        topics=[topic for topic, _ in messages],
        payloads=[payload for _, payload in messages],
        packet_ids=np.arange(1, n + 1, dtype=np.int32),
        retained=np.zeros(n, dtype=np.bool_),
        duplicate=np.zeros(n, dtype=np.bool_),
        received_ns=received_ns,
        replayed=np.zeros(n, dtype=np.bool_),
    )


@pytest.mark.parametrize("name", NAMES)
def test_encode_then_decode_gives_the_values_back_within_their_resolution(name: str) -> None:
    it, fleet, random = profile(name), one_device(name), np.random.default_rng(7)
    n = 200
    values: dict[str, np.ndarray | str] = {}
    for field in it.fields:
        low, high = max(field.canonical.minimum, -1e6), min(field.canonical.maximum, 1e6)
        if field.kind is FieldKind.TEXT:
            values[field.name] = "v1"
        elif field.kind in (FieldKind.BOOLEAN, FieldKind.ENUM):
            values[field.name] = random.integers(0, len(set(field.codes.values())), n).astype(np.float64)
        else:
            span = high - low
            values[field.name] = random.uniform(low + 0.02 * span, high - 0.02 * span, n)
            if name == "luminaire-controller" and field.canonical.sentinels:
                values[field.name] = random.uniform(low + 1, 100, n)
    times = EVENING + np.arange(n) * 1_000_000_000
    payloads = Encoder(it, [field.name for field in it.fields]).encode(values, times, ["D-1"] * n)
    routes = Routes(
        "city/<area>/<class>/<device>/up", "city/<area>/<class>/<device>/status", fleet, {name: it}
    )
    topic = f"city/a/{it.device_class}/D-1/up"
    block = publishes([(topic, payload) for payload in payloads], times)
    decoded = Decoder({name: it}, fleet, routes).decode(block, np.zeros(n, dtype=np.bool_))
    assert decoded.rejects == ()
    (columns,) = decoded.columns
    batch = Normalizer(len(fleet.devices)).normalize(columns).batch
    assert np.all(batch.quality == Quality.VALID)
    assert np.array_equal(batch.time_ns, times)
    assert all(batch.time_from_device)
    for field, row in zip(it.numeric, batch.values, strict=True):
        exact = field.kind in (FieldKind.BOOLEAN, FieldKind.ENUM)
        tolerance = 0.0 if exact else 0.5001 * resolution(field) + 1e-9 * np.abs(values[field.name])
        assert np.all(np.abs(row - values[field.name]) <= tolerance), field.name
    assert all(column == ["v1"] * n for column in batch.texts.values())


def test_every_message_of_a_simulated_evening_is_a_valid_reading() -> None:
    """Nothing the simulators send is quarantined or flagged: the demo's counts depend on it."""
    profiles = {name: profile(name) for name in NAMES}
    fleet = parse({key: text.encode() for key, text in inventory(200, 20, seed=3).items()})
    start = EVENING - 2 * HOUR_NS
    messages: list[Message] = Simulation(fleet, profiles, (), 4, start).messages(start + 6 * HOUR_NS)
    routes = Routes("city/<area>/<class>/<device>/up", "city/<area>/<class>/<device>/status", fleet, profiles)
    received = np.array([message.time_ns for message in messages])
    block = publishes([(message.topic, message.payload) for message in messages], received)
    decoded = Decoder(profiles, fleet, routes).decode(block, np.zeros(len(messages), dtype=np.bool_))
    assert decoded.rejects == ()
    assert decoded.counts.status == sum(message.status for message in messages)
    normalizer = Normalizer(len(fleet.devices))
    batches = [normalizer.normalize(columns).batch for columns in decoded.columns]
    assert sum(len(batch) for batch in batches) == sum(not message.status for message in messages)
    for batch in batches:
        assert np.all(batch.quality == Quality.VALID), batch.profile.name


@pytest.mark.parametrize("name", NAMES)
def test_every_field_of_a_shipped_profile_is_simulated(name: str) -> None:
    lamps = dict.fromkeys(("luminaire-controller", "luminaire-d4i"), Luminaires.NAMES)
    known = {**lamps, "feeder-cabinet": Cabinets.NAMES}
    encoder = Encoder(profile(name), known.get(name, Sensors.NAMES))
    assert encoder.names == tuple(field.name for field in profile(name).fields)


def test_a_field_nobody_simulates_is_left_out_and_percent_signs_survive() -> None:
    text = """
        name = "odd"
        device_class = "odd"
        payload = "json"
        interval_s = 60
        title = { vi = "l", en = "o" }
        [[field]]
        name = "relative_humidity"
        path = "list[1].h%d"
        type = "float"
        unit = "%RH"
        [[field]]
        name = "never_heard_of"
        path = "x"
        type = "float"
        unit = "1"
    """
    rows, times = np.array([0], dtype=np.int32), np.array([EVENING])
    encoder = Encoder(load(text, "odd.toml"), Sensors.NAMES)
    sky = Sky(11.05, 106.68, "Asia/Ho_Chi_Minh")
    values = Sensors(sky, Noise(1)).sample(rows, times, encoder.names)
    (payload,) = encoder.encode(values, times, ["D"])
    document = json.loads(payload)
    assert list(document) == ["list"]
    assert document["list"][0] is None
    assert 25 <= document["list"][1]["h%d"] <= 100
