"""Tickets, resets, imports and the trail through the command line, on the files of a stopped gateway."""

from __future__ import annotations

import json
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exemplars import RAISED

from gateway import wiring
from gateway.alarm.repair import Repairs
from gateway.alarms import AlarmState
from gateway.cli import main
from gateway.data_directory import STATE_FILE, DataDirectory
from gateway.journal.record import Kind, decode_control
from gateway.journal.recorded import walk
from gateway.ledger import SqliteAlarmLedger
from gateway.model import Control, Counts, Severity
from gateway.settings import read, shipped
from gateway.system_clock import SystemClock

LAMP = replace(
    RAISED,
    id="aa01",
    severity=Severity.MINOR,
    state=AlarmState.ACKNOWLEDGED,
    onset_ns=10**18,
    raised_ns=10**18,
)
LEAK = replace(LAMP, id="bb02", type="leakageDetected", asset="CB-01", state=AlarmState.LATCHED)


@pytest.fixture
async def plant(tmp_path: Path) -> Path:
    """A data directory with a lamp's fault and a latched leakage, and its configuration."""
    path = tmp_path / "citylight.toml"
    data = tmp_path / "data"
    where = f'inventory = "{shipped("new-city")}"\ndata_dir = "{data}"\n'
    path.write_text(f"[gateway]\n{where}", encoding="utf-8")
    settings = read(path)
    async with AsyncExitStack() as stack:
        files = DataDirectory(settings, SystemClock())
        await files.open(stack)
        await files.put_in_force(wiring.sources(settings).pack())
        teller = wiring.teller(settings, lambda: files.configurations.current.fleet)
        ledger = SqliteAlarmLedger(files.database, teller, SystemClock(), lambda: None)
        faults = [(1, fault) for fault in Repairs().follow([LAMP], None)]
        await ledger.commit([(1, LAMP), (1, LEAK)], 1, Counts(), None, faults)
    return path


def command(plant: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "-c", str(plant), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(plant: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "-c", str(plant)]) in {1, 2}
    return capsys.readouterr().err


def controls(plant: Path) -> list[Control]:
    stretches = walk(plant.parent / "data" / "journal", bytes_max=1 << 20)
    records = [record for stretch in stretches for record in stretch]  # type: ignore[union-attr]
    return [decode_control(r.payload) for r in records if r.kind is Kind.CONTROL]


def test_a_ticket_is_an_order_in_the_journal_and_in_the_trail(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ("--number", "SC-7", "--crew", "Đội 3", "--eta", "2036-11-21T22:00:00+07:00", "--by", "An")
    assert command(plant, capsys, "alarms", "ticket", "aa01", *told) == {"tickets": 1, "by": "An"}
    (ticket,) = [c for c in controls(plant) if c.kind == "ticket"]
    assert ticket.body["alarm"] == "aa01"
    assert (ticket.body["number"], ticket.body["crew"], ticket.body["by"]) == ("SC-7", "Đội 3", "An")
    (entry,) = command(plant, capsys, "alarms", "audit", "--about", "aa01")
    assert (entry["who"], entry["action"], entry["facts"]["number"]) == ("An", "ticket", "SC-7")
    (fault,) = command(plant, capsys, "alarms", "faults")
    assert (fault["id"], fault["state"], fault["minutes"]) == ("aa01", "open", None)
    assert fault["running_minutes"] > 0
    assert [step["event"] for step in command(plant, capsys, "alarms", "fault", "aa01")] == ["opened"]


def test_tickets_come_in_as_the_table_another_system_exports(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "tickets.csv"
    rows = "alarm;number;crew;closed_at\naa01;SC-8;Đội 1;2026-11-21T22:00:00+07:00\n"
    table.write_bytes(rows.encode("utf-16"))  # as Excel with Vietnamese settings saves it
    assert command(plant, capsys, "alarms", "tickets", str(table), "--by", "Tổ trực")["tickets"] == 1
    (ticket,) = [c for c in controls(plant) if c.kind == "ticket"]
    assert (ticket.body["number"], ticket.body["crew"]) == ("SC-8", "Đội 1")
    assert isinstance(ticket.body["closed_ns"], int)

    table.write_text("alarm,number\naa01,SC-9\nzz99,SC-10\n", encoding="utf-8")
    assert "no fault has the id 'zz99'" in refused(plant, capsys, "alarms", "tickets", str(table))
    assert len([c for c in controls(plant) if c.kind == "ticket"]) == 1


def test_a_latched_alarm_ends_by_a_reset_with_a_reason_and_by_nothing_else(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alarm = next(a for a in command(plant, capsys, "alarms", "list") if a["id"] == "bb02")
    assert (alarm["state"], alarm["isa_state"]) == ("returned", "latched")
    assert "latched" in refused(plant, capsys, "alarms", "ack", "bb02")
    assert "acknowledged" in refused(plant, capsys, "alarms", "reset", "aa01", "--comment", "x")
    done = command(plant, capsys, "alarms", "reset", "bb02", "--comment", "đã thay cáp, đo lại", "--by", "An")
    assert done == {"alarm": "bb02", "by": "An"}
    assert [c.body["comment"] for c in controls(plant) if c.kind == "reset"] == ["đã thay cáp, đo lại"]


def test_outages_are_imported_whole_or_not_at_all(
    plant: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cuts.toml"
    hours = "from = 2036-11-21T06:00:00+07:00\nto = 2036-11-21T10:00:00+07:00\n"
    good = f'[[window]]\nscope = "area:hoa-phu"\n{hours}'
    table.write_text(good + 'comment = "EVN 4711"\n', encoding="utf-8")
    assert len(command(plant, capsys, "maintenance", "import", str(table), "--by", "Bình")["windows"]) == 1
    (window,) = [c.body for c in controls(plant) if c.kind == "window"]
    assert (window["kind"], window["comment"], window["by"]) == ("grid_outage", "EVN 4711", "Bình")

    table.write_text(good + good.replace("area:hoa-phu", "feeder:F99"), encoding="utf-8")
    assert f"{table}:5: 'feeder:F99' is no place" in refused(
        plant, capsys, "maintenance", "import", str(table)
    )
    table.write_text(good.replace("to = 2036-11-21T10:00:00+07:00", "until = 5"), encoding="utf-8")
    told = refused(plant, capsys, "maintenance", "import", str(table))
    assert f"{table}:1: until: is no key of a window" in told
    csv = tmp_path / "cuts.csv"
    csv.write_text("scope,from,to\ncity,tomorrow,2036-11-21T10:00:00+07:00\n", encoding="utf-8")
    assert f"{csv}:2: from: 'tomorrow' is no time" in refused(
        plant, capsys, "maintenance", "import", str(csv)
    )
    assert len([c for c in controls(plant) if c.kind == "window"]) == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1"],
)
def test_the_file_itself_refuses_to_change_the_trail(
    plant: Path, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    command(plant, capsys, "alarms", "comment", "aa01", "--comment", "đã xem", "--by", "An")
    state = plant.parent / "data" / STATE_FILE
    with closing(sqlite3.connect(state)) as connection, pytest.raises(sqlite3.IntegrityError, match="append"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("alarms", "ack", "zz99"), "no alarm has the id 'zz99'"),
        (("alarms", "ack", "aa01", "--by", ""), "acknowledged"),
        (("alarms", "comment", "aa01", "--comment", "x", "--by", ""), "say who orders it"),
        (("alarms", "shelve", "aa01", "--for", "40d", "--comment", "x"), "longest shelf is 30 days"),
        (("alarms", "fault", "zz99"), "no fault has the id 'zz99'"),
        (("alarms", "ticket", "aa01"), "a ticket has a number"),
        (("alarms", "ticket", "aa01", "--number", "1", "--closed", "now"), "no time with an offset"),
        (("alarms", "tickets", "nothing.csv"), "can not be read"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    plant: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    before = len(controls(plant))
    told = refused(plant, capsys, *arguments)
    assert says in told
    assert told.count("\n") == 1
    assert len(controls(plant)) == before
