"""Time that only moves when everything due has happened. In: callbacks with delays. Out: one step at a time.

``World`` is what is not the gateway: broker, disk, store, faults. ``SimulatedLoop`` is the event loop of one
process of the gateway; a step of it is one callback, so a crash can fall between any two of them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from random import Random
from typing import Any

SECOND = 1_000_000_000
NEVER = 1 << 62


class Crashed(Exception):
    """What the parts of a dead process get from a world that no longer hears them."""


class World:
    """One seed: its randomness, its time in ns, what is due."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now_ns = 0
        self.loop: SimulatedLoop | None = None
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + int(seconds * SECOND), next(self._numbers), callback))

    def between(self, low_s: float, high_s: float) -> float:
        """A duration, short ones more likely."""
        return low_s * (high_s / low_s) ** self.rng.random()

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def step(self) -> None:
        """The next thing that is due, in the world or in the gateway."""
        world_ns = self._due[0][0] if self._due else NEVER
        loop_ns = self.loop.due_ns() if self.loop else NEVER
        if loop_ns <= world_ns:
            assert self.loop is not None and loop_ns < NEVER, "nothing will ever happen again"
            self.now_ns = max(self.now_ns, loop_ns)
            self.loop.step()
        else:
            self.now_ns, _, callback = heapq.heappop(self._due)
            callback()


class SimulatedClock:
    """``gateway.clock.Clock``; ``wall_offset_ns`` jumps, ``boot_ns`` is when the machine was switched on."""

    def __init__(self, world: World, wall_ns: int) -> None:
        self._world = world
        self.wall_offset_ns = wall_ns
        self.boot_ns = 0
        self.boot_id = bytes(16)

    def wall_ns(self) -> int:
        return self._world.now_ns + self.wall_offset_ns

    def elapsed_ns(self) -> int:
        return self._world.now_ns - self.boot_ns

    monotonic_ns = elapsed_ns

    def reboot(self) -> None:
        self.boot_ns = self._world.now_ns
        self.boot_id = self._world.rng.randbytes(16)


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio without sockets, threads and real time. Work for threads is done at once, after a delay."""

    def __init__(self, world: World, connect: Callable[..., Any]) -> None:
        super().__init__()
        self._world = world
        self._connect = connect
        self._worker_free_ns: dict[Any, int] = {}
        self._dead_ns: int | None = None
        self.set_exception_handler(lambda loop, context: None)

    @property
    def dead(self) -> bool:
        return self._dead_ns is not None

    def time(self) -> float:
        return (self._world.now_ns if self._dead_ns is None else self._dead_ns) / SECOND

    def due_ns(self) -> int:
        if self._ready:
            return self._world.now_ns
        return math.ceil(self._scheduled[0].when() * SECOND) if self._scheduled else NEVER

    def step(self) -> None:
        """One callback."""
        end = self.time() + 1e-9
        while self._scheduled and self._scheduled[0].when() <= end:
            handle = heapq.heappop(self._scheduled)
            handle._scheduled = False
            if not handle.cancelled():
                self._ready.append(handle)
        if self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                asyncio._set_running_loop(self)
                try:
                    handle._run()
                finally:
                    asyncio._set_running_loop(None)

    def kill(self) -> None:
        """End every task at once; whatever it tries on its way out has no effect."""
        self._dead_ns = self._world.now_ns
        for task in asyncio.all_tasks(self):
            task.cancel()
        while asyncio.all_tasks(self):
            if not self._ready:
                self._dead_ns = max(self._dead_ns, math.ceil(self._scheduled[0].when() * SECOND))
            self.step()
        self.close()

    def call_soon_threadsafe(self, callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *arguments, context=context)

    def run_in_executor(self, executor: Any, function: Any, *arguments: Any) -> asyncio.Future[Any]:
        """One worker per executor, first come first served; the default one has as many as are asked for."""
        future = self.create_future()
        if self.dead:
            future.set_exception(Crashed())
            return future
        begin_ns = self._world.now_ns + int(self._world.between(1e-5, 3e-3) * SECOND)
        if executor is not None:
            begin_ns = max(begin_ns, self._worker_free_ns.get(executor, 0))
            self._worker_free_ns[executor] = begin_ns

        def work() -> None:
            if self.dead or future.cancelled():  # as a pool gives up work it has not begun
                return
            try:
                result = function(*arguments)
            except Exception as error:  # noqa: BLE001 - handed on to whoever waits
                raised = error
                self._world.after(1e-5, lambda: self._tell(future, raised, None))
            else:
                self._world.after(self._world.between(1e-6, 1e-3), lambda: self._tell(future, None, result))

        self._world.after((begin_ns - self._world.now_ns) / SECOND, work)
        return future

    def _tell(self, future: asyncio.Future[Any], error: Exception | None, result: Any) -> None:
        if self.dead or future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        if self.dead:
            raise ConnectionError
        return await self._connect(factory)
