"""What tests of several rooms begin with: one alarm, an alarm ledger in memory, a small city."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gateway.alarms import Alarm, AlarmState, Fault
from gateway.cli import main
from gateway.model import Counts, Severity

RAISED = Alarm(
    id="a1",
    type="lampFailure",
    asset="LP-1",
    device="L1",
    area="an-phu",
    feeder="F1",
    severity=Severity.MAJOR,
    state=AlarmState.UNACKNOWLEDGED,
    onset_ns=10,
    raised_ns=20,
    cleared_ns=None,
    value=0.5,
    limit=None,
    text_vi="Đèn không sáng",
    text_en="Lamp failed",
    transition=1,
    event="raised",
)
"""A lamp's alarm at its first transition; ``dataclasses.replace`` what matters to a test."""


class Remembered:
    """An alarm ledger that keeps what it is given."""

    def __init__(self) -> None:
        self.transitions: list[tuple[int, Alarm]] = []
        self.faults: list[tuple[int, Fault]] = []
        self.snapshots: list[tuple[int, bytes]] = []

    async def commit(
        self,
        transitions: Sequence[tuple[int, Alarm]],
        position: int,
        counts: Counts,
        snapshot: bytes | None,
        faults: Sequence[tuple[int, Fault]] = (),
    ) -> None:
        self.transitions += transitions
        self.faults += faults
        if snapshot is not None:
            self.snapshots.append((position, snapshot))


NO_RATES = """
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
"""
"""Of a scenario: nothing goes wrong but what is injected."""


def scenario(seed: int, days: int, light_points: int) -> str:
    """A city with one lamp failure, one silent lamp and one open door, and nothing else."""
    return f"""
seed = {seed}
days = {days}
[city]
light_points = {light_points}
[dense]
per_kind = 1
kinds = ["lamp_failure", "silence", "door_open"]
{NO_RATES}"""


def scored(place: Path, scenario: str) -> dict[str, Any]:
    """What ``citylight score --json`` says of a simulated city whose inventory is true."""
    file, journal, truth, alarms = (str(place / name) for name in ("city.toml", "journal", "truth", "alarms"))
    Path(file).write_text(scenario, encoding="utf-8")
    assert main(["simulate", "--scenario", file, "--honest", "--truth", truth, "--to-journal", journal]) == 0
    assert main(["replay", "--journal", journal, "--alarms", alarms]) == 0
    with redirect_stdout(io.StringIO()) as said:
        assert main(["score", "--truth", truth, "--alarms", alarms, "--json"]) == 0
    found: dict[str, Any] = json.loads(said.getvalue())
    return found
