"""Which lamps may burn by day. In: states of circuits, cabinets, the sky. Out: those whose matter it is not.

By day a switched circuit with power is the circuit's matter, and no lamp's; nor that of a lamp nearby, which
may hang on it whatever the inventory says. Never raises an alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.fleet import BENCH
from gateway.model import Bools

if TYPE_CHECKING:
    from gateway.alarm.engine import AlarmEngine


def by_day(engine: AlarmEngine) -> Bools:
    """bool[assets]; a lamp that is heard while its switched circuit rests does not hang on that."""
    circuits, fleet, watch = engine.circuits, engine.fleet, engine.watch
    astray = engine.energised.stray | engine.causes.supply.busy()
    astray |= np.isin(circuits.cabinet, circuits.cabinet[astray & (circuits.cabinet != BENCH)])
    switched = np.append(fleet.group_switched, False)
    switched[watch.asset[watch.placement.unswitched]] = False
    excused: Bools = np.append(astray, False)[circuits.of_asset] | switched[:-1]
    return excused | _dark_sky(engine)


def _dark_sky(engine: AlarmEngine) -> Bools:
    asset, energised = engine.watch.asset, engine.energised
    lately = energised.now_ns - energised.heard_ns <= 2 * engine.watch.interval_ns
    near = np.flatnonzero(engine.sky.photocell[asset] & lately)
    return engine.sky.meant(asset[near], engine.evaluator.shining[near])
