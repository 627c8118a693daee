"""The life of an alarm, as one table after ISA-18.2 / IEC 62682 figure "alarm state transitions".

In: a state and what happened. Out: the next state, or a refusal. Everything that decides about states
is here; this file does not know what an alarm is about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gateway.alarms import AlarmState
from gateway.errors import OrderRefused


class Happening(StrEnum):
    """What can happen to an alarm."""

    RAISED = "raised"
    HIDDEN = "hidden"  # raised, but an alarm of its group accounts for it
    SUPPRESSED = "suppressed"  # an alarm of its group came to account for it
    TAKEN_OUT = "taken_out"  # its place is out of service
    RELEASED = "released"  # that alarm is over, and it still stands
    SHELVED = "shelved"  # an operator put it aside for a time
    UNSHELVED = "unshelved"  # that time is over, or the operator took it back
    COMMENTED = "commented"
    WORSENED = "worsened"  # a more severe limit was crossed: it wants a new acknowledgement
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    LATCHED = "latched"  # over, but it endangers people: it ends by a person's reset alone
    RESET = "reset"  # somebody was there and made it safe
    SUPERSEDED = "superseded"  # the condition came back before the last one was acknowledged
    WITHDRAWN = "withdrawn"  # its rule or device is gone from the configuration


TABLE: Final = {
    (AlarmState.NORMAL, Happening.RAISED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.UNACKNOWLEDGED, Happening.WORSENED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.UNACKNOWLEDGED, Happening.ACKNOWLEDGED): AlarmState.ACKNOWLEDGED,
    (AlarmState.UNACKNOWLEDGED, Happening.CLEARED): AlarmState.RETURNED,
    (AlarmState.UNACKNOWLEDGED, Happening.WITHDRAWN): AlarmState.NORMAL,
    (AlarmState.ACKNOWLEDGED, Happening.WORSENED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.ACKNOWLEDGED, Happening.CLEARED): AlarmState.NORMAL,
    (AlarmState.ACKNOWLEDGED, Happening.WITHDRAWN): AlarmState.NORMAL,
    (AlarmState.NORMAL, Happening.HIDDEN): AlarmState.SUPPRESSED,
    (AlarmState.UNACKNOWLEDGED, Happening.SUPPRESSED): AlarmState.SUPPRESSED,
    (AlarmState.ACKNOWLEDGED, Happening.SUPPRESSED): AlarmState.SUPPRESSED,
    (AlarmState.SUPPRESSED, Happening.SUPPRESSED): AlarmState.SUPPRESSED,
    (AlarmState.SUPPRESSED, Happening.WORSENED): AlarmState.SUPPRESSED,
    (AlarmState.SUPPRESSED, Happening.RELEASED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.SUPPRESSED, Happening.CLEARED): AlarmState.NORMAL,
    (AlarmState.SUPPRESSED, Happening.WITHDRAWN): AlarmState.NORMAL,
    (AlarmState.NORMAL, Happening.SHELVED): AlarmState.SHELVED,
    (AlarmState.UNACKNOWLEDGED, Happening.SHELVED): AlarmState.SHELVED,
    (AlarmState.ACKNOWLEDGED, Happening.SHELVED): AlarmState.SHELVED,
    (AlarmState.SHELVED, Happening.UNSHELVED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.SHELVED, Happening.WORSENED): AlarmState.SHELVED,
    (AlarmState.SHELVED, Happening.CLEARED): AlarmState.NORMAL,
    (AlarmState.SHELVED, Happening.WITHDRAWN): AlarmState.NORMAL,
    (AlarmState.UNACKNOWLEDGED, Happening.COMMENTED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.ACKNOWLEDGED, Happening.COMMENTED): AlarmState.ACKNOWLEDGED,
    (AlarmState.RETURNED, Happening.COMMENTED): AlarmState.RETURNED,
    (AlarmState.SHELVED, Happening.COMMENTED): AlarmState.SHELVED,
    (AlarmState.SUPPRESSED, Happening.COMMENTED): AlarmState.SUPPRESSED,
    (AlarmState.RETURNED, Happening.ACKNOWLEDGED): AlarmState.NORMAL,
    (AlarmState.RETURNED, Happening.SUPERSEDED): AlarmState.NORMAL,
    (AlarmState.NORMAL, Happening.TAKEN_OUT): AlarmState.OUT_OF_SERVICE,
    (AlarmState.UNACKNOWLEDGED, Happening.TAKEN_OUT): AlarmState.OUT_OF_SERVICE,
    (AlarmState.ACKNOWLEDGED, Happening.TAKEN_OUT): AlarmState.OUT_OF_SERVICE,
    (AlarmState.SUPPRESSED, Happening.TAKEN_OUT): AlarmState.OUT_OF_SERVICE,
    (AlarmState.OUT_OF_SERVICE, Happening.TAKEN_OUT): AlarmState.OUT_OF_SERVICE,
    (AlarmState.OUT_OF_SERVICE, Happening.SUPPRESSED): AlarmState.SUPPRESSED,
    (AlarmState.OUT_OF_SERVICE, Happening.RELEASED): AlarmState.UNACKNOWLEDGED,
    (AlarmState.OUT_OF_SERVICE, Happening.WORSENED): AlarmState.OUT_OF_SERVICE,
    (AlarmState.OUT_OF_SERVICE, Happening.CLEARED): AlarmState.NORMAL,
    (AlarmState.OUT_OF_SERVICE, Happening.LATCHED): AlarmState.NORMAL,
    (AlarmState.OUT_OF_SERVICE, Happening.WITHDRAWN): AlarmState.NORMAL,
    (AlarmState.OUT_OF_SERVICE, Happening.COMMENTED): AlarmState.OUT_OF_SERVICE,
    (AlarmState.UNACKNOWLEDGED, Happening.LATCHED): AlarmState.LATCHED,
    (AlarmState.ACKNOWLEDGED, Happening.LATCHED): AlarmState.LATCHED,
    (AlarmState.SHELVED, Happening.LATCHED): AlarmState.LATCHED,
    (AlarmState.SUPPRESSED, Happening.LATCHED): AlarmState.NORMAL,
    (AlarmState.LATCHED, Happening.RESET): AlarmState.NORMAL,
    (AlarmState.LATCHED, Happening.COMMENTED): AlarmState.LATCHED,
    (AlarmState.LATCHED, Happening.SUPERSEDED): AlarmState.NORMAL,
}

EVENT: Final = {
    Happening.RAISED: "raised",
    Happening.HIDDEN: "raised",
    Happening.SUPPRESSED: "updated",
    Happening.TAKEN_OUT: "updated",
    Happening.RELEASED: "updated",
    Happening.SHELVED: "updated",
    Happening.UNSHELVED: "updated",
    Happening.COMMENTED: "updated",
    Happening.WORSENED: "updated",
    Happening.ACKNOWLEDGED: "acknowledged",
    Happening.CLEARED: "cleared",
    Happening.LATCHED: "cleared",
    Happening.RESET: "acknowledged",
    Happening.SUPERSEDED: "updated",
    Happening.WITHDRAWN: "cleared",
}
"""The contract's word for each happening (CloudEvents type)."""


def after(state: AlarmState, happening: Happening) -> AlarmState:
    """The state ``happening`` leads to; OrderRefused, with nothing changed, where the table has none."""
    try:
        return TABLE[state, happening]
    except KeyError:
        raise OrderRefused(f"an alarm that is {state} can not be {happening}") from None
