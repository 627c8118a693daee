"""``citylight alarms|quarantine|history|fleet|figures|reload|top``. In: arguments. Out: tables or JSON.

Asks the running gateway through its control socket; where none runs, opens its files under their lock and
answers from them. Never reads files a running gateway owns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gateway import offline, settings
from gateway.control.client import ControlClient, GatewayNotRunning
from gateway.metrics import restore
from gateway.system_clock import SystemClock
from gateway.view import ALARMS_SHOWN, Scene, TerminalView

REFRESH_S = 1.0
PIPE_COLUMNS = 240
"""Width of a table that goes to a file or another program."""


def alarms_list(options: argparse.Namespace) -> int:
    alarms = ask(options, "alarms.list", all=options.all, limit=options.limit)
    columns = ("id", "severity", "isa_state", "type", "asset", "onset")
    rows = [[*(alarm[c] for c in columns), alarm["text"][language(options)]] for alarm in alarms]
    return show(options, alarms, (*columns, "text"), rows)


def alarms_show(options: argparse.Namespace) -> int:
    history = ask(options, "alarms.show", alarm=options.alarm)
    numbers = ("severity", "value", "limit", "cleared_at")
    columns = ("transition", "event", "isa_state", *numbers, "by", "comment")
    rows = [[alarm[c] for c in columns] for alarm in history]
    if not options.json:
        spoken = language(options)
        print(history[-1]["text"][spoken])
        if check := history[-1]["check"]:
            print({"vi": "Kiểm tra", "en": "Check"}[spoken] + f": {check[spoken]}")
    return show(options, history, columns, rows)


def alarms_ack(options: argparse.Namespace) -> int:
    done = ask(options, "alarms.ack", alarm=options.alarm, by=options.by, comment=options.comment)
    return say(options, done, f"acknowledged {done['alarm']} in the name of {done['by']}")


def alarms_test(options: argparse.Namespace) -> int:
    done = ask(options, "alarms.test", by=settings.user_name())
    return say(options, done, f"test alarm {done['alarm']} is on its way to {', '.join(done['recipients'])}")


def alarms_resync(options: argparse.Namespace) -> int:
    done = ask(options, "alarms.resync", recipient=options.to, by=settings.user_name())
    return say(options, done, ", ".join(f"{name}: {count} messages" for name, count in done.items()))


def alarms_told(options: argparse.Namespace) -> int:
    found = ask(options, "alarms.told", alarm=options.alarm, recipient=options.to, limit=options.limit)
    columns = ("key", "recipient", "at", "fate", "delivered_at", "attempts", "reason")
    return show(options, found, columns, [[row[c] for c in columns] for row in found])


def quarantine_list(options: argparse.Namespace) -> int:
    found = ask(options, "quarantine.list", reason=options.reason, limit=options.limit)
    columns = ("key", "received", "reason", "device", "topic", "detail")
    return show(options, found, columns, [[row[c] for c in columns] for row in found])


def quarantine_show(options: argparse.Namespace) -> int:
    row = ask(options, "quarantine.show", key=options.key)
    return show(options, row, ("what", "is"), [[key, value] for key, value in row.items()])


def quarantine_replay(options: argparse.Namespace) -> int:
    who = settings.user_name()
    done = ask(options, "quarantine.replay", keys=options.keys, reason=options.reason, by=who)
    cut = f"; {done['cut_short']} were kept only in part and can not be" if done["cut_short"] else ""
    return say(options, done, f"{done['replayed']} messages are in the journal again{cut}")


def history(options: argparse.Namespace) -> int:
    end_ns = SystemClock().wall_ns()
    start_ns = end_ns - int(options.last_s * 1e9)
    samples = ask(
        options,
        "history.read",
        device=options.device,
        field=options.field,
        start_ns=start_ns,
        end_ns=end_ns,
        every_s=options.every_s,
    )
    return show(options, samples, ("time", "value"), [[s["time"], s["value"]] for s in samples])


def fleet(options: argparse.Namespace) -> int:
    name, arguments = ("fleet.show", {"asset": options.asset}) if options.asset else ("fleet.list", {})
    facts = ask(options, name, **arguments)
    return show(options, facts, ("what", "is"), [[key, value] for key, value in facts.items()])


def figures(options: argparse.Namespace) -> int:
    facts = ask(options, "figures.read")
    return show(options, facts, ("what", "is"), [[key, value] for key, value in facts.items()])


def reload(options: argparse.Namespace) -> int:
    done = ask(options, "gateway.reload", by=settings.user_name())
    changes = [f"{kind}: {_counts(change)}" for kind, change in done.items() if isinstance(change, dict)]
    return say(options, done, f"in force: {done['configuration'][:12]}; " + "; ".join(changes))


def top(options: argparse.Namespace) -> int:
    """The live view until Ctrl-C; plain lines where there is no terminal."""
    chosen = settings.read(options.config)
    view = TerminalView(chosen.gateway.language, chosen.gateway.time_zone)
    console = Console()
    with ControlClient(_data(options)) as client, Live(console=console, screen=console.is_terminal) as live:
        stored = 0
        while True:
            found = restore(client.ask("figures.read"))
            newest = client.ask("alarms.list", all=True, limit=ALARMS_SHOWN)
            count = found.messages["received"]
            scene = Scene(found, newest, (count - stored) / REFRESH_S if stored else 0.0)
            stored = count
            if console.is_terminal:
                live.update(view.render(scene))
            else:
                print(view.line(scene), flush=True)
            time.sleep(REFRESH_S)


def ask(options: argparse.Namespace, name: str, **arguments: Any) -> Any:
    """From the running gateway, or from its files when none runs."""
    try:
        client = ControlClient(_data(options))
    except GatewayNotRunning:
        if name in offline.NEEDS_A_GATEWAY:
            raise
        return asyncio.run(offline.ask(settings.read(options.config), name, arguments))
    with client:
        return client.ask(name, **arguments)


def _data(options: argparse.Namespace) -> Path:
    return Path(options.data or settings.read(options.config).gateway.data_dir)


def language(options: argparse.Namespace) -> str:
    """``vi`` or ``en``, as configured."""
    return str(settings.read(options.config).gateway.language) if options.config.is_file() else "vi"


def show(
    options: argparse.Namespace, facts: Any, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> int:
    """``facts`` as JSON where asked, else ``rows`` as a table."""
    if options.json:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    table = Table(box=None)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=not number)  # what is copied stays in one piece
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table if rows else Text("nothing there"))
    return 0


def say(options: argparse.Namespace, facts: Any, sentence: str) -> int:
    """``facts`` as JSON where asked, else one sentence."""
    print(json.dumps(facts, ensure_ascii=False) if options.json else sentence)
    return 0


def _counts(change: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(ids)} {what}" for what, ids in change.items() if ids) or "unchanged"
