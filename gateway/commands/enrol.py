"""``citylight quarantine enrol``. In: an unknown device, its place. Out: an inventory that knows it.

Adds a line to devices.csv and to assignments.csv, has the gateway read them, and replays what waited in
quarantine. Checks the whole inventory before it writes; never changes a line that is there.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from pathlib import Path

from gateway import settings, wiring
from gateway.commands.operate import ask
from gateway.configuration import Sources, interpret
from gateway.errors import OrderRefused

REASON = "unknown_device"
LISTING = 10_000


def enrol(options: argparse.Namespace) -> int:
    """0 when the inventory knows the device; a gateway that is stopped takes it up at its next start."""
    chosen = settings.read(options.config)
    sources = wiring.sources(chosen)
    rows = {
        "devices.csv": {"id": options.device, "profile": options.profile},
        "assignments.csv": {"device": options.device, "asset": options.asset},
    }
    changed = {name: extended(sources.inventory, name, row) for name, row in rows.items()}
    interpret(Sources(sources.profiles, sources.inventory | changed, sources.time_zone).pack(), "")
    for name, content in changed.items():
        _replace(chosen.gateway.inventory / name, content)
    ask(options, "gateway.reload", by=settings.user_name())
    waiting = ask(options, "quarantine.list", reason=REASON, limit=LISTING)
    keys = [row["key"] for row in waiting if row["device"] == options.device]
    replayed = 0
    if keys:
        replayed = ask(options, "quarantine.replay", keys=keys, by=settings.user_name())["replayed"]
    result = {"device": options.device, "asset": options.asset, "replayed": replayed}
    sentence = f"{options.device} serves {options.asset}; {replayed} messages are in the journal again"
    print(json.dumps(result, ensure_ascii=False) if options.json else sentence)
    return 0


def extended(inventory: dict[str, bytes], name: str, row: dict[str, str]) -> bytes:
    """The file ``name`` with one row more; OrderRefused for a file that is not plain UTF-8 CSV."""
    content = inventory.get(name, b"")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OrderRefused(f"{name} is not UTF-8; add the device by hand, or save it as UTF-8") from error
    header = next(csv.reader(io.StringIO(text.lstrip("\ufeff"))), [])
    if not set(row) <= set(header):
        raise OrderRefused(f"{name} is not separated by commas; add the device by hand")
    line = io.StringIO()
    csv.DictWriter(line, header, lineterminator="\n").writerow(row)
    joint = "" if text.endswith("\n") else "\n"
    return (text + joint + line.getvalue()).encode()


def _replace(file: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = file.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(file.stat().st_mode)
    draft.replace(file)
