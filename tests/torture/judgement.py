"""The judgement. In: what was issued, and what store, quarantine, journal and IOC hold. Out: what is wrong.

Every value is to be equal to the last bit, nothing under a foreign name, and alarms as one undisturbed
process makes them of the same journal. Believes no counter of the gateway's.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from journal_files import records
from readings import EVIL, FLOOD, Issued, Script
from servers import InfluxDB, get

from gateway import ledger, settings, wiring
from gateway.alarms import Alarm
from gateway.configuration import Configurations
from gateway.journal.record import Record
from gateway.model import Chunk
from gateway.state import configurations
from gateway.translation import Translator

CHUNK_RECORDS = 500
EXAMPLES_MAX = 20
TAGS = {"device", "area", "feeder", "profile", "datum"}


LATE_NS = 1_800_000_000_000
"""A reading older than this when it comes raises nothing."""


@dataclass
class Fates:
    """What became of each number; ``wrong`` says in words what must not be."""

    stored: Counter[int] = field(default_factory=Counter)
    quarantined: set[int] = field(default_factory=set)
    clock: set[int] = field(default_factory=set)  # came by a clock of ours that was wrong, or very late
    wrong: dict[int, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)


def query(store: InfluxDB, text: str) -> list[dict[str, Any]]:
    """The series of an answer."""
    asked = urllib.parse.urlencode({"db": store.database, "q": text, "epoch": "ns"})
    return list(json.loads(get(f"{store.url}/query?{asked}"))["results"][0].get("series", []))


def points(store: InfluxDB, measurement: str, device: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(time, fields and tags) of one device, as stored."""
    for series in query(store, f"SELECT * FROM \"{measurement}\" WHERE device = '{device}'"):
        names = series["columns"][1:]
        for time_ns, *values in series["values"]:
            kept = zip(names, values, strict=True)
            yield time_ns, {name: value for name, value in kept if value is not None}


def look_at_store(store: InfluxDB, script: Script, issued: frozenset[int], fates: Fates) -> None:
    """Every point there is."""
    expected = {"luminaire": {f"L-{n}" for n in range(1, script.lamps + 1)}, "flood": {FLOOD}}
    for series in query(store, "SHOW TAG VALUES WITH KEY = device"):
        found = {device for _, device in series["values"]}
        fates.foreign += sorted(found - expected.get(series["name"], set()))
    for series in query(store, "SHOW MEASUREMENTS"):
        names = {name for (name,) in series["values"]}
        fates.foreign += sorted(name for name in names - set(expected) if not name.startswith("citylight"))
    for measurement, devices in expected.items():
        for device in sorted(devices):
            for time_ns, point in points(store, measurement, device):
                judge_point(script, issued, fates, measurement, time_ns, point)


def judge_point(
    script: Script,
    issued: frozenset[int],
    fates: Fates,
    measurement: str,
    time_ns: int,
    point: dict[str, Any],
) -> None:
    """One point of the store against the message it says it was."""
    if measurement == "flood":
        number = int(str(point.get("firmware_version", "")).removeprefix(f"{EVIL} ") or -1)
    else:
        number = int(point.get("switch_on_counter", -1))
    if number not in issued:
        fates.foreign.append(f"{measurement} {number} at {time_ns}: never issued")
        return
    due = script.message(number)
    again = fates.stored[number]
    fates.stored[number] += 1
    fields = {name: value for name, value in point.items() if name not in TAGS}
    received_ns, quality = fields.pop("received_at"), fields.pop("quality", "")
    doubted = "time=clock" in quality
    if doubted or abs(received_ns - due.time_ns) > LATE_NS:
        fates.clock.add(number)
    at_ns = received_ns if doubted else due.time_ns
    if fields != due.fields or point["device"] != due.device:
        fates.wrong[number] = f"{fields} is not {due.fields}"
    elif (
        not at_ns <= time_ns <= at_ns + again
    ):  # a redelivery nobody could recognise is moved by a nanosecond
        fates.wrong[number] = f"at {time_ns}, not {at_ns}"


def look_at_quarantine(state: Path, due: dict[tuple[str, bytes], tuple[int, Issued]], fates: Fates) -> None:
    """Every row; ``due`` is the poison by topic and payload."""
    with contextlib.closing(sqlite3.connect(state)) as connection:
        rows = connection.execute("SELECT topic, payload, reason, detail FROM quarantine")
        for topic, payload, reason, detail in rows:
            number, message = due.get((topic, payload), (-1, None))
            if message is None:
                fates.foreign.append(f"quarantined as {reason}: {topic} {payload[:80]!r} {detail[:80]}")
                continue
            fates.quarantined.add(number)
            if reason != message.reason:
                fates.wrong[number] = f"quarantined as {reason}, not {message.reason}"


# --- alarms -------------------------------------------------------------------------------------------


def reference(plant: Path, archive: Path) -> list[tuple[int, Alarm]]:
    """What one process that was never disturbed makes of the whole journal."""
    state = plant / "data" / "state.db"
    with contextlib.closing(sqlite3.connect(state)) as connection:
        timeline = configurations.timeline(connection)
    known = Configurations(ledger.configuration_loader(state), timeline)
    chosen = settings.read(plant / "citylight.toml", {})
    translator = Translator(wiring.translation(chosen), known.named, known.at(0))
    configuration = known.current
    engine = configuration.engine()
    transitions: list[tuple[int, Alarm]] = []
    for stretch in _stretches(found.record for found in records(archive)):
        transitions += engine.apply(_translated(translator, stretch))
    return transitions


def _translated(translator: Translator, stretch: list[Record]) -> Chunk:
    return translator.translate(stretch)


def _stretches(every: Iterable[Record]) -> Iterator[list[Record]]:
    """Consecutive records; what is damaged ends one."""
    stretch: list[Record] = []
    for record in every:
        if stretch and (record.sequence != stretch[-1].sequence + 1 or len(stretch) == CHUNK_RECORDS):
            yield stretch
            stretch = []
        stretch.append(record)
    if stretch:
        yield stretch


@dataclass
class AlarmVerdict:
    """Differences between what was due, recorded and told."""

    due: int
    missing: list[str]
    extra: list[str]
    twice: list[str]
    repeated: int
    silent: list[str]


def look_at_alarms(
    due: list[tuple[int, Alarm]], state: Path, told: list[dict[str, Any]], source: str
) -> AlarmVerdict:
    """``told`` are the events the IOC heard, in order; one repetition byte for byte is no second alarm."""
    with contextlib.closing(sqlite3.connect(state)) as connection:
        rows = connection.execute("SELECT alarm_id, number, document FROM transition").fetchall()
    recorded = {f"{alarm}/{number}": json.loads(document) for alarm, number, document in rows}
    expected = {f"{alarm.id}/{alarm.transition}": alarm.document() for _, alarm in due}
    flat = {f"{alarm.id}/{alarm.transition}": json.loads(msgspec.json.encode(alarm)) for _, alarm in due}
    heard: dict[str, dict[str, Any]] = {}
    twice, repeated = [], 0
    for event in told:
        name = f"{event['data']['id']}/{event['data']['transition']}"
        if name in heard:
            repeated += 1
            if heard[name] != event["data"]:
                twice.append(name)
        heard[name] = event["data"]
    differ = [name for name in expected.keys() & heard.keys() if expected[name] != heard[name]]
    differ += [name for name in expected.keys() & recorded.keys() if flat[name] != recorded[name]]
    return AlarmVerdict(
        due=len(expected),
        missing=sorted((expected.keys() - heard.keys()) | (expected.keys() - recorded.keys())),
        extra=sorted((heard.keys() - expected.keys()) | (recorded.keys() - expected.keys())),
        twice=sorted({*twice, *differ}),
        repeated=repeated,
        silent=[],
    )


def silent(
    script: Script, issued: np.ndarray[Any, Any], fates: Fates, told: list[dict[str, Any]]
) -> list[str]:
    """Alarms the readings call for and nobody was told of: a second opinion, by hold and limit alone.

    A lamp's stretch above the limit counts if every reading of it, and the one before and after, is stored at
    its own time.
    """
    onsets = {
        (event["data"]["asset"], event["data"]["onset"])
        for event in told
        if event["data"]["type"] == "supplyVoltageTooHigh" and event["data"]["transition"] == 1
    }
    due = []
    for lamp in range(min(script.lamps, 8)):
        numbers = [int(number) for number in issued if script.lamp(int(number)) == lamp]
        high: list[int] = []
        for before, number in zip([None, *numbers], numbers, strict=False):
            if script.high(number):
                high.append(number)
                continue
            if high and _sure(script, fates, [*high, number]) and before is not None:
                held_ms = script.time_ms(high[-1]) - script.time_ms(high[0])
                onset = np.datetime64(script.time_ms(high[0]) * 1_000_000, "ns")
                if held_ms >= script.hold_ms and (f"LP-{lamp + 1}", f"{onset}Z") not in onsets:
                    due.append(f"LP-{lamp + 1} since {onset}")
            high = []
    return due


def _sure(script: Script, fates: Fates, numbers: list[int]) -> bool:
    lamps = script.lamps
    whole = all(after - before == lamps for before, after in pairwise(numbers))
    around = [numbers[0] - lamps, *numbers]
    return whole and all(fates.stored[number] and number not in fates.clock for number in around)
