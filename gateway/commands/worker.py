"""One worker of a gateway that has several. In: a file descriptor of the ingest process. Out: an exit code.

Started by the gateway alone. Ends, in order, when the ingest process is gone, however that ended.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import socket
import sys

from gateway import failpoints, logs, settings
from gateway.app import Gateway, running
from gateway.commands.run import event_loop, settled
from gateway.errors import GatewayError
from gateway.feed import Feed
from gateway.link import Begin, Link, LinkLost
from gateway.sections import Settings
from gateway.system_clock import SystemClock
from gateway.tasks import first_of

log = logging.getLogger("citylight")


def main(descriptor: int) -> int:
    """0 after an orderly end; 1 if a part of the worker failed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they go to every process of a service at once
        signal.signal(number, signal.SIG_IGN)
    failpoints.arm(settings.failpoint())
    with asyncio.Runner(loop_factory=event_loop) as runner:
        return runner.run(_work(socket.socket(fileno=descriptor)))


async def _work(end: socket.socket) -> int:
    link = await Link.open(end)
    try:
        begin = await link.first()
    except LinkLost:
        return 0
    assert isinstance(begin, Begin)
    chosen: Settings = pickle.loads(begin.settings)  # noqa: S301 - as above
    logs.set_up(chosen.logging.level, chosen.logging.format)
    feed = Feed(link, begin.sources)
    try:
        async with running(chosen, SystemClock(), feed) as gateway:
            with settled():
                return await _until_over(feed, gateway)
    except GatewayError as error:
        log.error("worker %d: %s", begin.worker, error)
        return 1
    finally:
        await link.close()


async def _until_over(feed: Feed, gateway: Gateway) -> int:
    over = asyncio.ensure_future(feed.over.wait())
    await first_of(over, gateway.failure)
    over.cancel()
    if not gateway.failure.done():
        return 0
    log.error("a part of the worker failed", exc_info=gateway.failure.exception())
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
