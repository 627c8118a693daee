"""Where a value stands in a JSON payload. In: a path as a profile writes it. Out: its steps.

``power.p1``, ``phases[0].u`` and, where a profile has ``records``, ``$.ts`` for what stands once per message.
Never touches a payload; a path it can not read is a ValueError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

STEPS_MAX: Final = 8
LIST_INDEX_MAX: Final = 63

_PART = re.compile(r"([^.\[\]\"$\s][^.\[\]\"$]*)((?:\[\d{1,4}\])*)")


@dataclass(frozen=True, slots=True)
class Path:
    """``steps`` are object keys (str) and list positions (int); ``of_message``: from the payload's top."""

    text: str
    steps: tuple[str | int, ...]
    of_message: bool = False

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Path:
    """The steps of ``text``; ValueError says what is wrong with it."""
    of_message = text.startswith("$.")
    steps: list[str | int] = []
    for part in (text[2:] if of_message else text).split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{text!r} is not a path like a.b[0].c")
        steps.append(match[1])
        steps.extend(int(index) for index in re.findall(r"\d+", match[2]))
    if len(steps) > STEPS_MAX:
        raise ValueError(f"{text!r} has more than {STEPS_MAX} steps")
    if any(isinstance(step, int) and step > LIST_INDEX_MAX for step in steps):
        raise ValueError(f"{text!r} has a list position above {LIST_INDEX_MAX}")
    return Path(text, tuple(steps), of_message)


def conflict(a: Path, b: Path) -> str:
    """Why two paths can not both be read from one payload, or "" when they can."""
    if a.of_message != b.of_message:
        return ""
    for x, y in zip(a.steps, b.steps, strict=False):
        if type(x) is not type(y):
            return f"{a} and {b} take one place for an object and for a list"
        if x != y:
            return ""
    if len(a.steps) == len(b.steps):
        return f"{a} is read twice"
    return f"{a} and {b} take one place for a value and for an object or list"
