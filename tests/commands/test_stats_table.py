"""The table of alarm figures as people read it: every figure with its target, in both languages."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gateway.commands.statistics import WORDS, tables

FACTS = {
    "from": "2026-11-15T00:00:00.000000000Z",
    "to": "2026-11-22T00:00:00.000000000Z",
    "told": 200,
    "suppressed": 1203,
    "per_10_min": {"mean": 0.198, "most": 14},
    "floods": [{"from": "2026-11-16T11:20:00.000000000Z", "windows": 2, "alarms": 25}],
    "flood_share": 0.002,
    "severities": {"critical": 10, "major": 30, "minor": 160},
    "chattering": [{"asset": "LP-9", "type": "highTemperature"}],
    "standing": 12,
    "stale": 1,
    "top": [{"asset": "LP-9", "type": "highTemperature", "count": 3, "share": 0.015}],
}


def printed(tongue: str) -> str:
    console = Console(file=io.StringIO(), width=120)
    for table in tables(FACTS, tongue):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("tongue", ["en", "vi"])
def test_every_figure_stands_beside_its_target(tongue: str) -> None:
    text = printed(tongue)
    missing = [pair for pair in WORDS.values() if pair[tongue == "vi"] not in text]
    assert not missing
    rows = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    most = rows[WORDS["most"][tongue == "vi"]]
    assert "14" in most
    assert WORDS["ten"][tongue == "vi"] in most
    assert "1.5 %" in rows[WORDS["top"][tongue == "vi"]]
    assert [rows[s].split()[1] for s in ("critical", "major", "minor")] == ["5.0", "15.0", "80.0"]
    assert "2026-11-16T11:20Z" in text
    assert "1,203" in text


def test_nothing_to_say_is_one_table() -> None:
    quiet = {**FACTS, "told": 0, "floods": [], "chattering": [], "top": [], "severities": {}}
    assert len(tables(quiet, "vi")) == 1
