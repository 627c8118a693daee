"""What is done to gateway, broker and store. In: a stage, chance. Out: harm.

A fault is a function that does its harm while readings flow, and heals it. ``Torture`` remembers what the
judge must know: which readings a killed broker may have taken along, and which records were damaged.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from journal_files import Found, gaps
from stage import Stage, until

from gateway.failpoints import VARIABLE, Failpoint

SAVE_S_MAX, NAMED_S_MAX = 15.0, 45.0
FAILPOINT_S_MAX = 75.0
STRACE_READY_S = 10.0
DAMAGE_BYTES = 64
HELD_READINGS = 1500
MENDED_BY_HAND = ("401", "403", "policy")
HOUR_S, YEAR_S = 3600, 31_557_600


@dataclass(frozen=True, slots=True)
class AtRisk:
    """Acknowledged between a broker's last save and its kill: positions in the order of acknowledgement."""

    first: int
    end: int
    named: bool


@dataclass(frozen=True, slots=True)
class Damage:
    """Records made unreadable, the numbers of the readings they held, and whether the gateway said so."""

    found: Found
    named: bool


@dataclass
class Torture:
    """One run's stage, chance and memory."""

    stage: Stage
    chance: random.Random
    harm: Counter[str] = field(default_factory=Counter)
    at_risk: list[AtRisk] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    repeats_max: int = 0
    """How often the gateway may have told and not yet noted it: ``UNNOTED_MAX`` deliveries at most."""

    def some(self, low_s: float, high_s: float) -> None:
        """Let readings flow for a while."""
        time.sleep(self.chance.uniform(low_s, high_s))

    def gaps(self) -> int:
        return gaps(self.stage.archive)


Fault = Callable[[Torture], None]


# --- the gateway ----------------------------------------------------------------------------------


def gateway_killed(torture: Torture) -> None:
    """kill -9 at a random moment, also while it starts."""
    torture.some(0.3, 3.0)
    torture.stage.keeper.kill()
    torture.repeats_max += 1
    torture.some(0.0, 1.0)
    torture.stage.keeper.begin()


def gateway_killed_while_starting(torture: Torture) -> None:
    for _ in range(2):
        gateway_killed(torture)


def at_failpoint(failpoint: Failpoint, passes: range) -> Fault:
    def fault(torture: Torture) -> None:
        keeper = torture.stage.keeper
        keeper.kill()
        died = keeper.exits[-signal.SIGKILL]
        keeper.begin(**{VARIABLE: f"{failpoint}:{torture.chance.choice(passes)}"})
        until(lambda: keeper.exits[-signal.SIGKILL] > died, f"a pass of {failpoint}", FAILPOINT_S_MAX)
        torture.repeats_max += 2

    return fault


def gateway_frozen(torture: Torture) -> None:
    """SIGSTOP, sometimes for longer than the broker's patience."""
    gateway = torture.stage.gateway
    torture.stage.until_online()
    gateway.pause()
    torture.some(1.0, 5.0)
    gateway.resume()
    torture.repeats_max += 1


def gateway_frozen_long(torture: Torture) -> None:
    gateway = torture.stage.gateway
    torture.stage.until_online()
    gateway.pause()
    torture.some(16.0, 18.0)
    gateway.resume()
    torture.repeats_max += 1


def gateway_stopped(torture: Torture) -> None:
    """SIGTERM: it must end by itself, well."""
    torture.stage.until_online()
    code = torture.stage.keeper.stop_gateway()
    assert code == 0, f"an orderly stop ended with {code}:\n{torture.stage.gateway.log}"
    torture.repeats_max += 1
    torture.stage.keeper.begin()


# --- the broker -------------------------------------------------------------------------------------


def broker_restarted(torture: Torture) -> None:
    """SIGTERM: it saves everything, so nothing may be missing."""
    torture.stage.broker.stop()
    torture.some(0.0, 1.0)
    torture.stage.broker.start()
    torture.stage.until_online()


def broker_killed(torture: Torture, *, meanwhile: Callable[[], None] = lambda: None) -> None:
    """kill -9, some readings after a save. What came in between must be there, or the gap named.

    Everything the oracle saw acknowledged before it asked for the save is in the file once that was replaced:
    mosquitto does one thing at a time, and acknowledges only what it has taken in.
    """
    stage = torture.stage
    stage.until_online()
    known = torture.gaps()
    file = stage.broker.directory / "mosquitto.db"
    safe = stage.oracle.order("mark")["acknowledged"]
    before = file.stat().st_ino if file.exists() else -1
    os.kill(stage.broker.pid, signal.SIGUSR1)
    until(lambda: file.exists() and file.stat().st_ino != before, "mosquitto saves", SAVE_S_MAX)
    torture.some(0.0, 1.5)
    meanwhile()
    stage.broker.kill()
    time.sleep(0.2)  # what it had still sent is read by the oracle
    end = stage.oracle.order("mark")["acknowledged"]
    stage.broker.start()
    if stage.keeper.stopped:
        stage.keeper.begin()
    stage.until_online()
    named = in_time(lambda: torture.gaps() > known)
    torture.at_risk.append(AtRisk(safe, end, named))


def both_killed(torture: Torture) -> None:
    """The broker dies while the gateway is away: only its uptime can tell."""
    torture.repeats_max += 1
    broker_killed(torture, meanwhile=torture.stage.keeper.kill)


def broker_frozen(torture: Torture) -> None:
    torture.stage.broker.pause()
    torture.some(1.0, 4.0)
    torture.stage.broker.resume()


# --- the store --------------------------------------------------------------------------------------


def store_killed(torture: Torture) -> None:
    torture.stage.store.kill()
    torture.some(0.5, 3.0)
    torture.stage.store.start()


def store_frozen(torture: Torture) -> None:
    torture.stage.store.pause()
    torture.some(1.0, 6.0)
    torture.stage.store.resume()


def store_spoiled(mode: str) -> Fault:
    def fault(torture: Torture) -> None:
        between = torture.stage.between
        before = between.spoiled
        between.spoil(mode)
        until(lambda: between.spoiled > before, f"a request met by {mode}", 45.0)
        torture.some(0.5, 3.0)
        between.spoil("pass")
        if mode in MENDED_BY_HAND:  # it asks again every 30 s; whoever mends it may also restart the gateway
            gateway_killed(torture)

    return fault


def store_away_and_gateway_killed(torture: Torture) -> None:
    torture.stage.store.kill()
    gateway_killed(torture)
    torture.some(0.5, 2.0)
    torture.stage.store.start()


def in_time(holds: Callable[[], bool], wait_s: float = NAMED_S_MAX) -> bool:
    """Whether ``holds`` comes true."""
    try:
        until(holds, "", wait_s)
    except AssertionError:
        return False
    return True
