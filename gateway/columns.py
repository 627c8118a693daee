"""Tables of a large inventory as columns. In: value objects, one a row. Out: arrays, and a value on demand.

A value object with its texts costs a kilobyte, as columns some eighty bytes. Never changes once built.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from operator import eq
from typing import Any, Generic, Protocol, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from gateway.model import Int32s

NOT_THERE = -1
"""Row of an id that a column does not have."""

STRETCH = 4096
"""Rows made into value objects at a time."""

T = TypeVar("T")
Rows = slice | npt.NDArray[Any]


class Column(Protocol):
    """What a NumPy array, ``Words`` and ``Ids`` have in common; items are numbers or texts."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Rows, /) -> Self: ...
    def item(self, row: int, /) -> Any: ...
    def tolist(self) -> list[Any]: ...


class Words:
    """Texts of which many are alike: ``words`` has each once, ``codes`` int32[n] says which."""

    def __init__(self, words: tuple[str, ...], codes: Int32s) -> None:
        self.words, self.codes = words, codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Rows) -> Self:
        return type(self)(self.words, self.codes[rows])

    def item(self, row: int) -> str:
        return self.words[self.codes.item(row)]

    def tolist(self) -> list[str]:
        return [self.words[code] for code in self.codes.tolist()]

    def pruned(self) -> Self:
        """The same without the words that no row has."""
        used, codes = np.unique(self.codes, return_inverse=True)
        return type(self)(tuple(self.words[code] for code in used.tolist()), codes.astype(np.int32))

    def spread(self, of_word: Iterable[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """What goes for each word, in order of ``words``, as one entry a row."""
        return np.array([*of_word], dtype=dtype)[self.codes] if self.words else np.empty(0, dtype)

    def equal(self, text: str) -> npt.NDArray[np.bool_]:
        """bool[n]: the row has this text."""
        return self.spread((word == text for word in self.words), np.bool_)


class Ids:
    """Texts of which hardly two are alike, as UTF-8 (bytes[n], NUL-padded); finds the row of one."""

    def __init__(self, texts: npt.NDArray[np.bytes_]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: Rows) -> Self:
        return type(self)(self.texts[rows])

    def item(self, row: int) -> str:
        return self.texts.item(row).decode()

    def tolist(self) -> list[str]:
        return [text.decode() for text in self.texts.tolist()]

    def rows(self, names: npt.NDArray[np.bytes_]) -> Int32s:
        """int32[len(names)]: the row of each, NOT_THERE for one that is none; the last of two alike."""
        if not len(self.texts):
            return np.full(len(names), NOT_THERE, dtype=np.int32)
        order, texts = self._in_order
        at = np.searchsorted(texts, names, side="right") - 1
        found = (at >= 0) & (texts[at] == names)
        return np.where(found, order[at], NOT_THERE).astype(np.int32)

    def row(self, name: str) -> int:
        """The same of one."""
        text = name.encode()
        if not len(self.texts) or len(text) > self.texts.itemsize:  # which would widen the whole column
            return NOT_THERE
        order, texts = self._in_order
        at = int(texts.searchsorted(text, side="right")) - 1
        return order.item(at) if at >= 0 and texts.item(at) == text else NOT_THERE

    @cached_property
    def _in_order(self) -> tuple[Int32s, npt.NDArray[np.bytes_]]:
        """Rows in order of their texts, and the texts in that order."""
        order = np.argsort(self.texts, kind="stable")
        return order.astype(np.int32), self.texts[order]


class RowOf(Mapping[str, int]):
    """Id to row, by bisection: a dict of a million ids is a hundred megabytes."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def __getitem__(self, name: str) -> int:
        row = self._ids.row(name)
        if row == NOT_THERE:
            raise KeyError(name)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids.tolist())

    def __len__(self) -> int:
        return len(self._ids)

    def rows(self, names: Sequence[str]) -> Int32s:
        """int32[len(names)], NOT_THERE for a name that is no id."""
        return self._ids.rows(encoded(names))


class Table(Sequence[T], Generic[T]):
    """A sequence of frozen dataclass values, kept as one column a field; equal to one of the same values."""

    def __init__(self, kind: type[T], columns: Mapping[str, Column]) -> None:
        self._kind, self._columns = kind, dict(columns)
        self._length = len(next(iter(columns.values())))

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> Self: ...
    def __getitem__(self, row: int | slice) -> T | Self:
        if isinstance(row, slice):
            return self.take(row)
        return self._kind(*(column.item(row) for column in self._columns.values()))

    def __iter__(self) -> Iterator[T]:
        for first in range(0, self._length, STRETCH):
            part = slice(first, first + STRETCH)
            yield from map(self._kind, *(column[part].tolist() for column in self._columns.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def take(self, rows: Rows) -> Self:
        """These rows only."""
        taken = {name: column[rows] for name, column in self._columns.items()}
        columns = {name: c.pruned() if isinstance(c, Words) else c for name, c in taken.items()}
        return type(self)(self._kind, columns)

    def words(self, field: str) -> Words:
        column = self._columns[field]
        assert isinstance(column, Words)
        return column

    def ids(self, field: str) -> Ids:
        column = self._columns[field]
        assert isinstance(column, Ids)
        return column

    def numbers(self, field: str) -> npt.NDArray[Any]:
        """float64[n] or int64[n], as the field is; not to be written to."""
        column = self._columns[field]
        assert isinstance(column, np.ndarray)
        return column


class Draft(Generic[T]):
    """A table that grows. ``ids`` names the fields of which hardly two values are alike."""

    def __init__(self, kind: type[T], ids: Sequence[str]) -> None:
        self._kind = kind
        self._columns: dict[str, _Growing] = {}
        for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
            text = field.type == "str"
            growing = _GrowingIds if field.name in ids else _GrowingWords if text else None
            self._columns[field.name] = growing() if growing else _GrowingNumbers(str(field.type))
        self._appends = [(name, column.append) for name, column in self._columns.items()]

    def append(self, row: T) -> None:
        for name, append in self._appends:
            append(getattr(row, name))

    def extend(self, rows: Iterable[T]) -> Self:
        for row in rows:
            self.append(row)
        return self

    def table(self) -> Table[T]:
        return Table(self._kind, {name: column.column() for name, column in self._columns.items()})


class _Growing(Protocol):
    def append(self, item: Any, /) -> None: ...
    def column(self) -> Column: ...


class _GrowingIds:
    def __init__(self) -> None:
        self._texts: list[bytes] = []  # bounded: by the file it comes from

    def append(self, item: str) -> None:
        self._texts.append(item.encode())

    def column(self) -> Ids:
        return Ids(np.array(self._texts or [b""], dtype=np.bytes_)[: len(self._texts)])


class _GrowingWords:
    def __init__(self) -> None:
        self._code: dict[str, int] = {}  # bounded: by the file it comes from
        self._codes = array("i")

    def append(self, item: str) -> None:
        self._codes.append(self._code.setdefault(item, len(self._code)))

    def column(self) -> Words:
        return Words(tuple(self._code), np.array(self._codes, dtype=np.int32))


class _GrowingNumbers:
    def __init__(self, kind: str) -> None:
        self._numbers: array[Any] = array("d" if kind == "float" else "q")

    def append(self, item: float) -> None:
        self._numbers.append(item)

    def column(self) -> Column:
        return np.array(self._numbers)


def encoded(names: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """bytes[n]: texts as ``Ids`` holds them."""
    return np.array([name.encode() for name in names] or [b""], dtype=np.bytes_)[: len(names)]
