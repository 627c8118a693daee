"""What only D4i gear can tell is found in a simulated city, as one alarm each, and nothing else is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from simulators.fault import KINDS
from simulators.gear import GEAR

QUIET_AIR = """
[radio]
loss_median = 0
loss_p90 = 0
weak_share = 0
cellular_loss = 0
bursts_per_day = 0
gateway_outages_per_month = 0
cell_outages_per_month = 0
back_fill = 0
"""
SCENARIO = f"""
seed = 5
start = "2026-11-02T05:00:00Z"
days = 2
{QUIET_AIR}
[city]
light_points = 250
d4i_share = 1.0

[rates]
gear = 0
controller = 0
radio = 0
joint = 0
pole = 0
swap = 0
feeder_trip = 0
grid_cut = 0
dip = 0
noon_storm = 0

[dense]
per_kind = 3
kinds = {json.dumps(sorted(GEAR))}
"""


def test_each_fault_of_gear_relay_and_pole_is_one_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, journal = tmp_path / "gear.toml", tmp_path / "journal"
    truth, alarms = str(tmp_path / "truth"), str(tmp_path / "alarms")
    scenario.write_text(SCENARIO, encoding="utf-8")
    asked = ["simulate", "--scenario", str(scenario), "--to-journal", str(journal), "--truth", truth]
    assert main([*asked, "--honest"]) == 0
    assert main(["replay", "--journal", str(journal), "--alarms", alarms]) == 0
    capsys.readouterr()
    assert main(["score", "--truth", truth, "--alarms", alarms, "--json"]) == 0
    types = json.loads(capsys.readouterr().out)["types"]
    expected = {KINDS[kind].alarm for kind in GEAR}
    assert set(types) == expected
    assert {(found["recall"], found["false"]) for found in types.values()} == {(1.0, 0)}
    assert types["relayFailure"]["injected"] == 6  # open and welded
