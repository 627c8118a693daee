"""``citylight rules check`` over the files of a journal: what today's rules would have raised."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from district import ZONE, fleet, local

from gateway.alarm.ledger import Condition, Ledger
from gateway.alarm.wording import Wording
from gateway.cli import main
from gateway.commands.rules import Tally
from gateway.configuration import interpret
from gateway.ingest.packets import encode_publish
from gateway.journal.record import Kind, encode_arrival
from gateway.journal.segments import SegmentJournal
from gateway.model import Arrival, Severity
from gateway.settings import read, shipped
from gateway.wiring import sources

START_NS = 1_795_161_600_000_000_000

CONFIGURATION = """
[gateway]
inventory = "{inventory}"
data_dir = "{data}"
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    for file in shipped("new-city").glob("*.csv"):
        (inventory / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "citylight.toml"
    path.write_text(CONFIGURATION.format(inventory=inventory, data=tmp_path / "data"), encoding="utf-8")
    return path


async def record(directory: Path, device: str, volts: list[float]) -> None:
    """A journal in which ``device`` reports every five minutes."""
    journal = SegmentJournal(directory)
    for k, value in enumerate(volts):
        at = START_NS + k * 300_000_000_000
        payload = json.dumps({"ts": at // 1_000_000, "u": value}).encode()
        packet = encode_publish(f"city/hoa-phu/luminaire/{device}/up", payload)
        await journal.append(Kind.MESSAGES, [encode_arrival(Arrival(packet, 1, at, 1))])
    await journal.close()


async def test_a_gentler_limit_is_tried_on_history_before_it_is_put_in_force(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = interpret(sources(read(configuration)).pack(), "").fleet
    device = next(d.id for d in fleet.devices if d.profile == "luminaire-controller")
    await record(tmp_path / "journal", device, [230.0, 270.0, 270.0, 230.0, 270.0, 270.0])

    def check() -> dict[str, object]:
        arguments = ["rules", "check", "--journal", str(tmp_path / "journal"), "-c", str(configuration)]
        assert main([*arguments, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    found = check()
    assert found["types"] == {"supplyVoltageTooHigh": {"raised": 2, "told": 2, "assets": 1}}
    night = {"raised": 2, "told": 2, "types": {"supplyVoltageTooHigh": {"raised": 2, "told": 2}}}
    assert found["nights"] == [{"night": "2026-11-20", **night}]
    rules = tmp_path / "inventory" / "rules.toml"
    rules.write_text('[[override]]\nrule = "supplyVoltageTooHigh"\nraise_above = 275\n', encoding="utf-8")
    assert check()["raised"] == 0
    rules.write_text('[[override]]\nrule = "supplyVoltageTooHigh"\nraise_above = 250\n', encoding="utf-8")
    assert main(["rules", "check", "-c", str(configuration)]) == 2
    assert "rules.toml:3: override.1.raise_above: clears at 253" in capsys.readouterr().err


def test_a_directory_without_a_journal_is_refused(
    configuration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "check", "--journal", str(tmp_path), "-c", str(configuration)]) == 1
    assert "journal" in capsys.readouterr().err


def test_a_night_goes_from_noon_to_noon_and_what_was_kept_quiet_is_told_apart() -> None:
    (raised,) = Ledger(Wording(fleet())).begin(
        Condition(
            *(("lamp-1", "x"), "lampFailure", "LP1", "hoa-phu", "F1", Severity.MINOR),
            *(local("2026-11-21 02:00"), local("2026-11-21 02:00"), 0.5, 20.0, ("", "")),
        )
    )
    tally = Tally(ZONE)
    tally.count(raised)  # before dawn: of the evening before
    hidden = replace(raised, id="b", quiet=True, raised_ns=local("2026-11-21 11:59"))
    later = replace(raised, id="c", quiet=True, asset="LP2", raised_ns=local("2026-11-21 12:00"))
    for alarm in (hidden, replace(hidden, event="cleared"), later):
        tally.count(alarm)
    tally.count(replace(later, event="updated", quiet=False, raised_ns=local("2026-11-22 20:00")))
    found = tally.summary(30)
    rows = [(night["night"], night["raised"], night["told"]) for night in found["nights"]]
    assert rows == [("2026-11-20", 2, 1), ("2026-11-21", 1, 1)]
    assert found["types"]["lampFailure"] == {"raised": 3, "told": 2, "assets": 2}
    assert [night["night"] for night in tally.summary(1)["nights"]] == ["2026-11-21"]
