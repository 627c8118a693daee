"""communicationFailure. In: ticks, signs of life. Out: devices gone silent, devices heard again.

A device's age is what its circle counted since it was last heard: monotonic time between ticks while the
gateway listened (connected and drained) and the asset was due to have power. It pauses by day on switched
feeders and carries on the next night. The wall clock only names the instants shown to people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.alarm.expected import Expectation, Supply
from gateway.alarm.rule import SECOND_NS
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Int32s, Int64s, ProfileSpec, Tick

TYPE: Final = "communicationFailure"
SETTLE_S: Final = 900.0
"""After power returns: boot delay 300 s, settling 180 s and a join allowance (field notes 1 and 2)."""
TICK_GAP_S_MAX: Final = 150.0
"""A longer gap between ticks is a gateway that stood still, not one that listened in vain."""
STRETCHES_MAX: Final = 64
STRETCH_DRIFT_NS_MAX: Final = 60 * SECOND_NS
_NEVER_NS: Final = 2**62
_UNBOUNDED: Final = {int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)}


@dataclass(frozen=True, slots=True)
class Silence:
    """A device went silent, or (``raised`` False) was heard again or, by ``reason``, moved elsewhere.

    ``onset_ns`` is when its first missed report was due.
    """

    device: int
    asset: int
    raised: bool
    onset_ns: int
    time_ns: int
    age_s: float
    limit_s: float
    reason: str = ""


@dataclass(slots=True)
class Circle:
    """Devices that share profile, schedule and switching, and therefore one count of heard-or-missed time.

    ``stretches`` are (counted_ns, wall_ns) at which counting resumed: they turn a count back into an instant.
    """

    key: str
    asset: int  # any one of the circle
    switched: bool
    interval_ns: int
    counted_ns: int = 0
    energised_ns: int = 0
    stretches: list[tuple[int, int]] = field(default_factory=list)

    def advance(self, elapsed_ns: int, powered: bool, settle_ns: int, wall_ns: int) -> None:
        """``elapsed_ns`` passed up to ``wall_ns``, the asset being ``powered`` by plan or not."""
        if not powered:
            self.energised_ns = 0
            return
        before = self.energised_ns
        self.energised_ns += elapsed_ns
        settled_ns = settle_ns + self.interval_ns if self.switched else 0
        counted = self.energised_ns - max(before, min(settled_ns, self.energised_ns))
        if not counted:
            return
        start_ns = wall_ns - counted
        if not self.stretches or abs(self.wall_at(self.counted_ns) - start_ns) > STRETCH_DRIFT_NS_MAX:
            self.stretches.append((self.counted_ns, start_ns))
            del self.stretches[:-STRETCHES_MAX]
        self.counted_ns += counted

    def wall_at(self, counted_ns: int) -> int:
        """The instant at which the count stood at ``counted_ns`` (the oldest known one, if that is older)."""
        for start, wall_ns in reversed(self.stretches):
            if counted_ns >= start:
                return wall_ns + counted_ns - start
        return self.stretches[0][1]


class SilenceWatch:
    """Ages of all devices of ``fleet``; one per configuration.

    ``heard_ns`` int64[devices] is the circle's count when the device was last heard.
    """

    def __init__(
        self,
        fleet: Fleet,
        specs: Iterable[ProfileSpec],
        expectation: Expectation,
        *,
        settle_s: float = SETTLE_S,
        tick_gap_s_max: float = TICK_GAP_S_MAX,
    ) -> None:
        self._fleet = fleet
        self._expectation = expectation
        self._settle_ns = round(settle_s * SECOND_NS)
        self._gap_ns_max = round(tick_gap_s_max * SECOND_NS)
        known = {spec.name: spec for spec in specs}
        self._interval_ns = np.array(
            [round(known[d.profile].interval_s * SECOND_NS) for d in fleet.devices], dtype=np.int64
        )
        missed = np.array([known[d.profile].silence_intervals for d in fleet.devices], dtype=np.int64)
        self._limit_ns = np.where(missed > 0, self._interval_ns * missed, _NEVER_NS)
        dates = {t for a in fleet.assignments for t in (a.from_ns, a.to_ns)}
        self._boundaries = np.array(sorted(dates - _UNBOUNDED), dtype=np.int64)
        self._period = -1  # which stretch between assignment dates the circles were drawn for
        self.drawn_ns: int | None = None
        self.circles: list[Circle] = []
        self.circle: Int32s = np.full(len(fleet.devices), BENCH, dtype=np.int32)
        self.asset: Int32s = np.full(len(fleet.devices), BENCH, dtype=np.int32)
        self.heard_ns: Int64s = np.zeros(len(fleet.devices), dtype=np.int64)
        self.silent: Bools = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.onset_ns: dict[int, int] = {}
        self._due_ns: Int64s = np.empty(0, dtype=np.int64)  # per circle: no device can be silent before
        self.last: Tick | None = None

    def interrupt(self) -> None:
        """The session changed: the time up to the next tick is not listening time."""
        self.last = None

    def tick(self, tick: Tick) -> list[Silence]:
        """Advance by one tick; returns the devices that went silent, in device order."""
        moved = self._draw(tick.wall_ns)
        elapsed_ns = self._listened_ns(tick)
        self.last = tick
        if not elapsed_ns or not self.circles:
            return moved
        assets = np.array([circle.asset for circle in self.circles], dtype=np.int32)
        now = np.full(len(assets), tick.wall_ns, dtype=np.int64)
        powered = self._expectation.at(assets, now).supply_due == Supply.ON
        for circle, on in zip(self.circles, powered.tolist(), strict=True):
            circle.advance(elapsed_ns, on, self._settle_ns, tick.wall_ns)
        counted = self._counted()
        if not (counted[:-1] >= self._due_ns).any():
            return moved
        age = counted[self.circle] - self.heard_ns
        found = np.flatnonzero((age >= self._limit_ns) & ~self.silent & (self.circle != BENCH))
        self.silent[found] = True
        self._schedule()
        return moved + [self._raised(int(row), int(age[row]), tick.wall_ns) for row in found]

    def hear(self, devices: Int32s, time_ns: Int64s) -> list[tuple[int, Silence]]:
        """Live readings of ``devices`` at their event times; returns (position, device heard again)."""
        if not self.circles:
            return []
        again = np.flatnonzero(self.silent[devices])
        circle = self.circle[devices]
        self.heard_ns[devices] = self._counted()[circle]
        found = []
        for position in again.tolist():
            row = int(devices[position])
            if self.silent[row]:
                found.append((position, self._ended(row, int(time_ns[position]), "")))
        np.minimum.at(self._due_ns, circle[again], (self.heard_ns + self._limit_ns)[devices[again]])
        return found

    def _counted(self) -> Int64s:
        """Count of every circle, and 0 at the end, where BENCH points."""
        return np.array([*(circle.counted_ns for circle in self.circles), 0], dtype=np.int64)

    def _ended(self, row: int, time_ns: int, reason: str) -> Silence:
        self.silent[row] = False
        limit_s = float(self._limit_ns[row]) / SECOND_NS
        return Silence(
            row, int(self.asset[row]), False, self.onset_ns.pop(row), time_ns, 0.0, limit_s, reason
        )

    def age_ns(self) -> Int64s:
        """Counted time since each device was last heard, int64[devices]."""
        age: Int64s = self._counted()[self.circle] - self.heard_ns
        return age

    def draw(self, wall_ns: int, circles: Iterable[Circle], age_ns: Int64s, onset_ns: dict[int, int]) -> None:
        """Take up kept state: the circles' counts, every device's age, the silent ones with their onset."""
        kept = {circle.key: circle for circle in circles}
        self._draw(wall_ns)
        for circle in self.circles:
            if circle.key in kept:
                before = kept[circle.key]
                circle.counted_ns, circle.energised_ns = before.counted_ns, before.energised_ns
                circle.stretches = list(before.stretches)
        self.heard_ns = self._counted()[self.circle] - age_ns
        self.onset_ns = dict(onset_ns)
        self.silent[list(onset_ns)] = True
        self._schedule()

    def _listened_ns(self, tick: Tick) -> int:
        last = self.last
        if last is None or last.boot_id != tick.boot_id:
            return 0
        if not (last.connected and last.drained and tick.connected and tick.drained):
            return 0
        elapsed_ns = tick.elapsed_ns - last.elapsed_ns
        return elapsed_ns if 0 < elapsed_ns <= self._gap_ns_max else 0

    def _raised(self, row: int, age_ns: int, wall_ns: int) -> Silence:
        circle = self.circles[self.circle[row]]
        onset_ns = circle.wall_at(int(self.heard_ns[row]) + circle.interval_ns)
        self.onset_ns[row] = onset_ns
        limit_s = float(self._limit_ns[row]) / SECOND_NS
        asset = int(self.asset[row])
        return Silence(row, asset, True, onset_ns, wall_ns, age_ns / SECOND_NS, limit_s)

    def _schedule(self) -> None:
        """Earliest count, per circle, at which another device could be silent: most ticks stop there."""
        self._due_ns = np.full(len(self.circles), _NEVER_NS, dtype=np.int64)
        rows = np.flatnonzero(~self.silent & (self.circle != BENCH))
        np.minimum.at(self._due_ns, self.circle[rows], self.heard_ns[rows] + self._limit_ns[rows])

    def _draw(self, wall_ns: int) -> list[Silence]:
        """Put devices into circles, anew when an assignment begins or ends; who stays keeps its age."""
        period = int(np.searchsorted(self._boundaries, wall_ns, side="right"))
        if period == self._period:
            return []
        rows = np.arange(len(self._fleet.devices), dtype=np.int32)
        asset = self._fleet.assets_at(rows, np.full(len(rows), wall_ns, dtype=np.int64))
        moved = asset != self.asset
        ended = [
            self._ended(int(row), wall_ns, "configuration") for row in np.flatnonzero(moved & self.silent)
        ]
        age = np.where(moved, 0, self._counted()[self.circle] - self.heard_ns)
        self._period, self.drawn_ns, self.asset = period, wall_ns, asset
        self._form(asset)
        self.heard_ns = self._counted()[self.circle] - age
        self._schedule()
        return ended

    def _form(self, asset: Int32s) -> None:
        old = {circle.key: circle for circle in self.circles}
        numbers: dict[str, int] = {}
        self.circles = []
        self.circle = np.full(len(asset), BENCH, dtype=np.int32)
        for row in np.flatnonzero(asset != BENCH).tolist():
            place = int(asset[row])
            switched = bool(self._fleet.group_switched[place])
            schedule = self._expectation.schedule[place]
            name = self._expectation.schedule_names[schedule] if switched else "always"
            key = f"{self._fleet.devices[row].profile} {name}"
            if key not in numbers:
                numbers[key] = len(self.circles)
                self.circles.append(old.get(key) or Circle(key, place, switched, int(self._interval_ns[row])))
            self.circle[row] = numbers[key]
