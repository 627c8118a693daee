"""A start with unread messages in the journal, while more come in. In: counts, a live rate. Out: the report.

The journal is filled as by a gateway that was killed, or whose followers were ill: through the journal's own
append, in blocks as they come under load. Writes are discarded.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import figures, plant
from benchmarks.figures import Report
from benchmarks.load import devices_in, encode
from benchmarks.meter import Meter, rss_mb
from gateway.journal.record import Kind, encode_arrival
from gateway.journal.segments import SegmentJournal
from gateway.model import Arrival

BLOCK = 1000
GROUP = 50
START_S = 10.0
PAST_S = 3600
BEHIND_S = 0.5
"""A store follower gathers for a quarter of a second: who is no further behind has caught up."""


def measure(messages: int = 1_000_000, devices: int = 5000, rate: int = 20_000) -> Report:
    """``times_live``: messages brought to their end per second of catching up, over the live rate."""
    with ExitStack() as stack:
        line = plant.Line(stack, devices=devices, store="discard")
        plant.wait(lambda: line.pending() == 0, plant.READY_S_MAX, "the first life at rest")
        line.gateway.terminate()
        line.gateway.wait()
        asyncio.run(fill(line.directory / "data" / "journal", devices_in(line.city.lamps), messages))
        expected_s = 2 * messages / rate / 3 + START_S
        load = line.load(stack, int(expected_s * rate), rate)
        began = time.monotonic()
        line.gateway = plant.start_gateway(stack, line.configuration)
        meter = Meter(line.pids | {"load": load.pid})
        plant.tell(load, "go")
        plant.wait(lambda: line.stored() > 0, plant.READY_S_MAX, "the first message stored")
        start_s, first = time.monotonic() - began, line.stored()
        peak_mb = 0.0

        def caught_up() -> bool:
            nonlocal peak_mb
            peak_mb = max(peak_mb, rss_mb(line.gateway.pid))
            return line.stored() >= messages and line.pending() < rate * BEHIND_S

        plant.wait(caught_up, plant.STORED_S_MAX, f"{messages} unread messages and all that came since")
        seconds, count = time.monotonic() - began - start_s, line.stored()
        per_s, spent_s = (count - first) / seconds, meter.cpu_s()
        run = figures.run(
            f"{messages} unread, {rate} messages/s live",
            messages=count,
            devices=devices,
            seconds=meter.seconds,
            cpu_s=spent_s,
            rss_mb=rss_mb(line.gateway.pid),
            figures={
                "times_live": round(per_s / rate, 2),
                # With a core to itself, its start included: the clock also counts what else the machine does.
                "times_live_by_cpu": round(count / spent_s["gateway"] / rate, 2),
                "caught_up_per_s": round(per_s),
                "first_stored_s": round(start_s, 1),
                "rss_peak_mb": peak_mb,
            },
        )
        return figures.report("catch-up", [run])


async def fill(directory: Path, devices: list[tuple[str, str]], messages: int) -> None:
    """Append ``messages`` that no follower has seen; received in the last hour."""
    start_ns = time.time_ns() - PAST_S * 10**9
    step_ms = max(1, PAST_S * 1000 // messages)
    journal = SegmentJournal(directory)
    try:
        group: list[bytes] = []
        for at in range(0, messages, BLOCK):
            start_ms = start_ns // 1_000_000 + at * step_ms
            packets = encode(devices, min(BLOCK, messages - at), start_ms, first=at)
            arrival = Arrival(b"".join(packets), len(packets), (start_ms + BLOCK) * 1_000_000, 1)
            group.append(encode_arrival(arrival))
            if len(group) == GROUP or at + BLOCK >= messages:
                await journal.append(Kind.MESSAGES, group)
                group = []
    finally:
        await journal.close()
