"""Batches made ready for a store. In: batches, the inventory. Out: one block a profile, tags, clean text.

Never does IO and never loops over readings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.fleet import Fleet
from gateway.model import Int32s, Int64s, ProfileSpec, Quality, ReadingBatch

BENCH_AREA = "bench"
TIME_FLAG = "time=clock"
INTEGER_END = 2.0**63
"""Beyond it a float has no place in a store's integer."""
FLAG_TEXTS_MAX = 10_000
CONTROL_CHARACTERS = r"[\p{Cc}\u2028\u2029]"
REPLACEMENT = "\ufffd"
SAFE = re.compile(r"[A-Za-z0-9_.:-]+")
"""Device ids that need no escape: those of the inventory."""

Objects = npt.NDArray[np.object_]


def blocks(batches: Sequence[ReadingBatch]) -> list[ReadingBatch]:
    """The same readings as one batch per profile, in order: what costs is the batch, not the reading."""
    groups: dict[int, list[ReadingBatch]] = {}
    for batch in batches:
        if len(batch):
            groups.setdefault(id(batch.profile), []).append(batch)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _joined(group: Sequence[ReadingBatch]) -> ReadingBatch:
    def column(name: str, axis: int = 0) -> Any:
        return np.concatenate([getattr(batch, name) for batch in group], axis=axis)

    return ReadingBatch(
        profile=group[0].profile,
        sequence=column("sequence"),
        index=column("index"),
        sample=column("sample"),
        device=column("device"),
        time_ns=column("time_ns"),
        received_ns=column("received_ns"),
        time_from_device=column("time_from_device"),
        skew_ns=column("skew_ns"),
        replayed=column("replayed"),
        values=column("values", axis=1),
        quality=column("quality", axis=1),
        texts={name: [text for batch in group for text in batch.texts[name]] for name in group[0].texts},
    )


class Places:
    """Names of devices, and the area and feeder of the asset each served, by row."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        # BENCH is -1, so the entry behind the last asset is what a device without an asset gets.
        area, feeder = fleet.asset_table.words("area"), fleet.asset_table.words("feeder")
        self._areas, self._feeders = (*area.words, BENCH_AREA), (*feeder.words, "")
        self._area_codes = np.append(area.codes, len(area.words))
        self._feeder_codes = np.append(feeder.codes, len(feeder.words))

    def devices(self, device: Int32s) -> Objects:
        """object[n]: names of devices."""
        return _objects(self.fleet.device_ids(device))

    def areas(self, asset: Int32s) -> Objects:
        """object[n]: area of each asset row."""
        return _spread(self._areas, self._area_codes[asset])

    def feeders(self, asset: Int32s) -> Objects:
        """object[n]: feeder of each asset row, None where it has none."""
        return _spread([name or None for name in self._feeders], self._feeder_codes[asset])

    @cached_property
    def names(self) -> pl.Series:
        """String[devices]: the names of all devices, escaped for line protocol."""
        safe = SAFE.fullmatch
        names = self.fleet.device_table.ids("id").tolist()
        escaped = [name if safe(name) else tag(name) for name in names]
        return pl.Series("device", escaped, dtype=pl.String)

    @cached_property
    def kinds(self) -> list[tuple[str, str]]:
        """(area, feeder) that assets have, and the bench, each once."""
        pairs = np.stack((self._area_codes, self._feeder_codes))
        kinds, self._kind_of = np.unique(pairs, axis=1, return_inverse=True)
        return [(self._areas[area], self._feeders[feeder]) for area, feeder in kinds.T.tolist()]

    def kind_of(self, asset: Int32s) -> Int64s:
        """Number in ``kinds`` of each asset row."""
        assert self.kinds
        found: Int64s = self._kind_of.ravel()[asset]
        return found

    def assets(self, batch: ReadingBatch) -> Int32s:
        """Asset row of each reading at its event time; BENCH where there is none."""
        return self.fleet.assets_at(batch.device, batch.time_ns)


def _objects(items: Sequence[str | None]) -> Objects:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _spread(words: Sequence[str | None], codes: Int32s) -> Objects:
    found: Objects = _objects(words)[codes]
    return found


class Flags:
    """Texts that name the flagged fields of a reading, e.g. ``dimming_level=missing``, each written once.

    CLOCK is about the reading's time, not about a value: it is named once, as ``time=clock``.
    """

    def __init__(self, profile: ProfileSpec) -> None:
        self._names = [field.name for field in (*profile.numeric, *profile.texts)]
        self._known: dict[bytes, str] = {}

    def of(self, quality: npt.NDArray[np.uint8]) -> Objects:
        """object[n] for uint8[f, n]: the text of each reading, None when all its values are valid."""
        found = np.full(quality.shape[1], None, dtype=object)
        doubtful = np.flatnonzero(quality.any(axis=0))
        if len(doubtful):
            rows = np.ascontiguousarray(quality[:, doubtful].T)
            patterns, inverse = np.unique(rows.view(f"V{rows.shape[1]}")[:, 0], return_inverse=True)
            found[doubtful] = _objects([self._text(pattern.tobytes()) for pattern in patterns])[inverse]
        return found

    def _text(self, pattern: bytes) -> str:
        text = self._known.get(pattern)
        if text is None:
            if len(self._known) >= FLAG_TEXTS_MAX:
                self._known.clear()
            text = self._known[pattern] = ",".join(self._words(pattern))
        return text

    def _words(self, pattern: bytes) -> Iterator[str]:
        if Quality.CLOCK in pattern:
            yield TIME_FLAG
        for name, kind in zip(self._names, pattern, strict=False):
            if kind not in (Quality.VALID, Quality.CLOCK):
                yield f"{name}={Quality(kind).name.lower()}"


def clean(texts: Sequence[str | None]) -> pl.Series:
    """Texts fit to be stored: control characters, line separators, lone surrogates become U+FFFD."""
    try:
        column = pl.Series("text", texts, dtype=pl.String)
    except UnicodeEncodeError:
        whole = [
            text and text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
        ]
        column = pl.Series("text", whole, dtype=pl.String)
    return column.str.replace_all(CONTROL_CHARACTERS, REPLACEMENT)


def labels(codes: npt.NDArray[np.float64], of: Sequence[str]) -> pl.Series:
    """The label of each enum code; null where there is none."""
    with np.errstate(invalid="ignore"):
        known = (codes >= 0) & (codes < len(of))
    at = np.where(known, codes, 0).astype(np.uint32)
    column = pl.Series("label", list(of), dtype=pl.String).gather(pl.Series(at))
    return column.set(pl.Series(~known), None) if not known.all() else column


def tag(text: str) -> str:
    """A measurement, tag key or tag value, escaped. What can not be escaped becomes U+FFFD.

    Tags come from files of the operator, so this is the last line of defence, not the first. A backslash
    has no escape there: before a comma, or at the end, it would swallow the next character.
    """
    safe = "".join(c if (c.isprintable() and c != "\\") else REPLACEMENT for c in text)
    return safe.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")
