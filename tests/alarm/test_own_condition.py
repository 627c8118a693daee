"""What is wrong with the gateway itself is an alarm like any other: it follows from the journal alone."""

from gateway.alarm import condition
from gateway.alarm.condition import OwnCondition, Trouble
from gateway.alarm.engine import AlarmEngine
from gateway.alarm.scribe import GATEWAY
from gateway.alarms import Alarm, AlarmState
from gateway.fleet import Fleet
from gateway.model import Chunk, Control, Severity

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
NOTHING = Fleet((), (), (), (), (), (), ())


def said(*records: Control) -> list[Alarm]:
    chunk = Chunk(0, len(records), records, tuple(range(len(records))))
    return [alarm for _, alarm in AlarmEngine(NOTHING, []).apply(chunk)]


def record(trouble: Trouble, holds: bool, at_ns: int, detail: str = "") -> Control:
    return condition.control(OwnCondition(trouble, holds, at_ns, detail), at_ns + SECOND)


def test_it_begins_and_ends_on_the_gateway_with_its_severity_and_the_words_of_who_refused() -> None:
    raised, cleared = said(
        record(Trouble.STORE_UNAVAILABLE, True, T0, "HTTP 503 overloaded"),
        record(Trouble.STORE_UNAVAILABLE, False, T0 + 60 * SECOND),
    )
    assert (raised.type, raised.asset, raised.severity) == ("storeUnavailable", GATEWAY, Severity.MAJOR)
    assert (raised.onset_ns, raised.raised_ns) == (T0, T0 + SECOND), "since when, and when it was said"
    assert raised.text_en.startswith("Store takes no readings at gateway since")
    assert raised.text_en.endswith(": HTTP 503 overloaded")
    assert raised.text_vi.startswith("Kho dữ liệu không nhận số đo")
    assert (cleared.id, cleared.state, cleared.event) == (raised.id, AlarmState.RETURNED, "cleared")


def test_a_full_journal_is_critical() -> None:
    assert said(record(Trouble.JOURNAL_FULL, True, T0))[0].severity is Severity.CRITICAL


def test_what_a_restarted_gateway_says_again_changes_nothing() -> None:
    events = [
        alarm.event
        for alarm in said(
            record(Trouble.JOURNAL_FULL, False, T0),
            record(Trouble.JOURNAL_FULL, True, T0 + 10 * SECOND),
            record(Trouble.JOURNAL_FULL, True, T0 + 20 * SECOND),
            record(Trouble.JOURNAL_FULL, False, T0 + 30 * SECOND),
            record(Trouble.JOURNAL_FULL, False, T0 + 40 * SECOND),
        )
    ]
    assert events == ["raised", "cleared"]


def test_a_record_of_a_later_version_is_counted_and_passed_over() -> None:
    engine = AlarmEngine(NOTHING, [])
    bodies = ({"trouble": "lowBattery", "holds": True}, {"trouble": "journalFull", "since_ns": "noon"}, {})
    records = tuple(Control(condition.KIND, T0, body=dict(body)) for body in bodies)
    assert engine.apply(Chunk(0, 3, records, (0, 1, 2))) == []
    assert engine.refused == 3
