"""Places where the torture harness ends this process. In: a name and a count. Out: SIGKILL at that pass.

Armed only by ``citylight run`` and its workers, from ``CITYLIGHT_FAILPOINT``; unarmed, a pass is one look at
a flag. Never cleans up: the point is that nothing may depend on it.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from threading import Lock

from gateway.errors import ConfigurationError

VARIABLE = "CITYLIGHT_FAILPOINT"


class Failpoint(StrEnum):
    """Each stands between two steps whose order a guarantee rests on."""

    RECEIVED = "after_receive_before_append"
    WRITTEN = "after_write_before_sync"
    APPENDED = "after_append_before_ack"
    ACKNOWLEDGED = "after_ack"
    STORED = "after_store_write_before_cursor"
    CURSOR_MOVED = "after_cursor"
    RECORDED = "after_transition_before_delivery"
    DELIVERED = "after_delivery_before_marking"
    SNAPSHOT = "during_snapshot"
    ROTATION = "during_rotation"
    TRIM = "during_trim"


class _Trap:
    """What is armed. Passes come from the loop, from the journal's writer and from the state thread."""

    def __init__(self) -> None:
        self.armed: Failpoint | None = None
        self.passes_left = 0
        self._one_at_a_time = Lock()

    def count_down(self) -> None:
        with self._one_at_a_time:
            self.passes_left -= 1
            if self.passes_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_trap = _Trap()


def arm(text: str) -> None:
    """``name`` or ``name:17``: die at the 17th pass. Empty: none. Raises ConfigurationError."""
    name, _, count = text.partition(":")
    if not text:
        _trap.armed = None
        return
    try:
        failpoint, passes = Failpoint(name), int(count or 1)
    except ValueError as error:
        remedy = f"name one of {', '.join(Failpoint)}, with :N for the Nth pass"
        raise ConfigurationError("environment", VARIABLE, f"{text!r} is no failpoint", remedy) from error
    _trap.armed, _trap.passes_left = failpoint, passes


def passing(failpoint: Failpoint) -> None:
    """The process is at ``failpoint``."""
    if _trap.armed is failpoint:
        _trap.count_down()
