"""The score against examples worked out by hand, and against the rule of a true positive."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model import nanoseconds, rfc3339
from simulators.astronomy import SECOND_NS
from simulators.score import score

T0 = nanoseconds("2026-11-02T13:00:00Z")


def at(seconds: float) -> str:
    return rfc3339(T0 + round(seconds * SECOND_NS))


def truth(type_: str | None, asset: str, detectable: float | None = 0, **more: Any) -> dict[str, Any]:
    told = {
        "detectable_from": None if detectable is None else at(detectable),
        "from": at(0),
        "to": at(20_000),
    }
    return {"fault": "f", "type": type_, "asset": asset, "members": []} | told | more


def alarm(type_: str, asset: str, onset: float, raised: float, **more: Any) -> dict[str, Any]:
    facts = {"id": f"{type_}{asset}{onset}", "type": type_, "asset": asset, "state": "unacknowledged"}
    times = {"onset": at(onset), "raised_at": at(raised), "cleared_at": None}
    return facts | times | {"members": [], "transition": 1} | more


def figures(found: dict[str, Any], type_: str) -> tuple[Any, ...]:
    return tuple(
        found["types"][type_][key] for key in ("injected", "found", "alarms", "false", "precision", "recall")
    )


def test_a_hand_made_night() -> None:
    """Three dead lamps: one found, one found too late to count, one missed; and one alarm out of the blue."""
    truths = [truth("lampFailure", name) for name in ("A", "B", "C")] + [truth(None, "L", fault="dip")]
    alarms = [
        alarm("lampFailure", "A", 300, 1200),
        alarm("lampFailure", "B", 9000, 9900),
        alarm("lampFailure", "D", 100, 1000),
        alarm("communicationFailure", "L", 50, 5000),
    ]
    found = score(truths, alarms)
    assert figures(found, "lampFailure") == (3, 1, 3, 2, pytest.approx(0.3333), pytest.approx(0.3333))
    assert figures(found, "communicationFailure") == (0, 0, 1, 1, 0.0, None)
    assert found["types"]["lampFailure"]["delay_s_max"] == 1200
    assert found["look_alikes"] == {"dip": {"injected": 1, "alarms": 1}}
    assert (found["alarms"], found["false"]) == (4, 3)


def test_the_window_ends_with_due_by_hold_and_group_wait() -> None:
    """lampFailure: 900 s of hold and 600 s of group wait after ``due_by``; without it, 1.5 intervals."""
    for last, more in ((5000 + 1500, {"due_by": at(5000)}), (1350 + 1500, {})):
        # Ten seconds before: by the clock of a device that drifted for a day.
        for onset, true in ((last, 1), (last + 1, 0), (-11, 0), (-10, 1)):
            found = score([truth("lampFailure", "A", **more)], [alarm("lampFailure", "A", onset, 9000)])
            assert found["types"]["lampFailure"]["found"] == true, (onset, more)


def test_an_alarm_without_a_hold_is_told_by_the_devices_own_clock() -> None:
    for early, true in ((10, 1), (11, 0)):
        found = score([truth("doorOpen", "A")], [alarm("doorOpen", "A", -early, -early)])
        assert found["types"]["doorOpen"]["found"] == true


def test_a_parent_counts_for_what_it_contains_and_a_group_for_its_members() -> None:
    truths = [truth("communicationFailure", "A"), truth("communicationFailure", "B")]
    found = score(truths, [alarm("communicationFailure", "F", 100, 4000, members=["A", "B", "C"])])
    assert figures(found, "communicationFailure") == (2, 2, 1, 0, 1.0, 1.0)
    group = [truth("communicationFailure", "gateway", members=[f"L{n}" for n in range(10)])]
    for held, true in ((8, 1), (7, 0)):
        parent = alarm("communicationFailure", "X", 100, 4000, members=[f"L{n}" for n in range(held)])
        assert score(group, [parent])["types"]["communicationFailure"]["found"] == true


def test_the_same_fault_told_twice_is_one_alarm_too_many() -> None:
    twice = [alarm("lampFailure", "A", 100, 1000), alarm("lampFailure", "A", 1000, 2000)]
    assert figures(score([truth("lampFailure", "A")], twice), "lampFailure") == (1, 1, 2, 1, 0.5, 1.0)


def test_what_is_suppressed_was_not_told_until_it_is() -> None:
    hidden = alarm("lampFailure", "A", 100, 1000, state="suppressed")
    assert score([truth("lampFailure", "A")], [hidden])["alarms"] == 0
    told = hidden | {"state": "unacknowledged", "transition": 2}
    assert figures(score([truth("lampFailure", "A")], [hidden, told]), "lampFailure")[1] == 1


def test_what_nobody_could_tell_is_neither_asked_for_nor_held_against_anyone() -> None:
    unseen = [truth("lampFailure", "A", None)]
    assert score(unseen, [])["types"] == {}
    assert score(unseen, [alarm("lampFailure", "A", 100, 1000)])["alarms"] == 0


def test_reports_lost_before_the_fault_may_move_the_onset_of_a_silence_but_not_the_alarm() -> None:
    silent = [truth("communicationFailure", "A")]
    assert score(silent, [alarm("communicationFailure", "A", -2000, 3000)])["false"] == 0
    assert score(silent, [alarm("communicationFailure", "A", -2000, -10)])["false"] == 1
    assert score([truth("lampFailure", "A")], [alarm("lampFailure", "A", -2000, 3000)])["false"] == 1
