"""Tasks of a gateway that must not end by themselves. In: coroutines. Out: the first failure, an orderly end.

Never restarts one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from typing import Any, Final

CANCEL_AGAIN_S: Final = 3.0


class Tasks:
    """``failure`` is done when one of them has failed."""

    def __init__(self) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it; its error becomes ``failure``."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self.failure.done():
            self.failure.set_exception(error)


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel, and again: before Python 3.12 ``asyncio.wait_for``, which libraries use, may swallow it."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)


async def first_of(*futures: asyncio.Future[Any]) -> None:
    """Returns when one of them is done, however; cancels none."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def every(works: Iterable[Awaitable[None]]) -> None:
    """All of them to their ends, also if one fails; then the first error."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
