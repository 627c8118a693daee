"""DuckDB: readings and cursor move together, also through kill -9; columns follow the profiles."""

import math
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from city import ENERGY, LIT, MODE, NOTE, POWER, START_NS, ManualClock, batch, fleet, profile

from gateway.errors import StoreError
from gateway.model import Counts, Field, FieldKind, ReadingBatch
from gateway.store.embedded import EmbeddedStore
from gateway.store.outcome import Position, WriteOutcome

FLEET = fleet()
SPAN = (START_NS - 10**9, START_NS + 10**12)
HOUR_NS = 3_600_000_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "readings.duckdb", [profile()], ManualClock())
    yield store
    await store.close()


async def write(store: EmbeddedStore, *batches: ReadingBatch, cursor: int = 1) -> WriteOutcome:
    return await store.write(batches, fleet=FLEET, cursor=cursor, counts=Counts(received=cursor))


async def test_every_field_type_reads_back_with_its_time(store: EmbeddedStore) -> None:
    rows = [[1.5, -(2**53), 1, 2], [math.nan, 2**53, 0, 0]]
    assert await write(store, batch(profile(), rows, ["a\nb", None])) == WriteOutcome(stored=2)

    expected = {
        "active_power": [(START_NS, 1.5)],
        "energy": [(START_NS, -(2**53)), (START_NS + 1, 2**53)],
        "lit": [(START_NS, True), (START_NS + 1, False)],
        "mode": [(START_NS, MODE.labels[2]), (START_NS + 1, "off")],
        "note": [(START_NS, "a\ufffdb")],
        "quality": [(START_NS + 1, "active_power=missing")],
        "maker": [(START_NS, "Acme, Ltd = \\"), (START_NS + 1, "Acme, Ltd = \\")],
        "area": [(START_NS, "Phú Lợi"), (START_NS + 1, "Phú Lợi")],
        "no_such_field": [],
    }
    assert {field: await store.history("L0", field, *SPAN) for field in expected} == expected


async def test_a_stored_row_is_the_stored_point_of_the_contract(store: EmbeddedStore, tmp_path: Path) -> None:
    await write(
        store, batch(profile(), [[1.5, 5, 1, 1]], device=[1]), batch(profile(), [[1, 1, 1, 1]], device=[3])
    )
    await store.close()

    with duckdb.connect(str(tmp_path / "readings.duckdb")) as connection:
        rows = connection.execute(
            "SELECT device, area, feeder, profile, epoch_ns(time), epoch_ns(received_at), quality"
            " FROM luminaire ORDER BY device"
        ).fetchall()
    assert rows == [
        ("L1", "Phú Lợi", "F 1", "led", START_NS, START_NS + 5, None),
        ("L3", "bench", None, "led", START_NS, START_NS + 5, None),
    ]


async def test_floats_are_equal_to_the_last_bit(store: EmbeddedStore) -> None:
    floats = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 123456789.123456789]
    await write(store, batch(profile(), [[x, 0, 0, 0] for x in floats]))
    found = [value for _, value in await store.history("L0", "active_power", *SPAN)]
    assert struct.pack("7d", *found) == struct.pack("7d", *floats)


async def test_what_a_column_can_not_hold_is_no_value(store: EmbeddedStore) -> None:
    rows = [[math.inf] * 4, [-math.inf, 1e300, math.inf, 1e300]]
    assert (await write(store, batch(profile(), rows, quality=[[0] * 4] * 2))).stored == 2
    for field in (POWER, ENERGY, LIT, MODE):
        assert await store.history("L0", field.name, *SPAN) == []


async def test_an_enum_code_without_a_label_is_no_value(store: EmbeddedStore) -> None:
    await write(store, batch(profile(), [[1, 1, 1, code] for code in (-2, -1, 3, 1)]))
    assert await store.history("L0", "mode", *SPAN) == [(START_NS + 3, "on")]


async def test_cursor_and_counts_come_back_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "readings.duckdb"
    first = EmbeddedStore(file, [profile()], ManualClock())
    assert await first.position() == Position(0, 0, Counts())
    await write(first, batch(profile(), [[1, 1, 1, 1]] * 3), cursor=9)
    await first.close()

    second = EmbeddedStore(file, [profile()], ManualClock())
    assert await second.position() == Position(9, 3, Counts(received=9))
    await second.close()


async def test_a_stretch_of_the_journal_is_taken_once(store: EmbeddedStore) -> None:
    readings = batch(profile(), [[1, 1, 1, 1]])
    assert (await write(store, readings, cursor=5)).stored == 1
    assert await write(store, readings, cursor=5) == WriteOutcome()
    assert len(await store.history("L0", "energy", *SPAN)) == 1


CHILD = """
import asyncio, sys
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from pathlib import Path
from city import ManualClock, batch, fleet, profile
from gateway.model import Counts
from gateway.store.embedded import EmbeddedStore

async def main():
    store, city, of = EmbeddedStore(Path(sys.argv[1]), [profile()], ManualClock()), fleet(), profile()
    cursor = (await store.position()).cursor
    while True:
        readings = batch(of, [[float(cursor), cursor, 1, 1]] * 50, sequence=cursor)
        counts = Counts(received=50 * cursor + 50)
        outcome = await store.write([readings], fleet=city, cursor=cursor + 1, counts=counts)
        assert outcome.stored == 50, outcome
        cursor += 1
        print(cursor, flush=True)

asyncio.run(main())
"""


def _write_and_be_killed(file: Path, blocks: int) -> int:
    """The last cursor a process that writes without end spoke of before kill -9."""
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    command = [sys.executable, "-c", CHILD, str(file), *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(blocks)]
        child.send_signal(signal.SIGKILL)
        return max([*said, *map(int, child.stdout.read().split())])


async def test_kill_9_neither_loses_nor_doubles(tmp_path: Path) -> None:
    file = tmp_path / "readings.duckdb"
    said = 0
    for blocks in (3, 17, 8):
        said = max(said, _write_and_be_killed(file, blocks))

    store = EmbeddedStore(file, [profile()], ManualClock())
    position = await store.position()
    assert position is not None
    assert position.cursor in (said, said + 1)  # the last word may not have been spoken
    assert position.stored == position.counts.received == 50 * position.cursor
    energies = [value for _, value in await store.history("L0", "energy", *SPAN)]
    assert sorted(energies) == [cursor for cursor in range(position.cursor) for _ in range(50)]
    await store.close()


async def test_a_profile_may_gain_fields_and_change_types(store: EmbeddedStore) -> None:
    count = Field("count", "", FieldKind.INTEGER)
    old = profile(numeric=(count,), texts=(), tags=())
    new = profile(
        numeric=(replace(count, kind=FieldKind.FLOAT), POWER), texts=(NOTE,), tags=(("maker", "x"),)
    )
    last = profile(numeric=(), texts=(replace(count, kind=FieldKind.TEXT),), tags=())

    await write(store, batch(old, [[3]], time_ns=[START_NS]), cursor=1)
    await write(store, batch(new, [[0.5, 7.0]], ["n"], time_ns=[START_NS + 1]), cursor=2)
    assert await store.history("L0", "count", *SPAN) == [(START_NS, 3.0), (START_NS + 1, 0.5)]
    assert await store.history("L0", "active_power", *SPAN) == [(START_NS + 1, 7.0)]

    empty = replace(batch(old, [[0]], time_ns=[START_NS + 2]), profile=last, texts={"count": ["many"]})
    await write(store, replace(empty, values=empty.values[:0], quality=empty.quality[:0]), cursor=3)
    assert [value for _, value in await store.history("L0", "count", *SPAN)] == ["3.0", "0.5", "many"]


async def test_history_in_windows_is_the_mean_or_the_last(store: EmbeddedStore) -> None:
    window = 60_000_000_000
    first = START_NS - START_NS % window
    times = [first, first + 1, first + window, first + 3 * window]
    rows = [[1.0, 1, 0, 0], [2.0, 2, 1, 1], [7.0, 5, 1, 2], [9.0, 6, 0, 0]]
    await write(store, batch(profile(), rows, time_ns=times))

    span = (first, first + 3 * window)
    assert await store.history("L0", "active_power", *span, 60) == [(first, 1.5), (first + window, 7.0)]
    assert await store.history("L0", "lit", *span, 60) == [(first, True), (first + window, True)]
    assert await store.history("L0", "mode", first, first + window, 60) == [(first, "on")]


async def test_names_can_not_become_commands(store: EmbeddedStore) -> None:
    evil = replace(FLEET.devices[0], id="'; DROP TABLE luminaire; --")
    city = replace(FLEET, devices=(evil, *FLEET.devices[1:]), assignments=())
    of = profile(name="x'); --", tags=(("maker", "'; --"),), texts=(NOTE,))
    await store.write([batch(of, [[1, 1, 1, 1]], ["'"])], fleet=city, cursor=1, counts=Counts())

    assert await store.history(evil.id, "note", *SPAN) == [(START_NS, "'")]
    with pytest.raises(StoreError, match="no field name"):
        await store.history("L0", 'x" FROM y; --', *SPAN)


async def test_readings_beyond_the_retention_go(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    store = EmbeddedStore(tmp_path / "r.duckdb", [profile()], clock, retention_h=2.0)
    await write(store, batch(profile(), [[1, 1, 1, 1]] * 2, time_ns=[START_NS - HOUR_NS, START_NS]), cursor=1)
    clock.now_ns += 3 * HOUR_NS // 2
    await write(store, batch(profile(), [[1, 1, 1, 1]], time_ns=[clock.now_ns]), cursor=2)

    found = await store.history("L0", "energy", START_NS - 10 * HOUR_NS, clock.now_ns + 1)
    assert [time for time, _ in found] == [START_NS, clock.now_ns]
    await store.close()


def _hold(file: Path) -> subprocess.Popen[bytes]:
    """Another process that has the file open until its input ends."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
    command = [sys.executable, "-c", code, str(file)]
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


async def test_a_file_of_another_process_pauses_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "r.duckdb"
    holder = _hold(file)
    store = EmbeddedStore(file, [profile()], ManualClock())
    outcome = await write(store, batch(profile(), [[1, 1, 1, 1]]))
    assert outcome.stored == 0
    assert "lock" in str(outcome.pause)
    assert "lock" in str(await store.health())
    with pytest.raises(StoreError):
        await store.probe()

    holder.communicate()
    assert (await write(store, batch(profile(), [[1, 1, 1, 1]]))).stored == 1
    assert await store.health() is None
    await store.close()


async def test_a_failed_write_leaves_nothing_behind(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, batch(profile(), [[1, 1, 1, 1]]), cursor=1)
    flood = profile("flood", (POWER,), (), (), "water_level")
    broken = replace(
        batch(flood, [[1.0]]), values=batch(flood, [[1.0], [2.0]]).values
    )  # columns of unlike length

    outcome = await write(store, batch(profile(), [[2, 2, 1, 1]]), broken, cursor=2)

    assert outcome.pause is not None
    assert await store.position() == Position(1, 1, Counts(received=1))
    assert (await write(store, batch(profile(), [[2, 2, 1, 1]]), batch(flood, [[1.0]]), cursor=2)).stored == 2
    assert [value for _, value in await store.history("L0", "energy", *SPAN)] == [1, 2]
