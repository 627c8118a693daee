"""What operators ordered. In: control records, the standing alarms, what is put aside. Out: transitions.

An order that comes too late or says nothing sensible is OrderRefused and changes nothing. Never asks who may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.alarm.ledger import Ledger
from gateway.alarm.lifecycle import Happening
from gateway.alarm.quiet import SHELVES_MAX, Quiet, window
from gateway.alarms import Alarm
from gateway.errors import OrderRefused
from gateway.model import Control

ACKNOWLEDGE: Final = "acknowledge"
COMMENT: Final = "comment"
SHELVE: Final = "shelve"
UNSHELVE: Final = "unshelve"
RESET: Final = "reset"
WINDOW: Final = "window"
WINDOW_END: Final = "window_end"


def carry_out(control: Control, ledger: Ledger, quiet: Quiet) -> list[Alarm]:
    """The transitions an order causes at once; windows open and close with the next tick."""
    body = control.body
    who = str(body.get("alarm", "")), str(body.get("by", "")), str(body.get("comment", ""))
    if control.kind == ACKNOWLEDGE:
        return [ledger.acknowledge(*who)]
    if control.kind == COMMENT:
        return [ledger.act(Happening.COMMENTED, *who)]
    if control.kind == RESET:
        return [ledger.act(Happening.RESET, *who)]
    if control.kind == SHELVE:
        key, until_ns = ledger.key_of_alarm(who[0]), _whole(body, "until_ns")
        if len(quiet.shelves) >= SHELVES_MAX:
            raise OrderRefused("the shelf is full")
        alarm = ledger.act(Happening.SHELVED, *who)
        quiet.shelves[key] = until_ns
        return [alarm]
    if control.kind == UNSHELVE:
        key = ledger.key_of_alarm(who[0])
        quiet.shelves.pop(key, None)
        return [ledger.act(Happening.UNSHELVED, *who)]
    if control.kind == WINDOW:
        new = window(body)
        if new is None or not quiet.add(new):
            raise OrderRefused("no window, or too many")
    if control.kind == WINDOW_END:
        old = quiet.windows.get(str(body.get("id", "")))
        if old is None:
            raise OrderRefused("no such window")
        quiet.add(replace(old, to_ns=max(control.wall_ns, old.from_ns + 1)))
    return []


def _whole(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int):
        raise OrderRefused(f"{key} is no time")
    return value
