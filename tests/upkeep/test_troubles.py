"""When the gateway says what is wrong with it: once when it begins, once when it ends, nothing in between."""

from __future__ import annotations

from gateway.alarm import condition
from gateway.model import Control
from gateway.troubles import LOSSES_HOLD_NS, Facts, Troubles

SECOND = 1_000_000_000
WALL_NS = 1_790_000_000 * SECOND


class Watch:
    """Looks at facts as time goes by and takes down what was said."""

    def __init__(self) -> None:
        self.troubles = Troubles(store_away_s=60.0)

    def look(
        self, at_s: float, *, journal: str = "", store: str = "", thrown_away: int = 0, durable: bool = True
    ) -> list[tuple[str, bool]]:
        at_ns = int(at_s * SECOND)
        said: list[Control] = []
        for record in self.troubles.changes(Facts(WALL_NS + at_ns, at_ns, journal, store, thrown_away)):
            said.append(record)
            if durable:
                self.troubles.told(record)
        found = [condition.read(record) for record in said]
        assert None not in found
        return [(one.trouble.value, one.holds) for one in found if one is not None]


def test_a_restart_says_what_is_well_once_and_waits_with_what_it_does_not_know() -> None:
    watch = Watch()
    assert watch.look(0, store="not tried yet") == [("journalFull", False), ("storeLosses", False)]
    assert watch.look(1) == [("storeUnavailable", False)]
    assert watch.look(2) == []


def test_a_full_journal_is_said_at_once_and_again_until_it_is_written_down() -> None:
    watch = Watch()
    watch.look(0)
    assert watch.look(1, journal="full", durable=False) == [("journalFull", True)]
    assert watch.look(2, journal="full") == [("journalFull", True)]
    assert watch.look(3, journal="still full") == []
    assert watch.look(4) == [("journalFull", False)]


def test_a_store_may_be_away_for_a_while_before_anybody_is_woken() -> None:
    watch = Watch()
    watch.look(0)
    assert watch.look(1, store="HTTP 503") == []
    assert watch.look(50) == [], "it was back: the time counts anew"
    assert watch.look(51, store="HTTP 503") == []
    assert watch.look(110, store="HTTP 503") == []
    assert watch.look(111, store="HTTP 401") == [("storeUnavailable", True)]
    assert watch.look(400) == [("storeUnavailable", False)]


def test_rows_thrown_away_count_as_trouble_until_none_was_for_ten_minutes() -> None:
    watch = Watch()
    watch.look(0)
    assert watch.look(1, thrown_away=3) == [("storeLosses", True)]
    assert watch.look(300, thrown_away=5) == []
    hold_s = LOSSES_HOLD_NS / SECOND
    assert watch.look(300 + hold_s, thrown_away=5) == []
    assert watch.look(301 + hold_s, thrown_away=5) == [("storeLosses", False)]
