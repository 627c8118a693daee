"""How a journal is taken up again. In: a directory. Out: its segments, ready for append, and what was found.

The whole last segment is verified, a torn end cut off; earlier segments are verified when they are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.record import FRAME_BYTES
from gateway.journal.segment import HEAD_BYTES, SUFFIX, Lost, Segment, Survey, create, load


@dataclass(frozen=True, slots=True)
class Opening:
    """What was found: [first, next) but for ``lost``; ``truncated_bytes`` had never been confirmed."""

    first: int
    next: int
    truncated_bytes: int
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """The segments in order, the last one open for append as ``file``."""

    segments: list[Segment]
    file: int
    report: Opening


def open_segments(directory: Path, floor: int) -> Opened:
    """Open or begin the journal in ``directory``; raises OSError and StateFormatTooNew.

    ``floor`` is the highest cursor any follower holds. A journal that ends before it has lost records:
    they are reported, and the sequence goes on from ``floor`` so that no number is given twice.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = sorted(path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit())
    segments = [load(path) for path in paths]
    if segments:
        survey, truncated_bytes = _verified_tail(segments)
    else:
        survey, truncated_bytes = Survey(0, 0, ()), 0
    lost = survey.lost
    if survey.next < floor:
        name = segments[-1].path.name if segments else str(directory)
        problem = "the journal ends before what a follower has read"
        lost += (Lost(name, survey.end, survey.next, floor, problem),)
    if segments and segments[-1].seed is not None and survey.next >= floor:
        file = os.open(segments[-1].path, os.O_WRONLY | os.O_APPEND)
        # What a killed process wrote and never synced is read from now on, so it must outlast a power cut.
        try:
            os.fsync(file)
        except OSError:
            os.close(file)
            raise
    else:
        segment, file = create(directory, max(survey.next, floor))
        segments.append(segment)
    first, following = segments[0].first, max(survey.next, floor)
    return Opened(segments, file, Opening(first, following, truncated_bytes, lost))


def _verified_tail(segments: list[Segment]) -> tuple[Survey, int]:
    """What the last segment holds, and how many bytes of a torn end were cut off."""
    tail = segments[-1]
    if tail.seed is not None:
        survey = tail.survey()
        truncated_bytes = tail.size - survey.end
        if truncated_bytes:
            tail.truncate(survey.end)
        return survey, truncated_bytes
    if tail.size <= HEAD_BYTES:
        # A creation that was cut short: no record was ever written behind such a head.
        segments.pop()
        return Survey(tail.first, 0, ()), 0
    after = tail.first + tail.size // FRAME_BYTES  # above any sequence the file can have held
    problem = "the head of the file is damaged"
    return Survey(after, 0, (Lost(tail.path.name, 0, tail.first, after, problem),)), 0
