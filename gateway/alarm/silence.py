"""communicationFailure. In: ticks, signs of life. Out: devices gone silent, devices heard again.

A device's age is what its circle counted since it was last heard: monotonic time between ticks while the
gateway listened (connected and drained) and the device's circuit had power and had settled. It pauses by day
on switched feeders and carries on the next night. The wall clock only names the instants shown to people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.alarm.circles import Circle, Circles
from gateway.alarm.circuits import Circuits
from gateway.alarm.loss import INTERVAL_S, REPORTS_A_NIGHT, LossRecord
from gateway.alarm.options import AlarmOptions
from gateway.alarm.placement import Placement
from gateway.alarm.rule import SECOND_NS
from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s, Int64s, ProfileSpec, Tick

TYPE: Final = "communicationFailure"
TICK_GAP_NS_MAX: Final = 150 * SECOND_NS
"""A longer gap between ticks is a gateway that stood still, not one that listened in vain."""
Excuse = Callable[[Int64s], Bools]
"""Of device rows: whether it is not yet to be said that they are silent."""

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


class SilenceWatch:
    """Ages of all devices of ``fleet``; one per configuration.

    ``heard_ns`` int64[devices] is the circle's count when the device was last heard, ``circuit`` where it
    hangs now (BENCH: on no circuit, or on the bench).
    """

    def __init__(
        self, fleet: Fleet, specs: Iterable[ProfileSpec], circuits: Circuits, options: AlarmOptions
    ) -> None:
        self._fleet, self._circuits = fleet, circuits
        self.placement = Placement(fleet, circuits, options)
        known = {spec.name: spec for spec in specs}
        profile = fleet.device_table.words("profile")
        specs = [known[name] for name in profile.words]
        self.interval_ns: Int64s = profile.spread((round(s.interval_s * SECOND_NS) for s in specs), np.int64)
        self._first: Int32s = profile.spread((s.silence_intervals for s in specs), np.int32)
        # Missed reports that mean silence. Who was never heard may not be mounted yet: a night tells.
        self.allowed: Int32s = np.full(len(fleet.devices), REPORTS_A_NIGHT, dtype=np.int32)
        interval_s = self.interval_ns / SECOND_NS
        least_s = np.where(interval_s < INTERVAL_S, options.often_silence_s_min, 0.0)
        self._least_ns = np.rint(np.maximum(least_s, options.silence_s_min) * SECOND_NS).astype(np.int64)
        self.loss = LossRecord(len(fleet.devices), interval_s)
        self.rate: Float64s = self.loss.rate()  # share of reports lost, as of the last review
        self.limit_ns: Int64s = self._limits()
        dates = np.unique([fleet.assignment_table.numbers(name) for name in ("from_ns", "to_ns")])
        self._boundaries: Int64s = np.setdiff1d(dates, list(_UNBOUNDED)).astype(np.int64)
        self._period = -1  # which stretch between assignment dates the circles were drawn for
        self.drawn_ns: int | None = None
        self.circles = Circles([], round(options.settle_s * SECOND_NS))
        self.circle: Int32s = np.full(len(fleet.devices), BENCH, dtype=np.int32)
        self.circuit: Int32s = np.full(len(fleet.devices), BENCH, dtype=np.int32)
        self.asset: Int32s = np.full(len(fleet.devices), BENCH, dtype=np.int32)
        self.believed = self.asset  # by the inventory
        self.heard_ns: Int64s = np.zeros(len(fleet.devices), dtype=np.int64)
        self.silent: Bools = np.zeros(len(fleet.devices), dtype=np.bool_)
        self.onset_ns: dict[int, int] = {}
        # Per circle, and one for BENCH: no device can be silent before.
        self._due_ns: Int64s = np.full(1, _NEVER_NS, dtype=np.int64)
        self.last: Tick | None = None

    def interrupt(self) -> None:
        """The session changed: the time up to the next tick is not listening time."""
        self.last = None

    def listen(self, tick: Tick) -> int:
        """Listening time (ns) that ``tick`` adds: 0 unless connected and drained throughout."""
        last, self.last = self.last, tick
        if last is None or last.boot_id != tick.boot_id:
            return 0
        if not (last.connected and last.drained and tick.connected and tick.drained):
            return 0
        elapsed_ns = tick.elapsed_ns - last.elapsed_ns
        return elapsed_ns if 0 < elapsed_ns <= TICK_GAP_NS_MAX else 0

    def advance(self, elapsed_ns: int, wall_ns: int, powered: Bools) -> None:
        """``elapsed_ns`` of listening passed up to ``wall_ns``; ``powered`` says which circuits had power."""
        self.circles.advance(elapsed_ns, wall_ns, powered)

    def find(self, wall_ns: int, excused: Excuse | None = None) -> list[Silence]:
        """The devices that went silent, in device order; not yet those that are ``excused``."""
        counted = self._counted()
        if not (counted >= self._due_ns).any():
            return []
        age = counted[self.circle] - self.heard_ns
        found = np.flatnonzero((age >= self.limit_ns) & ~self.silent & (self.circle != BENCH))
        if excused is not None:
            found = found[~excused(found)]
        if not len(found):
            return []
        self.silent[found] = True
        self._schedule()
        return [self._raised(int(row), int(age[row]), wall_ns) for row in found]

    def hear(self, devices: Int32s, time_ns: Int64s) -> list[tuple[int, Silence]]:
        """Live readings of ``devices`` at their event times; returns (position, device heard again)."""
        if not len(self.circles):
            return []
        circle = self.circle[devices]
        counted = np.where(circle == BENCH, 0, self.circles.counted_ns[circle])
        interval = self.interval_ns[devices]
        owed = (counted - self.heard_ns[devices] + interval // 2) // interval
        again = np.flatnonzero(self.silent[devices])
        owed[again] = 0  # what a silence hid was no loss of the radio
        self.loss.heard(devices, owed)
        self.heard_ns[devices] = counted
        found: list[tuple[int, Silence]] = []
        if not len(again):
            return found
        for position in again.tolist():
            row = int(devices[position])
            if self.silent[row]:
                found.append((position, self._ended(row, int(time_ns[position]), "")))
        back = devices[again]
        np.minimum.at(self._due_ns, circle[again], self.heard_ns[back] + self.limit_ns[back])
        return found

    def review(self) -> None:
        """Judge every device by what it has lost so far; a new limit holds from now on."""
        allowed = np.where(self.loss.due > 0, self.loss.allowed(self._first), REPORTS_A_NIGHT)
        self.allowed, self.rate = allowed.astype(np.int32), self.loss.rate()
        self.limit_ns = self._limits()
        self._schedule()

    @property
    def watched(self) -> Bools:
        """Devices that stand somewhere and can be silent, bool[devices]."""
        watched: Bools = (self.limit_ns < _NEVER_NS) & (self.circle != BENCH)
        return watched

    def age_ns(self) -> Int64s:
        """Counted time since each device was last heard, int64[devices]."""
        age: Int64s = self._counted()[self.circle] - self.heard_ns
        return age

    def restore(
        self, wall_ns: int, circles: Iterable[Circle], age_ns: Int64s, onset_ns: dict[int, int]
    ) -> None:
        """Take up kept state: the circles' counts, every device's age, the silent ones with their onset."""
        self.redraw(wall_ns)
        self.circles.restore(circles)
        self.heard_ns = self._counted()[self.circle] - age_ns
        self.onset_ns = dict(onset_ns)
        self.silent[list(onset_ns)] = True
        self._schedule()

    def restore_losses(self, due: Int32s, missed: Int32s, allowed: Int32s, rate: Float64s) -> None:
        """Take up what each device owed and missed, may miss (0: unknown), and what share it loses."""
        self.loss.due, self.loss.missed = due, missed
        self.rate = np.where(rate > 0, rate, self.rate)
        self.allowed = np.where(allowed > 0, allowed, REPORTS_A_NIGHT).astype(np.int32)
        self.limit_ns = self._limits()
        self._schedule()

    def learn(self, wall_ns: int) -> list[Silence]:
        """Conclude where devices really hang, from what their voltages showed; silences of who was moved."""
        if not self.placement.review(self.believed):
            return []
        self._period = -1
        return self.redraw(wall_ns)

    def redraw(self, wall_ns: int) -> list[Silence]:
        """Put devices into circles, anew when an assignment begins or ends, or when one turns out to hang
        elsewhere; who stays keeps its age. Returns the silences of devices that were taken away.
        """
        period = int(np.searchsorted(self._boundaries, wall_ns, side="right"))
        if period == self._period:
            return []
        rows = np.arange(len(self._fleet.devices), dtype=np.int32)
        self.believed = self._fleet.assets_at(rows, np.full(len(rows), wall_ns, dtype=np.int64))
        self.placement.settle(self.believed)
        asset = self.placement.places[self.believed]
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

    def _limits(self) -> Int64s:
        limit_ns = np.maximum(self.interval_ns * self.allowed, self._least_ns)
        return np.where(self._first > 0, limit_ns, _NEVER_NS)

    def _counted(self) -> Int64s:
        """Count of every circle, and 0 at the end, where BENCH points."""
        return np.concatenate((self.circles.counted_ns, [0]))

    def _ended(self, row: int, time_ns: int, reason: str) -> Silence:
        self.silent[row] = False
        limit_s = float(self.limit_ns[row]) / SECOND_NS
        return Silence(
            row, int(self.asset[row]), False, self.onset_ns.pop(row), time_ns, 0.0, limit_s, reason
        )

    def _raised(self, row: int, age_ns: int, wall_ns: int) -> Silence:
        first_missed = int(self.heard_ns[row] + self.interval_ns[row])
        onset_ns = self.circles.wall_at(int(self.circle[row]), first_missed)
        self.onset_ns[row] = onset_ns
        limit_s = float(self.limit_ns[row]) / SECOND_NS
        asset = int(self.asset[row])
        return Silence(row, asset, True, onset_ns, wall_ns, age_ns / SECOND_NS, limit_s)

    def _schedule(self) -> None:
        """Earliest count, per circle, at which another device could be silent: most ticks stop there."""
        self._due_ns = np.full(len(self.circles) + 1, _NEVER_NS, dtype=np.int64)
        rows = np.flatnonzero(~self.silent & (self.circle != BENCH))
        np.minimum.at(self._due_ns, self.circle[rows], self.heard_ns[rows] + self.limit_ns[rows])

    def _form(self, asset: Int32s) -> None:
        circles: list[Circle] = []
        self.circle = np.full(len(asset), BENCH, dtype=np.int32)
        self.circuit = self.placement.circuits_at(asset)
        placed, profile = np.flatnonzero(asset != BENCH), self._fleet.device_table.words("profile")
        alike = profile.codes[placed].astype(np.int64) * (len(self._circuits) + 1) + self.circuit[placed] + 1
        _, first, number = np.unique(alike, return_index=True, return_inverse=True)
        order = np.argsort(first)
        self.circle[placed] = np.argsort(order)[number]
        for row in placed[first[order]].tolist():
            circuit = int(self.circuit[row])
            name = "always" if circuit == BENCH else self._circuits.names[circuit]
            switched = circuit != BENCH and bool(self._circuits.switched[circuit])
            key = f"{profile.item(row)} {name}"
            circles.append(Circle(key, circuit, switched, int(self.interval_ns[row])))
        self.circles = self.circles.drawn_anew(circles)
