"""What a snapshot keeps of circuits, cabinets and groups. In: an alarm engine. Out: the same, by name.

Names outlive rows: what the inventory in force no longer has is left out. Never compresses, never writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.alarm import delay_record
from gateway.alarm.cabinet import COLUMNS, NEVER_NS
from gateway.alarm.expected import Supply
from gateway.alarm.group import RADIO, TYPE, Group
from gateway.alarm.parent import Key, Parent
from gateway.alarm.quiet import Window
from gateway.alarm.switching_times import SwitchingTimes
from gateway.model import Int32s

if TYPE_CHECKING:
    from gateway.alarm.engine import AlarmEngine


class KeptParent(msgspec.Struct, array_like=True):
    asset: str
    kind: str
    level: str
    circuits: list[str]
    members: list[str]
    began_ns: int
    onset_ns: int
    back_ns: int | None
    ended_ns: int | None
    alarm: str


class KeptTimes(msgspec.Struct, array_like=True):
    """Learned switching times: arrays [circuits] as bytes, ``on_s`` and ``off_s`` one a night."""

    waited_ns: int
    night: int | None
    whole: bool
    on_s: list[bytes]
    off_s: list[bytes]
    first_s: bytes
    last_s: bytes


class Groups(msgspec.Struct, array_like=True):
    """Arrays as bytes: [devices] as the snapshot orders them, [circuits], [cabinets]."""

    waited_ns: int
    now_ns: int
    circuits: list[str]
    state: bytes
    planned: bytes
    since_ns: bytes
    off_since_ns: bytes
    heard_ns: bytes
    due: bytes
    missed: bytes
    allowed: bytes
    cabinets: list[str]
    reported_ns: bytes
    interval_ns: bytes
    work_since_ns: bytes
    values: bytes
    pending: list[tuple[str, str, int, int]]
    parents: list[KeptParent]
    shelves: list[tuple[str, str, int]]
    windows: list[Window]
    open: list[str]
    ended_ns: bytes = b""  # absent in snapshots written before they were
    until_ns: bytes = b""
    rate: bytes = b""
    times: KeptTimes | None = None
    went_ns: bytes = b""
    back_ns: bytes = b""
    delays: list[delay_record.KeptDelay] = []  # of cabinets' devices


def pack(engine: AlarmEngine) -> Groups:
    energised, reports, causes = engine.energised, engine.reports, engine.causes
    names = engine.circuits.names
    return Groups(
        waited_ns=engine.waited_ns,
        now_ns=energised.now_ns,
        circuits=list(names),
        state=energised.state.tobytes(),
        planned=energised.planned.tobytes(),
        since_ns=energised.since_ns.tobytes(),
        off_since_ns=energised.off_since_ns.tobytes(),
        heard_ns=energised.heard_ns.tobytes(),
        due=engine.watch.loss.due.tobytes(),
        missed=engine.watch.loss.missed.tobytes(),
        allowed=engine.watch.allowed.tobytes(),
        cabinets=[cabinet.id for cabinet in engine.fleet.cabinets],
        reported_ns=reports.heard_ns.tobytes(),
        interval_ns=reports.interval_ns.tobytes(),
        work_since_ns=causes.supply.work_since_ns.tobytes(),
        values=reports.values.tobytes(),
        pending=[(*key, *times) for key, times in sorted(causes.pending.items())],
        parents=[
            KeptParent(
                *key,
                parent.group.level,
                [names[number] for number in parent.group.circuits],
                engine.fleet.device_ids(parent.members),
                parent.began_ns,
                parent.onset_ns,
                parent.back_ns,
                parent.ended_ns,
                parent.alarm,
            )
            for key, parent in sorted(causes.standing.items())
        ],
        shelves=[(*key, until_ns) for key, until_ns in sorted(engine.quiet.shelves.items())],
        windows=[engine.quiet.windows[name] for name in sorted(engine.quiet.windows)],
        open=sorted(engine.quiet.open),
        ended_ns=energised.ended_ns.tobytes(),
        until_ns=causes.together.until_ns.tobytes(),
        went_ns=causes.together.went_ns.tobytes(),
        back_ns=causes.together.back_ns.tobytes(),
        rate=engine.watch.rate.tobytes(),
        times=_pack_times(energised.times),
        delays=delay_record.pack(reports.delays, engine.fleet),
    )


def _pack_times(times: SwitchingTimes) -> KeptTimes:
    return KeptTimes(
        waited_ns=times.waited_ns,
        night=times.night,
        whole=times.whole,
        on_s=[row.tobytes() for row in times.on_s],
        off_s=[row.tobytes() for row in times.off_s],
        first_s=times.first_s.tobytes(),
        last_s=times.last_s.tobytes(),
    )


def _unpack_times(kept: KeptTimes, times: SwitchingTimes, circuits: Int32s) -> None:
    count = len(times.first_s)
    times.waited_ns, times.night, times.whole = kept.waited_ns, kept.night, kept.whole
    for k, (on_s, off_s) in enumerate(zip(kept.on_s, kept.off_s, strict=True)):
        times.on_s[k] = mapped(on_s, circuits, np.nan, count, np.float64)
        times.off_s[k] = mapped(off_s, circuits, np.nan, count, np.float64)
    times.first_s = mapped(kept.first_s, circuits, np.nan, count, np.float64)
    times.last_s = mapped(kept.last_s, circuits, np.nan, count, np.float64)
    times.restored()


def unpack(kept: Groups, engine: AlarmEngine, devices: Int32s) -> None:
    """``devices`` are the rows, in this inventory, of the devices of the snapshot; -1 for none."""
    energised, reports, causes = engine.energised, engine.reports, engine.causes
    circuit_row = {name: row for row, name in enumerate(engine.circuits.names)}
    circuits = np.array([circuit_row.get(name, -1) for name in kept.circuits], dtype=np.int32)
    count = len(circuit_row)
    engine.waited_ns, energised.now_ns = kept.waited_ns, kept.now_ns
    energised.state = mapped(kept.state, circuits, Supply.UNKNOWN, count, np.uint8)
    energised.planned = mapped(kept.planned, circuits, Supply.UNKNOWN, count, np.uint8)
    energised.since_ns = mapped(kept.since_ns, circuits, NEVER_NS, count)
    energised.off_since_ns = mapped(kept.off_since_ns, circuits, NEVER_NS, count)
    energised.heard_ns = mapped(kept.heard_ns, devices, NEVER_NS, len(engine.fleet.devices))
    if kept.times is not None:
        _unpack_times(kept.times, energised.times, circuits)
    size = len(engine.fleet.devices)
    if kept.ended_ns:
        energised.ended_ns = mapped(kept.ended_ns, circuits, NEVER_NS, count)
        causes.together.until_ns = mapped(kept.until_ns, devices, NEVER_NS, size)
    if kept.went_ns:
        causes.together.went_ns = mapped(kept.went_ns, devices, NEVER_NS, size)
        causes.together.back_ns = mapped(kept.back_ns, devices, NEVER_NS, size)
    due, missed, allowed = (
        mapped(column, devices, 0, size, np.int32) for column in (kept.due, kept.missed, kept.allowed)
    )
    rate = mapped(kept.rate or bytes(8 * len(devices)), devices, 0, size, np.float64)
    engine.watch.restore_losses(due, missed, allowed, rate)
    cabinet_row = {cabinet.id: row for row, cabinet in enumerate(engine.fleet.cabinets)}
    cabinets = np.array([cabinet_row.get(name, -1) for name in kept.cabinets], dtype=np.int32)
    reports.heard_ns = mapped(kept.reported_ns, cabinets, NEVER_NS, len(cabinet_row))
    reports.interval_ns = mapped(kept.interval_ns, cabinets, 0, len(cabinet_row))
    causes.supply.work_since_ns = mapped(kept.work_since_ns, cabinets, NEVER_NS, len(cabinet_row))
    delay_record.unpack(kept.delays, reports.delays, engine.fleet)
    known = cabinets >= 0
    values = np.frombuffer(kept.values, dtype=np.float64).reshape(len(COLUMNS), len(cabinets))
    reports.values[:, cabinets[known]] = values[:, known]
    causes.pending = {(asset, kind): (since, onset) for asset, kind, since, onset in kept.pending}
    for parent in kept.parents:
        found = _parent(parent, engine, circuit_row)
        if found is not None:
            causes.standing[parent.asset, parent.kind] = found
    engine.quiet.shelves.update({(asset, kind): until_ns for asset, kind, until_ns in kept.shelves})
    engine.quiet.windows = {window.id: window for window in kept.windows}
    engine.quiet.open = set(kept.open)
    causes.mark_dark()
    engine.mark_outages()
    engine.settle()


def _parent(kept: KeptParent, engine: AlarmEngine, circuit_row: dict[str, int]) -> Parent | None:
    """The parent in rows of this inventory; None if its group is gone or is another one now."""
    if any(name not in circuit_row for name in kept.circuits):
        return None
    key: Key = kept.asset, kept.kind
    places: dict[str, list[str]] = {
        "circuit": list(engine.circuits.names),
        "feeder": list(engine.circuits.feeders),
        "cabinet": [cabinet.id for cabinet in engine.fleet.cabinets],
        "area": [area.code for area in engine.fleet.areas],
        RADIO: [RADIO],
        TYPE: [f"{TYPE}:{kind.id}" for kind in engine.fleet.luminaire_types],
    }
    if key[0] not in places[kept.level]:
        return None
    rows = engine.fleet.device_row
    return Parent(
        kept.kind,
        Group(kept.level, places[kept.level].index(key[0]), tuple(circuit_row[n] for n in kept.circuits)),
        np.array([rows[name] for name in kept.members if name in rows], dtype=np.int32),
        kept.began_ns,
        kept.onset_ns,
        kept.back_ns,
        kept.ended_ns,
        kept.alarm,
    )


def mapped(packed: bytes, rows: Int32s, default: float, size: int, dtype: Any = np.int64) -> npt.NDArray[Any]:
    """A column of the old inventory in the order of the new one."""
    column = np.full(size, default, dtype=dtype)
    known = rows >= 0
    column[rows[known]] = np.frombuffer(packed, dtype=dtype)[known]
    return column
