"""Cells of a record to typed values. In: a Record. Out: numbers, ids, times; or a problem noted.

A cell that can not be read never raises: the problem is collected and a harmless value stands in, so that the
rest of the line is checked as well.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import numpy as np

from gateway.inventory.problems import Problems
from gateway.inventory.table import Record

ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""What an id may look like; the same list guards topics, tags and file names."""

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_YES = {"yes", "true", "1", "y", "có"}
_NO = {"no", "false", "0", "n", "không"}


class Cells:
    """Typed access to one record; every method notes its own problem."""

    def __init__(self, record: Record, problems: Problems) -> None:
        self._record, self._problems = record, problems
        self.where = record.where

    def problem(self, key: str, problem: str, remedy: str) -> None:
        self._problems.add(self.where, key, problem, remedy)

    def text(self, key: str) -> str:
        return self._record.values.get(key, "")

    def identifier(self, key: str) -> str:
        """An id of the allow-list."""
        text = self.text(key)
        if not ID.fullmatch(text):
            self.problem(key, f"{text!r} is no id", "use 1 to 64 of A-Z a-z 0-9 _ . : -")
        return text

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number in [low, high]; ``default`` for an empty cell, mandatory without one."""
        text = self.text(key)
        if not text and default is not None:
            return default
        plain = text.replace(",", ".") if self._record.decimal_comma and text.count(",") == 1 else text
        try:
            value = float(plain) if "_" not in plain else math.nan
        except ValueError:
            value = math.nan
        if not low <= value <= high:  # also refuses NaN and infinities
            self.problem(key, f"{text!r} is no number from {low:g} to {high:g}", "write it like 11.05")
            return low
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in [low, high]."""
        value = self.number(key, low, high, default)
        if value != int(value):
            self.problem(key, f"{self.text(key)!r} is no whole number", "write it without decimals")
        return int(value)

    def boolean(self, key: str) -> bool:
        text = self.text(key).lower()
        if text not in _YES | _NO:
            self.problem(key, f"{text!r} is neither yes nor no", "write yes or no")
        return text in _YES

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        text = self.text(key)
        if text not in known:
            self.problem(key, f"{text!r} is not known", f"write one of {', '.join(known)}")
        return text

    def minute(self, key: str) -> int:
        """Minute of the local day from ``HH:MM``."""
        return self.minute_of(key, self.text(key))

    def minute_of(self, key: str, text: str) -> int:
        match = _CLOCK.fullmatch(text)
        if not match:
            self.problem(key, f"{text!r} is no time of day", "write it like 23:00")
            return 0
        return int(match[1]) * 60 + int(match[2])

    def instant_ns(self, key: str, default: int) -> int:
        """UTC nanoseconds of an RFC 3339 time with its zone; ``default`` for an empty cell."""
        text = self.text(key)
        if not text:
            return default
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.problem(key, f"{text!r} is no time with a zone", "write it like 2026-01-31T00:00:00+07:00")
            return default
        return int(np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns").astype(np.int64))

    def latitude(self) -> float:
        return self.number("latitude", -90, 90)

    def longitude(self) -> float:
        return self.number("longitude", -180, 180)
