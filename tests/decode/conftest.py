"""Builders for messages and fleets."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from gateway.decode.catalog import load_directories
from gateway.decode.decoder import Decoder
from gateway.decode.profile import Profile, load
from gateway.decode.routes import Routes
from gateway.fleet import Device, Fleet
from gateway.model import Publishes

TELEMETRY = "city/<area>/<class>/<device>/up"
STATUS = "city/<area>/<class>/<device>/status"
CONCENTRATOR = """
name = "submeter"
device_class = "energy"
payload = "json"
interval_s = 900
id_field = "meter"
concentrator = true
records = "data"
[title]
vi = "Công tơ con"
en = "Submeter"
[[field]]
name = "active_energy"
path = "e"
type = "float"
unit = "Wh"
"""


@pytest.fixture(scope="session")
def profiles() -> dict[str, Profile]:
    shipped = load_directories([Path(__file__).parents[2] / "device_profiles"])
    return {**shipped, "submeter": load(CONCENTRATOR, "submeter")}


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    devices = [
        Device("L1", "luminaire-controller"),
        Device("L2", "luminaire-controller"),
        Device("N1", "noise"),
        Device("C1", "submeter"),
        Device("M1", "submeter"),
        Device("M2", "submeter"),
        Device("X1", "no-such-profile"),
        Device("FL-01", "flood-level"),
        Device("TC-01", "traffic-counter"),
    ]
    return Fleet(
        areas=(), cabinets=(), feeders=(), programmes=(), assets=(), devices=tuple(devices), assignments=()
    )


@pytest.fixture
def decoder(profiles: dict[str, Profile], fleet: Fleet) -> Decoder:
    return Decoder(profiles, fleet, Routes(TELEMETRY, STATUS, fleet, profiles))


Message = tuple[str, bytes]
MakePublishes = Callable[..., Publishes]


@pytest.fixture(scope="session")
def publishes() -> MakePublishes:
    def make(
        messages: Sequence[Message],
        *,
        sequence: int = 1,
        ids: Sequence[int] | None = None,
        retained: Sequence[int] = (),
        duplicate: Sequence[int] = (),
        replayed: bool = False,
    ) -> Publishes:
        n = len(messages)
        flags = np.arange(n)
        return Publishes(
            sequence=np.full(n, sequence, np.int64),
            index=np.arange(n, dtype=np.int32),
            topics=[topic for topic, _ in messages],
            payloads=[payload for _, payload in messages],
            packet_ids=np.array(ids if ids is not None else range(1, n + 1), np.int32),
            retained=np.isin(flags, retained),
            duplicate=np.isin(flags, duplicate),
            received_ns=1_795_280_400_000_000_000 + flags.astype(np.int64),
            replayed=np.full(n, replayed),
        )

    return make
