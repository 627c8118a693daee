"""Framing and payload codecs: what is written is read back, and nothing else passes for it."""

from __future__ import annotations

import struct

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RecordUnreadable, StateFormatTooNew
from gateway.journal import record
from gateway.journal.record import Kind, Record, Stop, find_record, frame, parse
from gateway.model import Arrival, Control, SessionEvent, Tick

INT64 = st.integers(-(2**63), 2**63 - 1)
PAYLOADS = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=80)), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
BOOT = bytes(range(16))


def framed(payloads: list[tuple[Kind, bytes]], first: int, seed: int) -> tuple[bytes, list[Record]]:
    records = [Record(first + i, kind, payload) for i, (kind, payload) in enumerate(payloads)]
    return b"".join(frame(r.sequence, r.kind, r.payload, seed=seed) for r in records), records


@given(PAYLOADS, st.integers(0, 2**40), st.integers(0, 2**32 - 1))
def test_frames_are_read_back_in_order(payloads: list[tuple[Kind, bytes]], first: int, seed: int) -> None:
    buffer, records = framed(payloads, first, seed)

    stretch = parse(buffer, 0, first, seed=seed)

    assert (stretch.records, stretch.end, stretch.stop) == (records, len(buffer), Stop.END)


@given(PAYLOADS, st.data())
def test_a_cut_anywhere_keeps_the_whole_records_before_it(
    payloads: list[tuple[Kind, bytes]], data: st.DataObject
) -> None:
    buffer, records = framed(payloads, 7, 1)
    cut = data.draw(st.integers(0, len(buffer)))

    stretch = parse(buffer[:cut], 0, 7, seed=1)

    whole = [r for r, end in zip(records, ends(records), strict=True) if end <= cut]
    assert stretch.records == whole
    assert stretch.stop is (Stop.END if stretch.end == cut else Stop.TORN)


@given(PAYLOADS.filter(len), st.data())
def test_a_flipped_bit_never_yields_a_wrong_record(
    payloads: list[tuple[Kind, bytes]], data: st.DataObject
) -> None:
    buffer, records = framed(payloads, 7, 1)
    bit = data.draw(st.integers(0, 8 * len(buffer) - 1))
    damaged = bytearray(buffer)
    damaged[bit // 8] ^= 1 << bit % 8

    stretch = parse(bytes(damaged), 0, 7, seed=1)

    hit = sum(end <= bit // 8 for end in ends(records))
    assert stretch.records == records[:hit]
    assert stretch.stop in (Stop.TORN, Stop.CORRUPT)
    found = find_record(bytes(damaged), stretch.end + 1, 6 + hit, seed=1)
    assert found == (None if hit + 1 == len(records) else (ends(records)[hit], 7 + hit + 1))


def ends(records: list[Record]) -> list[int]:
    sizes = [record.FRAME_BYTES + len(r.payload) for r in records]
    return [sum(sizes[: i + 1]) for i in range(len(sizes))]


def test_a_frame_forged_in_a_payload_is_not_taken_for_a_record() -> None:
    forged = frame(9, Kind.CONTROL, b"evil")  # the sender does not know the segment's seed
    buffer = frame(3, Kind.MESSAGES, b"...." + forged, seed=77)

    assert find_record(buffer[:-1], 1, 3, seed=77) is None


def test_a_record_out_of_sequence_is_damage() -> None:
    stretch = parse(frame(5, Kind.TICK, b""), 0, 4)

    assert (stretch.records, stretch.end, stretch.stop) == ([], 0, Stop.CORRUPT)
    assert "5" in stretch.problem


def test_a_length_beyond_the_bound_is_damage_and_allocates_nothing() -> None:
    head = frame(1, Kind.TICK, b"")
    huge = head[:8] + struct.pack("<I", record.PAYLOAD_BYTES_MAX + 1) + head[12:]

    assert parse(huge, 0, 1).stop is Stop.CORRUPT
    with pytest.raises(ValueError, match="at most"):
        frame(1, Kind.MESSAGES, bytes(record.PAYLOAD_BYTES_MAX + 1))


def test_a_kind_of_a_later_version_is_refused() -> None:
    later: Kind = 9  # type: ignore[assignment]
    with pytest.raises(StateFormatTooNew, match="kind 9"):
        parse(frame(1, later, b""), 0, 1)


@given(
    st.builds(
        Arrival,
        st.binary(max_size=300),
        st.integers(0, 2**32 - 1),
        INT64,
        st.integers(0, 2**64 - 1),
        st.booleans(),
    )
)
def test_arrivals_survive(arrival: Arrival) -> None:
    assert record.decode_arrival(record.encode_arrival(arrival)) == arrival


@given(st.builds(Tick, INT64, INT64, st.binary(min_size=16, max_size=16), st.booleans(), st.booleans()))
def test_ticks_survive(tick: Tick) -> None:
    assert record.decode_tick(record.encode_tick(tick)) == tick


@given(
    st.builds(
        SessionEvent,
        epoch=st.integers(0, 2**53),
        event=st.sampled_from(["connected", "gap"]),
        wall_ns=INT64,
        session_present=st.booleans(),
        broker_uptime_s=st.none() | st.floats(0, 1e9),
        detail=st.text(max_size=20),
    )
)
def test_session_events_survive(event: SessionEvent) -> None:
    assert record.decode_session(record.encode_session(event)) == event


@given(
    st.builds(
        Control, st.text(max_size=9), INT64, st.text(max_size=9), st.dictionaries(st.text(max_size=5), JSON)
    )
)
def test_controls_survive(control: Control) -> None:
    assert record.decode_control(record.encode_control(control)) == control


DECODERS = [record.decode_arrival, record.decode_tick, record.decode_session, record.decode_control]


@pytest.mark.parametrize("decode", DECODERS)
@given(payload=st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused_by_type(decode, payload: bytes) -> None:  # type: ignore[no-untyped-def]
    try:
        decode(payload)
    except (RecordUnreadable, StateFormatTooNew):
        return


@pytest.mark.parametrize("decode", DECODERS)
def test_a_later_layout_is_refused_by_name(decode) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StateFormatTooNew, match="layout 2"):
        decode(b"\x02" + bytes(60))


def test_a_block_that_would_grow_past_the_bound_is_refused() -> None:
    head = record.encode_arrival(Arrival(b"", 0, 0, 0))[:22]
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(record.PACKETS_BYTES_MAX + 1))
    assert len(bomb) < 10_000

    with pytest.raises(RecordUnreadable, match="at most"):
        record.decode_arrival(head + bomb)
    with pytest.raises(ValueError, match="at most"):
        record.encode_arrival(Arrival(bytes(record.PACKETS_BYTES_MAX + 1), 1, 0, 0))


def test_a_block_without_a_stated_size_is_refused() -> None:
    head = record.encode_arrival(Arrival(b"", 0, 0, 0))[:22]
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100)

    with pytest.raises(RecordUnreadable):
        record.decode_arrival(head + unsized)
