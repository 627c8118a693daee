"""The test alarm. In: an instant and who asked. Out: its transitions, for ``citylight alarms test``.

It goes through the outbox like any other, so it proves the way to every recipient; nothing stays standing.
"""

from __future__ import annotations

from gateway.alarm.ledger import Condition, Ledger
from gateway.alarm.wording import Wording
from gateway.alarms import Alarm
from gateway.fleet import Fleet
from gateway.model import Severity


def trial(fleet: Fleet, now_ns: int, by: str) -> list[Alarm]:
    """Raised, then cleared and acknowledged in ``by``'s name: three transitions of an ``info`` alarm."""
    wording = Wording(fleet)
    ledger = Ledger(wording)
    source = "", "test"
    text = wording.sentence("test", "gateway", now_ns, None, None, "")
    condition = Condition(source, "test", "gateway", "", "", Severity.INFO, now_ns, now_ns, None, None, text)
    alarms = ledger.begin(condition)
    alarms += ledger.end(source, now_ns, None, None)
    return [*alarms, ledger.acknowledge(alarms[0].id, by, "citylight alarms test")]
