"""InfluxDB 1.6 and VictoriaMetrics as they are: what is written reads back, nothing is lost or doubled.

InfluxDB 2 and 3 are spoken to through a proxy that translates their write endpoints for the 1.6 server.
"""

import asyncio
import gzip
import json
import math
import struct
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from city import MODE, POWER, START_NS, ManualClock, batch, fleet, profile
from proxy import Request, proxy
from servers import InfluxDB, VictoriaMetrics, get

from gateway.errors import StoreError
from gateway.model import Counts, ReadingBatch
from gateway.store.address import InfluxSettings
from gateway.store.answer import Dialect
from gateway.store.influx import InfluxStore
from gateway.store.outcome import WriteOutcome

FLEET = fleet()
SPAN = (START_NS - 10**9, START_NS + 10**12)
NASTY = [
    "plain",
    "",
    "comma, equals = and space",
    'quote " and \\ backslash',
    "ends in \\",
    '\\"',
    "Đường Cách Mạng Tháng Tám 🌃",
    "100 %, 'single', $var, ${x}, {{y}}",
    "x" * 60_000,
]


def store_at(server: Any, dialect: Dialect = Dialect.INFLUX1, **settings: Any) -> InfluxStore:
    chosen = InfluxSettings(
        dialect=dialect, url=server.url, **{"database": "city", "timeout_s": 20.0, **settings}
    )
    return InfluxStore(chosen, [profile()], ManualClock())


async def write(store: InfluxStore, *batches: ReadingBatch) -> WriteOutcome:
    return await store.write(batches, fleet=FLEET, cursor=1, counts=Counts())


@pytest.fixture
async def store(influxdb: InfluxDB) -> AsyncIterator[InfluxStore]:
    store = store_at(influxdb)
    yield store
    await store.close()


def count(server: InfluxDB, field: str = "received_at", measurement: str = "luminaire") -> int:
    query = f"{server.url}/query?db=city&q=SELECT+count({field})+FROM+{measurement}"
    series = json.loads(get(query))["results"][0].get("series")
    return int(series[0]["values"][0][1]) if series else 0


async def test_every_field_type_reads_back_with_its_time(store: InfluxStore) -> None:
    readings = batch(profile(), [[1.5, -(2**53), 1, 2], [math.nan, 2**53, 0, 0]], ["a", None])

    outcome = await write(store, readings)

    assert outcome == WriteOutcome(stored=2)
    expected = {
        "active_power": [(START_NS, 1.5)],
        "energy": [(START_NS, -(2**53)), (START_NS + 1, 2**53)],
        "lit": [(START_NS, True), (START_NS + 1, False)],
        "mode": [(START_NS, MODE.labels[2]), (START_NS + 1, "off")],
        "note": [(START_NS, "a")],
        "quality": [(START_NS + 1, "active_power=missing")],
        "received_at": [(START_NS, START_NS + 5), (START_NS + 1, START_NS + 6)],
    }
    assert {field: await store.history("L0", field, *SPAN) for field in expected} == expected


async def test_floats_are_equal_to_the_last_bit(store: InfluxStore) -> None:
    bits = np.random.default_rng(7).integers(0, 2**64, 3000, dtype=np.uint64).view(np.float64)
    edges = [0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 123456789.123456789]
    floats = [float(x) for x in bits if math.isfinite(x)] + edges

    assert (await write(store, batch(profile(), [[x, 0, 0, 0] for x in floats]))).stored == len(floats)

    found = [value for _, value in await store.history("L0", "active_power", *SPAN)]
    assert all(type(value) is float for value in found)
    assert struct.pack(f"{len(found)}d", *found) == struct.pack(f"{len(floats)}d", *floats)


async def test_nasty_strings_read_back_as_they_are(store: InfluxStore) -> None:
    assert (await write(store, batch(profile(), [[1, 1, 1, 1]] * len(NASTY), NASTY))).stored == len(NASTY)
    assert [value for _, value in await store.history("L0", "note", *SPAN)] == NASTY


async def test_control_characters_can_not_make_a_second_point(influxdb: InfluxDB, store: InfluxStore) -> None:
    attack = "x\nevil,device=L9 active_power=1 1790000000000000000\n\x00"

    assert (await write(store, batch(profile(), [[1, 1, 1, 1]], [attack]))).stored == 1

    measurements = json.loads(get(f"{influxdb.url}/query?db=city&q=SHOW+MEASUREMENTS"))["results"][0][
        "series"
    ]
    assert measurements[0]["values"] == [["luminaire"]]


async def test_history_in_windows_is_the_mean_or_the_last(store: InfluxStore) -> None:
    window = 60_000_000_000
    first = START_NS - START_NS % window
    times = [first, first + 1, first + window, first + 3 * window]
    rows = [[1.0, 1, 0, 0], [2.0, 2, 1, 1], [7.0, 5, 1, 2], [9.0, 6, 0, 0]]
    await write(store, batch(profile(), rows, time_ns=times))

    assert await store.history("L0", "active_power", first, first + 3 * window, 60) == [
        (first, 1.5),
        (first + window, 7.0),
    ]
    assert await store.history("L0", "lit", first, first + 3 * window, 60) == [
        (first, True),
        (first + window, True),
    ]
    assert (await store.history("L0", "mode", first, first + window, 60)) == [(first, "on")]


@pytest.mark.parametrize("device", ["' OR 1=1 --", '"', "\\", "L0' OR device='L1"])
async def test_a_question_can_not_be_turned_into_another(store: InfluxStore, device: str) -> None:
    await write(store, batch(profile(), [[1, 1, 1, 1]] * 2, device=[0, 1]))

    assert await store.history(device, "active_power", *SPAN) == []
    with pytest.raises(StoreError, match="no field name"):
        await store.history("L0", 'active_power" FROM x; DROP', *SPAN)


async def test_one_type_conflict_among_5000_lines_hands_back_one(
    influxdb: InfluxDB, store: InfluxStore
) -> None:
    await write(store, batch(profile(texts=()), [[1.0, 1, 1, 1]], device=[1]))
    wrong = profile(numeric=(POWER.__class__("active_power", "", MODE.kind, ("high",)),), texts=())
    good = batch(profile(texts=()), [[float(i), i, 1, 1] for i in range(4999)])
    bad = batch(wrong, [[0]], device=[2], sequence=77)

    outcome = await write(store, good, bad)

    assert (outcome.stored, outcome.pause) == (4999, None)
    (reject,) = outcome.rejects
    assert (reject.sequence, reject.device, reject.stage, reject.reason) == (
        77,
        "L2",
        "store",
        "type_conflict",
    )
    assert 'input field "active_power" on measurement "luminaire" is type string' in reject.detail
    assert reject.payload.startswith(b"luminaire,")
    assert count(influxdb) == 5000


async def test_lines_beyond_the_retention_are_handed_back(influxdb: InfluxDB) -> None:
    await asyncio.to_thread(
        _query, influxdb, "CREATE RETENTION POLICY hour ON city DURATION 1h REPLICATION 1"
    )
    now = ManualClock().wall_ns()
    times = [now - i * 1000 for i in range(100)] + [START_NS - 10**18, START_NS - 10**18 + 1]
    store = store_at(influxdb, retention_policy="hour")
    outcome = await write(store, batch(profile(), [[1, 1, 1, 1]] * 102, time_ns=times))
    await store.close()

    assert outcome.stored == 100
    assert [(reject.index, reject.reason) for reject in outcome.rejects] == [
        (100, "too_old"),
        (101, "too_old"),
    ]


def _query(server: InfluxDB, text: str) -> None:
    body = urllib.parse.urlencode({"q": text}).encode()
    urllib.request.urlopen(f"{server.url}/query", body, timeout=10).close()


async def test_probe_is_content_with_nanoseconds(store: InfluxStore) -> None:
    await store.probe()
    assert await store.health() is None


@pytest.mark.parametrize("cut", [1_000, 1_000_000])
async def test_probe_finds_out_a_store_that_cuts_times(influxdb: InfluxDB, cut: int) -> None:
    async with proxy(influxdb.url) as between:
        store = store_at(between)

        async def rule(request: Request) -> None:
            if request.path == "/write":
                start, time = gzip.decompress(request.body).rsplit(b" ", 1)
                request.body = gzip.compress(start + b" %d\n" % (int(time) // cut * cut))

        between.rule = rule
        with pytest.raises(StoreError, match="not taken as nanoseconds") as error:
            await store.probe()
        assert not error.value.retryable
        await store.close()


async def test_probe_finds_out_a_wrong_precision(influxdb: InfluxDB) -> None:
    async with proxy(influxdb.url) as between:
        store = store_at(between)

        async def rule(request: Request) -> None:
            if request.path == "/write":
                request.query["precision"] = "s"

        between.rule = rule
        with pytest.raises(StoreError, match=r"refused a probe point.*time outside range"):
            await store.probe()
        await store.close()


async def test_missing_database_pauses_and_names_it(influxdb: InfluxDB) -> None:
    store = store_at(influxdb, database="nowhere")

    outcome = await write(store, batch(profile(), [[1, 1, 1, 1]]))

    assert (outcome.stored, outcome.rejects, outcome.retry_after_s) == (0, (), 30.0)
    assert outcome.pause == 'database_missing: HTTP 404 database not found: "nowhere"'
    assert "nowhere" in str(await store.health())
    await store.close()


async def test_a_new_secret_is_used_after_a_401(influxdb: InfluxDB) -> None:
    secrets = iter(["old", "new"])
    async with proxy(influxdb.url) as between:
        store = store_at(between, username="gateway", secret=lambda: next(secrets))

        async def rule(request: Request) -> web.Response | None:
            right = request.headers.get("Authorization") == "Basic Z2F0ZXdheTpuZXc="
            return None if right else web.json_response({"error": "authorization failed"}, status=401)

        between.rule = rule
        first = await write(store, batch(profile(), [[1, 1, 1, 1]]))
        second = await write(store, batch(profile(), [[1, 1, 1, 1]]))

        assert first.pause == "not_authorised: HTTP 401 authorization failed"
        assert second == WriteOutcome(stored=1)
        await store.close()


async def test_retry_after_is_honoured(influxdb: InfluxDB) -> None:
    async with proxy(influxdb.url) as between:
        store = store_at(between)

        async def rule(request: Request) -> web.Response:
            return web.Response(status=503, headers={"Retry-After": "7"})

        between.rule = rule
        outcome = await write(store, batch(profile(), [[1, 1, 1, 1]]))
        assert (outcome.pause, outcome.retry_after_s) == ("overloaded: HTTP 503", 7.0)
        await store.close()


@pytest.mark.parametrize("good_lines_pass", [True, False])
async def test_an_unknown_refusal_blames_lines_only_if_good_ones_pass(
    influxdb: InfluxDB, good_lines_pass: bool
) -> None:
    async with proxy(influxdb.url) as between:
        store = store_at(between)

        async def rule(request: Request) -> web.Response | None:
            poisoned = b"active_power=13.0" in gzip.decompress(request.body)
            return web.Response(status=400, text="no such thing") if poisoned or not good_lines_pass else None

        between.rule = rule
        outcome = await write(store, batch(profile(), [[i, 1, 1, 1] for i in range(20)]))
        await store.close()
    if good_lines_pass:
        assert (outcome.stored, [reject.index for reject in outcome.rejects]) == (19, [13])
    else:
        assert (outcome.stored, outcome.rejects) == (0, ())
        assert outcome.pause == "refused_line: HTTP 400 no such thing"


async def test_a_server_killed_in_the_middle_has_all_once_in_the_end(influxdb: InfluxDB) -> None:
    readings = batch(profile(), [[i, i, 1, 1] for i in range(10_000)])
    async with proxy(influxdb.url) as between:
        store = store_at(between, lines_max=1000)
        writes = 0

        async def rule(request: Request) -> None:
            nonlocal writes
            writes += request.path == "/write"
            if writes == 5:
                influxdb.kill()

        between.rule = rule
        first = await write(store, readings)
        assert first.pause is not None
        assert (first.stored, first.rejects) == (0, ())
        between.rule = None
        influxdb.start()
        assert (await write(store, readings)).stored == 10_000
        found = await store.history("L0", "energy", *SPAN)
        assert [value for _, value in found] == list(range(10_000))
        await store.close()


async def test_an_unreachable_server_pauses_longer_each_time(influxdb: InfluxDB) -> None:
    store = store_at(influxdb)
    influxdb.kill()
    outcomes = [await write(store, batch(profile(), [[1, 1, 1, 1]])) for _ in range(3)]
    assert all(outcome.pause and outcome.pause.startswith("unreachable: ") for outcome in outcomes)
    assert [outcome.retry_after_s for outcome in outcomes] == [0.5, 1.0, 2.0]
    assert await store.health()
    with pytest.raises(StoreError) as error:
        await store.probe()
    assert error.value.retryable
    await store.close()


async def test_influxdb_2_is_written_with_its_own_words(influxdb: InfluxDB) -> None:
    seen = await _translated(
        influxdb,
        Dialect.INFLUX2,
        "/api/v2/write",
        organisation="org",
        secret=lambda: "t0ken",
        database="city",
    )
    assert seen.query == {"org": "org", "bucket": "city", "precision": "ns"}
    assert seen.headers["Authorization"] == "Token t0ken"


async def test_influxdb_3_is_written_with_its_own_words(influxdb: InfluxDB) -> None:
    seen = await _translated(influxdb, Dialect.INFLUX3, "/api/v3/write_lp", secret=lambda: "t0ken")
    assert seen.query == {
        "db": "city",
        "precision": "nanosecond",
        "accept_partial": "true",
        "no_sync": "false",
    }
    assert seen.headers["Authorization"] == "Bearer t0ken"


async def _translated(server: InfluxDB, dialect: Dialect, path: str, **settings: Any) -> Request:
    async with proxy(server.url) as between:
        store = store_at(between, dialect, **settings)

        async def rule(request: Request) -> None:
            if request.path == path:
                request.path, request.query = "/write", {"db": "city"}

        between.rule = rule
        assert await write(store, batch(profile(), [[1.5, 1, 1, 1]])) == WriteOutcome(stored=1)
        if dialect is Dialect.INFLUX3:
            await store.probe()
            assert await store.history("L0", "active_power", *SPAN) == [(START_NS, 1.5)]
        await store.close()
        assert count(server) == 1
        return between.seen[0]


FLUX_ANSWER = (
    "#datatype,string,long,dateTime:RFC3339Nano,double\r\n"
    ",result,table,_time,_value\r\n,_result,0,{time}0.123456789Z,1.5\r\n\r\n"
)


async def test_influxdb_2_is_asked_in_flux(influxdb: InfluxDB) -> None:
    async with proxy(influxdb.url) as between:
        store = store_at(between, Dialect.INFLUX2, organisation="org", secret=lambda: "t0ken")

        async def rule(request: Request) -> web.Response:
            if request.path == "/api/v2/query":
                return web.Response(
                    text=FLUX_ANSWER.format(time="2026-09-21T14:13:2"), content_type="text/csv"
                )
            if request.path == "/api/v2/buckets":
                return web.json_response({"buckets": []})
            return web.Response(status=204)

        between.rule = rule
        assert await store.history("L0", "active_power", *SPAN) == [(1_790_000_000_123_456_789, 1.5)]
        question = json.loads(between.seen[-1].body)
        assert 'r.device == "L0" and r._field == "active_power"' in question["query"]
        assert question["dialect"]["dateTimeFormat"] == "RFC3339Nano"
        assert "no bucket 'city'" in str(await store.health())
        await store.close()


# --- VictoriaMetrics ------------------------------------------------------------------------------------


@pytest.fixture
async def metrics(victoria_metrics: VictoriaMetrics) -> AsyncIterator[InfluxStore]:
    store = store_at(victoria_metrics, Dialect.VICTORIAMETRICS, loss_check_s=0.0)
    yield store
    await store.close()


MS_NS = START_NS // 1_000_000 * 1_000_000


async def test_victoriametrics_keeps_numbers_and_gives_labels_back(
    victoria_metrics: VictoriaMetrics, metrics: InfluxStore
) -> None:
    now = ManualClock().wall_ns() // 1_000_000 * 1_000_000
    rows = [[1.5, 7, 1, 2], [0.1, 2**40, 0, 0]]
    outcome = await write(metrics, batch(profile(), rows, ["a", "b"], time_ns=[now - 10**9, now + 999_999]))

    assert outcome == WriteOutcome(stored=2)
    victoria_metrics.export('{__name__=~"luminaire_.+"}', samples_min=10)
    span = (now - 10**10, now + 10**10)
    expected = {
        "active_power": [(now - 10**9, 1.5), (now, 0.1)],
        "energy": [(now - 10**9, 7), (now, 2**40)],
        "lit": [(now - 10**9, True), (now, False)],
        "mode": [(now - 10**9, MODE.labels[2]), (now, "off")],
        "note": [],
    }
    assert {field: await metrics.history("L0", field, *span) for field in expected} == expected
    ((window, mean),) = await metrics.history("L0", "active_power", *span, every_s=10**6)
    assert (window, mean) == (now - now % 10**15, pytest.approx(0.8))


async def test_victoriametrics_is_probed_and_well(metrics: InfluxStore) -> None:
    await metrics.probe()
    assert await metrics.health() is None


async def test_what_victoriametrics_throws_away_is_reported(metrics: InfluxStore) -> None:
    now = ManualClock().wall_ns()
    first = await write(metrics, batch(profile(), [[1, 1, 1, 1]], time_ns=[now]))
    far = await write(metrics, batch(profile(), [[1, 1, 1, 1]], time_ns=[now + 10 * 86_400 * 10**9]))

    assert (first.thrown_away, far.stored) == (0, 1)
    lost, deadline = far.thrown_away, time.monotonic() + 10
    while lost < 5 and time.monotonic() < deadline:  # the server brings its counters up to date every second
        await asyncio.sleep(0.05)
        lost += (await write(metrics)).thrown_away
    assert lost == 5  # four fields and received_at, all answered with 204


async def test_readings_within_one_millisecond_are_counted(metrics: InfluxStore) -> None:
    now = ManualClock().wall_ns() // 1_000_000 * 1_000_000
    both = batch(profile(), [[1, 1, 1, 1]] * 4, device=[0, 0, 1, 2], time_ns=[now, now + 1, now, now])
    later = batch(profile(), [[1, 1, 1, 1]] * 2, device=[1, 1], time_ns=[now + 2, now + 1_000_000])

    assert (await write(metrics, both)).collisions == 1
    assert (await write(metrics, later)).collisions == 1


def test_settings_show_no_secret(tmp_path: Path) -> None:
    settings = InfluxSettings(dialect=Dialect.INFLUX1, url="http://x", secret=lambda: "s3cret")
    assert "s3cret" not in repr(settings)
    assert "lambda" not in repr(settings)
