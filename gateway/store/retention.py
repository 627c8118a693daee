"""How old a reading may be for a server to keep it. In: what the server says of both.

Out: the oldest time worth sending. The server's own clock decides, as it will when it refuses, so that a
wrong clock of ours quarantines nothing. Never does IO.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.errors import StoreError
from gateway.store.answer import Answer, Outcome
from gateway.store.history import decoded

LOOK_S: Final = 3600.0
"""A server is asked for its retention this often: an operator may change it."""

HOUR_NS: Final = 3_600_000_000_000
_GO_PART: Final = re.compile(r"(\d+)(h|m|s)")
_GO_UNITS_S: Final = {"h": 3600, "m": 60, "s": 1}
_FLAG: Final = re.compile(r'^flag\{name="retentionPeriod", value="([\d.]+)([a-z]?)"', re.M)
_VICTORIA_UNITS_H: Final = {
    "": 31 * 24,
    "h": 1,
    "d": 24,
    "w": 7 * 24,
    "y": 365 * 24,
}  # bare: months of 31 days


class Retention:
    """``period_ns`` None is not known, 0 is for ever."""

    def __init__(self, period_ns: int | None) -> None:
        self.period_ns = period_ns
        self.looked_ns: int | None = None
        self._server_ns: int | None = None  # the server's time when our monotonic clock showed 0

    def heard(self, date: str, monotonic_ns: int) -> None:
        """An answer carried the header ``Date`` (RFC 9110 section 6.6.1), good to a second."""
        try:
            self._server_ns = int(parsedate_to_datetime(date).timestamp()) * 1_000_000_000 - monotonic_ns
        except ValueError:
            return

    def due(self, monotonic_ns: int) -> bool:
        """Whether the server is to be asked now."""
        return self.looked_ns is None or monotonic_ns - self.looked_ns >= LOOK_S * 1e9

    def oldest_ns(self, monotonic_ns: int) -> int | None:
        """Readings before that time will not be kept; None where nothing is known to be too old."""
        if not self.period_ns or self._server_ns is None:
            return None
        return self._server_ns + monotonic_ns - self.period_ns

    def refusal(self) -> Answer:
        """What the server would say, without asking it."""
        hours = (self.period_ns or 0) / HOUR_NS
        return Answer(Outcome.TOO_OLD, "too_old", f"not sent: older than the {hours:g} h the store keeps")


def of_policies(body: bytes, policy: str) -> int | None:
    """Period in ns from InfluxDB 1.x's ``SHOW RETENTION POLICIES``; the default policy's if none is named."""
    try:
        series = decoded(body)["results"][0]["series"][0]
        columns = series["columns"]
        name, duration, default = (columns.index(one) for one in ("name", "duration", "default"))
        for row in series["values"]:
            if row[name] == policy or (not policy and row[default]):
                parts = _GO_PART.findall(row[duration])
                return sum(int(count) * _GO_UNITS_S[unit] for count, unit in parts) * 1_000_000_000
    except (StoreError, KeyError, IndexError, TypeError, ValueError):
        pass
    return None


def of_metrics(text: str) -> int | None:
    """Period in ns from VictoriaMetrics' ``/metrics``, where its flags stand."""
    found = _FLAG.search(text)
    if found is None or found[2] not in _VICTORIA_UNITS_H:
        return None
    return int(float(found[1]) * _VICTORIA_UNITS_H[found[2]] * HOUR_NS)
