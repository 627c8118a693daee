"""A small city for the store's tests: a profile of every field type, batches, a strict line parser."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.fleet import Area, Asset, Assignment, Device, Feeder, Fleet
from gateway.model import Field, FieldKind, ProfileSpec, Quality, ReadingBatch

FIRST, LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
START_NS = 1_790_000_000_123_456_789

POWER = Field("active_power", "W", FieldKind.FLOAT)
ENERGY = Field("energy", "Wh", FieldKind.INTEGER)
LIT = Field("lit", "", FieldKind.BOOLEAN)
MODE = Field("mode", "", FieldKind.ENUM, ("off", "on", 'a "quoted", = \\ label'))
NOTE = Field("note", "", FieldKind.TEXT)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, wall_ns: int | None = None) -> None:
        self.now_ns = time.time_ns() if wall_ns is None else wall_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def elapsed_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


def profile(
    name: str = "led",
    numeric: Sequence[Field] = (POWER, ENERGY, LIT, MODE),
    texts: Sequence[Field] = (NOTE,),
    tags: Sequence[tuple[str, str]] = (("maker", "Acme, Ltd = \\"),),
    device_class: str = "luminaire",
) -> ProfileSpec:
    return ProfileSpec(name, device_class, tuple(numeric), tuple(texts), tuple(tags), 900.0, 3, ())


def fleet(devices: int = 4, area: str = "Phú Lợi", assignments: Sequence[Assignment] | None = None) -> Fleet:
    """Device L0 on P0, and so on; the last device is on the bench. P0 hangs on no feeder."""
    assets = tuple(
        Asset(f"P{i}", "light_point", area, 11.0, 106.0, feeder="F 1" if i else "") for i in range(devices)
    )
    always = tuple(Assignment(f"L{i}", f"P{i}", int(FIRST), int(LAST)) for i in range(devices - 1))
    return Fleet(
        areas=(Area(area, area),),
        cabinets=(),
        feeders=(Feeder("F 1", "C1", True),),
        programmes=(),
        assets=assets,
        devices=tuple(Device(f"L{i}", "led") for i in range(devices)),
        assignments=always if assignments is None else tuple(assignments),
    )


def batch(
    of: ProfileSpec,
    values: Sequence[Sequence[float]],
    texts: Sequence[str | None] | None = None,
    *,
    device: Sequence[int] | None = None,
    time_ns: Sequence[int] | None = None,
    quality: Sequence[Sequence[int]] | None = None,
    sequence: int = 1,
) -> ReadingBatch:
    """``values`` one row a reading; NaN becomes MISSING unless ``quality`` says otherwise."""
    matrix = np.array(values, np.float64).T.reshape(len(of.numeric), -1)
    n = matrix.shape[1]
    flags = np.where(np.isnan(matrix), Quality.MISSING, Quality.VALID).astype(np.uint8)
    at = np.arange(n, dtype=np.int64)
    times = START_NS + at if time_ns is None else np.array(time_ns, np.int64)
    return ReadingBatch(
        profile=of,
        sequence=np.full(n, sequence, np.int64),
        index=at.astype(np.int32),
        sample=np.zeros(n, np.int32),
        device=np.zeros(n, np.int32) if device is None else np.array(device, np.int32),
        time_ns=times,
        received_ns=times + 5,
        time_from_device=np.ones(n, np.bool_),
        skew_ns=np.zeros(n, np.int64),
        replayed=np.zeros(n, np.bool_),
        values=matrix,
        quality=flags if quality is None else np.array(quality, np.uint8).T,
        texts={field.name: list(texts or [None] * n) for field in of.texts},
    )


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Any]
    time_ns: int


def parse(line: bytes) -> Point:
    """Read one line by the published grammar and nothing more lenient; AssertionError otherwise."""
    text = line.decode("utf-8")
    assert text.isprintable() or all(c.isprintable() or c in "\u00a0\u3000" or ord(c) > 0x9F for c in text), (
        text
    )
    series, at = _until(text, 0, " ")
    measurement, *tags = _split(series, ",")
    fields: dict[str, Any] = {}
    while True:
        key, at = _until(text, at + 1, "=")
        value, at = _value(text, at + 1)
        assert key and key not in fields
        fields[key] = value
        if text[at] == " ":
            break
        assert text[at] == ","
    pairs = [_split(one, "=") for one in tags]
    assert all(len(pair) == 2 and pair[0] and pair[1] for pair in pairs), series
    keys = [pair[0] for pair in pairs]
    assert keys == sorted(set(keys)), "tags are not sorted"
    return Point(_plain(measurement), {_plain(k): _plain(v) for k, v in pairs}, fields, int(text[at + 1 :]))


def _until(text: str, at: int, stop: str) -> tuple[str, int]:
    start = at
    while text[at] != stop:
        at += 2 if text[at] == "\\" else 1
    return text[start:at], at


def _split(text: str, separator: str) -> list[str]:
    parts, at = [""], 0
    while at < len(text):
        step = 2 if text[at] == "\\" else 1
        if step == 1 and text[at] == separator:
            parts.append("")
        else:
            parts[-1] += text[at : at + step]
        at += step
    return parts


def _plain(text: str) -> str:
    for character in ",= ":
        text = text.replace("\\" + character, character)
    assert "\\" not in text
    return text


def _value(text: str, at: int) -> tuple[Any, int]:
    if text[at] == '"':
        found, at = "", at + 1
        while text[at] != '"':
            if text[at] == "\\":
                at += 1
                assert text[at] in '"\\'
            found += text[at]
            at += 1
        return found, at + 1
    end = min(i for i in (text.find(",", at), text.find(" ", at)) if i >= 0)
    word = text[at:end]
    if word in ("true", "false"):
        return word == "true", end
    if word.endswith("i"):
        return int(word[:-1]), end
    assert not {"n", "N", "_"} & set(word), f"{word} is no number"
    return float(word), end
