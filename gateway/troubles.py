"""What is wrong with the gateway itself, as changes. In: facts of its parts. Out: control records to write.

A fact becomes an alarm because it is written into the journal, like everything else that is judged. Never
writes, never reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.alarm.condition import OwnCondition, Trouble, control
from gateway.model import Control

LOSSES_HOLD_NS: Final = 600 * 1_000_000_000
"""So long after the last row a store threw away it still counts as throwing away."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One look. ``journal``, ``store``: why they take nothing, or empty; ``thrown_away`` is a total."""

    wall_ns: int
    monotonic_ns: int
    journal: str
    store: str
    thrown_away: int


class Troubles:
    """Remembers what was told. A restart tells everything once: what is told again changes no alarm."""

    def __init__(self, *, store_away_s: float) -> None:
        self._patience_ns = {Trouble.STORE_UNAVAILABLE: int(store_away_s * 1e9)}
        self._since: dict[Trouble, tuple[int, int]] = {}  # (wall, monotonic) ns at which it was first seen
        self._told: dict[Trouble, bool] = {}
        self._thrown_away = 0
        self._loss_ns: int | None = None

    def changes(self, facts: Facts) -> Iterator[Control]:
        """Records to write now. Each must be confirmed by ``told`` once it is durable, or comes again."""
        words = {
            Trouble.JOURNAL_FULL: facts.journal,
            Trouble.STORE_UNAVAILABLE: facts.store,
            Trouble.STORE_LOSSES: self._losses(facts),
        }
        for trouble, detail in words.items():
            if not detail:
                self._since.pop(trouble, None)
                if self._told.get(trouble) is not False:
                    yield control(OwnCondition(trouble, False, facts.wall_ns, ""), facts.wall_ns)
                continue
            wall_ns, seen_ns = self._since.setdefault(trouble, (facts.wall_ns, facts.monotonic_ns))
            due = facts.monotonic_ns - seen_ns >= self._patience_ns.get(trouble, 0)
            if due and self._told.get(trouble) is not True:
                yield control(OwnCondition(trouble, True, wall_ns, detail), facts.wall_ns)

    def told(self, record: Control) -> None:
        """``record`` is in the journal."""
        self._told[Trouble(record.body["trouble"])] = bool(record.body["holds"])

    def _losses(self, facts: Facts) -> str:
        if facts.thrown_away > self._thrown_away:
            self._thrown_away, self._loss_ns = facts.thrown_away, facts.monotonic_ns
        if self._loss_ns is None or facts.monotonic_ns - self._loss_ns > LOSSES_HOLD_NS:
            return ""
        return f"{self._thrown_away} rows since the start"
