"""What tests of several rooms begin with: one alarm, an alarm ledger in memory, a small city."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.alarms import Alarm, AlarmState, Fault
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
[rates]
controller = 0
joint = 0
radio = 0
gear = 0
swap = 0
dip = 0
grid_cut = 0
feeder_trip = 0
"""
