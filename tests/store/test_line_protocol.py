"""Readings as lines: every line reads back to the same values, and no line can be read as two."""

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from city import ENERGY, LIT, MODE, NOTE, POWER, START_NS, batch, fleet, parse, profile
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.fleet import Assignment, Device
from gateway.model import Field, FieldKind, Quality
from gateway.store.line_protocol import CSV_LINES_MIN, LineWriter

NAN = math.nan


def test_line_of_a_reading_is_the_stored_point_of_the_contract() -> None:
    plain = profile(tags=(("maker", "acme"),))
    lines = LineWriter(fleet(area="D4")).lines([batch(plain, [[1.5, 5, 1, 1]], ["ok"], device=[1])])

    assert lines.body == (
        rb"luminaire,area=D4,device=L1,feeder=F\ 1,maker=acme,profile=led "
        b'received_at=1790000000123456794i,active_power=1.5,energy=5i,lit=true,mode="on",note="ok" '
        b"1790000000123456789\n"
    )


def test_null_is_left_out_and_named_in_quality() -> None:
    reading = batch(profile(), [[NAN, 7, NAN, NAN]], [None], quality=[[3, 0, 1, 1]])

    fields = parse(LineWriter(fleet()).lines([reading]).line(0)).fields

    assert fields == {
        "energy": 7,
        "received_at": START_NS + 5,
        "quality": "active_power=out_of_range,lit=missing,mode=missing",
    }


def test_doubtful_clock_is_named_once_and_keeps_the_values() -> None:
    clock = int(Quality.CLOCK)
    reading = batch(profile(), [[1.0, 7, 1, NAN]], [None], quality=[[clock, clock, clock, 2]])

    fields = parse(LineWriter(fleet()).lines([reading]).line(0)).fields

    assert fields["quality"] == "time=clock,mode=sentinel"
    assert fields["active_power"] == 1.0


def test_a_valid_reading_has_no_quality_beside_one_that_has() -> None:
    lines = LineWriter(fleet()).lines([batch(profile(), [[1, 1, 1, 1], [NAN, 1, 1, 1]])])

    assert ["quality" in parse(lines.line(i)).fields for i in range(2)] == [False, True]


def test_area_and_feeder_are_those_of_the_event_time() -> None:
    city = fleet(
        assignments=(
            Assignment("L0", "P1", 0, START_NS + 10),
            Assignment("L0", "P0", START_NS + 10, START_NS + 20),
        )
    )
    city = replace(city, assets=(replace(city.assets[0], area="other"), *city.assets[1:]))
    times = [START_NS, START_NS + 10, START_NS + 20, START_NS + 9]
    writer = LineWriter(city)

    for _ in range(2):  # the second time from the cache
        lines = writer.lines([batch(profile(), [[1, 1, 1, 1]] * 4, time_ns=times)])
        tags = [parse(lines.line(i)).tags for i in range(4)]
        assert [tag["area"] for tag in tags] == ["Phú Lợi", "other", "bench", "Phú Lợi"]
        assert [tag.get("feeder") for tag in tags] == ["F 1", None, None, "F 1"]


def test_lines_name_the_reading_they_came_from() -> None:
    led, flood = profile(), profile("flood", (POWER,), (), (), "water_level")
    first = batch(led, [[1, 1, 1, 1]] * 2, sequence=7)
    second = batch(flood, [[2.0]], device=[2], sequence=8)
    third = batch(led, [[3, 1, 1, 1]], sequence=9)

    lines = LineWriter(fleet()).lines([first, second, third])

    found = {
        (int(lines.sequence[i]), int(lines.index[i])): parse(lines.line(i)).fields["active_power"]
        for i in range(len(lines))
    }
    assert found == {(7, 0): 1.0, (7, 1): 1.0, (9, 0): 3.0, (8, 0): 2.0}


def test_same_readings_give_the_same_bytes() -> None:
    readings = batch(profile(), [[1.25, 1, 0, 2], [NAN, 2, 1, 0]], ["a", None])
    assert LineWriter(fleet()).lines([readings]).body == LineWriter(fleet()).lines([readings]).body


def test_parts_keep_every_line_within_both_limits() -> None:
    lines = LineWriter(fleet()).lines([batch(profile(), [[i, i, 1, 1] for i in range(100)])])
    longest = int(np.diff(lines.starts).max())

    for lines_max, bytes_max in ((7, 10**9), (10**9, 3 * longest), (10**9, 1)):
        parts = list(lines.parts(lines_max, bytes_max))
        assert b"".join(part.body for part in parts) == lines.body
        assert all(len(part) <= lines_max for part in parts)
        assert all(len(part.body) <= max(bytes_max, longest) for part in parts)
        assert [int(i) for part in parts for i in part.index] == list(range(100))


def test_no_readings_give_no_lines() -> None:
    lines = LineWriter(fleet()).lines([batch(profile(), [])])
    assert (len(lines), lines.body, list(lines.parts(10, 10))) == (0, b"", [])


def test_numbers_only_leaves_text_out_and_writes_enum_codes() -> None:
    lines = LineWriter(fleet(), numbers_only=True).lines([batch(profile(), [[NAN, 1, 0, 2]], ["x"])])
    assert parse(lines.line(0)).fields == {
        "received_at": START_NS + 5,
        "energy": 1,
        "lit": False,
        "mode": 2.0,
    }


@pytest.mark.parametrize(
    "name", ["time", "received_at", "device", "a b", "a=b", "1st", "", "ä", "Power", "a\nb"]
)
def test_a_field_name_the_store_would_misread_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="field name"):
        LineWriter(fleet()).lines([batch(profile(numeric=(Field(name, "", FieldKind.FLOAT),)), [[1.0]])])


def test_a_static_tag_can_not_shadow_the_device() -> None:
    with pytest.raises(ConfigurationError, match="tag device"):
        LineWriter(fleet()).lines([batch(profile(tags=(("device", "L9"),)), [[1, 1, 1, 1]])])


finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\\", '"', '\\"', "a\\", "x\ny", "\x00", "a=1,b=2 3", "\ud800", "\u2028", "', drop"]
)


def cleaned(text: str) -> str:
    return "".join(
        "\ufffd"
        if ord(c) < 32 or 0x7F <= ord(c) <= 0x9F or c in "\u2028\u2029" or 0xD800 <= ord(c) <= 0xDFFF
        else c
        for c in text
    )


@given(
    rows=st.lists(
        st.tuples(
            finite | st.just(NAN),
            st.integers(-(2**53), 2**53).map(float) | st.just(NAN),
            st.sampled_from([0.0, 1.0, NAN]),
            st.sampled_from([0.0, 1.0, 2.0, NAN]),
            st.none() | texts,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_line_reads_back_to_the_same_values(
    rows: list[tuple[float, float, float, float, str | None]],
) -> None:
    of = profile()
    lines = LineWriter(fleet()).lines([batch(of, [row[:4] for row in rows], [row[4] for row in rows])])

    assert lines.body.count(b"\n") == len(rows)
    for i, (power, energy, lit, mode, note) in enumerate(rows):
        fields = parse(lines.line(i)).fields
        expected = {
            POWER.name: None if math.isnan(power) else power,
            ENERGY.name: None if math.isnan(energy) else int(energy),
            LIT.name: None if math.isnan(lit) else bool(lit),
            MODE.name: None if math.isnan(mode) else of.numeric[3].labels[int(mode)],
            NOTE.name: None if note is None else cleaned(note),
        }
        assert {name: fields.get(name) for name in expected} == expected
        if not math.isnan(power):
            assert struct.pack("d", fields[POWER.name]) == struct.pack("d", power)


@given(name=st.text(st.characters(), min_size=1, max_size=12), area=texts, maker=texts)
def test_no_name_in_a_tag_can_break_out_of_it(name: str, area: str, maker: str) -> None:
    city = replace(fleet(area=area or "x"), devices=(Device(name, "led"),), assignments=())
    city = replace(city, assignments=(Assignment(name, "P1", 0, 2**63 - 1),))

    lines = LineWriter(city).lines([batch(profile(tags=(("maker", maker),)), [[1, 1, 1, 1]])])

    assert lines.body.count(b"\n") == 1
    point = parse(lines.line(0))
    assert set(point.tags) <= {"device", "area", "feeder", "maker", "profile"}
    allowed = "".join(c if c.isprintable() and c != "\\" else "\ufffd" for c in name)
    assert point.tags["device"] == allowed


def test_what_no_store_can_hold_never_reaches_a_line() -> None:
    rows = [[math.inf, -math.inf, 1, 1], [1.0, 2.0**63, 1, 1e300], [1.0, -1e300, 1, -1]]
    lines = LineWriter(fleet()).lines([batch(profile(), rows, quality=[[0] * 4] * 3)])

    found = [set(parse(lines.line(i)).fields) - {"received_at"} for i in range(3)]
    assert found == [{"lit", "mode"}, {"active_power", "lit"}, {"active_power", "lit"}]


def test_a_large_block_has_the_same_lines_as_small_ones() -> None:
    rows = [[i if i % 7 else NAN, i, i % 2, i % 3] for i in range(CSV_LINES_MIN + 1)]
    texts = [None if i % 5 else f'"{i}\\' for i in range(len(rows))]
    times = [START_NS + i for i in range(len(rows))]
    writer = LineWriter(fleet())
    whole = writer.lines([batch(profile(), rows, texts, time_ns=times)])
    single = [
        writer.lines([batch(profile(), [row], [text], time_ns=[time])]).body
        for row, text, time in zip(rows, texts, times, strict=True)
    ]
    assert whole.body == b"".join(single)


def test_a_device_that_moves_has_the_series_of_each_place() -> None:
    city = fleet(
        assignments=[Assignment("L0", f"P{i % 4}", START_NS + i, START_NS + i + 1) for i in range(64)]
    )
    writer = LineWriter(city)
    for i in range(64):
        lines = writer.lines([batch(profile(), [[1, 1, 1, 1]], time_ns=[START_NS + i])])
        assert parse(lines.line(0)).tags.get("feeder") == ("F 1" if i % 4 else None)
    both = writer.lines([batch(profile(), [[1, 1, 1, 1]] * 3, time_ns=[START_NS + i for i in (1, 0, 5)])])
    assert [parse(both.line(i)).tags.get("feeder") for i in range(3)] == ["F 1", None, "F 1"]
