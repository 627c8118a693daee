"""Which worker has which device. In: an inventory, a count. Out: a worker for each device, and its share.

What can have one cause stays with one worker: the key is the cabinet, else the place, else the device itself.
A function of names alone, so it is the same in every process and after every restart.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from gateway.fleet import BENCH, Fleet

NOBODY = -1
"""Worker of a device that no assignment places."""


def worker_of(key: str, workers: int) -> int:
    """0 … ``workers`` - 1; the same on every machine, unlike ``hash``."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % workers


class Partition:
    """``fleet`` over ``workers``. A device that served several places belongs where it was assigned last."""

    def __init__(self, fleet: Fleet, workers: int) -> None:
        self._fleet = fleet
        self._workers = workers
        self._of_asset = self._workers_of_assets()
        last = fleet.last_assets
        self._of_device = np.where(last == BENCH, NOBODY, np.append(self._of_asset, NOBODY)[last])

    def of_device(self, device: str) -> int:
        """The worker of a device, also of one that the inventory does not know or that serves no place."""
        row = self._fleet.device_row.get(device, BENCH)
        worker = NOBODY if row == BENCH else int(self._of_device[row])
        return worker_of(device, self._workers) if worker == NOBODY else worker

    def share(self, worker: int) -> Fleet:
        """What ``worker`` knows of the inventory: every area and programme, and its own of all the rest."""
        fleet = self._fleet
        table, links = fleet.device_table, fleet.assignment_table
        alone = np.flatnonzero(self._of_device == NOBODY)
        of_device = self._of_device.copy()
        of_device[alone] = [worker_of(name, self._workers) for name in table.ids("id")[alone].tolist()]
        device = table.ids("id").rows(links.ids("device").texts)
        asset = fleet.asset_table.ids("id").rows(links.ids("asset").texts)
        return replace(
            fleet,
            cabinets=tuple(c for c in fleet.cabinets if worker_of(c.id, self._workers) == worker),
            feeders=tuple(f for f in fleet.feeders if worker_of(f.cabinet, self._workers) == worker),
            assets=fleet.asset_table.take(self._of_asset == worker),
            devices=table.take(of_device == worker),
            assignments=links.take((of_device[device] == worker) & (self._of_asset[asset] == worker)),
        )

    def _workers_of_assets(self) -> npt.NDArray[np.int16]:
        """int16[assets]."""
        table = self._fleet.asset_table
        cabinet = table.words("cabinet")
        of = cabinet.spread((worker_of(name, self._workers) for name in cabinet.words), np.int16)
        alone = np.flatnonzero(cabinet.equal(""))
        of[alone] = [worker_of(name, self._workers) for name in table.ids("id")[alone].tolist()]
        return of
