"""simulate --to-journal, replay and score, as a user runs them one after the other."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from exemplars import scenario

from gateway import settings
from gateway.cli import main
from gateway.commands import replay


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of 200 lamps in ``journal``, its truth in ``truth``."""
    directory = tmp_path_factory.mktemp("night")
    (directory / "scenario.toml").write_text(scenario(7, 2, 200))
    command = ["simulate", "--scenario", str(directory / "scenario.toml"), "--honest", "--to-journal"]
    assert main([*command, str(directory / "journal"), "--truth", str(directory / "truth")]) == 0
    return directory


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_simulated_night_is_replayed_and_scored(night: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alarms = night / "alarms"
    assert main(["replay", "--journal", str(night / "journal"), "--alarms", str(alarms)]) == 0
    counted = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert counted["received"] > 8000
    assert counted["quarantined"] == 0
    assert counted["transitions"] == len(lines(alarms))
    assert main(["score", "--truth", str(night / "truth"), "--alarms", str(alarms), "--json"]) == 0
    types = json.loads(capsys.readouterr().out)["types"]
    assert {types[name]["injected"] for name in ("lampFailure", "communicationFailure", "doorOpen")} == {1}
    assert types["lampFailure"]["recall"] == types["doorOpen"]["recall"] == 1.0
    assert main(["score", "--truth", str(night / "truth"), "--alarms", str(alarms)]) == 0
    assert "doorOpen" in capsys.readouterr().out


def test_replay_gives_the_same_bytes_however_the_journal_is_cut(night: Path) -> None:
    chosen = settings.build({}, "", Path(), {})
    known = replay.configurations(night / "journal", None)
    found = []
    for stretch_bytes in (1 << 20, 1 << 20, 20_000):
        file, faults = io.StringIO(), io.StringIO()
        cut = {"stretch_bytes": stretch_bytes}
        replay.replay_journal(night / "journal", file, known, chosen, faults=faults, **cut)
        found.append(file.getvalue() + faults.getvalue())
        opened = [json.loads(line) for line in faults.getvalue().splitlines()]
        assert {fault["state"] for fault in opened} >= {"open", "verified"}
    assert len(found[0]) > 1000
    assert found[1:] == found[:1] * 2


def test_one_seed_gives_one_truth(night: Path, tmp_path: Path) -> None:
    command = ["simulate", "--scenario", str(night / "scenario.toml"), "--honest", "--to-journal"]
    assert main([*command, str(tmp_path / "a"), "--truth", str(tmp_path / "truth")]) == 0
    assert (tmp_path / "truth").read_bytes() == (night / "truth").read_bytes()
    assert {f.name for f in (tmp_path / "a").iterdir()} == {f.name for f in (night / "journal").iterdir()}
    assert main([*command, str(tmp_path / "b"), "--seed", "8", "--truth", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other").read_bytes() != (night / "truth").read_bytes()


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["replay", "--journal", "nowhere", "--alarms", "x"], 1, "no journal"),
    (["simulate", "--to-journal", "j", "--scenario", "nowhere.toml"], 2, "can not be read"),
    (["score", "--truth", "odd", "--alarms", "odd"], 2, "not truth and alarms"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd").write_text('{"a": 1}\n')
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
