"""The engine's memory as bytes and back. In: an alarm engine. Out: a versioned snapshot, and it filled again.

Keyed by device id and rule key, so it can be read under another inventory or other rules: what still has
a name is kept, the rest is left out. Never writes a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import zstandard

from gateway.alarm import group_memory, lamp_record, load_record, placement_record, sensor_memory, timing
from gateway.alarm.circles import Circle
from gateway.alarm.crossing import RuleState
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.group_memory import mapped
from gateway.alarm.ledger import Standing
from gateway.alarms import Alarm, Fault
from gateway.errors import StateFormatTooNew
from gateway.fleet import BENCH, Fleet
from gateway.model import TIME_ABSENT, Tick

if TYPE_CHECKING:
    from gateway.alarm.engine import AlarmEngine

FORMAT: Final = 2  # 2: groups; 1 is still read
BYTES_MAX: Final = 512 * 1024 * 1024
_COMPRESSION_LEVEL: Final = 1
_READ_BYTES: Final = 1 << 20


class _Rules(msgspec.Struct, array_like=True):
    """One profile's state of the devices that have any: arrays [devices, rules] as bytes."""

    profile: str
    keys: tuple[str, ...]
    devices: list[str]
    assets: list[str]
    since: bytes
    count: bytes
    raised: bytes
    own: bytes = b""  # absent in snapshots written before it was


class _Circle(msgspec.Struct, array_like=True):
    key: str
    counted_ns: int
    energised_ns: int
    stretches: list[tuple[int, int]]


class _Content(msgspec.Struct, array_like=True):
    format: int
    devices: list[str]
    latest_ns: bytes  # int64[devices]
    age_ns: bytes  # int64[devices]
    rules: list[_Rules]
    drawn_ns: int | None
    circles: list[_Circle]
    onset_ns: list[tuple[str, int]]  # of silent devices
    last_tick: Tick | None
    standing: list[tuple[Alarm, list[tuple[str, str]]]]
    ended_ns: list[tuple[str, str, int]]
    counts: tuple[int, int, int, int]
    groups: group_memory.Groups | None = None
    faults: tuple[list[Fault], list[Fault]] = ([], [])  # running, ended
    lag_ns: bytes = b""  # int64[devices]
    shining: bytes = b""  # bool[devices]
    lamps: list[lamp_record.Kept] = []
    sensors: sensor_memory.KeptSensors | None = None
    taken_ns: bytes = b""  # int64[devices]
    loads: load_record.KeptLoads | None = None
    placement: placement_record.Kept | None = None


class _Head(msgspec.Struct, array_like=True):
    format: int


def pack(engine: AlarmEngine) -> bytes:
    """Equal states give equal bytes."""
    fleet, evaluator, watch, ledger = engine.fleet, engine.evaluator, engine.watch, engine.ledger
    names = fleet.device_table.ids("id").tolist()
    content = _Content(
        format=FORMAT,
        devices=names,
        latest_ns=evaluator.latest_ns.tobytes(),
        age_ns=watch.age_ns().tobytes(),
        rules=[_pack_rules(fleet, evaluator, name, names) for name in sorted(evaluator.states)],
        drawn_ns=watch.drawn_ns,
        circles=[
            _Circle(c.key, c.counted_ns, c.energised_ns, c.stretches)
            for c in sorted(watch.circles.kept(), key=lambda circle: circle.key)
        ],
        onset_ns=[(fleet.devices[row].id, onset) for row, onset in sorted(watch.onset_ns.items())],
        last_tick=watch.last,
        standing=[(s.alarm, sorted(s.sources)) for _, s in sorted(ledger.standing.items())],
        ended_ns=[(*key, time_ns) for key, time_ns in sorted(ledger.ended_ns.items())],
        counts=(evaluator.judged, evaluator.late, evaluator.replayed, evaluator.on_bench),
        groups=group_memory.pack(engine),
        faults=(
            [fault for _, fault in sorted(engine.repairs.running.items())],
            list(engine.repairs.ended.values()),
        ),
        lag_ns=evaluator.timing.lag_ns.tobytes(),
        shining=evaluator.shining.tobytes(),
        lamps=[lamp_record.pack(fleet, *memory, names) for memory in sorted(evaluator.memories.items())],
        sensors=sensor_memory.pack(engine.sensors, fleet),
        taken_ns=evaluator.timing.taken_ns.tobytes(),
        loads=load_record.pack(engine.loads),
        placement=placement_record.pack(engine),
    )
    return _compressed(content)


def _compressed(content: _Content) -> bytes:
    """What msgspec makes of it, field by field: each is let go before the next grows, which ends the peak."""
    encoder, names = msgspec.msgpack.Encoder(), content.__struct_fields__
    compressor = zstandard.ZstdCompressor(_COMPRESSION_LEVEL).compressobj()
    # An array of so many, as the MessagePack specification has it.
    parts = [compressor.compress(b"\xdc" + len(names).to_bytes(2, "big"))]
    for name in names:
        parts.append(compressor.compress(encoder.encode(getattr(content, name))))
        setattr(content, name, None)
    return b"".join([*parts, compressor.flush()])


def _plain(packed: bytes) -> bytes:
    """ValueError above BYTES_MAX."""
    found = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        while part := reader.read(_READ_BYTES):
            found += part
            if len(found) > BYTES_MAX:
                raise ValueError(f"an alarm snapshot of more than {BYTES_MAX} bytes")
    return bytes(found)


def unpack(packed: bytes, engine: AlarmEngine) -> None:
    """Fill a fresh engine. Raises StateFormatTooNew for a later format."""
    fleet, evaluator, watch, ledger = engine.fleet, engine.evaluator, engine.watch, engine.ledger
    plain = _plain(packed)
    if msgspec.msgpack.decode(plain, type=_Head).format > FORMAT:
        raise StateFormatTooNew("the alarm snapshot was written by a later version; upgrade this one")
    content = msgspec.msgpack.decode(plain, type=_Content)
    rows = fleet.device_row.rows(content.devices)
    size = len(fleet.devices)
    evaluator.latest_ns = mapped(content.latest_ns, rows, TIME_ABSENT, size)
    evaluator.judged, evaluator.late, evaluator.replayed, evaluator.on_bench = content.counts
    for kept in content.rules:
        _unpack_rules(kept, fleet, evaluator)
    if content.lag_ns:
        evaluator.timing.lag_ns = mapped(content.lag_ns, rows, timing.UNHEARD, size)
        evaluator.timing.taken_ns = mapped(content.taken_ns, rows, 0, size)
        evaluator.shining = mapped(content.shining, rows, 0, size, np.bool_)
    for lamps in content.lamps:
        if lamps.profile in evaluator.memories:
            lamp_record.unpack(lamps, fleet, evaluator.memories[lamps.profile])
    if content.placement is not None:
        placement_record.unpack(content.placement, engine, rows)
    if content.drawn_ns is not None:
        onsets = {fleet.device_row[d]: onset for d, onset in content.onset_ns if d in fleet.device_row}
        circles = [_circle(circle) for circle in content.circles]
        age_ns = mapped(content.age_ns, rows, 0, size)
        watch.restore(content.drawn_ns, circles, age_ns, onsets)
        evaluator.places = watch.placement.exchanged
    watch.last = content.last_tick
    ledger.restore(
        [Standing(alarm, set(sources)) for alarm, sources in content.standing],
        {(asset, kind): time_ns for asset, kind, time_ns in content.ended_ns},
    )
    engine.repairs.restore(*content.faults)
    if content.groups is not None:
        group_memory.unpack(content.groups, engine, rows)
    if content.loads is not None:
        load_record.unpack(content.loads, engine.loads, rows)
    if content.sensors is not None:
        sensor_memory.unpack(content.sensors, engine.sensors, fleet)


def _pack_rules(fleet: Fleet, evaluator: Evaluator, profile: str, names: list[str]) -> _Rules:
    state = evaluator.states[profile]
    kept = np.flatnonzero(evaluator.busy[state.devices])
    running = (state.count[kept] > 0) | state.raised[kept]
    used = np.flatnonzero(running.any(axis=0))
    keys, at, running = evaluator.tables[profile].keys, np.ix_(kept, used), running[:, used]
    return _Rules(
        profile=profile,
        keys=tuple(keys[rule] for rule in state.rules[used].tolist()),
        devices=[names[row] for row in state.devices[kept].tolist()],
        assets=fleet.asset_ids(state.asset[kept]),
        since=np.where(running, state.since[at], 0).tobytes(),
        count=state.count[at].tobytes(),
        raised=state.raised[at].tobytes(),
        own=(running & state.own[at]).tobytes(),
    )


def _unpack_rules(kept: _Rules, fleet: Fleet, evaluator: Evaluator) -> None:
    """Copy the state of the devices and rules that both configurations have."""
    if kept.profile not in evaluator.states:
        return
    state, table = evaluator.states[kept.profile], evaluator.tables[kept.profile]
    shape = (len(kept.devices), len(kept.keys))
    source = RuleState(
        devices=np.empty(0, dtype=np.int32),
        since=np.frombuffer(kept.since, dtype=np.int64).reshape(shape),
        own=np.frombuffer(kept.own or bytes([True]) * (shape[0] * shape[1]), dtype=np.bool_).reshape(shape),
        count=np.frombuffer(kept.count, dtype=np.int32).reshape(shape),
        raised=np.frombuffer(kept.raised, dtype=np.bool_).reshape(shape),
        asset=np.empty(0, dtype=np.int32),
        rules=np.arange(len(kept.keys)),
    )
    state.open(np.flatnonzero([key in kept.keys for key in table.keys]))
    columns = [
        (at, rule, [old for old, name in enumerate(kept.keys) if name == table.keys[rule]])
        for at, rule in enumerate(state.rules.tolist())
    ]
    everywhere = np.ones(len(table.rules), dtype=np.bool_)
    rows, places = fleet.device_row.rows(kept.devices), fleet.asset_row.rows(kept.assets)
    mine = fleet.device_table.words("profile").equal(kept.profile)
    for old_row, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
        if row == BENCH or not mine[row]:
            continue
        local = evaluator.local[row]
        state.asset[local] = place
        here = everywhere.copy()
        here[table.scoped] = table.applies[:, max(place, 0)]
        # A device is in the scope of one rule of a key, before and now, so its state is in one column.
        for at, rule, olds in columns:
            touched = [k for k in olds if source.count[old_row, k] or source.raised[old_row, k]]
            if touched and here[rule]:
                for name in ("since", "own", "count", "raised"):
                    getattr(state, name)[local, at] = getattr(source, name)[old_row, touched[0]]
        evaluator.busy[row] = bool((state.count[local] > 0).any() or state.raised[local].any())


def _circle(kept: _Circle) -> Circle:
    return Circle(kept.key, BENCH, False, 0, kept.counted_ns, kept.energised_ns, kept.stretches)
