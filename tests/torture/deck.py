"""The faults by name, and how they are dealt. In: nothing. Out: constants."""

from __future__ import annotations

from between import ANSWERS, MODES
from faults import (
    Fault,
    at_failpoint,
    both_killed,
    broker_frozen,
    broker_killed,
    broker_restarted,
    gateway_frozen,
    gateway_frozen_long,
    gateway_killed,
    gateway_killed_while_starting,
    gateway_stopped,
    store_away_and_gateway_killed,
    store_frozen,
    store_killed,
    store_spoiled,
)
from ground import clock_jumped, disk_full, journal_damaged, sync_refused

from gateway.failpoints import Failpoint

HOUR_S, YEAR_S = 3600, 31_557_600
LOAD = range(3, 40)
FAILPOINTS = {
    Failpoint.RECEIVED: LOAD,
    Failpoint.WRITTEN: LOAD,
    Failpoint.APPENDED: LOAD,
    Failpoint.ACKNOWLEDGED: LOAD,
    Failpoint.STORED: range(1, 8),
    Failpoint.CURSOR_MOVED: range(1, 8),
    Failpoint.RECORDED: range(1, 4),
    Failpoint.DELIVERED: range(1, 6),
    Failpoint.SNAPSHOT: range(1, 3),
    Failpoint.ROTATION: range(1, 2),
    Failpoint.TRIM: range(1, 2),
}
DECK: dict[str, Fault] = {
    "gateway killed": gateway_killed,
    "gateway killed while starting": gateway_killed_while_starting,
    "gateway frozen": gateway_frozen,
    "gateway frozen for long": gateway_frozen_long,
    "gateway stopped": gateway_stopped,
    **{f"killed {one}": at_failpoint(one, passes) for one, passes in FAILPOINTS.items()},
    "broker restarted": broker_restarted,
    "broker killed": broker_killed,
    "broker and gateway killed": both_killed,
    "broker frozen": broker_frozen,
    "store killed": store_killed,
    "store frozen": store_frozen,
    "store killed, then the gateway": store_away_and_gateway_killed,
    **{f"store {mode}": store_spoiled(mode) for mode in MODES[1:] if mode not in ANSWERS},
    **{f"store answers {mode}": store_spoiled(mode) for mode in ANSWERS},
    "disk full": disk_full,
    "journal fsync EIO": sync_refused("journal/*.segment"),
    "state.db fsync EIO": sync_refused("state.db-wal"),
    "journal damaged": journal_damaged,
    "clock an hour ahead": clock_jumped(HOUR_S),
    "clock an hour back": clock_jumped(-HOUR_S),
    "clock 40 years ahead": clock_jumped(40 * YEAR_S),
    "clock 10 years back": clock_jumped(-10 * YEAR_S),
}
AGAIN = (*2 * ("broker killed",), "broker and gateway killed", *3 * ("store killed",), "gateway killed")
"""Dealt more often, so that one pass over the deck does what is asked of ten minutes."""
BRIEF = (
    "gateway killed",
    "killed after_append_before_ack",
    "killed after_store_write_before_cursor",
    "killed after_delivery_before_marking",
    "broker killed",
    "broker restarted",
    "store killed",
    "store reset_after_commit",
    "store answers 503",
    "store answers 413",
    "journal damaged",
)
"""What a minute of the test suite has time for."""
