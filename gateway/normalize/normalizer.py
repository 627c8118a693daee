"""Raw columns to readings in canonical units. In: Columns. Out: a ReadingBatch, and what had no good value.

Works on the whole float64[f, n] matrix at once (decisions D4, D5, D7). Ranges are checked in float64,
before any cast. Never throws a value away without a quality, never loops over readings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from gateway.model import (
    TIME_ABSENT,
    Bools,
    Columns,
    FieldKind,
    Float64s,
    Int32s,
    Int64s,
    ProfileSpec,
    Quality,
    ReadingBatch,
    UInt8s,
)
from gateway.normalize.tie import TieBreak

INTEGER_LIMIT: Final = 2.0**53
"""From here on float64 can not tell neighbouring integers apart, so such a value is out of range."""

REASON: Final = "no_value"
STAGE: Final = "normalize"

_TIME_LIMIT_NS: Final = 2**62


@dataclass(frozen=True, slots=True)
class Lost:
    """Samples without one good value: keys of the messages they came in (the payloads are in Publishes).

    The pipeline makes each a Reject with STAGE and REASON. ``whole`` marks messages of which no sample
    is left: they count as quarantined, and their reject is of the WHOLE_MESSAGE.
    """

    sequence: Int64s
    index: Int32s
    sample: Int32s
    whole: Bools
    messages: int

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, slots=True)
class Normalized:
    """``clock`` counts readings kept at their receive time because the device's was not believable."""

    batch: ReadingBatch
    lost: Lost
    clock: int


class Normalizer:
    """Normalizes for one configuration; ``devices`` is the length of Fleet.devices.

    Holds one thing between calls: each device's latest times, to keep two readings in one nanosecond apart.
    Columns of a device must come in journal order.
    """

    def __init__(self, devices: int) -> None:
        self._ties = TieBreak(devices)
        self._scales: dict[str, _Scale] = {}

    def rearranged(self, before: Int32s) -> Normalizer:
        """The normalizer of the next configuration: its devices had rows ``before`` here, -1 for new ones."""
        following = Normalizer(len(before))
        following._ties = self._ties.rearranged(before)
        return following

    def normalize(self, columns: Columns) -> Normalized:
        """Readings in the order of ``columns``; all samples of one message must be in one Columns."""
        spec = columns.profile
        scale = self._scales.get(spec.name)
        if scale is None or scale.spec is not spec:
            scale = self._scales[spec.name] = _Scale(spec)
        values, quality = scale.apply(columns.raw, columns.quality)
        good = (quality == Quality.VALID).any(axis=0)
        for texts in columns.texts.values():
            good |= np.fromiter(map(bool, texts), np.bool_, len(texts))

        present = columns.time_ns != TIME_ABSENT
        device_ns = np.clip(columns.time_ns, -_TIME_LIMIT_NS, _TIME_LIMIT_NS)
        skew = np.where(present, device_ns - columns.received_ns, 0)
        inside = (skew >= -_nanoseconds(spec.window_past_s)) & (skew <= _nanoseconds(spec.window_future_s))
        from_device = present & inside
        wrong = present & ~inside
        if wrong.any():
            quality[(quality == Quality.VALID) & wrong] = Quality.CLOCK

        batch = ReadingBatch(
            profile=spec,
            sequence=columns.sequence,
            index=columns.index,
            sample=columns.sample,
            device=columns.device,
            time_ns=np.where(from_device, columns.time_ns, columns.received_ns),
            received_ns=columns.received_ns,
            time_from_device=from_device,
            skew_ns=skew,
            replayed=columns.replayed,
            values=values,
            quality=quality,
            texts=columns.texts,
        )
        lost = _lost(columns, good)
        if len(lost):
            batch = batch.take(good)
        time_ns = self._distinct(batch)
        if time_ns is not batch.time_ns:
            batch = replace(batch, time_ns=time_ns)
        return Normalized(batch, lost, int((wrong & good).sum()))

    def _distinct(self, batch: ReadingBatch) -> Int64s:
        """The times to store. A replayed reading keeps its own: it overwrites what an earlier replay, or the
        good samples of its message, left there."""
        if not batch.replayed.any():
            return self._ties.distinct(batch.device, batch.time_ns)
        live, time_ns = ~batch.replayed, batch.time_ns.copy()
        time_ns[live] = self._ties.distinct(batch.device[live], time_ns[live])
        return time_ns


class _Scale:
    """The conversions and bounds of one profile as columns [f, 1]."""

    def __init__(self, spec: ProfileSpec) -> None:
        self.spec = spec
        fields = spec.numeric

        def column(numbers: list[float]) -> Float64s:
            return np.array(numbers, dtype=np.float64)[:, None]

        self._multiplier = column([f.multiplier for f in fields])
        self._addend = column([f.addend for f in fields])
        self._divisor = column([f.divisor for f in fields])
        self._identity = all((f.multiplier, f.addend, f.divisor) == (1.0, 0.0, 1.0) for f in fields)
        coded = [f.kind in (FieldKind.ENUM, FieldKind.BOOLEAN) for f in fields]
        self._low = column([0.0 if c else f.minimum for f, c in zip(fields, coded, strict=True)])
        self._high = column([_highest(f.kind, len(f.labels), f.maximum) for f in fields])
        whole = (FieldKind.INTEGER, FieldKind.ENUM, FieldKind.BOOLEAN)
        self._integers = np.array([r for r, f in enumerate(fields) if f.kind in whole], dtype=np.intp)
        self._sentinels = [(r, sentinel) for r, f in enumerate(fields) for sentinel in f.sentinels]

    def apply(self, raw: Float64s, quality: UInt8s) -> tuple[Float64s, UInt8s]:
        """(values, quality), both new; values are NaN unless VALID. No warning, whatever the numbers."""
        quality = quality.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            values = raw.copy() if self._identity else (raw * self._multiplier + self._addend) / self._divisor
            inside = (values >= self._low) & (values <= self._high) & (np.abs(values) < np.inf)
            whole = values[self._integers] == np.floor(values[self._integers])
        valid = quality == Quality.VALID
        for row, sentinel in self._sentinels:
            said = valid[row] & (raw[row] == sentinel)
            if said.any():
                quality[row, said] = Quality.SENTINEL
                valid[row] &= ~said
        if (wrong := valid & ~inside).any():
            quality[wrong] = Quality.OUT_OF_RANGE
            valid &= inside
        if (broken := valid[self._integers] & ~whole).any():
            rows, columns = np.nonzero(broken)
            quality[self._integers[rows], columns] = Quality.WRONG_TYPE
            valid[self._integers] &= ~broken
        if not valid.all():
            values[~valid] = np.nan
        return values, quality


def _highest(kind: FieldKind, labels: int, maximum: float) -> float:
    """The highest value a field may have, inclusive."""
    if kind is FieldKind.BOOLEAN:
        return 1.0
    if kind is FieldKind.ENUM:
        return labels - 1.0
    return min(maximum, INTEGER_LIMIT - 1) if kind is FieldKind.INTEGER else maximum


def _lost(columns: Columns, good: Bools) -> Lost:
    at = np.flatnonzero(~good)
    if not len(at):
        none = np.empty(0, dtype=np.bool_)
        return Lost(columns.sequence[at], columns.index[at], columns.sample[at], none, 0)
    begins = np.ones(len(good), dtype=np.bool_)
    begins[1:] = (np.diff(columns.sequence) != 0) | (np.diff(columns.index) != 0)
    message = np.cumsum(begins) - 1  # samples of one message stand together
    kept = np.bincount(message, weights=good) > 0
    return Lost(
        columns.sequence[at],
        columns.index[at],
        columns.sample[at],
        ~kept[message[at]],
        int(np.count_nonzero(~kept)),
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
