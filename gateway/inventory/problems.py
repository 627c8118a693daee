"""Mistakes of one import. In: what is wrong, where, and how to mend it. Out: one error that names many.

Collects so that a user mends a whole file at once; bounded, because one wrong separator breaks every line.
"""

from __future__ import annotations

from gateway.errors import ConfigurationError, ConfigurationErrors


class Problems:
    """Mistakes in order of discovery, the first ``kept_max`` kept, all counted."""

    def __init__(self, kept_max: int = 50) -> None:
        self._kept: list[ConfigurationError] = []
        self._kept_max = kept_max
        self.count = 0

    def add(self, where: str, key: str, problem: str, remedy: str) -> None:
        """``where`` is ``file:line``; ``key`` the column or property, empty for the whole line."""
        self.count += 1
        if len(self._kept) < self._kept_max:
            self._kept.append(ConfigurationError(where, key, problem, remedy))

    def raise_if_any(self) -> None:
        """Raise ConfigurationErrors with everything found so far."""
        if self._kept:
            raise ConfigurationErrors(tuple(self._kept), self.count)
