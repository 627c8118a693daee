"""Normalizing whole matrices, against a naive reference that takes one value at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import TIME_ABSENT, Columns, Field, FieldKind, ProfileSpec, Quality
from gateway.normalize.normalizer import Normalized, Normalizer

FIELDS = (
    Field("plain", "V", FieldKind.FLOAT, minimum=0, maximum=500, sentinels=(255.0, -1.0)),
    Field("tenths", "Cel", FieldKind.FLOAT, divisor=10.0, addend=-5.0, sentinels=(32767.0,), maximum=60),
    Field("count", "1", FieldKind.INTEGER, minimum=0),
    Field("flag", "", FieldKind.BOOLEAN),
    Field("mode", "", FieldKind.ENUM, labels=("a", "b", "c")),
)
SPEC = ProfileSpec(
    name="p",
    device_class="c",
    numeric=FIELDS,
    texts=(),
    tags=(),
    interval_s=900,
    silence_intervals=4,
    rules=(),
    window_past_s=3600,
    window_future_s=60,
)
NOW = 1_795_280_400_000_000_000
HOUR = 3_600_000_000_000


def columns(
    raw: list[list[float]],
    times: list[int] | None = None,
    devices: list[int] | None = None,
    spec: ProfileSpec = SPEC,
) -> Columns:
    """Samples as rows of ``raw``; NaN is missing."""
    matrix = np.array(raw, dtype=np.float64).reshape(-1, len(spec.numeric)).T
    n = matrix.shape[1]
    return Columns(
        profile=spec,
        sequence=np.full(n, 5, np.int64),
        index=np.arange(n, dtype=np.int32),
        sample=np.zeros(n, np.int32),
        device=np.array(devices or [0] * n, np.int32),
        time_ns=np.array(times if times is not None else [TIME_ABSENT] * n, np.int64),
        received_ns=NOW + np.arange(n, dtype=np.int64),
        replayed=np.zeros(n, np.bool_),
        raw=matrix,
        quality=np.where(np.isnan(matrix), Quality.MISSING, Quality.VALID).astype(np.uint8),
        texts={},
    )


def naive(field: Field, raw: float) -> tuple[float, Quality]:
    if math.isnan(raw):
        return math.nan, Quality.MISSING
    if raw in field.sentinels:
        return math.nan, Quality.SENTINEL
    value = (raw * field.multiplier + field.addend) / field.divisor
    low, high = field.minimum, field.maximum
    if field.kind is FieldKind.BOOLEAN:
        low, high = 0, 1
    elif field.kind is FieldKind.ENUM:
        low, high = 0, len(field.labels) - 1
    elif field.kind is FieldKind.INTEGER:
        high = min(high, 2**53 - 1)
    if math.isinf(value) or not low <= value <= high:
        return math.nan, Quality.OUT_OF_RANGE
    if field.kind is not FieldKind.FLOAT and value != int(value):
        return math.nan, Quality.WRONG_TYPE
    return value, Quality.VALID


RAW = st.one_of(
    st.floats(width=64),
    st.sampled_from(
        [0.0, 1.0, 2.0, -1.0, 0.5, 255.0, 32767.0, 2.0**53, 2.0**53 - 1, 500.0, 500.5, 605.0, 1e308]
    ),
)


@given(st.lists(st.lists(RAW, min_size=5, max_size=5), max_size=6))
def test_values_and_quality_equal_a_naive_reference(raw: list[list[float]]) -> None:
    result = Normalizer(1).normalize(columns(raw))
    expected = [[naive(field, value) for field, value in zip(FIELDS, row, strict=True)] for row in raw]
    kept = [row for row in expected if any(quality is Quality.VALID for _, quality in row)]
    assert len(result.batch) == len(kept)
    assert len(result.lost) == len(raw) - len(kept) == result.lost.messages
    for sample, row in enumerate(kept):
        for k, (value, quality) in enumerate(row):
            assert result.batch.quality[k, sample] == quality
            np.testing.assert_equal(result.batch.values[k, sample], value)


GOOD = [230.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("device_ns", "stored_ns", "quality", "skew_ns"),
    [
        (NOW, NOW, Quality.VALID, 0),
        (NOW - HOUR, NOW - HOUR, Quality.VALID, -HOUR),
        (NOW - HOUR - 1, NOW, Quality.CLOCK, -HOUR - 1),
        (NOW + 60_000_000_000, NOW + 60_000_000_000, Quality.VALID, 60_000_000_000),
        (NOW + 60_000_000_001, NOW, Quality.CLOCK, 60_000_000_001),
        (0, NOW, Quality.CLOCK, -NOW),
        (-(2**63) + 1, NOW, Quality.CLOCK, -(2**62) - NOW),
        (2**63 - 1, NOW, Quality.CLOCK, 2**62 - NOW),
        (TIME_ABSENT, NOW, Quality.VALID, 0),
    ],
)
def test_clock_window(device_ns: int, stored_ns: int, quality: Quality, skew_ns: int) -> None:
    result = Normalizer(1).normalize(columns([[230.0, math.nan, 0.5, 1.0, 1.0]], [device_ns]))
    batch = result.batch
    assert batch.time_ns.tolist() == [stored_ns]
    assert batch.skew_ns.tolist() == [skew_ns]
    assert batch.time_from_device.tolist() == [device_ns != TIME_ABSENT and quality is Quality.VALID]
    assert batch.quality[:, 0].tolist() == [quality, Quality.MISSING, Quality.WRONG_TYPE, quality, quality]
    assert batch.values[0, 0] == 230.0
    assert result.clock == (quality is Quality.CLOCK)


def test_what_is_lost_is_named_and_a_message_counts_only_when_nothing_of_it_is_left() -> None:
    bad = [math.nan] * 5
    given_columns = replace(
        columns([GOOD, bad, bad, bad]),
        index=np.array([0, 0, 1, 1], np.int32),
        sample=np.array([0, 1, 0, 1], np.int32),
    )
    lost = Normalizer(1).normalize(given_columns).lost
    assert lost.sequence.tolist() == [5, 5, 5]
    assert lost.index.tolist() == [0, 1, 1]
    assert lost.sample.tolist() == [1, 0, 1]
    assert lost.whole.tolist() == [False, True, True]
    assert lost.messages == 1


def test_a_text_alone_is_a_good_value() -> None:
    spec = replace(SPEC, texts=(Field("fw", "", FieldKind.TEXT),))
    one = replace(columns([[math.nan] * 5, [math.nan] * 5], spec=spec), texts={"fw": ["1.0", None]})
    batch = Normalizer(1).normalize(one).batch
    assert batch.index.tolist() == [0]
    assert batch.texts == {"fw": ["1.0"]}


def test_scale_rounds_once() -> None:
    result = Normalizer(1).normalize(columns([[1.0, 2306.0 / 10 * 1 + 5, 1, 1, 1]]))
    assert result.batch.values[1, 0] == (2306.0 / 10 + 5 - 5) / 10


# --- one nanosecond, one device ------------------------------------------------------------------


def naive_ties(readings: list[tuple[int, int]]) -> list[int]:
    """Spans of the eight latest distinct times a device, oldest forgotten first; a taken time moves on."""
    spans: dict[int, list[list[int]]] = {}
    stored = []
    for device, time_ns in readings:
        ring = spans.setdefault(device, [])
        span = next((s for s in ring if s[0] <= time_ns < s[1]), None)
        if span is None:
            ring.append([time_ns, time_ns + 1])
            del ring[:-8]
            stored.append(time_ns)
            continue
        free = span[1]
        while other := next((s for s in ring if s[0] <= free < s[1]), None):
            free = other[1]
        span[1] = free + 1
        stored.append(free)
    return stored


def stored_times(results: list[Normalized]) -> list[int]:
    return [int(t) for result in results for t in result.batch.time_ns]


READINGS = st.lists(st.tuples(st.integers(0, 2), st.integers(NOW - 12, NOW + 12)), max_size=40)


@given(READINGS, st.data())
def test_ties_equal_a_naive_reference_however_the_journal_is_cut(
    readings: list[tuple[int, int]], data: st.DataObject
) -> None:
    normalizer = Normalizer(3)
    results = []
    rest = readings
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        piece, rest = rest[:size], rest[size:]
        devices = [device for device, _ in piece]
        results.append(normalizer.normalize(columns([GOOD] * size, [t for _, t in piece], devices)))
    assert stored_times(results) == naive_ties(readings)


def test_a_thousand_readings_in_one_nanosecond_stay_apart() -> None:
    result = Normalizer(1).normalize(columns([GOOD] * 1000, [NOW] * 1000))
    assert result.batch.time_ns.tolist() == list(range(NOW, NOW + 1000))


def test_devices_do_not_move_each_other() -> None:
    result = Normalizer(2).normalize(columns([GOOD] * 3, [NOW] * 3, [0, 1, 0]))
    assert result.batch.time_ns.tolist() == [NOW, NOW, NOW + 1]
