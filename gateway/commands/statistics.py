"""``citylight alarms stats``. In: arguments. Out: the figures of ISA-18.2 / IEC 62682 beside their targets.

Asks as ``operate`` does; the figures are made in ``alarm.statistics``. Never judges an operator.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.commands.operate import PIPE_COLUMNS, ask, language
from gateway.model import Severity

WORDS: Final = {
    "figure": ("figure", "chỉ số"),
    "value": ("value", "giá trị"),
    "target": ("target", "mục tiêu"),
    "told": ("alarms told", "cảnh báo đã báo"),
    "suppressed": ("recorded, told to nobody", "ghi nhận, không báo ai"),
    "mean": ("mean in ten minutes", "trung bình mỗi 10 phút"),
    "most": ("most in ten minutes", "nhiều nhất trong 10 phút"),
    "flood_share": ("time in a flood of alarms", "thời gian dồn dập cảnh báo"),
    "chattering": ("chattering sources", "nguồn báo chập chờn"),
    "standing": ("standing now", "đang còn"),
    "stale": ("standing for over a day", "còn quá một ngày"),
    "top": ("share of the ten worst sources", "tỷ lệ của 10 nguồn nhiều nhất"),
    "about one": ("about 1", "khoảng 1"),
    "ten": ("at most 10", "không quá 10"),
    "below one percent": ("below 1 %", "dưới 1 %"),
    "none": ("none", "không có"),
    "five": ("fewer than 5", "dưới 5"),
    "five percent": ("at most 5 %", "không quá 5 %"),
    "asset": ("asset", "vị trí"),
    "type": ("type", "loại"),
    "count": ("times", "số lần"),
    "share": ("share", "tỷ lệ"),
    "from": ("from", "từ"),
    "minutes": ("minutes", "phút"),
    "alarms": ("alarms", "cảnh báo"),
    "worst": ("The ten worst sources", "10 nguồn báo nhiều nhất"),
    "floods": ("Floods of alarms", "Các đợt cảnh báo dồn dập"),
    "chatter": ("Chattering", "Báo chập chờn"),
}
"""English, Vietnamese."""

SEVERITY_TARGETS: Final = {Severity.CRITICAL: "5 %", Severity.MAJOR: "15 %", Severity.MINOR: "80 %"}


def stats(options: argparse.Namespace) -> int:
    facts = ask(options, "alarms.stats", last_s=options.last_s)
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    for table in tables(facts, language(options)):
        console.print(table)
    return 0


def tables(facts: dict[str, Any], tongue: str) -> list[Table]:
    """The figures, and what stands behind those that are beyond their targets."""
    words = {key: pair[tongue == "vi"] for key, pair in WORDS.items()}
    rate, told = facts["per_10_min"], facts["told"]
    rows = [
        ("told", f"{told:,}", ""),
        ("suppressed", f"{facts['suppressed']:,}", ""),
        ("mean", f"{rate['mean']:.2f}", words["about one"]),
        ("most", f"{rate['most']:,}", words["ten"]),
        ("flood_share", _percent(facts["flood_share"]), words["below one percent"]),
        ("chattering", f"{len(facts['chattering'])}", words["none"]),
        ("standing", f"{facts['standing']:,}", ""),
        ("stale", f"{facts['stale']:,}", words["five"]),
        ("top", _percent(sum(source["share"] for source in facts["top"])), words["five percent"]),
    ]
    named = [(words[key], value, target) for key, value, target in rows]
    for severity, target in SEVERITY_TARGETS.items():
        named.append((severity, _percent(facts["severities"].get(severity, 0) / max(1, told)), target))
    made = [_table(f"{facts['from'][:16]}Z – {facts['to'][:16]}Z", [words[k] for k in WORDS][:3], named)]
    if facts["top"]:
        head = [words[key] for key in ("asset", "type", "count", "share")]
        worst = [(s["asset"], s["type"], f"{s['count']:,}", _percent(s["share"])) for s in facts["top"]]
        made.append(_table(words["worst"], head, worst))
    if facts["floods"]:
        head = [words[key] for key in ("from", "minutes", "alarms")]
        floods = [(f["from"][:16] + "Z", f"{f['windows'] * 10}", f"{f['alarms']:,}") for f in facts["floods"]]
        made.append(_table(words["floods"], head, floods))
    if facts["chattering"]:
        head = [words[key] for key in ("asset", "type")]
        made.append(_table(words["chatter"], head, [(c["asset"], c["type"]) for c in facts["chattering"]]))
    return made


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", box=None)
    for number, column in enumerate(head):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=not number)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
