"""Several workers answer to everything that one gateway answers to."""

from __future__ import annotations

from typing import Any

from gateway.operations import Operations
from gateway.switchboard import Switchboard

AMONG_WORKERS = {"alarms.counted"}
"""Asked by the switchboard alone."""

NOTHING: Any = None


def test_what_may_be_asked_of_one_gateway_may_be_asked_of_several_workers() -> None:
    one = Operations(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING).handlers()
    several = Switchboard(NOTHING, 2, shared=True, configuration=NOTHING, clock=NOTHING).handlers()
    assert set(one) - AMONG_WORKERS <= set(several)
