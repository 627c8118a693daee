"""What a judge found at one asset. In: crossings, silences. Out: one value for the ledger's scribe.

Every judge of single assets (rule matrix, silence, sensors over hours) says what it found in this form.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that began (``raised``), ended, or lost its ground for ``reason``; times are wall ns."""

    source: tuple[str, str]  # device id and rule key: what holds the alarm up
    type: str
    severity: Severity
    asset: int  # row of the inventory
    raised: bool
    onset_ns: int
    time_ns: int
    value: float | None
    limit: float | None
    unit: str
    reason: str = ""
