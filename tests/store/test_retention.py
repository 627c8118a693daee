"""Readings older than the store keeps are handed back before they are sent, by the server's own clock."""

import json
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from city import ManualClock, batch, fleet, profile
from servers import InfluxDB, VictoriaMetrics, answers

from gateway.model import Counts, ReadingBatch
from gateway.store.address import InfluxSettings
from gateway.store.answer import Dialect
from gateway.store.influx import InfluxStore
from gateway.store.outcome import WriteOutcome
from gateway.store.retention import HOUR_NS, Retention, of_metrics, of_policies

FLEET = fleet()
DATE = "Sun, 22 Nov 2026 01:23:14 GMT"
DATE_NS = 1_795_310_594_000_000_000
SECOND = 1_000_000_000


def test_the_servers_clock_decides_and_not_ours() -> None:
    retention = Retention(2 * HOUR_NS)
    assert retention.oldest_ns(5 * SECOND) is None, "nothing was heard of the server's time yet"
    retention.heard(DATE, 100 * SECOND)
    assert retention.oldest_ns(100 * SECOND) == DATE_NS - 2 * HOUR_NS
    assert retention.oldest_ns(160 * SECOND) == DATE_NS + 60 * SECOND - 2 * HOUR_NS
    retention.heard("yesterday", 200 * SECOND)
    assert retention.oldest_ns(100 * SECOND) == DATE_NS - 2 * HOUR_NS


@pytest.mark.parametrize("period_ns", [None, 0])
def test_without_a_period_nothing_is_too_old(period_ns: int | None) -> None:
    retention = Retention(period_ns)
    retention.heard(DATE, 0)
    assert retention.oldest_ns(0) is None


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        ("1", 31 * 24),
        ("2.5", 2.5 * 31 * 24),
        ("36h", 36),
        ("10d", 240),
        ("3w", 504),
        ("100y", 100 * 365 * 24),
    ],
)
def test_every_unit_of_victoriametrics(value: str, hours: float) -> None:
    line = f'flag{{name="retentionPeriod", value="{value}", is_set="true"}} 1\n'
    assert of_metrics(f"a 1\n{line}b 2\n") == int(hours * HOUR_NS)


@pytest.mark.parametrize("text", ["", 'flag{name="retentionPeriod", value="3fortnights"} 1', "garbage"])
def test_metrics_that_say_nothing(text: str) -> None:
    assert of_metrics(text) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"results": [{"error": "no"}]}', b'{"results": [{"series": 3}]}']
)
def test_policies_that_say_nothing(body: bytes) -> None:
    assert of_policies(body, "") is None


def ask(server: InfluxDB, text: str) -> dict[str, object]:
    query = urllib.parse.urlencode({"db": "city", "q": text})
    with urllib.request.urlopen(f"{server.url}/query?{query}", b"", timeout=10) as response:
        return dict(json.loads(response.read()))


def store_at(url: str, dialect: Dialect = Dialect.INFLUX1, **settings: object) -> InfluxStore:
    chosen = InfluxSettings(dialect=dialect, url=url, database="city", **settings)  # type: ignore[arg-type]
    return InfluxStore(chosen, [profile()], ManualClock())


def aged(server_ns: int, *ages_h: float) -> ReadingBatch:
    """Readings so many hours before the server's now."""
    readings = batch(profile(), [[1.0, 1, 1, 1]] * len(ages_h))
    readings.time_ns[:] = np.array([server_ns - int(age * HOUR_NS) for age in ages_h])
    return readings


async def write(store: InfluxStore, readings: ReadingBatch) -> WriteOutcome:
    return await store.write([readings], fleet=FLEET, cursor=1, counts=Counts())


def server_ns(store: InfluxStore) -> int:
    """What the store knows of the server's time by now."""
    retention, now_ns = store._retention, store._clock.monotonic_ns()
    return (retention.oldest_ns(now_ns) or 0) + (retention.period_ns or 0)


@pytest.mark.parametrize("policy", ["", "month"])
async def test_influxdb_is_asked_and_spared_what_it_would_refuse(influxdb: InfluxDB, policy: str) -> None:
    ask(influxdb, 'CREATE RETENTION POLICY "day" ON "city" DURATION 1d REPLICATION 1 DEFAULT')
    ask(influxdb, 'CREATE RETENTION POLICY "month" ON "city" DURATION 30d REPLICATION 1')
    hours = 30 * 24 if policy else 24
    store = store_at(influxdb.url, retention_policy=policy)
    await store.probe()
    assert store._retention.period_ns == hours * HOUR_NS
    now_ns = server_ns(store)

    outcome = await write(store, aged(now_ns, 1, hours + 1, hours - 1, hours + 500))

    assert outcome.stored == 2
    assert [(r.reason, r.stage, r.sequence, r.index) for r in outcome.rejects] == [
        ("too_old", "store", int(s), int(i))
        for s, i in zip(
            *(getattr(aged(now_ns, 1, 1, 1, 1), name)[[1, 3]] for name in ("sequence", "index")), strict=True
        )
    ]
    assert outcome.rejects[0].detail == f"not sent: older than the {hours} h the store keeps"
    await store.close()


async def test_only_what_is_young_enough_is_sent_at_all(influxdb: InfluxDB) -> None:
    """A server that is gone can not refuse: what is too old needs no server."""
    store = store_at(influxdb.url, retention_h=24.0)
    await store.probe()
    now_ns = server_ns(store)
    influxdb.kill()
    assert not answers(f"{influxdb.url}/ping")

    outcome = await write(store, aged(now_ns, 25, 26))

    assert (outcome.pause, outcome.stored, len(outcome.rejects)) == (None, 0, 2)
    await store.close()


async def test_victoriametrics_would_have_thrown_it_away_with_a_204(tmp_path: Path) -> None:
    class Forgetful(VictoriaMetrics):
        def command(self, binary: str) -> list[str]:
            command = super().command(binary)
            return [part.replace("-retentionPeriod=100y", "-retentionPeriod=3d") for part in command]

    with Forgetful(tmp_path / "vm") as server:
        store = store_at(server.url, Dialect.VICTORIAMETRICS, loss_check_s=0.0)
        await store._look_at_retention()
        assert store._retention.period_ns == 72 * HOUR_NS
        first = await write(store, aged(DATE_NS, 0))  # brings the server's time
        assert first.pause is None
        outcome = await write(store, aged(server_ns(store), 1, 100))
        assert (outcome.stored, [r.reason for r in outcome.rejects]) == (1, ["too_old"])
        await store.close()
