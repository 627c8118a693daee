"""What a message costs in counts, which do not depend on the machine. In: a count. Out: the bench report.

Python calls, memory and bytes written per message on the pure way of ``inside``; CPU beside it as a ratio
to a fixed loop. ``LIMITS`` are what continuous integration fails above (tests/bench/test_guard.py).
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from benchmarks import figures
from benchmarks.figures import Report
from benchmarks.inside import Inside

DEVICES: Final = 1000
SMALL, LARGE = 79, 4000
"""Messages a block: as mosquitto hands them on at its highest rate, and at full load."""

WARM_UP_BLOCKS: Final = 8  # until the memory of redeliveries is full
REFERENCE_ROUNDS: Final = 20_000

LIMITS: Final = {
    "python_calls_per_message": 1.4,
    "python_calls_per_block": 1250.0,
    "c_calls_per_message": 2.8,
    "peak_bytes_per_message": 1600.0,
    "blocks_held_per_message": 0.1,
    "blocks_left_per_message": 0.02,
    "journal_bytes_per_message": 13.0,
    "journal_bytes_per_message_small": 17.0,
    "line_bytes_per_message": 24.0,
}


def measure(messages: int = 100_000) -> Report:
    inside = Inside(DEVICES)
    found = counts(inside)
    seconds, reference_s = timed(inside, messages), reference()
    name = f"blocks of {LARGE}"
    run = figures.run(
        name,
        messages=messages,
        devices=DEVICES,
        seconds=seconds,
        cpu_s={"gateway": seconds},
        figures=found | {"reference_loops_per_message": round(seconds / messages / reference_s, 2)},
    )
    return figures.report("guard", [run])


def counts(inside: Inside) -> dict[str, float]:
    """The figures of ``LIMITS``."""
    for size in (SMALL, LARGE // 2, *[LARGE] * WARM_UP_BLOCKS):  # what is compiled, cached or remembered
        inside.take(inside.packets(size))
    peak, held, left = memory(inside)
    large, half = calls(inside, LARGE), calls(inside, LARGE // 2)
    per_message = [(a - b) / (LARGE - LARGE // 2) for a, b in zip(large, half, strict=True)]
    blocks = {size: inside.take(inside.packets(size)) for size in (SMALL, LARGE)}
    return {
        "python_calls_per_message": round(per_message[0], 3),
        "python_calls_per_block": round(large[0] - LARGE * per_message[0], 1),
        "c_calls_per_message": round(per_message[1], 3),
        "peak_bytes_per_message": round(peak, 1),
        "blocks_held_per_message": round(held, 3),
        "blocks_left_per_message": round(left, 4),
        "journal_bytes_per_message": round(blocks[LARGE].journal_bytes / LARGE, 2),
        "journal_bytes_per_message_small": round(blocks[SMALL].journal_bytes / SMALL, 2),
        "line_bytes_per_message": round(blocks[LARGE].line_bytes / LARGE, 2),
    }


def calls(inside: Inside, messages: int) -> tuple[int, int]:
    """(Python, C) functions called for one block."""
    packets = inside.packets(messages)
    found = {"call": 0, "c_call": 0}

    def count(_: Any, event: str, __: Any) -> None:
        if event in found:
            found[event] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        inside.take(packets)
    finally:
        sys.setprofile(before)
    return found["call"], found["c_call"]


def memory(inside: Inside, rounds: int = 5) -> tuple[float, float, float]:
    """Per message: peak bytes while a block passes, memory blocks its chunk holds, blocks left afterwards."""
    packets = [inside.packets(LARGE) for _ in range(rounds + 1)]
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        passed = inside.take(packets[0])
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    del passed
    left, held = _allocated(), 0
    for one in packets[1:]:
        before = _allocated()
        passed = inside.take(one)
        held += _allocated() - before
        del passed
    return peak / LARGE, held / LARGE / rounds, (_allocated() - left) / LARGE / rounds


def timed(inside: Inside, messages: int) -> float:
    """CPU seconds for ``messages`` in large blocks."""
    blocks = [inside.packets(LARGE) for _ in range(max(1, messages // LARGE))]
    began = time.process_time()
    for packets in blocks:
        inside.take(packets)
    return (time.process_time() - began) * messages / (len(blocks) * LARGE)


def reference() -> float:
    """CPU seconds of one round of a fixed loop: a dict, a string, at times zlib and a sort; best of five."""
    return min(_timed_once(_reference) for _ in range(5)) / REFERENCE_ROUNDS


def _reference() -> None:
    values = np.arange(1000.0)
    for k in range(REFERENCE_ROUNDS):
        document = {"k": k, "text": f"{k}:{k * 3}"}
        if k % 100 == 0:
            zlib.compress(document["text"].encode() * 1000, 1)
            np.sort(values[::-1])


def _timed_once(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _allocated() -> int:
    gc.collect()
    return sys.getallocatedblocks()
