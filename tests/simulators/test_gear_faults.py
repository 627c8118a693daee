"""What only D4i gear can tell is found in a simulated city, as one alarm each, and nothing else is said."""

from __future__ import annotations

import json
from pathlib import Path

from exemplars import NO_RATES, scored

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
{NO_RATES}
[dense]
per_kind = 3
kinds = {json.dumps(sorted(GEAR))}
"""


def test_each_fault_of_gear_relay_and_pole_is_one_alarm(tmp_path: Path) -> None:
    types = scored(tmp_path, SCENARIO)["types"]
    expected = {KINDS[kind].alarm for kind in GEAR}
    assert set(types) == expected
    assert {(found["recall"], found["false"]) for found in types.values()} == {(1.0, 0)}
    assert types["relayFailure"]["injected"] == 6  # open and welded
