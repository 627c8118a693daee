"""Shelving, windows and the audit trail through the command line, on the files of a stopped gateway."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.data_directory import DataDirectory
from gateway.settings import read, shipped
from gateway.system_clock import SystemClock
from gateway.wiring import sources


@pytest.fixture
async def configuration(tmp_path: Path) -> Path:
    """A data directory as a gateway leaves it behind, and its configuration."""
    path = tmp_path / "citylight.toml"
    inventory, data = shipped("new-city"), tmp_path / "data"
    path.write_text(f'[gateway]\ninventory = "{inventory}"\ndata_dir = "{data}"\n', encoding="utf-8")
    settings = read(path)
    async with AsyncExitStack() as stack:
        files = DataDirectory(settings, SystemClock())
        await files.open(stack)
        await files.put_in_force(sources(settings).pack())
    return path


def command(configuration: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "-c", str(configuration), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(configuration: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "-c", str(configuration)]) in {1, 2}
    return capsys.readouterr().err


def test_windows_are_ordered_imported_and_written_down(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("maintenance", "add", "feeder:CB-01-F1", "--for", "4h", "--comment", "thay cáp", "--by", "An")
    assert command(configuration, capsys, *add)["windows"]
    table = tmp_path / "cuts.csv"
    header = "scope,kind,from,to,comment\n"
    row = "area:hoa-phu,grid_outage,2036-11-21T06:00:00+07:00,2036-11-21T10:00:00+07:00,EVN 4711\n"
    table.write_text(header + row, encoding="utf-8-sig")
    imported = command(configuration, capsys, "maintenance", "import", str(table), "--by", "Bình")
    assert len(imported["windows"]) == 1
    entries = command(configuration, capsys, "alarms", "audit")
    assert [(e["who"], e["action"], e["subject"], e["why"]) for e in entries] == [
        ("Bình", "window", "area:hoa-phu", "EVN 4711"),
        ("An", "window", "feeder:CB-01-F1", "thay cáp"),
    ]
    assert command(configuration, capsys, "alarms", "stats")["told"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("alarms", "shelve", "x", "--for", "8h", "--comment", "y"), "no alarm has the id"),
        (("maintenance", "add", "feeder:F99", "--for", "4h", "--comment", "y"), "is no place"),
        (("maintenance", "add", "city", "--comment", "y"), "one end is needed"),
        (("maintenance", "add", "city", "--to", "tomorrow", "--comment", "y"), "no time with an offset"),
        (("maintenance", "import", "nothing.csv"), "can not be read"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(
    configuration: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    told = refused(configuration, capsys, *arguments)
    assert says in told
    assert told.count("\n") == 1
