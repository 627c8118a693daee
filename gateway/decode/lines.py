"""Where a mistake stands in a TOML file. In: its text and a key. Out: a line number from 1, or 0.

The TOML parser gives values without places; this finds the place again from headers and keys alone, for
error messages only. Never parses a value.
"""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)")
_KEY: Final = re.compile(r"\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*[.=]")
_LABEL: Final = re.compile(r"\s*(?:name|type|rule)\s*=\s*[\"']([^\"']*)[\"']")


def line_of(text: str, key: str) -> int:
    """Line of ``field.active_power.unit``, ``override.2.raise_below`` (the second table) or ``interval_s``.

    The line of the table's header where the key is not written in it; 0 where there is no such table.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    ends = [*starts[1:], len(lines)][: len(starts)]
    first, *rest = key.split(".")
    wanted = [(s, e) for s, e in zip(starts, ends, strict=True) if _name(lines[s]) == first]
    if not wanted:
        return _within(lines, 0, starts[0] if starts else len(lines), [first])
    start, end = wanted[-1]
    if rest and rest[0].isdigit() and int(rest[0]) <= len(wanted):
        start, end = wanted[int(rest[0]) - 1]
    elif rest:
        labelled = [(s, e) for s, e in wanted if rest[0] in _labels(lines[s:e])]
        start, end = labelled[-1] if labelled else (start, end)
    return _within(lines, start + 1, end, rest[::-1]) or start + 1


def _within(lines: list[str], start: int, end: int, keys: list[str]) -> int:
    """Line of the first of ``keys`` that is written in lines [start, end), from 1; 0 if none is."""
    for key in keys:
        for number in range(start, end):
            found = _KEY.match(lines[number])
            if found and found[1] == key:
                return number + 1
    return 0


def _name(header: str) -> str:
    found = _HEADER.match(header)
    return found[1] if found else ""


def _labels(lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := _LABEL.match(line))]
