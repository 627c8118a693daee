"""A recorded night in which the gateway's wall clock is set a day ahead, and back: it raises nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from exemplars import scenario

from gateway.cli import main
from gateway.journal.record import (
    Kind,
    Record,
    decode_arrival,
    decode_session,
    decode_tick,
    encode_arrival,
    encode_session,
    encode_tick,
)
from gateway.journal.recorded import JournalWriter, walk

DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("clock")
    (directory / "scenario.toml").write_text(scenario(11, 1, 60))
    file, made = str(directory / "scenario.toml"), directory / "journal"
    command = ["simulate", "--scenario", file, "--honest", "--to-journal", str(made)]
    assert main([*command, "--truth", str(directory / "truth")]) == 0
    return made


def raised(journal: Path, alarms: Path) -> Counter[tuple[str, str]]:
    assert main(["replay", "--journal", str(journal), "--alarms", str(alarms)]) == 0
    lines = [json.loads(line) for line in alarms.read_text(encoding="utf-8").splitlines()]
    return Counter((a["type"], a["asset"]) for a in lines if a["transition"] == 1)


def ahead(record: Record) -> bytes:
    """What the same gateway writes while its wall clock is a day ahead; its monotonic clock is not."""
    payload = record.payload
    if record.kind is Kind.MESSAGES:
        arrival = decode_arrival(payload)
        return encode_arrival(replace(arrival, received_ns=arrival.received_ns + DAY_NS))
    if record.kind is Kind.TICK:
        tick = decode_tick(payload)
        return encode_tick(replace(tick, wall_ns=tick.wall_ns + DAY_NS))
    if record.kind is Kind.SESSION:
        event = decode_session(payload)
        return encode_session(replace(event, wall_ns=event.wall_ns + DAY_NS))
    return payload


def test_a_wall_clock_a_day_ahead_raises_nothing(journal: Path, tmp_path: Path) -> None:
    records = [r for stretch in walk(journal, bytes_max=1 << 20) for r in stretch]  # type: ignore[union-attr]
    first, last = len(records) * 2 // 5, len(records) * 4 // 5
    with JournalWriter(tmp_path / "wrong") as writer:
        for record in records:
            wrong = first <= record.sequence < last
            writer.append(record.kind, ahead(record) if wrong else record.payload)
    for sources in journal.iterdir():
        if not (tmp_path / "wrong" / sources.name).exists():
            shutil.copy(sources, tmp_path / "wrong")
    right = raised(journal, tmp_path / "right.jsonl")
    assert right[("lampFailure", next(asset for kind, asset in right if kind == "lampFailure"))] >= 1
    new = raised(tmp_path / "wrong", tmp_path / "wrong.jsonl") - right
    assert not new
