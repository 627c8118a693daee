"""What judging costs. In: counts. Out: the bench report, one run a block size and number of rules.

The alarm engine alone, over readings that are translated beforehand: of a sound city, and of one in which
every lamp goes against a limit, not yet for long enough to be an alarm; and its memory a device and rule.
"""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

from benchmarks import figures
from benchmarks.figures import Report
from benchmarks.figures import Run as Figures
from benchmarks.inside import START_NS, Inside, configuration
from benchmarks.rulebooks import rules
from gateway.model import Chunk, ReadingBatch, Run

LUMINAIRE = ("luminaire-controller",)
FEW, MANY = 5, 40
BLOCKS = (5000, 79)
MEMORY_DEVICES = 100_000
EVENING_NS = START_NS + 8 * 3600 * 10**9


def measure(messages: int = 100_000, devices: int = 5000) -> Report:
    """CPU of the engine per reading; ``bytes_per_device_rule`` from 100,000 devices."""
    many, few = rules(MANY, LUMINAIRE), ""
    runs = [judged(MANY, many, block, messages, devices) for block in BLOCKS]
    runs += [judged(FEW, few, block, messages, devices) for block in BLOCKS]
    runs += [judged(MANY, many, block, messages, devices, sound=False) for block in BLOCKS]
    added = (built(many) - built(few)) / MEMORY_DEVICES / (MANY - FEW)
    runs[0]["figures"]["bytes_per_device_rule"] = round(added, 1)
    return figures.report("rules", runs)


def judged(count: int, book: str, block: int, messages: int, devices: int, *, sound: bool = True) -> Figures:
    """``messages`` in blocks of ``block`` past ``count`` rules: of lamps lit in the evening, or by day."""
    inside = Inside(devices, book, EVENING_NS if sound else START_NS)
    chunks: list[Chunk] = []
    for _ in range(messages // block):
        records, _ = inside.record(inside.packets(block))
        chunk = inside.translator.translate(records)
        chunks.append(_undimmed(chunk) if sound else chunk)
    inside.engine.apply(chunks[0])
    began = time.process_time()
    for chunk in chunks[1:]:
        if inside.engine.apply(chunk):
            raise RuntimeError("the load raised an alarm: judging is not all that was measured")
    seconds = time.process_time() - began
    if sound == bool(inside.engine.evaluator.busy.any()):
        raise RuntimeError("the load is not what it is said to be: sound, or against a limit throughout")
    return figures.run(
        f"{count} rules, blocks of {block}{'' if sound else ', all lit by day'}",
        messages=(len(chunks) - 1) * block,
        devices=devices,
        seconds=seconds,
        cpu_s={"engine": seconds},
    )


def _undimmed(chunk: Chunk) -> Chunk:
    """The load as in the first hours of the evening, when no programme dims."""
    parts = [
        replace(part, batches=tuple(_at_full_light(batch) for batch in part.batches))
        if isinstance(part, Run)
        else part
        for part in chunk.parts
    ]
    return replace(chunk, parts=tuple(parts))


def _at_full_light(batch: ReadingBatch) -> ReadingBatch:
    values = batch.values.copy()
    values[[field.name for field in batch.profile.numeric].index("dimming_level")] = 100.0
    return replace(batch, values=values)


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
