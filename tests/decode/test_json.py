"""The JSON decoder: the typed and the slow way agree on good input, and bad input is only ever data."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.decode.json import JsonDecoder
from gateway.decode.profile import Profile
from gateway.decode.salvage import Salvage
from gateway.decode.samples import REASONS, Refused
from gateway.model import TIME_ABSENT

NAMES = [
    "luminaire-controller",
    "feeder-cabinet",
    "air-quality",
    "noise",
    "weather",
    "flood-level",
    "traffic-counter",
    "submeter",
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(
        ["", "1.5", "nan", "1e999", "ON", "AUTO", "N", "open", "M1", "2026-11-21T11:00:00Z", "\x00"]
    ),
    st.text(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def place(document: dict[str, Any], steps: tuple[str | int, ...], value: Any) -> None:
    node: Any = document
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        inner: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            node.extend([None] * (step + 1 - len(node)))
            if following is None or not isinstance(node[step], type(inner)):
                node[step] = inner
        elif following is None:
            node[step] = inner
        else:
            node.setdefault(step, inner)
        node = node[step]


def good_value(draw: Any, profile: Profile, steps: Any) -> Any:
    for field in profile.fields:
        if field.path.steps != steps.steps:
            continue
        if field.codes:
            return draw(st.sampled_from(list(field.codes)))
        if field.kind.value == "text":
            return draw(st.text(alphabet="abc-.0123456789áđ", max_size=12))
        number = draw(st.one_of(st.integers(-(2**52), 2**52), st.floats(-1e9, 1e9)))
        return f"{number:.6f}" if field.text_number else number
    if profile.time.path == steps:
        if profile.time.format == "iso8601":
            return draw(
                st.sampled_from(
                    ["2026-11-21T11:05:00Z", "2026-11-21T18:05:00.25+07:00", "2026-11-21T18:05:00"]
                )
            )
        return draw(st.integers(0, 2**61))
    return draw(st.sampled_from(["FL-01", "TC-01", "M1", 17]))


@st.composite
def documents(draw: Any, profile: Profile, *, good: bool) -> dict[str, Any]:
    """A payload near the schema: any subset of its paths, each with a value of the right (or any) type."""
    paths = [field.path for field in profile.fields]
    paths += [path for path in (profile.time.path, profile.id_path) if path is not None]

    def fill(of_message: bool) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for path in paths:
            if path.of_message == of_message and draw(st.integers(0, 3)):
                odd = not good and not draw(st.integers(0, 3))
                place(document, path.steps, draw(ODD) if odd else good_value(draw, profile, path))
        return document

    if profile.records is None:
        return fill(False)
    document = fill(True)
    records = [fill(False) for _ in range(draw(st.integers(1 if good else 0, 3)))]
    place(document, profile.records.steps, records if good else draw(st.one_of(st.just(records), ODD)))
    return document


def check(profile: Profile, payloads: list[bytes]) -> None:
    samples, refusals = JsonDecoder(profile).decode(payloads)
    n = len(samples.message)
    fields = len(profile.spec.numeric)
    assert samples.raw.shape == samples.quality.shape == (fields, n)
    assert samples.time_ns.dtype == np.int64
    assert len(samples.ids) == n
    assert all(len(column) == n for column in samples.texts.values())
    assert {*samples.message.tolist()} | {r.message for r in refusals} == set(range(len(payloads)))
    assert not {*samples.message.tolist()} & {r.message for r in refusals}
    assert all(r.reason in REASONS for r in refusals)
    assert (np.isnan(samples.raw) == (samples.quality != 0)).all()
    order = list(zip(samples.message.tolist(), samples.sample.tolist(), strict=True))
    assert order == sorted(order)


@given(st.data())
@pytest.mark.parametrize("name", NAMES)
def test_arbitrary_bytes_are_only_ever_data(
    profiles: dict[str, Profile], name: str, data: st.DataObject
) -> None:
    check(profiles[name], data.draw(st.lists(st.binary(max_size=80), max_size=4)))


@given(st.data())
@pytest.mark.parametrize("name", NAMES)
def test_json_near_the_schema_is_only_ever_data(
    profiles: dict[str, Profile], name: str, data: st.DataObject
) -> None:
    profile = profiles[name]
    found = data.draw(st.lists(documents(profile, good=False), min_size=1, max_size=3))
    payloads = [
        json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass") for document in found
    ]
    cut = data.draw(st.integers(0, len(payloads[0])))
    check(profile, [*payloads, payloads[0][:cut]])


@given(st.data())
@pytest.mark.parametrize("name", NAMES)
def test_typed_and_slow_way_agree(profiles: dict[str, Profile], name: str, data: st.DataObject) -> None:
    profile = profiles[name]
    good = data.draw(st.booleans())
    payload = json.dumps(data.draw(documents(profile, good=good))).encode()
    samples, refusals = JsonDecoder(profile).decode([payload])
    try:
        rows = Salvage(profile).rows(payload)
    except Refused as refused:
        assert [r.reason for r in refusals] == [refused.reason]
        return
    assert not refusals
    np.testing.assert_array_equal(samples.raw.T, np.array([row.raw for row in rows]))
    np.testing.assert_array_equal(samples.quality.T, np.array([row.quality for row in rows]))
    assert samples.time_ns.tolist() == [row.time_ns for row in rows]
    assert samples.ids == [row.id for row in rows]
    for k, field in enumerate(profile.texts):
        assert samples.texts[field.name] == [row.texts[k] for row in rows]


@given(st.data())
@pytest.mark.parametrize("name", NAMES)
def test_a_broken_neighbour_changes_no_reading(
    profiles: dict[str, Profile], name: str, data: st.DataObject
) -> None:
    profile = profiles[name]
    good = json.dumps(data.draw(documents(profile, good=True))).encode()
    decoder = JsonDecoder(profile)
    alone, _ = decoder.decode([good])
    beside, _ = decoder.decode([data.draw(st.binary(max_size=20)), good, b"{" + good, good])
    mine = beside.message == 1
    np.testing.assert_array_equal(alone.raw, beside.raw[:, mine])
    np.testing.assert_array_equal(alone.time_ns, beside.time_ns[mine])


@given(st.dictionaries(st.integers(0, 599), st.sampled_from(['{"rh":null}', "{}", '{"rh":1e2}']), max_size=9))
@example({255: '{"rh":null}', 256: "{}", 257: '{"rh":null}', 599: '{"rh":null}'})
def test_what_is_null_or_left_out_is_missing_in_its_own_row(
    profiles: dict[str, Profile], odd: dict[int, str]
) -> None:
    payloads = [odd.get(n, f'{{"rh":{n / 8},"t":1.5}}') for n in range(600)]
    samples, _ = JsonDecoder(profiles["weather"]).decode([payload.encode() for payload in payloads])
    wanted = [json.loads(payload).get("rh") for payload in payloads]
    assert samples.message.tolist() == list(range(600))
    assert samples.raw[1].tolist() == pytest.approx(
        [math.nan if v is None else v for v in wanted], nan_ok=True
    )


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        ("18446744073709551616", 2.0**64),
        ("-0", 0.0),
        ("1e-400", 0.0),
        ("1e400", math.inf),
        ("9" * 5000, math.inf),
    ],
)
def test_numbers_at_the_edge(profiles: dict[str, Profile], number: str, raw: float) -> None:
    samples, refusals = JsonDecoder(profiles["weather"]).decode([f'{{"rh":{number}}}'.encode()])
    assert not refusals
    assert samples.raw[1].tolist() == [raw]


@given(st.integers(-(2**62), 2**62))
@example(1_700_000_000_123_456_789)
def test_nanoseconds_stay_exact(profiles: dict[str, Profile], time_ns: int) -> None:
    samples, _ = JsonDecoder(profiles["flood-level"]).decode([f'{{"ns":{time_ns},"mm":1}}'.encode()])
    assert samples.time_ns.tolist() == [time_ns]


@given(st.integers(0, 2**52))
def test_whole_microseconds_stay_exact(profiles: dict[str, Profile], time_us: int) -> None:
    samples, _ = JsonDecoder(profiles["weather"]).decode([f'{{"ts":{time_us},"rh":1}}'.encode()])
    assert samples.time_ns.tolist() == [time_us * 1000]


@pytest.mark.parametrize(
    ("stamp", "time_ns"),
    [
        ("2026-11-21T11:05:00Z", 1_795_259_100_000_000_000),
        ("2026-11-21T18:05:00+07:00", 1_795_259_100_000_000_000),
        ("2026-11-21T18:05:00+0700", 1_795_259_100_000_000_000),
        ("2026-11-21T18:05:00", 1_795_259_100_000_000_000),  # the profile's zone is +07:00
        ("2026-11-21T18:05", 1_795_259_100_000_000_000),  # only the slow way reads it
        ("2026-11-21 11:05:00.000001Z", 1_795_259_100_000_001_000),
        ("9999-12-31T23:59:59Z", 2**62 // 1000 * 1000),
        ("0001-01-01T00:00:00", -(2**62) // 1000 * 1000 + 1000),
        ("2026-13-01T00:00:00Z", TIME_ABSENT),
        ("now", TIME_ABSENT),
    ],
)
def test_iso_8601(profiles: dict[str, Profile], stamp: str, time_ns: int) -> None:
    samples, _ = JsonDecoder(profiles["feeder-cabinet"]).decode(
        [json.dumps({"time": stamp, "hz": 50}).encode()]
    )
    assert samples.time_ns.tolist() == [time_ns]


def test_depth_is_counted_outside_strings_only(profiles: dict[str, Profile]) -> None:
    decoder = JsonDecoder(profiles["weather"])
    in_a_string = b'{"rh":50,"x":"' + b"[" * 2000 + b'"}'
    deep = b'{"rh":50,"x":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b',"pad":"' + b" " * 512 + b'"}'
    samples, refusals = decoder.decode([in_a_string, deep, b"[" * 60_000])
    assert samples.message.tolist() == [0]
    assert [r.reason for r in refusals] == ["too_deep", "too_deep"]
