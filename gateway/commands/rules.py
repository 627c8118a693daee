"""``citylight rules``. In: an asset, or a recorded journal. Out: why rules fired, what they would raise.

``check`` reads the journal's files and changes nothing, so it may look at those of a running gateway.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway import settings, wiring
from gateway.alarms import Alarm
from gateway.commands.operate import ask, show
from gateway.configuration import Configuration, interpret
from gateway.errors import JournalCorrupt
from gateway.journal.recorded import walk
from gateway.model import Chunk
from gateway.translation import TranslationOptions, Translator

READ_BYTES_MAX: Final = 1 << 20


def explain(options: argparse.Namespace) -> int:
    """Which rules apply at an asset, with which limits, in what state, and why."""
    found = ask(options, "rules.explain", asset=options.asset)
    columns = ("rule", "device", "scope", "limit", "clears at", "value", "state", "why")
    rows = [
        [
            rule["rule"],
            rule["device"],
            rule["scope"],
            _limit(rule),
            None if rule["clears_at"] is None else f"{rule['clears_at']:g}",
            None if rule["value"] is None else f"{rule['value']:g} {rule['unit'] or ''}",
            rule["state"],
            rule["why"],
        ]
        for rule in found
    ]
    return show(options, found, columns, rows)


def _limit(rule: dict[str, Any]) -> str | None:
    side, limit = (">", rule["above"]) if "above" in rule else ("<", rule["below"])
    return None if limit is None else f"{side} {limit:g}"


def check(options: argparse.Namespace) -> int:
    """Validate the rules; with a journal, say what they would have raised over it, night by night."""
    chosen = settings.read(options.config)
    configuration = interpret(wiring.sources(chosen).pack(), "")
    rules = sum(len(p.spec.rules) + len(p.spec.watches) for p in configuration.profiles)
    if options.journal is None:
        summary: dict[str, Any] = {"rules": rules}
        print(json.dumps(summary) if options.json else f"{rules} rules are in order")
        return 0
    raised = list(_raised(options.journal, configuration, wiring.translation(chosen)))
    by_type: dict[str, list[Alarm]] = defaultdict(list)
    for alarm in raised:
        by_type[alarm.type].append(alarm)
    nights = Counter(alarm.onset_ns // 86_400_000_000_000 for alarm in raised)
    summary = {
        "rules": rules,
        "raised": len(raised),
        "most_in_a_day": max(nights.values(), default=0),
        "types": {
            kind: {"raised": len(alarms), "assets": len({a.asset for a in alarms})}
            for kind, alarms in sorted(by_type.items())
        },
    }
    if options.json:
        print(json.dumps(summary, ensure_ascii=False))
        return 0
    table = Table("type", "raised", "assets", box=None)
    for kind, found in summary["types"].items():
        table.add_row(Text(kind), str(found["raised"]), str(found["assets"]))
    Console().print(table)
    print(f"{len(raised)} alarms in all, {summary['most_in_a_day']} on the worst day")
    return 0


def _raised(directory: Path, configuration: Configuration, options: TranslationOptions) -> Iterator[Alarm]:
    """Alarms that today's rules raise over the records of ``directory``, whatever was in force then."""
    engine = configuration.engine()
    translator = Translator(options, lambda _: configuration, configuration)
    for records in walk(directory, bytes_max=READ_BYTES_MAX):
        chunk: Chunk = (
            translator.lost(records)
            if isinstance(records, JournalCorrupt)
            else translator.translate(list(records))
        )
        yield from (alarm for _, alarm in engine.apply(chunk) if alarm.event == "raised")
