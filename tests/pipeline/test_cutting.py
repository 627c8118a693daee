"""However a journal is cut into stretches, the same readings, rejects, lines and alarms come out of it."""

from __future__ import annotations

from typing import Any

from exemplars import Remembered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import (
    NEW,
    OLD,
    START_NS,
    alarm_follower,
    block,
    configure,
    counts,
    message,
    numbered,
    readings,
    rejects,
    session,
    tick,
    translator,
)

from gateway.followers import unpack_snapshot
from gateway.journal.record import Kind, Record
from gateway.model import Chunk, Control, Run
from gateway.store.line_protocol import LineWriter

START_MS = START_NS // 1_000_000
VOLTS = st.sampled_from([230, 231.5, 245, 270, 272, 300, 9000, "270", None])


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """One message: mostly a lamp's reading, at times that meet, run ahead and come late; some of them bad."""
    shape = draw(st.integers(0, 11))
    device = draw(st.sampled_from(["L-1", "L-2", "L-3"]))
    identity = draw(st.integers(0, 6))
    flags: dict[str, Any] = {
        "packet_id": identity,
        "duplicate": bool(identity) and draw(st.booleans()),
        "retained": draw(st.sampled_from([False, False, False, True])),
    }
    if shape == 0:
        return message(device, draw(st.sampled_from([b"", b"{", b"[]", b'{"u":"\xff"}', b"{}"])), **flags)
    if shape == 1:
        return message(device, draw(st.sampled_from([b"online", b"offline", b"?"])), leaf="status", **flags)
    if shape == 2:
        return message("L-1", {"u": 230}, kind="cabinet", **flags)
    if shape == 3:
        bins = draw(st.lists(st.sampled_from([{"end": START_MS // 1000, "n": {"car": 3}}, {}]), max_size=3))
        return message("TR-1", {"id": "TR-1", "bins": bins}, kind="traffic", **flags)
    if shape == 4:
        water = {
            "id": "FL-1",
            "ns": START_NS,
            "mm": draw(st.integers(0, 400)),
            "fw": draw(st.text(max_size=3)),
        }
        return message("FL-1", water, kind="flood", **flags)
    minute = draw(st.sampled_from([0, 0, 1, 2, 3, 4, 5, -1, -600_000, None]))
    document: dict[str, Any] = {"u": draw(VOLTS)}
    if minute is not None:
        document["ts"] = START_MS + minute * 60_000
    return message(device, document, **flags)


@st.composite
def journals(draw: st.DrawFn) -> list[tuple[Kind, bytes]]:
    entries: list[tuple[Kind, bytes]] = []
    epoch = 1
    for at_s in range(draw(st.integers(1, 14))):
        action = draw(
            st.sampled_from(["messages"] * 6 + ["tick", "tick", "session", "configuration", "replay"])
        )
        if action == "messages" or action == "replay":
            batch = draw(st.lists(packets(), min_size=1, max_size=6))
            entries.append(block(*batch, at_s=at_s, epoch=epoch, replayed=action == "replay"))
        elif action == "tick":
            entries.append(tick(at_s * 100))
        elif action == "session":
            epoch += 1
            gap = draw(st.sampled_from([{}, {"gap": "session_lost"}]))
            entries += [session("connected", epoch), session("gap" if gap else "drained", epoch, **gap)]
        else:
            entries.append(configure(draw(st.sampled_from(["old", "new"]))))
    return entries


def cut(records: list[Record], lengths: list[int]) -> list[Chunk]:
    """Chunks of a walk in stretches of these lengths, over and over."""
    own, chunks, at = translator(), [], 0
    while at < len(records):
        length = lengths[len(chunks) % len(lengths)]
        chunks.append(own.translate(records[at : at + length]))
        at += length
    return chunks


def lines(chunks: list[Chunk]) -> list[tuple[int, int, int, bytes]]:
    """What the store follower would write, by place; one writer a configuration."""
    writer, found = LineWriter(OLD.fleet), []
    for chunk in chunks:
        for part in chunk.parts:
            if isinstance(part, Control) and part.kind == "configuration":
                writer = LineWriter((OLD if part.hash == "old" else NEW).fleet)
            elif isinstance(part, Run) and part.batches:
                written = writer.lines(part.batches)
                places = zip(
                    written.sequence.tolist(), written.index.tolist(), written.sample.tolist(), strict=True
                )
                found += [(*place, written.line(row)) for row, place in enumerate(places)]
    return sorted(found)


async def transitions(chunks: list[Chunk]) -> list[tuple[int, Any]]:
    ledger = Remembered()
    follower = alarm_follower(ledger)
    for chunk in chunks:
        await follower.take([chunk])
    return ledger.transitions


def eventful() -> list[tuple[Kind, bytes]]:
    """Two alarms that come and go, a redelivery, a twin, a lamp that is enrolled and taken out again."""

    def lamp(device: str, minute: int, volts: float, **flags: Any) -> bytes:
        return message(device, {"ts": START_MS + minute * 60_000, "u": volts}, **flags)

    return [
        configure("new"),
        block(lamp("L-1", 0, 270, packet_id=1), lamp("L-3", 0, 280), at_s=1),
        block(lamp("L-1", 1, 271), lamp("L-1", 1, 272), lamp("L-3", 2, 281), at_s=120),
        tick(121),
        session("connected", 2, session_present=True),
        block(lamp("L-1", 0, 270, packet_id=1, duplicate=True), lamp("L-1", 2, 230), at_s=122, epoch=2),
        configure("old"),
        block(lamp("L-1", 3, 275), lamp("L-3", 3, 230), at_s=181, epoch=2),
        block(lamp("L-1", 4, 276), lamp("L-1", 5, 277), at_s=280, epoch=2),
    ]


async def test_an_eventful_journal_however_it_is_cut() -> None:
    records = numbered(eventful())
    whole = cut(records, [len(records)])
    due = [(alarm.asset, alarm.event) for _, alarm in await transitions(whole)]
    assert due == [
        ("LP-1", "raised"),
        ("LP-3", "raised"),
        ("LP-1", "cleared"),
        ("LP-3", "cleared"),
        ("LP-1", "updated"),
        ("LP-1", "raised"),
    ]
    assert (counts(whole).redelivered, counts(whole).quarantined) == (1, 1)
    for length in range(1, len(records)):
        pieces = cut(records, [length])
        assert (readings(pieces), lines(pieces)) == (readings(whole), lines(whole))
        assert await transitions(pieces) == await transitions(whole)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journals(), st.lists(st.integers(1, 5), min_size=1, max_size=4))
async def test_cutting_changes_nothing(entries: list[tuple[Kind, bytes]], lengths: list[int]) -> None:
    records = numbered(entries)
    whole, pieces = cut(records, [len(records)]), cut(records, lengths)
    assert readings(whole) == readings(pieces)
    assert rejects(whole) == rejects(pieces)
    assert counts(whole) == counts(pieces)
    assert lines(whole) == lines(pieces)
    assert await transitions(whole) == await transitions(pieces)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journals())
async def test_every_message_has_one_end(entries: list[tuple[Kind, bytes]]) -> None:
    """received = with a reading + quarantined; nothing is in both, nothing in neither."""
    chunks = cut(numbered(entries), [3])
    total = counts(chunks)
    stored = {place[:2] for place, _ in readings(chunks)}
    whole = {(r.sequence, r.index) for r in rejects(chunks) if r.sample < 0 and r.reason != "bad_status"}
    assert not stored & whole
    assert len(whole) == total.quarantined
    assert len(stored) + len(whole) == total.received


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(journals(), st.integers(0, 20))
async def test_a_restart_from_a_snapshot_raises_the_same_alarms(
    entries: list[tuple[Kind, bytes]], at: int
) -> None:
    chunks = cut(numbered(entries), [1])
    at = min(at, len(chunks))
    before = Remembered()
    first = alarm_follower(before)
    for chunk in chunks[:at]:
        await first.take([chunk])
    await first.commit(snapshot=True)
    position, content = before.snapshots[-1]
    restarted = Remembered()
    in_force = OLD if first.engine.fleet is OLD.fleet else NEW
    second = alarm_follower(restarted, position=position, configuration=in_force)
    taken, snapshot = unpack_snapshot(content)
    second.counts = taken
    second.engine.restore(snapshot)
    for chunk in chunks[at:]:
        await second.take([chunk])
    assert before.transitions + restarted.transitions == await transitions(chunks)
    assert second.counts == counts(chunks)
