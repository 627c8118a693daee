"""What an answer to a write means. In: status, headers, body. Out: one of eight outcomes and the words.

One table a dialect, first match wins; golden answers in ``tests/store/answers``. Never does IO.
Sources: InfluxDB 1.6 and VictoriaMetrics 1.79 as they answered; InfluxDB 2 and 3 from the vendor's documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

WORDS_MAX = 400
RETRY_AFTER_S_MAX = 300.0
NAMED_LINES_MAX = 100
"""InfluxDB 3 names at most so many rejected lines in an answer."""


class Dialect(StrEnum):
    INFLUX1 = "influx1"
    INFLUX2 = "influx2"
    INFLUX3 = "influx3"
    VICTORIAMETRICS = "victoriametrics"


class Outcome(StrEnum):
    """How a request ended. UNKNOWN (no answer) is the shell's to say."""

    WRITTEN = "written"
    PARTLY_WRITTEN = "partly_written"  # some lines are refused, and will be for ever
    TOO_OLD = "too_old"  # some lines lie beyond the retention
    TOO_LARGE = "too_large"  # the request; smaller ones may pass
    MALFORMED = "malformed"  # a line or the request itself is refused: find out which
    REFUSED = "refused"  # an operator has to mend something; every line would be refused
    OVERLOADED = "overloaded"  # the same request may pass later
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """``reason`` is from a bounded set, ``words`` are the server's own.

    What it tells of the guilty lines, where it does: ``dropped`` how many, ``conflict`` (measurement, field)
    whose type differs, ``named`` (line number from 1, words).
    """

    outcome: Outcome
    reason: str
    words: str = ""
    retry_after_s: float | None = None
    dropped: int | None = None
    conflict: tuple[str, str] | None = None
    named: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    statuses: range | tuple[int, ...]
    pattern: str
    outcome: Outcome
    reason: str


_LINES: Final = (
    _Row((400, 422), "field type conflict", Outcome.PARTLY_WRITTEN, "type_conflict"),
    _Row((400, 422), "beyond retention policy", Outcome.TOO_OLD, "too_old"),
    _Row((400, 422), "max-(series|values)-per", Outcome.PARTLY_WRITTEN, "series_limit"),
    _Row((400, 422), "unable to parse", Outcome.PARTLY_WRITTEN, "unparsable"),
    _Row((400, 422), "partial write", Outcome.PARTLY_WRITTEN, "refused_line"),
)
_COMMON: Final = (
    _Row((200, 204), "", Outcome.WRITTEN, "written"),
    _Row((401, 403), "", Outcome.REFUSED, "not_authorised"),
    _Row((413,), "", Outcome.TOO_LARGE, "too_large"),
    _Row((429, 503), "", Outcome.OVERLOADED, "overloaded"),
    _Row((400, 422), "", Outcome.MALFORMED, "refused_line"),
    _Row(range(500, 600), "", Outcome.OVERLOADED, "server_error"),
    _Row(range(100, 1000), "", Outcome.REFUSED, "unexpected_answer"),
)
TABLES: Final[Mapping[Dialect, tuple[_Row, ...]]] = {
    Dialect.INFLUX1: (
        *_LINES,
        _Row((404,), "database not found", Outcome.REFUSED, "database_missing"),
        # 1.6 answers 500 here, which is no accident of the server's but the operator's to mend.
        _Row((404, 500), "retention policy not found", Outcome.REFUSED, "retention_policy_missing"),
        *_COMMON,
    ),
    Dialect.INFLUX2: (
        *_LINES,
        _Row((404,), "bucket", Outcome.REFUSED, "bucket_missing"),
        _Row((404,), "organization", Outcome.REFUSED, "organisation_missing"),
        *_COMMON,
    ),
    Dialect.INFLUX3: (
        *_LINES,
        _Row((400,), "parsing failed", Outcome.PARTLY_WRITTEN, "unparsable"),
        _Row((422,), "limit", Outcome.REFUSED, "limit_reached"),
        _Row((404,), "", Outcome.REFUSED, "database_missing"),
        *_COMMON,
    ),
    Dialect.VICTORIAMETRICS: (
        _Row((400,), "too long line", Outcome.TOO_LARGE, "too_large"),
        *_COMMON,
    ),
}
_CONFLICT: Final = re.compile(r'input field "([^"]+)" on measurement "([^"]+)" is type')
_DROPPED: Final = re.compile(r"dropped=(\d+)")


def classify(dialect: Dialect, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The meaning of an answer to a write. ``headers`` are looked up case-blind by the caller's mapping."""
    document = _document(body)
    words = _words(document, body)
    for row in TABLES[dialect]:
        if status in row.statuses and re.search(row.pattern, words, re.IGNORECASE):
            break
    else:
        row = _COMMON[-1]
    dropped = _DROPPED.search(words)
    conflict = _CONFLICT.search(words)
    return Answer(
        outcome=row.outcome,
        reason=row.reason,
        words=f"HTTP {status} {words}".strip()[:WORDS_MAX],
        retry_after_s=_retry_after_s(headers),
        dropped=int(dropped[1]) if dropped else None,
        conflict=(conflict[2], conflict[1]) if conflict else None,
        named=_named(document),
    )


def thrown_away(metrics: str) -> int:
    """Rows VictoriaMetrics did not store though it answered 204, since it started; from ``/metrics``."""
    return sum(
        int(float(value))
        for value in re.findall(
            r'^(?:vm_rows_invalid_total\{type="influx"\}|vm_rows_ignored_total\{[^}]*\}) (\S+)$',
            metrics,
            re.M,
        )
    )


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _words(document: Any, body: bytes) -> str:
    """The server's words without the JSON around them, on one line."""
    found: list[str] = []
    if isinstance(document, dict):
        found = [document[key] for key in ("error", "message") if isinstance(document.get(key), str)]
        data = document.get("data")
        if isinstance(data, list):
            found += [entry["error_message"] for entry in data[:1] if _names_a_line(entry)]
        elif isinstance(data, dict) and isinstance(data.get("error_message"), str):
            found.append(data["error_message"])
    text = ": ".join(found) or body.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _named(document: Any) -> tuple[tuple[int, str], ...]:
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        return ()
    return tuple(
        (entry["line_number"], str(entry["error_message"])[:WORDS_MAX])
        for entry in data[:NAMED_LINES_MAX]
        if _names_a_line(entry)
    )


def _names_a_line(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("line_number")) is int
        and isinstance(entry.get("error_message"), str)
    )


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date, which is compared with the answer's own Date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return min(max(wait.total_seconds(), 0.0), RETRY_AFTER_S_MAX)
