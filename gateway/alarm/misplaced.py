"""Where the inventory and the street differ. In: what lamps showed. Out: what is learnt of it, and a list.

For the engineer who mends the inventory (``citylight rules misplaced``), never for the operator. Until it is
mended, alarms are of the place where a lamp stands and of the circuit it hangs on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gateway.alarm.circuits import NO_PHASE, PHASES
from gateway.alarm.expected import Supply
from gateway.fleet import BENCH

if TYPE_CHECKING:
    from gateway.alarm.engine import AlarmEngine


REST_NS: Final = 7_200_000_000_000
"""Off for so long a circuit rests: what is heard of its lamps then was not held back."""


def take_in(engine: AlarmEngine) -> None:
    """Whoever was heard since the last step: its voltage beside that of its cabinet, and by what power."""
    watch, reports, energised = engine.watch, engine.reports, engine.energised
    now_ns = energised.now_ns
    rows = np.flatnonzero((energised.heard_ns == now_ns) & (watch.circuit != BENCH))
    off = (energised.state == Supply.OFF) & (energised.planned == Supply.OFF)
    resting = engine.circuits.switched & off & (now_ns - energised.off_since_ns >= REST_NS)
    watch.placement.note_power(rows, watch.circuit, resting, energised.state == Supply.ON)
    cabinets_v = np.where(reports.fresh(now_ns), reports.phased("voltage"), np.nan)
    watch.placement.observe(rows, watch.circuit[rows], engine.evaluator.volts(rows), cabinets_v)


def misplaced(engine: AlarmEngine) -> list[dict[str, Any]]:
    """A document for each device that does not stand or hang where the inventory says, by asset.

    ``stands_at`` is the asset its alarms are of; ``circuit`` is null while another one is not known, only
    that it is not the one it is said to be.
    """
    fleet, watch, circuits = engine.fleet, engine.watch, engine.circuits
    said = np.append(circuits.of_asset, BENCH)[watch.believed]
    elsewhere = engine.causes.together.elsewhere | watch.placement.unswitched
    found = []
    for row in np.flatnonzero((watch.asset != watch.believed) | (watch.circuit != said) | elsewhere).tolist():
        asset, stands = fleet.assets[watch.believed[row]], fleet.assets[watch.asset[row]]
        phase = int(watch.placement.phase[row])
        if stands.id != asset.id:
            why = f"it and the device of {stands.id} follow each other's phase: they were exchanged"
        elif watch.circuit[row] != said[row]:
            why = f"its voltage follows phase {PHASES[phase]}"
        elif watch.placement.unswitched[row]:
            why = "it was heard while its circuit had no power"
        else:
            why = "it fell silent with another circuit of its cabinet"
        found.append(
            {
                "device": fleet.devices[row].id,
                "asset": asset.id,
                "stands_at": stands.id,
                "said": circuits.names[said[row]],
                "circuit": None if elsewhere[row] else circuits.names[watch.circuit[row]],
                "phase": asset.phase or None,
                "phase_shown": None if phase == NO_PHASE else PHASES[phase],
                "readings": int(watch.placement.sums[row, 0]),
                "why": why,
            }
        )
    return sorted(found, key=lambda document: (document["asset"], document["device"]))
