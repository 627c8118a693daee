"""Which worker has which device. In: an inventory, a count. Out: a worker for each device, and its share.

What can have one cause stays with one worker: the key is the cabinet, else the place, else the device itself.
A function of names alone, so it is the same in every process and after every restart.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from gateway.fleet import Fleet


def worker_of(key: str, workers: int) -> int:
    """0 … ``workers`` - 1; the same on every machine, unlike ``hash``."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % workers


class Partition:
    """``fleet`` over ``workers``. A device that served several places belongs where it was assigned last."""

    def __init__(self, fleet: Fleet, workers: int) -> None:
        self._fleet = fleet
        self._workers = workers
        self._assets = {a.id: worker_of(a.cabinet or a.id, workers) for a in fleet.assets}
        self._devices = {
            a.device: self._assets[a.asset] for a in sorted(fleet.assignments, key=lambda a: a.from_ns)
        }

    def of_device(self, device: str) -> int:
        """The worker of a device, also of one that the inventory does not know or that serves no place."""
        worker = self._devices.get(device)
        return worker_of(device, self._workers) if worker is None else worker

    def share(self, worker: int) -> Fleet:
        """What ``worker`` knows of the inventory: every area and programme, and its own of all the rest."""
        fleet = self._fleet
        devices = tuple(d for d in fleet.devices if self.of_device(d.id) == worker)
        assets = tuple(a for a in fleet.assets if self._assets[a.id] == worker)
        cabinets = tuple(c for c in fleet.cabinets if worker_of(c.id, self._workers) == worker)
        known = {device.id for device in devices}
        return replace(
            fleet,
            cabinets=cabinets,
            feeders=tuple(f for f in fleet.feeders if worker_of(f.cabinet, self._workers) == worker),
            assets=assets,
            devices=devices,
            assignments=tuple(
                a for a in fleet.assignments if a.device in known and self._assets[a.asset] == worker
            ),
        )
