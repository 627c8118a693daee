"""The table of states: every entry as ISA-18.2 has it, everything else refused."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.alarm.lifecycle import EVENT, TABLE, Happening, after
from gateway.alarms import AlarmState
from gateway.errors import OrderRefused


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
