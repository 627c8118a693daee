"""The table of states: every entry as ISA-18.2 has it, everything else refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from district import fleet

from gateway.alarm.ledger import Condition, Ledger
from gateway.alarm.lifecycle import EVENT, TABLE, Happening, after
from gateway.alarm.wording import Wording
from gateway.alarms import AlarmState
from gateway.errors import OrderRefused
from gateway.model import Severity
from gateway.vocabulary.kinds import LATCHING

DOCUMENT = Path(__file__).parents[2] / "docs" / "alarms.md"
COLUMNS = (
    Happening.RAISED,
    Happening.SUPPRESSED,
    Happening.TAKEN_OUT,
    Happening.RELEASED,
    Happening.SHELVED,
    Happening.UNSHELVED,
    Happening.WORSENED,
    Happening.ACKNOWLEDGED,
    Happening.CLEARED,
    Happening.LATCHED,
    Happening.RESET,
    Happening.SUPERSEDED,
    Happening.WITHDRAWN,
)


def published() -> dict[tuple[AlarmState, Happening], AlarmState]:
    """The table of docs/alarms.md; a comment, which has no column, changes no state but the normal."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    head = next(n for n, line in enumerate(lines) if line.startswith("| state | on the wire |"))
    found = {}
    for line in lines[head + 2 : head + 2 + len(AlarmState)]:
        name, wire, *cells = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        state = AlarmState(name)
        assert state.on_the_wire == (name if wire == "same" else wire)
        for happening, cell in zip(COLUMNS, cells, strict=True):
            if cell:
                found[state, happening] = state if cell == "same" else AlarmState(cell)
        if state is not AlarmState.NORMAL:
            found[state, Happening.COMMENTED] = state
    hidden = found.pop((AlarmState.NORMAL, Happening.SUPPRESSED))
    return found | {(AlarmState.NORMAL, Happening.HIDDEN): hidden}


@pytest.mark.parametrize(("state", "happening"), list(product(AlarmState, Happening)))
def test_every_state_and_happening_is_as_the_document_says(state: AlarmState, happening: Happening) -> None:
    assert TABLE.get((state, happening)) == published().get((state, happening))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_what_endangers_people_stays_until_somebody_who_was_there_resets_it(acknowledged: bool) -> None:
    assert "leakageDetected" in LATCHING
    ledger = Ledger(Wording(fleet()))
    source = "meter-1", "leakageDetected"
    place = "leakageDetected", "C1", "hoa-phu", "F-live"
    (alarm,) = ledger.begin(Condition(source, *place, Severity.CRITICAL, 5, 5, 1.0, None, ("", "")))
    if acknowledged:
        ledger.acknowledge(alarm.id, "An", "")
    (over,) = ledger.end(source, 50, 0.0, None)
    assert (over.event, over.state, over.cleared_ns) == ("cleared", AlarmState.LATCHED, 50)
    assert over.document()["state"] == "returned"
    with pytest.raises(OrderRefused):
        ledger.acknowledge(alarm.id, "An", "")
    safe = ledger.act(Happening.RESET, alarm.id, "An", "đã thay cáp")
    assert (safe.event, safe.state, safe.comment) == ("acknowledged", AlarmState.NORMAL, "đã thay cáp")
    assert ledger.active() == ()


def test_the_life_of_an_alarm_acknowledged_before_it_ends() -> None:
    state = AlarmState.NORMAL
    for happening in (Happening.RAISED, Happening.ACKNOWLEDGED, Happening.CLEARED):
        state = after(state, happening)
    assert state is AlarmState.NORMAL


def test_an_alarm_nobody_saw_stays_until_it_is_acknowledged() -> None:
    state = after(after(AlarmState.NORMAL, Happening.RAISED), Happening.CLEARED)
    assert state is AlarmState.RETURNED
    assert after(state, Happening.ACKNOWLEDGED) is AlarmState.NORMAL


def test_a_worse_limit_asks_for_a_new_acknowledgement() -> None:
    assert after(AlarmState.ACKNOWLEDGED, Happening.WORSENED) is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize(("state", "happening"), sorted(set(product(AlarmState, Happening)) - set(TABLE)))
def test_what_the_table_lacks_is_refused(state: AlarmState, happening: Happening) -> None:
    with pytest.raises(OrderRefused, match=state.value):
        after(state, happening)


def test_every_happening_has_a_word_of_the_contract() -> None:
    assert set(EVENT) == set(Happening)
    assert set(EVENT.values()) == {"raised", "updated", "acknowledged", "cleared"}
