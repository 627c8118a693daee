"""Cabinets, places and devices over workers: all in one share each, nothing torn apart, always the same."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration import Sources, interpret
from gateway.fleet import Area, Asset, Assignment, Cabinet, Device, Feeder, Fleet
from gateway.ingest.divide import Divider
from gateway.ingest.packets import encode_publish, parse_block
from gateway.inventory.directory import read_directory
from gateway.model import Arrival, Chunk
from gateway.partition import Partition, worker_of
from gateway.settings import shipped

FIRST, LAST = -(2**63), 2**63 - 1
PATTERNS = ("city/<area>/<class>/<device>/up", "city/<area>/<class>/<device>/status")


@pytest.mark.parametrize(("key", "of_two", "of_three"), [("CB-1", 1, 0), ("CB-4", 0, 2), ("Tủ 7", 1, 1)])
def test_the_worker_of_a_key_never_changes(key: str, of_two: int, of_three: int) -> None:
    """A data directory written by one version must be divided in the same way by the next."""
    assert (worker_of(key, 2), worker_of(key, 3)) == (of_two, of_three)


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Lamps on feeders, sensors without, devices that moved, and some that serve no place."""
    cabinets = tuple(Cabinet(f"CB-{n}", "w", 11.0, 106.6) for n in range(draw(st.integers(1, 6))))
    feeders = tuple(Feeder(f"F-{c.id}", c.id, True) for c in cabinets)
    assets = [Asset(c.id, "cabinet", "w", 11.0, 106.6, cabinet=c.id) for c in cabinets]
    for n in range(draw(st.integers(0, 20))):
        feeder = draw(st.sampled_from((None, *feeders)))
        where = {"feeder": feeder.id, "cabinet": feeder.cabinet} if feeder else {}
        assets.append(Asset(f"A-{n}", "light_point" if feeder else "sensor", "w", 11.0, 106.6, **where))
    devices = tuple(Device(f"D-{n}", "p") for n in range(draw(st.integers(0, 25))))
    assignments = []
    for device in devices:
        moves = draw(st.lists(st.sampled_from(assets), max_size=3))
        times = [FIRST, *(1000 * n for n in range(1, len(moves))), LAST]
        assignments += [
            Assignment(device.id, asset.id, times[n], times[n + 1] if n + 1 < len(moves) else LAST)
            for n, asset in enumerate(moves)
        ]
    return Fleet((Area("w", "W"),), cabinets, feeders, (), tuple(assets), devices, tuple(assignments))


@given(fleets(), st.integers(1, 5))
def test_shares_hold_everything_once_and_tear_nothing_apart(fleet: Fleet, workers: int) -> None:
    partition = Partition(fleet, workers)
    shares = [partition.share(worker) for worker in range(workers)]
    for table in ("cabinets", "feeders", "assets", "devices"):
        rows = [row.id for share in shares for row in getattr(share, table)]
        assert sorted(rows) == sorted(row.id for row in getattr(fleet, table))
    for worker, share in enumerate(shares):
        cabinets = {cabinet.id for cabinet in share.cabinets}
        assert {feeder.cabinet for feeder in share.feeders} <= cabinets
        assert {asset.cabinet for asset in share.assets if asset.cabinet} <= cabinets
        assert all(partition.of_device(device.id) == worker for device in share.devices)
        for assignment in share.assignments:
            assert assignment.device in share.device_row
            assert assignment.asset in share.asset_row
        assert share.areas == fleet.areas
    now = {a.device: a.asset for a in fleet.assignments if a.to_ns == LAST}
    for device, asset in now.items():
        share = shares[partition.of_device(device)]
        assert any(a.device == device and a.asset == asset for a in share.assignments)


messages = st.lists(
    st.tuples(
        st.sampled_from(["D-1", "D-2", "D-3", "L_4:a", "không", "x" * 70, ""]),
        st.sampled_from(["up", "status", "elsewhere"]),
        st.binary(max_size=200),
        st.integers(0, 65_535),
        st.booleans(),
    ),
    max_size=60,
)


@given(messages, st.integers(1, 4))
def test_every_message_is_in_one_part_and_each_device_keeps_its_order(sent: list, workers: int) -> None:
    packets = b"".join(
        encode_publish(f"city/w/lamp/{device}/{end}", payload, qos=int(id_ > 0), packet_id=id_, duplicate=dup)
        for device, end, payload, id_, dup in sent
    )
    arrival = Arrival(packets, len(sent), 1_000, 7)
    parts = Divider(PATTERNS, lambda device: worker_of(device, workers), workers).divide(arrival)
    assert len({worker for worker, _ in parts}) == len(parts)
    whole = parse_block(arrival, 0)
    found = []
    for worker, part in parts:
        assert (part.received_ns, part.epoch, part.replayed) == (1_000, 7, False)
        block = parse_block(part, 0)
        assert len(block.topics) == part.count
        own = [n for n, topic in enumerate(whole.topics) if _worker(topic, workers) == worker]
        assert block.topics == [whole.topics[n] for n in own]
        assert block.payloads == [whole.payloads[n] for n in own]
        assert block.packet_ids.tolist() == [whole.packet_ids[n] for n in own]
        assert block.duplicate.tolist() == [whole.duplicate[n] for n in own]
        found += own
    assert sorted(found) == list(range(len(sent)))


def _worker(topic: str, workers: int) -> int:
    """What leads to no device goes by its whole topic."""
    *_, device, end = topic.split("/")
    key = device if device and end != "elsewhere" else topic
    return worker_of(key.encode().decode("latin-1"), workers)


@given(st.binary(max_size=300), st.integers(1, 3))
def test_no_byte_is_lost_whatever_came(packets: bytes, workers: int) -> None:
    parts = Divider(PATTERNS, lambda device: worker_of(device, workers), workers).divide(
        Arrival(packets, 1, 0, 1)
    )
    assert sorted(b"".join(part.packets for _, part in parts)) == sorted(packets)


def test_each_share_is_a_whole_configuration_of_its_own() -> None:
    """``rules.toml`` names places of any worker; it is checked against the whole inventory."""
    inventory = read_directory(shipped("new-city"))
    cabinet = interpret(_pack(inventory), "").fleet.cabinets[0].id
    override = '[[override]]\nrule = "supplyVoltageTooLow"\nprofile = "luminaire-controller"\n'
    inventory["rules.toml"] = f'{override}cabinet = "{cabinet}"\nraise_below = 190\nunit = "V"\n'.encode()
    whole = interpret(_pack(inventory), "").fleet
    shares = [interpret(_pack(inventory, (worker, 2)), "") for worker in range(2)]
    assert sum(len(share.fleet.devices) for share in shares) == len(whole.devices)
    assert all(share.fleet.devices for share in shares)
    limits = [sorted({r.raise_at for p in s.profiles for r in p.spec.rules}) for s in shares]
    assert limits[0] == limits[1]
    assert 190.0 in limits[0]


def test_a_share_without_any_device_is_a_share() -> None:
    """A city of one cabinet leaves workers without work; they run all the same."""
    share = interpret(_pack(read_directory(shipped("new-city")), (0, 997)), "")
    assert share.engine().apply(Chunk(0, 1, (), ())) == []


def test_one_worker_keeps_the_name_its_configuration_had() -> None:
    assert set(msgspec.msgpack.decode(_pack(read_directory(shipped("new-city"))))) == {
        "profiles",
        "inventory",
        "time_zone",
    }


def _pack(inventory: dict[str, bytes], share: tuple[int, int] | None = None) -> bytes:
    directory = shipped("device_profiles")
    files = sorted((*directory.glob("*/profile.toml"), *directory.glob("*.toml")))
    profiles = {str(file): file.read_bytes() for file in files}
    return Sources(profiles, inventory, "Asia/Ho_Chi_Minh", share).pack()
