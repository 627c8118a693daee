"""A whole city that reports. In: inventory, profiles, faults, a seed. Out: MQTT messages in order of time.

Pure: what is due until a time is computed, never waited for. The same arguments give the same bytes, however
the run is cut into calls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from gateway.decode.profile import Profile
from gateway.errors import ConfigurationError
from gateway.fleet import BENCH, Fleet
from gateway.model import Int32s, Int64s
from simulators.astronomy import DAY_NS, MINUTE_NS, SECOND_NS, Sky
from simulators.cabinet import Cabinets
from simulators.district import Plans
from simulators.fault import Fault, truth
from simulators.grid import Grid
from simulators.luminaire import Luminaires
from simulators.noise import Noise
from simulators.payload import Encoder, Values
from simulators.schedule import Schedule
from simulators.sensor import Sensors

BLOCK_MESSAGES = 20_000
"""Messages are computed ahead in blocks of about this many; it bounds the memory of a run."""

BLOCK_NS_MIN, BLOCK_NS_MAX = SECOND_NS, 10 * MINUTE_NS

TELEMETRY_TOPIC = "city/<area>/<class>/<device>/up"
STATUS_TOPIC = "city/<area>/<class>/<device>/status"
_CLOCK_RESET_NS = 946_684_800_000_000_000  # 2000-01-01: what a controller without a battery wakes up with


class Message(NamedTuple):
    """One PUBLISH; ``status`` tells a last will or an "online" from telemetry."""

    time_ns: int
    device: str
    topic: str
    payload: bytes
    qos: int
    retain: bool
    status: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """Devices of one profile on one kind of asset: they are sampled and encoded together."""

    encoder: Encoder
    model: Luminaires | Cabinets | Sensors

    def payloads(self, asset: Int32s, time_ns: Int64s, clock_ns: Int64s, devices: list[str]) -> list[bytes]:
        """One payload for each (asset row, time); ``clock_ns`` is what the devices believe it is."""
        if isinstance(self.model, Sensors):
            values: Values = self.model.sample(asset, time_ns, self.encoder.names)
        else:
            values = self.model.sample(asset, time_ns)
        return self.encoder.encode(values, clock_ns, devices)


class Simulation:
    """``interval_s`` overrides the profiles' reporting intervals; topics are patterns as in the settings."""

    def __init__(
        self,
        fleet: Fleet,
        profiles: Mapping[str, Profile],
        faults: Sequence[Fault],
        seed: int,
        start_ns: int,
        interval_s: float | None = None,
        *,
        telemetry_topic: str = TELEMETRY_TOPIC,
        status_topic: str = STATUS_TOPIC,
    ) -> None:
        self._computed_ns = start_ns
        noise = Noise(seed)
        sky = _sky(fleet)
        self._fleet, self._faults = fleet, tuple(faults)
        self._plans = Plans(fleet, sky, start_ns)
        self._grid = Grid(sky, noise)
        self._luminaires = Luminaires(fleet, self._plans, self._grid, sky, noise, faults)
        self._cabinets = Cabinets(fleet, self._plans, self._luminaires, self._grid, sky, noise, start_ns)
        self._sensors = Sensors(sky, noise)
        device, asset = _in_service(fleet, start_ns)
        self.devices = tuple(fleet.devices[row].id for row in device)
        self._group_of, self._groups = self._grouped(device, asset, profiles)
        self._topics = _topics(fleet, device, asset, profiles, telemetry_topic)
        self._status_topics = _topics(fleet, device, asset, profiles, status_topic)
        intervals = [interval_s or profiles[fleet.devices[row].profile].spec.interval_s for row in device]
        interval_ns = (np.array(intervals, dtype=np.float64) * 1e9).astype(np.int64)
        self._schedule = Schedule(device, asset, interval_ns, start_ns, self._plans, noise, faults)
        rate_per_ns = float((1.0 / interval_ns).sum())
        self._block_ns = int(np.clip(BLOCK_MESSAGES / rate_per_ns, BLOCK_NS_MIN, BLOCK_NS_MAX))
        self._ahead: list[Message] = []
        self._handed = 0

    def status_topic(self, device: str) -> str:
        """Where the device's last will goes."""
        return self._status_topics[self._fleet.device_row[device]]

    def messages(self, until_ns: int) -> list[Message]:
        """What is due before ``until_ns`` and was not handed out before, in order of time."""
        due: list[Message] = []
        while True:
            end = bisect_left(self._ahead, until_ns, lo=self._handed, key=attrgetter("time_ns"))
            due += self._ahead[self._handed : end]
            self._handed = end
            if self._handed < len(self._ahead) or self._computed_ns >= until_ns:
                return due
            self._ahead = self._block(self._computed_ns, self._computed_ns + self._block_ns)
            self._handed = 0
            self._computed_ns += self._block_ns

    def truth(self) -> Iterator[dict[str, Any]]:
        """The contract's truth, one object per fault and asset."""
        return truth(self._faults, self._fleet, self._detectable_ns)

    def _block(self, from_ns: int, to_ns: int) -> list[Message]:
        self._plans.cover(to_ns)
        rows: list[tuple[int, int, Message]] = []
        for due, payload in ((self._schedule.comings, b"online"), (self._schedule.goings, b"offline")):
            found = due(from_ns, to_ns)
            for time_ns, row in zip(found.time_ns.tolist(), found.device.tolist(), strict=True):
                topic, device = self._status_topics[row], self._fleet.devices[row].id
                rows.append((time_ns, row, Message(time_ns, device, topic, payload, 1, True, True)))
        rows += self._telemetry(from_ns, to_ns)
        rows.sort(key=lambda row: row[:2])
        return [message for _, _, message in rows]

    def _telemetry(self, from_ns: int, to_ns: int) -> Iterator[tuple[int, int, Message]]:
        due = self._schedule.reports(from_ns, to_ns)
        group_of = self._group_of[due.device]
        for number, group in enumerate(self._groups):
            at = np.flatnonzero(group_of == number)
            if not len(at):
                continue
            asset, time_ns = due.asset[at], due.time_ns[at]
            rows = due.device[at].tolist()
            devices = [self._fleet.devices[row].id for row in rows]
            payloads = group.payloads(asset, time_ns, self._device_clock(asset, time_ns), devices)
            for time, row, device, payload in zip(time_ns.tolist(), rows, devices, payloads, strict=True):
                yield time, row, Message(time, device, self._topics[row], payload, 1, False, False)

    def _device_clock(self, asset: Int32s, time_ns: Int64s) -> Int64s:
        """What the devices' clocks show: right, or counting from 2000 since power came back."""
        shown = time_ns.copy()
        for fault in self._faults:
            if fault.kind == "wrong_clock":
                hit = fault.hits(asset, time_ns)
                shown[hit] += _CLOCK_RESET_NS - fault.from_ns
        return shown

    def _grouped(
        self, device: Int32s, asset: Int32s, profiles: Mapping[str, Profile]
    ) -> tuple[Int32s, list[_Group]]:
        """Group number per device row of the fleet, and the groups."""
        number: dict[tuple[str, str], int] = {}
        groups: list[_Group] = []
        group_of = np.full(len(self._fleet.devices), -1, dtype=np.int32)
        for row, place in zip(device, asset, strict=True):
            key = (self._fleet.devices[row].profile, self._fleet.assets[place].kind)
            if key not in number:
                number[key] = len(groups)
                groups.append(self._group(*key, profiles))
            group_of[row] = number[key]
        return group_of, groups

    def _group(self, name: str, kind: str, profiles: Mapping[str, Profile]) -> _Group:
        if name not in profiles:
            raise ConfigurationError("devices.csv", "profile", f"{name!r} is no device profile", "add it")
        model: Luminaires | Cabinets | Sensors = self._sensors
        if kind == "light_point":
            model = self._luminaires
        elif kind == "cabinet":
            model = self._cabinets
        encoder = Encoder(profiles[name], model.NAMES)
        if not encoder.names:
            raise ConfigurationError(
                name, "field", f"no field of it can be simulated on a {kind}", "use canonical field names"
            )
        return _Group(encoder, model)

    def _detectable_ns(self, fault: Fault, row: int) -> int | None:
        """When a perfect observer could first tell: dead lamps show when due, silent ones when supplied."""
        end_ns = min(fault.to_ns, fault.from_ns + 2 * DAY_NS)
        self._plans.cover(end_ns)
        plan = self._plans.at(row)
        if fault.kind == "lamp_failure":
            return plan.lit.first_positive_ns(fault.from_ns, end_ns)
        if fault.kind == "day_burner":
            return plan.lit.inverse().first_positive_ns(fault.from_ns, end_ns)
        return plan.supply.first_positive_ns(fault.from_ns, end_ns)


def _sky(fleet: Fleet) -> Sky:
    """The sky over the middle of the city."""
    if not fleet.assets:
        raise ConfigurationError("inventory", "", "nothing to simulate", "add light points or sensors")
    latitude = float(np.mean([asset.latitude for asset in fleet.assets]))
    longitude = float(np.mean([asset.longitude for asset in fleet.assets]))
    return Sky(latitude, longitude, fleet.time_zone)


def _in_service(fleet: Fleet, start_ns: int) -> tuple[Int32s, Int32s]:
    """(device rows, asset rows) of the devices that serve an asset when the run starts."""
    device = np.arange(len(fleet.devices), dtype=np.int32)
    asset = fleet.assets_at(device, np.full(len(device), start_ns))
    served = asset != BENCH
    return device[served], asset[served]


def _topics(
    fleet: Fleet, device: Int32s, asset: Int32s, profiles: Mapping[str, Profile], pattern: str
) -> dict[int, str]:
    """Topic per device row; the area is the label of where the device stands."""
    topics = {}
    for row, place in zip(device.tolist(), asset.tolist(), strict=True):
        it = fleet.devices[row]
        device_class = profiles[it.profile].device_class
        topic = pattern.replace("<area>", fleet.assets[place].area).replace("<class>", device_class)
        topics[row] = topic.replace("<device>", it.id)
    return topics
