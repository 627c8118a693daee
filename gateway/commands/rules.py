"""``citylight rules``. In: an asset, or a recorded journal. Out: why rules fired, what they would raise.

``check`` reads the journal's files and changes nothing, so it may look at those of a running gateway.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

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


def radio(options: argparse.Namespace) -> int:
    """Devices that lose more than a fifth of their reports, and those nobody hears, in pole order."""
    found = ask(options, "rules.radio")
    columns = ("asset", "device", "area", "feeder", "pole", "state", "loss", "missing", "allowed", "since")
    rows = [[row[c] if c != "loss" else f"{row[c]:.0%}" for c in columns] for row in found]
    return show(options, found, columns, rows)


def _limit(rule: dict[str, Any]) -> str | None:
    side, limit = (">", rule["above"]) if "above" in rule else ("<", rule["below"])
    return None if limit is None else f"{side} {limit:g}"


def misplaced(options: argparse.Namespace) -> int:
    """Which devices do not stand or hang where the inventory says; until it is mended, alarms know."""
    found = ask(options, "rules.misplaced")
    columns = ("asset", "device", "stands at", "said", "hangs on", "why")
    keys = ("asset", "device", "stands_at", "said", "circuit", "why")
    return show(options, found, columns, [[one[key] for key in keys] for one in found])


def check(options: argparse.Namespace) -> int:
    """Validate the rules; with a journal, say what they would have raised over it, night by night."""
    chosen = settings.read(options.config)
    configuration = interpret(wiring.sources(chosen).pack(), "")
    rules = sum(len(p.spec.rules) + len(p.spec.watches) for p in configuration.profiles)
    if options.journal is None:
        print(json.dumps({"rules": rules}) if options.json else f"{rules} rules are in order")
        return 0
    tally = Tally(ZoneInfo(chosen.gateway.time_zone))
    _dry_run(options.journal, configuration, wiring.translation(chosen), tally)
    summary = {"rules": rules, **tally.summary(options.nights)}
    if options.json:
        print(json.dumps(summary, ensure_ascii=False))
        return 0
    types = [[kind, f["raised"], f["told"], f["assets"]] for kind, f in summary["types"].items()]
    show(options, summary, ("type", "raised", "told", "assets"), types)
    nights = [[n["night"], n["raised"], n["told"], _worst(n["types"])] for n in summary["nights"]]
    show(options, summary, ("night of", "raised", "told", "most of them"), nights)
    print(
        f"{summary['raised']} alarms in {len(nights)} nights, {summary['told']} of them told to people;"
        f" {summary['most_in_a_night']} in the worst night"
    )
    return 0


class Tally:
    """Alarms raised, by night and type. A night lasts from noon to noon of ``zone``, named by its evening."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._raised: Counter[tuple[str, str]] = Counter()  # bounded: nights by types there are
        self._told: Counter[tuple[str, str]] = Counter()  # bounded: the same
        self._assets: dict[tuple[str, str], set[str]] = defaultdict(
            set
        )  # bounded: the same, by the inventory
        self._hidden: dict[str, tuple[str, str]] = {}  # bounded: by the alarms that stand, told to nobody yet

    def count(self, alarm: Alarm) -> None:
        """After each transition."""
        key = self._hidden.get(alarm.id) or (self._night(alarm.raised_ns), alarm.type)
        if alarm.event == "raised":
            self._raised[key] += 1
            self._assets[key].add(alarm.asset)
            self._hidden[alarm.id] = key
        if alarm.id in self._hidden and not alarm.quiet:
            self._told[key] += 1
        if not alarm.quiet or alarm.event == "cleared":
            self._hidden.pop(alarm.id, None)

    def summary(self, nights_max: int) -> dict[str, Any]:
        """Of the last ``nights_max`` nights in which anything was raised."""
        nights = sorted({night for night, _ in self._raised})[-nights_max:]
        rows: list[dict[str, Any]] = []
        for night in nights:
            kinds = sorted(kind for when, kind in self._raised if when == night)
            types = {k: {"raised": self._raised[night, k], "told": self._told[night, k]} for k in kinds}
            rows.append({"night": night, **_sums(types.values()), "types": types})
        types = {}
        for kind in sorted({kind for night, kind in self._raised if night in nights}):
            sums = _sums(row["types"][kind] for row in rows if kind in row["types"])
            assets = set[str]().union(*(self._assets[night, kind] for night in nights))
            types[kind] = {**sums, "assets": len(assets)}
        worst = max((row["raised"] for row in rows), default=0)
        return {**_sums(rows), "most_in_a_night": worst, "nights": rows, "types": types}

    def _night(self, time_ns: int) -> str:
        noon = datetime.fromtimestamp(time_ns / 1e9, self._zone) - timedelta(hours=12)
        return noon.date().isoformat()


def _sums(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    kept = list(rows)
    return {key: sum(row[key] for row in kept) for key in ("raised", "told")}


def _worst(types: Mapping[str, Mapping[str, int]]) -> str:
    most = sorted(types, key=lambda kind: (-types[kind]["raised"], kind))[:3]
    return ", ".join(f"{kind} {types[kind]['raised']}" for kind in most)


def _dry_run(
    directory: Path, configuration: Configuration, options: TranslationOptions, tally: Tally
) -> None:
    """What today's rules raise over the records of ``directory``, whatever was in force then."""
    engine = configuration.engine()
    translator = Translator(options, lambda _: configuration, configuration)
    for records in walk(directory, bytes_max=READ_BYTES_MAX):
        chunk: Chunk = (
            translator.lost(records)
            if isinstance(records, JournalCorrupt)
            else translator.translate(list(records))
        )
        for _, alarm in engine.apply(chunk):
            tally.count(alarm)
        engine.faults()
