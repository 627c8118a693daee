"""Numbered messages. In: a number. Out: its topic, its payload, and what must become of it.

Everything about a message follows from its number, so the judge needs no memory of what was sent. Shares no
code with the gateway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

AREA: Final = "hoa-phu"
ALARMING: Final = 8
"""The first lamps; of every ``CYCLE`` readings of theirs ``HIGH`` are far above the limit of 264 V."""
CYCLE: Final = 50
HIGH: Final = range(10, 20)
HOLD_STEPS: Final = 2
"""Readings above the limit before it is an alarm: the hold time of the run's own rule."""
POISON: Final = 10
"""One message in so many is poison, of lamps that do not alarm."""
EVIL: Final = 'x",water_level=99i 1790000000000000000 flood,device=FL-9 \\'
FLOOD: Final = "FL-1"
MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Issued:
    """One message. ``reason`` is the quarantine's, empty for a good one; ``fields`` what must be stored."""

    topic: str
    payload: bytes
    device: str
    measurement: str
    time_ns: int
    reason: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def scrambled(number: int) -> int:
    """64 well mixed bits (splitmix64)."""
    z = (number + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def fraction(number: int, which: int) -> float:
    """In [0, 1) with all 53 bits in use."""
    return (scrambled(number * 8 + which) >> 11) / (1 << 53)


@dataclass(frozen=True, slots=True)
class Script:
    """All messages of one run; ``start_ms`` is the event time of the first, a turn of all lamps ``step_ms``.

    Event time goes on at the pace of the run: what is older when it comes was kept back, and raises nothing.
    """

    lamps: int
    start_ms: int
    step_ms: int = 500

    @property
    def hold_ms(self) -> int:
        return HOLD_STEPS * self.step_ms

    def lamp(self, number: int) -> int:
        return number % self.lamps

    def alarming(self, number: int) -> bool:
        """Whether its reading has a part in an alarm."""
        return self.lamp(number) < ALARMING

    def time_ms(self, number: int) -> int:
        """One step a turn; lamps are a millisecond apart, so no two messages share a time."""
        return self.start_ms + (number // self.lamps) * self.step_ms + self.lamp(number)

    def high(self, number: int) -> bool:
        turn = number // self.lamps + self.lamp(number) * CYCLE // ALARMING
        return self.alarming(number) and turn % CYCLE in HIGH

    def poisonous(self, number: int) -> bool:
        return not self.alarming(number) and scrambled(number) % POISON == 0

    def message(self, number: int) -> Issued:
        if self.poisonous(number):
            return POISONS[scrambled(number) // POISON % len(POISONS)](self, number)
        if not self.alarming(number) and scrambled(number) % 100 == 1:
            return self._flood(number)
        return self._reading(number)

    def _reading(self, number: int) -> Issued:
        device = f"L-{self.lamp(number) + 1}"
        time_ms = self.time_ms(number)
        sent = {
            "u": (270 if self.high(number) else 220) + 10 * fraction(number, 0),
            "i": 20 * fraction(number, 1),
            "pf": 2 * fraction(number, 2) - 1,
            "h": 1e6 * fraction(number, 3),
            "f": 40 + 30 * fraction(number, 4),
            "n": number,
        }
        names = ("supply_voltage", "supply_current", "power_factor", "lamp_operating_hours", "frequency")
        stored = dict(zip((*names, "switch_on_counter"), sent.values(), strict=True))
        payload = json.dumps({"ts": time_ms, **sent}).encode()
        topic = f"city/{AREA}/luminaire/{device}/up"
        return Issued(topic, payload, device, "luminaire", time_ms * 1_000_000, fields=stored)

    def _flood(self, number: int) -> Issued:
        """Text that looks like a line of its own, and must be stored as text."""
        time_ns = self.time_ms(number) * 1_000_000 + 7
        text = f"{EVIL} {number}"
        payload = json.dumps({"id": FLOOD, "ns": time_ns, "mm": 5, "fw": text}).encode()
        stored = {"water_level": 0.005, "firmware_version": text}
        return Issued(f"city/{AREA}/flood/{FLOOD}/up", payload, FLOOD, "flood", time_ns, fields=stored)

    def _poison(
        self, number: int, reason: str, payload: bytes, *, device: str = "", kind: str = "luminaire"
    ) -> Issued:
        device = device or f"L-{self.lamp(number) + 1}"
        return Issued(f"city/{AREA}/{kind}/{device}/up", payload, device, kind, 0, reason)


def unparsable(script: Script, number: int) -> Issued:
    return script._poison(number, "unparsable", b'{"u": 230, "n": %d' % number)


def unknown_device(script: Script, number: int) -> Issued:
    payload = b'{"ts": %d, "u": 230, "n": %d}' % (script.time_ms(number), number)
    return script._poison(number, "unknown_device", payload, device=f"L-9{number % 100:06d}")


def wrong_types(script: Script, number: int) -> Issued:
    return script._poison(number, "no_value", b'{"u": "high", "n": "%d", "lf": 7, "i": [1]}' % number)


def injected_topic(script: Script, number: int) -> Issued:
    payload = b'{"u": 230, "n": %d}' % number
    return script._poison(number, "bad_id", payload, device="L-1,area=evil u=1")


def injected_text(script: Script, number: int) -> Issued:
    text = json.dumps(f"v{number}\nflood,device=FL-9 water_level=9 1")
    payload = f'{{"id": "{FLOOD}", "ns": {script.time_ms(number) * 1_000_000}, "mm": 6, "fw": {text}}}'
    return script._poison(number, "control_character", payload.encode(), device=FLOOD, kind="flood")


def wrong_class(script: Script, number: int) -> Issued:
    return script._poison(number, "class_mismatch", b'{"u": 230, "n": %d}' % number, kind="cabinet")


def deep(script: Script, number: int) -> Issued:
    payload = b'{"n": %d, "x": ' % number + b"[" * 2000 + b"]" * 2000 + b"}"
    return script._poison(number, "too_deep", payload)


POISONS: Final = (unparsable, unknown_device, wrong_types, injected_topic, injected_text, wrong_class, deep)
