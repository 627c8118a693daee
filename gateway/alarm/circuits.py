"""The electrical tree as columns. In: an inventory. Out: circuits (phases of feeders), feeders, cabinets.

Everything that is switched, fed or lost together is found here; names are those alarms of a group carry as
their asset. Never changes once built and knows no readings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gateway.fleet import BENCH, Fleet
from gateway.model import Bools, Float64s, Int32s

PHASES = "ABC"
NO_PHASE = -1


@dataclass(frozen=True, slots=True)
class Circuits:
    """Columns have one entry a circuit, in order of feeder and phase; ``of_asset`` one an asset.

    ``asset`` is a light point whose programme switches the circuit (any asset, if none is one); ``feeder``
    and ``cabinet`` number ``feeders`` and ``Fleet.cabinets`` (BENCH: no such cabinet).
    """

    names: tuple[str, ...]
    feeders: tuple[str, ...]
    of_asset: Int32s
    asset: Int32s
    feeder: Int32s
    cabinet: Int32s
    phase: Int32s
    switched: Bools
    rated_w: Float64s

    def __len__(self) -> int:
        return len(self.names)

    def of_feeders(self, circuits: Iterable[int]) -> set[int]:
        return {int(self.feeder[c]) for c in circuits}


def circuits_of(fleet: Fleet) -> Circuits:
    """The circuits that feed at least one asset of ``fleet``."""
    found = _rows_by_circuit(fleet)
    keys = sorted(found)
    feeders = tuple(dict.fromkeys(feeder for feeder, _ in keys))
    number = {name: n for n, name in enumerate(feeders)}
    cabinets = {cabinet.id: n for n, cabinet in enumerate(fleet.cabinets)}
    of_asset = np.full(len(fleet.assets), BENCH, dtype=np.int32)
    for n, key in enumerate(keys):
        of_asset[found[key]] = n
    per_feeder = Counter(feeder for feeder, _ in keys)
    alone = {feeder for feeder, count in per_feeder.items() if count == 1}
    programme = fleet.asset_table.words("programme")
    planned = programme.spread((name in fleet.programme_by_id for name in programme.words), np.bool_)
    lamp = [found[key][np.argmax(planned[found[key]])] for key in keys]  # the first, if none is
    of_feeder = fleet.feeder_by_id
    return Circuits(
        names=tuple(feeder if feeder in alone else f"{feeder}/{phase or '?'}" for feeder, phase in keys),
        feeders=feeders,
        of_asset=of_asset,
        asset=np.array(lamp, dtype=np.int32),
        feeder=np.array([number[feeder] for feeder, _ in keys], dtype=np.int32),
        cabinet=np.array([cabinets.get(of_feeder[f].cabinet, BENCH) for f, _ in keys], dtype=np.int32),
        phase=np.array([PHASES.find(p) if len(p) == 1 else NO_PHASE for _, p in keys], dtype=np.int32),
        switched=np.array([of_feeder[feeder].group_switched for feeder, _ in keys], dtype=np.bool_),
        rated_w=np.array([fleet.rated_power_w[found[key]].sum() for key in keys], dtype=np.float64),
    )


def _rows_by_circuit(fleet: Fleet) -> dict[tuple[str, str], Int32s]:
    """Asset rows, in order, by feeder and phase."""
    feeder, phase = fleet.asset_table.words("feeder"), fleet.asset_table.words("phase")
    fed = np.flatnonzero(~feeder.equal("")).astype(np.int32)
    number = feeder.codes[fed].astype(np.int64) * (len(phase.words) + 1) + phase.codes[fed]
    order = np.argsort(number, kind="stable")
    rows = fed[order]
    parts = np.split(rows, np.flatnonzero(np.diff(number[order])) + 1) if len(rows) else []
    return {(feeder.item(part[0]), phase.item(part[0])): part for part in parts}
