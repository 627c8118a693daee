"""One seed from beginning to end. In: a seed. Out: nothing, or the error of the first broken promise.

A seed chooses which kinds of trouble there are and when (swarm testing: few kinds often find more than all);
then comes a tail without any, in which everything must come to rest.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from judge import Judge, Sent
from scripted_broker import Broker, Message
from scripted_store import FAULTS
from simulated_gateway import LAMPS, Plant
from virtual_time import SECOND, World

from gateway.errors import GatewayError
from gateway.journal.record import Kind, encode_control
from gateway.model import Control

TROUBLE_S = 120.0
REST_S_MAX = 400.0
STEPS_MAX = 2_000_000
MEMORY = Path("/dev/shm")


class Scenario:
    """Devices that report, and what goes wrong meanwhile."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.world = world = World(seed)
        rng = world.rng
        self.broker = Broker(world, queue_max=rng.choice((15, 100_000)), window=rng.choice((3, 20, 10_000)))
        self.plant = Plant(world, directory, self.broker)
        self.judge = Judge(self.plant, self.broker, frozenset({LAMPS[0], LAMPS[-1]}))
        self.troubled = True
        self.number = 0
        self.waiting: dict[str, list[Message]] = {lamp: [] for lamp in (*LAMPS, "X-9")}
        self.volts = dict.fromkeys(self.waiting, 230.0)
        self.last_ms: dict[str, int] = {}
        self.happened: list[str] = []
        kinds: dict[str, tuple[float, Callable[[], None]]] = {
            "kill": (15, lambda: self._end(power=False)),
            "power": (25, lambda: self._end(power=True)),
            "torn": (20, self._tear),
            "terminate": (25, self.plant.stop),
            "cut": (6, self._cut),
            "broker orderly": (40, lambda: self.broker.stop("orderly", world.between(0.1, 20))),
            "broker killed": (40, lambda: self.broker.stop("killed", world.between(0.1, 20))),
            "broker bare": (40, lambda: self.broker.stop("bare", world.between(0.1, 20))),
            "session": (40, self.broker.forget_session),
            "disk": (20, self._disk),
            "store": (12, self._store),
            "ioc": (20, self._ioc),
            "clock": (30, self._jump),
            "reload": (15, self._reload),
            "flip": (50, self._flip),
            "acknowledge": (8, self._acknowledge),
        }
        self.kinds = rng.sample(sorted(kinds), rng.choice((1, 2, 3, 5, 8)))
        self.pace_s = rng.choice((0.1, 0.4, 1.0))
        for kind in self.kinds:
            mean_s, strike = kinds[kind]
            self._again(kind, mean_s, strike)
        world.after(15, self._autosave)
        world.after(0.5, self._report)
        world.after(TROUBLE_S, self._peace)
        world.after(0.001, self.plant.start)
        world.after(1.0, self._watch)

    def run(self) -> None:
        """Until all has come to rest, or too late."""
        deadline_ns = int((TROUBLE_S + REST_S_MAX) * SECOND)
        looked_ns = 0
        for _ in range(STEPS_MAX):
            self.world.step()
            self.judge.look()
            if self.plant.disk.crashed:
                self._end(power=self.world.chance(0.5))
            if not self.troubled and self.world.now_ns - looked_ns > SECOND:
                looked_ns = self.world.now_ns
                if not any(self.waiting.values()) and self.judge.at_rest():
                    break
            assert self.world.now_ns < deadline_ns, f"no rest: {self._state()}"
        else:
            raise AssertionError(f"{STEPS_MAX} steps and no end: {self._state()}")
        self.judge.sentence()

    # --- devices --------------------------------------------------------------------------------------

    def _report(self) -> None:
        if not self.troubled:
            return
        rng, device = self.world.rng, self.world.rng.choice(sorted(self.waiting))
        if rng.random() < 0.05:
            self.volts[device] = rng.choice((230.0, 230.0, 270.0, 190.0))
        if rng.random() < 0.05:
            state = rng.choice((b"online", b"offline"))
            self.waiting[device].append(Message(0, f"city/hoa-phu/lamp/{device}/status", state))
        else:
            self.waiting[device].append(self._telemetry(device))
        self._publish(device)
        silence_s = 40.0 if rng.random() < 0.003 else 0.0
        self.world.after(self.world.between(self.pace_s / 10, self.pace_s * 2) + silence_s, self._report)

    def _telemetry(self, device: str) -> Message:
        rng = self.world.rng
        self.number += 1
        now_ms = self.plant.clock.wall_ns() // 1_000_000
        remembered = self.plant.journal_bounds["keep_bytes"] and device not in (LAMPS[0], LAMPS[-1])
        if rng.random() < 0.1 and remembered:
            now_ms = self.last_ms.get(device, now_ms)  # twins; told apart by what the journal still holds
        elif rng.random() < 0.05:
            now_ms -= rng.choice((2_000, 600_000, 10**12))  # late, or with a clock of its own
        self.last_ms[device] = now_ms
        body = {"ts": now_ms, "n": self.number, "u": self.volts[device], "f": 50}
        fate = "rejected" if device == "X-9" else "stored"
        if rng.random() < 0.04 and fate == "stored":
            body["f"], fate = 66, "guilty"
        if rng.random() < 0.05:
            del body["ts"]
        payload = json.dumps(body).encode()
        if rng.random() < 0.05:
            payload, fate = payload[:-1], "rejected"
        self.judge.issue(Sent(self.number, device, payload, fate, self.volts[device]))
        message = Message(self.number, f"city/hoa-phu/lamp/{device}/up", payload)
        if rng.random() < 0.02:
            self.broker.retained = Message(0, message.topic, payload, retained=True)
        return message

    def _publish(self, device: str) -> None:
        """In order, and again until the broker takes it."""
        waiting = self.waiting[device]
        while waiting and self.broker.publish(waiting[0]):
            waiting.pop(0)
        if waiting:
            self.world.after(self.world.between(0.5, 5), lambda: self._publish(device))

    # --- trouble --------------------------------------------------------------------------------------

    def _again(self, kind: str, mean_s: float, strike: Callable[[], None]) -> None:
        def once() -> None:
            if self.troubled:
                self.happened.append(f"{self.world.now_ns / SECOND:.3f} {kind}")
                strike()
                self._again(kind, mean_s, strike)

        self.world.after(self.world.rng.expovariate(1 / mean_s), once)

    def _end(self, *, power: bool) -> None:
        if self.plant.loop is None:
            return
        self.judge.look()
        self.plant.kill(power=power)
        self.world.after(self.world.between(0.01, 10), self.plant.start)

    def _tear(self) -> None:
        self.plant.disk.crash_in_sync = self.plant.loop is not None

    def _cut(self) -> None:
        if self.broker.wire:
            self.broker.wire.cut()

    def _disk(self) -> None:
        self.plant.disk.fault = self.world.rng.choice(("eio", "full"))
        self.world.after(self.world.between(0.01, 10), lambda: setattr(self.plant.disk, "fault", ""))

    def _store(self) -> None:
        self.plant.server.fault = self.world.rng.choice(FAULTS)
        self.world.after(self.world.between(0.1, 40), lambda: setattr(self.plant.server, "fault", ""))

    def _ioc(self) -> None:
        self.plant.ioc.fault = True
        self.world.after(self.world.between(1, 30), lambda: setattr(self.plant.ioc, "fault", False))

    def _jump(self) -> None:
        hours = self.world.rng.choice((1, -1, 24 * 365 * 3, -24 * 365 * 3))
        self.plant.clock.wall_offset_ns += hours * 3600 * SECOND

    def _reload(self) -> None:
        rng = self.world.rng
        lamps = list(LAMPS[1:] if rng.random() < 0.5 else LAMPS[:-1])
        rng.shuffle(lamps)
        self.plant.lamps = tuple(lamps)
        if self.plant.ready and self.plant.loop and self.plant.gateway:
            self.plant.loop.create_task(self._reloaded())

    async def _reloaded(self) -> None:
        assert self.plant.gateway is not None
        try:
            await self.plant.gateway.files.reload()
        except GatewayError:
            return

    def _flip(self) -> None:
        """While nobody runs, so that no memory hides it."""
        if not self.plant.disk.records:
            return
        self._end(power=False)
        self.judge.damaged |= self.plant.disk.flip()

    def _acknowledge(self) -> None:
        gateway = self.plant.gateway
        if not (self.plant.ready and self.plant.loop and gateway):
            return
        standing = gateway.alarms.engine.active()
        if standing:
            alarm = self.world.rng.choice(standing).id
            body = {"alarm": alarm, "by": "operator", "comment": ""}
            control = Control("acknowledge", self.plant.clock.wall_ns(), body=body)
            self.plant.loop.create_task(_append(gateway, control))

    def _autosave(self) -> None:
        self.broker.autosave()
        self.world.after(15, self._autosave)

    def _watch(self) -> None:
        """What a supervisor does."""
        ended = self.plant.reap()
        if ended:
            self.happened.append(f"{self.world.now_ns / SECOND:.3f} ended: {ended}")
            self.world.after(self.world.between(0.1, 5), self.plant.start)
        self.world.after(1.0, self._watch)

    def _peace(self) -> None:
        self.troubled = False
        self.plant.disk.fault = self.plant.server.fault = ""
        self.plant.disk.crash_in_sync = self.plant.ioc.fault = False
        self.world.after(0.1, self.plant.start)

    def _state(self) -> str:
        kept, gateway = self.broker.session, self.plant.gateway
        seen = ""
        if gateway is not None and self.plant.ready:
            seen = (
                f"store at {gateway.stored.position} ({gateway.stored.error}), alarms at"
                f" {gateway.alarms.position} of {gateway.journal.next} ({gateway.journal.failure})"
            )
        return f"broker holds {len(kept.numbers()) if kept else None}; {seen}; {self.plant.ended}"


async def _append(gateway: object, control: Control) -> None:
    try:
        await gateway.journal.append(Kind.CONTROL, [encode_control(control)])  # type: ignore[attr-defined]
    except GatewayError:
        return


@contextmanager
def quiet() -> Iterator[None]:
    """No log, and the chance the gateway takes from ``random`` given back as it was."""
    state = random.getstate()
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(state)


def play(seed: int) -> Scenario:
    """Run one seed. AssertionError says what was broken, and after what."""
    directory = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    with quiet():
        random.seed(seed)
        scenario = Scenario(seed, directory)
        try:
            with scenario.plant.patched():
                try:
                    scenario.run()
                finally:
                    scenario.plant.kill()
        except AssertionError as broken:
            story, when_s = "\n  ".join(scenario.happened), scenario.world.now_ns / SECOND
            problem = f"seed {seed}, {scenario.kinds}, at {when_s:.3f} s: {broken}\n  {story}"
            raise AssertionError(problem) from broken
        finally:
            shutil.rmtree(directory)
    return scenario
