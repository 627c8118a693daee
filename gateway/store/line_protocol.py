"""InfluxDB line protocol. In: batches, the inventory. Out: one line a reading, and where each came from.

Types come from the profile, never from a payload. Never emits NaN, a control character, or a line
that could be read as two. Grammar: InfluxDB v2 line protocol reference; limits of 1.x and VictoriaMetrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import polars as pl

from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.model import Bools, Field, FieldKind, Float64s, Int32s, Int64s, ProfileSpec, ReadingBatch
from gateway.store.block import (
    INTEGER_END,
    Flags,
    Places,
    blocks,
    clean,
    labels,
    tag,
)

FIELD_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
CLASS_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED: Final = frozenset({"time", "received_at", "quality", "device", "area", "feeder", "profile"})
SERIES_TAGS: Final = frozenset({"device", "area", "feeder", "profile"})
PROFILES_MAX = 1000
"""Compiled profiles kept; a gateway with more starts over."""
EXPRESSIONS_MAX = 256
"""Compiled lines kept for a profile, one for each set of columns with holes."""
CSV_LINES_MIN = 1000


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines laid end to end, each ending in a newline, with the reading each one is.

    Line i is ``body[starts[i]:starts[i + 1]]``; ``starts`` int64[n + 1], the other columns have n entries.
    """

    body: bytes
    starts: Int64s
    sequence: Int64s
    index: Int32s
    sample: Int32s
    device: Int32s
    time_ns: Int64s
    received_ns: Int64s

    def __len__(self) -> int:
        return len(self.sequence)

    def line(self, i: int) -> bytes:
        """Line ``i`` without its newline."""
        return self.body[self.starts[i] : self.starts[i + 1] - 1]

    def part(self, first: int, end: int) -> Lines:
        """Lines [first, end)."""
        starts = self.starts[first : end + 1]
        return Lines(self.body[starts[0] : starts[-1]], starts - starts[0], *self._columns(slice(first, end)))

    def where(self, wanted: Bools) -> Lines:
        """The lines at which bool[n] ``wanted`` is True, order kept."""
        lengths = np.diff(self.starts)
        body = np.frombuffer(self.body, np.uint8)[np.repeat(wanted, lengths)].tobytes()
        starts = np.concatenate(([0], np.cumsum(lengths[wanted])))
        return Lines(body, starts, *self._columns(wanted))

    def parts(self, lines_max: int, bytes_max: int) -> Iterator[Lines]:
        """The same lines in parts of at most so many lines and bytes; a longer line is a part of its own."""
        first = 0
        while first < len(self):
            fits = int(np.searchsorted(self.starts, self.starts[first] + bytes_max, side="right")) - 1
            end = min(max(fits, first + 1), first + lines_max, len(self))
            yield self.part(first, end)
            first = end

    def _columns(self, at: slice | Bools) -> tuple[Int64s, Int32s, Int32s, Int32s, Int64s, Int64s]:
        return (
            self.sequence[at],
            self.index[at],
            self.sample[at],
            self.device[at],
            self.time_ns[at],
            self.received_ns[at],
        )


class LineWriter:
    """Turns batches of one inventory into lines. ``numbers_only`` leaves text out and writes enums as codes.

    Same readings, same bytes: a retry after an unknown outcome overwrites and never adds.
    """

    def __init__(self, fleet: Fleet, *, numbers_only: bool = False) -> None:
        self.places = Places(fleet)
        self._numbers_only = numbers_only
        self._profiles: dict[int, _ProfileLines] = {}

    def lines(self, batches: Sequence[ReadingBatch]) -> Lines:
        """One line a reading, profile by profile. Raises ConfigurationError for an unusable field name."""
        whole = blocks(batches)
        bodies = [self._compiled(block.profile).body(block) for block in whole]
        body = b"".join(bodies)
        ends = np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n")) + 1

        def column(name: str, dtype: type[np.generic]) -> Any:
            return np.concatenate([np.zeros(0, dtype), *(getattr(block, name) for block in whole)])

        return Lines(
            body=body,
            starts=np.concatenate(([0], ends)),
            sequence=column("sequence", np.int64),
            index=column("index", np.int32),
            sample=column("sample", np.int32),
            device=column("device", np.int32),
            time_ns=column("time_ns", np.int64),
            received_ns=column("received_ns", np.int64),
        )

    def _compiled(self, profile: ProfileSpec) -> _ProfileLines:
        compiled = self._profiles.get(id(profile))
        if compiled is None:
            if len(self._profiles) >= PROFILES_MAX:
                self._profiles.clear()
            compiled = _ProfileLines(profile, self.places, self._numbers_only)
            self._profiles[id(profile)] = compiled
        return compiled


class _ProfileLines:
    """What is the same for all readings of a profile: the expressions of a line and the series' names."""

    def __init__(self, profile: ProfileSpec, places: Places, numbers_only: bool) -> None:
        check_names(profile)
        self.profile = profile  # kept, so that its id() stays its own
        self._series = _SeriesNames(profile, places)
        self._flags = Flags(profile)
        self._numbers_only = numbers_only
        self._texts = () if numbers_only else profile.texts
        self._integers = np.array([field.kind is FieldKind.INTEGER for field in profile.numeric], np.bool_)
        self._lines: dict[tuple[bool, bytes], pl.Expr] = {}

    def body(self, block: ReadingBatch) -> bytes:
        finite = np.isfinite(block.values)
        finite[self._integers] &= np.abs(block.values[self._integers]) < INTEGER_END
        holes = np.asarray(~finite.all(axis=1), np.bool_)
        doubtful = not self._numbers_only and bool(block.quality.any())
        columns = [
            *self._series.of(block),
            pl.Series("time", block.time_ns),
            pl.Series("received", block.received_ns),
            *(self._number(i, block.values[i], finite[i], bool(holes[i])) for i in range(len(finite))),
            *(clean(block.texts[field.name]).rename(f"t{i}") for i, field in enumerate(self._texts)),
        ]
        if doubtful:
            columns.append(pl.Series("quality", self._flags.of(block.quality).tolist(), dtype=pl.String))
        lines = pl.DataFrame(columns).select(self._line(doubtful, holes))
        if len(block) < CSV_LINES_MIN:
            return ("\n".join(lines.to_series().to_list()) + "\n").encode()
        # The CSV writer, with one column and no quotes, lays many lines end to end three times faster.
        into = BytesIO()
        lines.write_csv(into, include_header=False, quote_style="never")
        return into.getvalue()

    def _number(self, i: int, row: Float64s, finite: Bools, holes: bool) -> pl.Series:
        field = self.profile.numeric[i]
        if self._quoted(field):
            return labels(row, field.labels).rename(f"n{i}")
        return pl.Series(f"n{i}", np.where(finite, row, np.nan) if holes else row, nan_to_null=holes)

    def _quoted(self, field: Field) -> bool:
        return field.kind is FieldKind.ENUM and not self._numbers_only

    def _line(self, doubtful: bool, holes: Bools) -> pl.Expr:
        key = doubtful, holes.tobytes()
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= EXPRESSIONS_MAX:
                self._lines.clear()
            line = self._lines[key] = self._expression(doubtful, holes.tolist())
        return line

    def _expression(self, doubtful: bool, holes: Sequence[bool]) -> pl.Expr:
        """One format over all columns: what is never null in a block has its place in the pattern itself."""
        pattern = "{}{}{} received_at={}i"
        columns = [pl.col("before"), pl.col("device"), pl.col("after"), pl.col("received")]
        for i, field in enumerate(self.profile.numeric):
            if self._quoted(field):
                pattern += "{}"
                columns.append(_quoted(field.name, pl.col(f"n{i}")))
                continue
            written, value = _number(field, pl.col(f"n{i}"))
            pattern += "{}" if holes[i] else written
            columns.append(pl.format(written, value).fill_null("") if holes[i] else value)
        columns += [_quoted(field.name, pl.col(f"t{i}")) for i, field in enumerate(self._texts)]
        columns += [_quoted("quality", pl.col("quality"))] if doubtful else []
        pattern += "{}" * (len(self._texts) + doubtful)
        return pl.format(pattern + " {}", *columns, pl.col("time"))


class _SeriesNames:
    """Measurement and tags of a reading in three parts: what is before the device's name, the name, the rest.

    The first and the last depend on area and feeder only; so no name of a series is ever kept whole.
    """

    def __init__(self, profile: ProfileSpec, places: Places) -> None:
        self._places = places
        ends = [_ends(profile, area, feeder) for area, feeder in places.kinds]
        self._before = pl.Series("before", [before for before, _ in ends], dtype=pl.String)
        self._after = pl.Series("after", [after for _, after in ends], dtype=pl.String)

    def of(self, block: ReadingBatch) -> tuple[pl.Series, pl.Series, pl.Series]:
        """String[n] each, escaped."""
        kind = self._places.kind_of(self._places.assets(block))
        return self._before[kind], self._places.names[block.device], self._after[kind]


def _ends(profile: ProfileSpec, area: str, feeder: str) -> tuple[str, str]:
    """What stands before and after a device's name; tags are in order of their keys."""
    own = {"area": area, "feeder": feeder, "profile": profile.name, **dict(profile.tags)}
    tags = [(key, f"{tag(key)}={tag(own[key])}") for key in sorted(own) if own[key]]
    before = [tag(profile.device_class), *(text for key, text in tags if key < "device"), "device="]
    return ",".join(before), "".join(f",{text}" for key, text in tags if key > "device")


def check_names(profile: ProfileSpec) -> None:
    """Raise ConfigurationError when a name in ``profile`` can not be written or told from the point's own."""
    if not CLASS_NAME.fullmatch(profile.device_class):
        remedy = "use small letters, digits, _ and -"
        raise ConfigurationError(
            f"profile {profile.name}", "class", f"{profile.device_class!r} is no measurement name", remedy
        )
    for field in (*profile.numeric, *profile.texts):
        if not FIELD_NAME.fullmatch(field.name) or field.name in RESERVED:
            remedy = f"use small letters, digits and _, and none of {', '.join(sorted(RESERVED))}"
            raise ConfigurationError(
                f"profile {profile.name}", f"field {field.name}", "no field name", remedy
            )
    fields = {field.name for field in (*profile.numeric, *profile.texts)}
    for key, _ in profile.tags:
        if key in SERIES_TAGS | fields | RESERVED or not FIELD_NAME.fullmatch(key):
            remedy = "use small letters, digits and _, and a name no field or other tag has"
            raise ConfigurationError(f"profile {profile.name}", f"tag {key}", "no tag name", remedy)


def _number(field: Field, column: pl.Expr) -> tuple[str, pl.Expr]:
    """How a number is written, and what goes into the braces."""
    match field.kind:
        case FieldKind.INTEGER:
            return f",{field.name}={{}}i", column.cast(pl.Int64)
        case FieldKind.BOOLEAN:
            return f",{field.name}={{}}", column.cast(pl.Boolean)
        case _:
            return f",{field.name}={{}}", column


def _quoted(name: str, column: pl.Expr) -> pl.Expr:
    """A text field, or nothing where it is null."""
    escaped = column.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return pl.format(f',{name}="{{}}"', escaped).fill_null("")
