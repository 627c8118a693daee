"""What judging costs. In: counts. Out: the bench report, one run a block size and number of rules.

The alarm engine alone, over readings that are translated beforehand; and its memory a device and rule.
"""

from __future__ import annotations

import time
import tracemalloc

from benchmarks import figures
from benchmarks.figures import Report, Run
from benchmarks.inside import Inside, configuration
from benchmarks.rulebooks import rules
from gateway.model import Chunk

LUMINAIRE = ("luminaire-controller",)
FEW, MANY = 5, 40
BLOCKS = (5000, 79)
MEMORY_DEVICES = 100_000


def measure(messages: int = 100_000, devices: int = 5000) -> Report:
    """CPU of the engine per reading; ``bytes_per_device_rule`` from 100,000 devices."""
    many, few = rules(MANY, LUMINAIRE), ""
    runs = [judged(MANY, many, block, messages, devices) for block in BLOCKS]
    runs += [judged(FEW, few, block, messages, devices) for block in BLOCKS]
    added = (built(many) - built(few)) / MEMORY_DEVICES / (MANY - FEW)
    runs[0]["figures"]["bytes_per_device_rule"] = round(added, 1)
    return figures.report("rules", runs)


def judged(count: int, book: str, block: int, messages: int, devices: int) -> Run:
    """``messages`` in blocks of ``block`` past ``count`` rules."""
    inside = Inside(devices, book)
    chunks: list[Chunk] = []
    for _ in range(messages // block):
        records, _ = inside.record(inside.packets(block))
        chunks.append(inside.translator.translate(records))
    inside.engine.apply(chunks[0])
    began = time.process_time()
    for chunk in chunks[1:]:
        if inside.engine.apply(chunk):
            raise RuntimeError("the load raised an alarm: judging is not all that was measured")
    seconds = time.process_time() - began
    return figures.run(
        f"{count} rules, blocks of {block}",
        messages=(len(chunks) - 1) * block,
        devices=devices,
        seconds=seconds,
        cpu_s={"engine": seconds},
    )


def built(book: str) -> int:
    """Bytes of a fresh engine for ``MEMORY_DEVICES`` lamps."""
    known = configuration(MEMORY_DEVICES, book)
    tracemalloc.start()
    try:
        engine = known.engine()
        size, _ = tracemalloc.get_traced_memory()
        assert engine.fleet is known.fleet
        return size
    finally:
        tracemalloc.stop()
