"""A whole city that reports. In: inventory, profiles, faults, a seed. Out: MQTT messages in order of time.

Pure: what is due until a time is computed, never waited for. The same arguments give the same bytes, however
the run is cut into calls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import numpy as np

from gateway.decode.profile import Profile
from gateway.errors import ConfigurationError
from gateway.fleet import BENCH, Fleet
from gateway.model import Int32s, Int64s
from simulators.astronomy import MINUTE_NS, SECOND_NS, Sky
from simulators.cabinet import Cabinets
from simulators.device_clock import RESET_NS, DeviceClocks
from simulators.district import Plans
from simulators.fault import Fault
from simulators.grid import Grid
from simulators.joining import Joining
from simulators.lies import other_programmes
from simulators.luminaire import Luminaires
from simulators.noise import Noise
from simulators.payload import Encoder, Values
from simulators.radio import Air
from simulators.scenario import Scenario
from simulators.schedule import Schedule
from simulators.sensor import Sensors
from simulators.sensor_fault import SensorFaults
from simulators.truth import Truth

BLOCK_MESSAGES = 20_000
"""Messages are computed ahead in blocks of about this many; it bounds the memory of a run."""

BLOCK_NS_MIN, BLOCK_NS_MAX = SECOND_NS, 10 * MINUTE_NS

TELEMETRY_TOPIC = "city/<area>/<class>/<device>/up"
STATUS_TOPIC = "city/<area>/<class>/<device>/status"

FOR_EVER_NS = 2**62


class Message(NamedTuple):
    """One PUBLISH; ``status`` tells a last will or an "online" from telemetry."""

    time_ns: int
    device: str
    topic: str
    payload: bytes
    qos: int
    retain: bool
    status: bool


_Row = tuple[int, int, Message]  # when it arrives, device row, and what


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
    """``interval_s`` overrides the profiles' reporting intervals; topics are patterns as in the settings.

    ``fleet`` is what is believed, ``actual`` what is (the same where not given); ``practice`` lays field
    practice over the bare physics.
    """

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
        practice: Scenario | None = None,
        actual: Fleet | None = None,
    ) -> None:
        self._start_ns = self._computed_ns = start_ns
        noise = Noise(seed)
        sky = sky_of(fleet)
        self._believed = fleet
        self._fleet = actual = fleet if actual is None else actual
        self._faults, self._practice = tuple(faults), practice
        self._plans = Plans(actual, sky, start_ns, faults)
        wander_v = () if practice is None else (practice.electrical.wander_v,)
        grid = Grid(sky, noise, *wander_v)
        self._luminaires = Luminaires(actual, self._plans, grid, sky, noise, faults, practice)
        self._cabinets = Cabinets(actual, self._plans, self._luminaires, grid, sky, noise, start_ns, faults)
        self._sensors = Sensors(sky, noise, SensorFaults(faults, len(actual.assets)))
        self._wrong_clocks = [fault for fault in faults if fault.kind == "wrong_clock"]
        device, asset = _in_service(actual, start_ns)
        self.devices = tuple(fleet.devices[row].id for row in device)
        self._group_of, self._groups = self._grouped(device, asset, profiles)
        self._topics = _topics(fleet, device, asset, profiles, telemetry_topic)
        self._status_topics = _topics(fleet, device, asset, profiles, status_topic)
        intervals = [interval_s or profiles[fleet.devices[row].profile].spec.interval_s for row in device]
        interval_ns = (np.array(intervals, dtype=np.float64) * 1e9).astype(np.int64)
        self._device, self._asset, self._interval_ns = device, asset, interval_ns
        self._air, self._clocks, joining = self._layers(practice, noise)
        self._schedule = Schedule(device, asset, interval_ns, start_ns, self._plans, noise, faults, joining)
        rate_per_ns = float((1.0 / interval_ns).sum())
        self._block_ns = int(np.clip(BLOCK_MESSAGES / rate_per_ns, BLOCK_NS_MIN, BLOCK_NS_MAX))
        self._ahead: list[Message] = []
        self._handed = 0
        self._in_the_air: list[_Row] = []

    def _layers(
        self, practice: Scenario | None, noise: Noise
    ) -> tuple[Air | None, DeviceClocks | None, Joining | None]:
        if practice is None:
            return None, None, None
        count = len(self._fleet.devices)
        interval_ns = np.zeros(count, dtype=np.int64)
        interval_ns[self._device] = self._interval_ns
        at_cabinet = np.zeros(count, dtype=np.bool_)
        kinds = np.array([asset.kind == "cabinet" for asset in self._fleet.assets])
        at_cabinet[self._device] = kinds[self._asset]
        air = Air(practice.radio, noise, interval_ns, at_cabinet)
        per_gateway = practice.radio.devices_per_gateway
        joining = Joining(practice.dusk, noise, air.gateway, air.cellular, per_gateway)
        return air, DeviceClocks(practice.clocks, noise), joining

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

    def truth(self, until_ns: int = FOR_EVER_NS) -> Iterator[dict[str, Any]]:
        """The contract's truth; what could only be told after ``until_ns`` is asked of nobody."""
        interval_ns = np.full(len(self._fleet.assets), int(np.median(self._interval_ns)), dtype=np.int64)
        interval_ns[self._asset] = self._interval_ns
        truth = Truth(self._fleet, self._plans, self._faults, interval_ns, until_ns)
        yield from truth.objects()
        told_ns = min(until_ns, self._computed_ns)
        yield from other_programmes(self._believed, self._fleet, self._start_ns, told_ns)
        if self._air is None:
            return
        lora = ~self._air.cellular[self._device]
        gateway = self._air.gateway[self._device]
        for number in np.unique(gateway[lora]).tolist():
            members = self._asset[lora & (gateway == number)].tolist()
            for from_ns, to_ns in self._air.gateway_outages(
                number, self._start_ns, min(until_ns, self._computed_ns)
            ):
                yield truth.gateway_outage(number, members, from_ns, to_ns)

    def _block(self, from_ns: int, to_ns: int) -> list[Message]:
        self._plans.cover(to_ns)
        rows = self._in_the_air
        for due, payload in ((self._schedule.comings, b"online"), (self._schedule.goings, b"offline")):
            found = due(from_ns, to_ns)
            for time_ns, row in zip(found.time_ns.tolist(), found.device.tolist(), strict=True):
                if self._air is not None and not self._air.cellular[row]:
                    continue  # a LoRaWAN device has no session that could break
                topic, device = self._status_topics[row], self._fleet.devices[row].id
                rows.append((time_ns, row, Message(time_ns, device, topic, payload, 1, True, True)))
        rows += self._telemetry(from_ns, to_ns)
        rows.sort(key=itemgetter(0, 1))
        arrived = bisect_left(rows, to_ns, key=itemgetter(0))
        self._in_the_air = rows[arrived:]
        return [message for _, _, message in rows[:arrived]]

    def _telemetry(self, from_ns: int, to_ns: int) -> Iterator[_Row]:
        due = self._schedule.reports(from_ns, to_ns)
        device, asset, sent_ns, time_ns = due.device, due.asset, due.time_ns, due.time_ns
        if self._air is not None:
            heard = self._air.carry(device, sent_ns)
            at = heard.position
            device, asset, sent_ns, time_ns = device[at], asset[at], sent_ns[at], heard.time_ns
        shown_ns = self._shown(device, asset, sent_ns)
        group_of = self._group_of[device]
        for number, group in enumerate(self._groups):
            at = np.flatnonzero(group_of == number)
            if not len(at):
                continue
            rows = device[at].tolist()
            devices = [self._fleet.devices[row].id for row in rows]
            payloads = group.payloads(asset[at], sent_ns[at], shown_ns[at], devices)
            for time, row, name, payload in zip(time_ns[at].tolist(), rows, devices, payloads, strict=True):
                yield time, row, Message(time, name, self._topics[row], payload, 1, False, False)

    def _shown(self, device: Int32s, asset: Int32s, time_ns: Int64s) -> Int64s:
        """What the devices' clocks show; a ``wrong_clock`` counts from 2000 since power came back."""
        shown = time_ns.copy()
        if self._clocks is not None:
            shown = self._clocks.shown(device, time_ns, self._plans.powered_ns(asset, time_ns))
        for fault in self._wrong_clocks:
            hit = (time_ns >= fault.from_ns) & (time_ns < fault.to_ns) & np.isin(asset, fault.assets)
            shown[hit] = time_ns[hit] + RESET_NS - fault.from_ns
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


def sky_of(fleet: Fleet) -> Sky:
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
