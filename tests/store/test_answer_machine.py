"""A server with limits and moods, in any order: exactly the guilty lines are handed back, all others stored.

Answers of InfluxDB 1.6 and VictoriaMetrics 1.79 are worded as recorded ones; those of 2.x and 3.x are written
from the vendor's documents (write troubleshooting; write_lp) and were never seen from a real server.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from city import POWER, START_NS, batch, fleet, parse, profile
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from multidict import CIMultiDict

from gateway.store.answer import Answer, Dialect, Outcome, classify
from gateway.store.delivery import Delivery
from gateway.store.line_protocol import Lines, LineWriter

FLEET = fleet()
LAMP = profile("lamp", (POWER,), (), ())
OTHER = profile("other", (POWER,), (), (), "other")
DAY_NS = 86_400 * 10**9
CONFLICT = (
    'partial write: field type conflict: input field "active_power" on measurement "other"'
    " is type float, already exists as type string"
)
MOODS = {
    Dialect.INFLUX1: {
        "no database": (404, '{"error":"database not found: \\"city\\""}'),
        "no policy": (500, '{"error":"retention policy not found: year"}'),
        "no login": (401, '{"error":"authorization failed"}'),
        "busy": (503, '{"error":"timeout"}'),
        "ill": (500, '{"error":"engine is closed"}'),
    },
    Dialect.INFLUX2: {
        "no bucket": (404, '{"code":"not found","message":"bucket \\"city\\" not found"}'),
        "no login": (401, '{"code":"unauthorized","message":"unauthorized access"}'),
        "busy": (429, ""),
        "new refusal": (400, '{"code":"invalid","message":"something new"}'),
        "proxy": (302, "<html>log in</html>"),
    },
    Dialect.INFLUX3: {
        "no database": (404, '{"error":"database not found"}'),
        "no login": (401, '{"error":"the request was not authenticated"}'),
        "tables": (422, '{"error":"adding a new table would exceed limit of 2000 tables"}'),
        "busy": (503, ""),
    },
    Dialect.VICTORIAMETRICS: {
        "no login": (401, "no such user"),
        "busy": (429, "too many requests"),
        "ill": (503, "storage is read-only"),
    },
}
Reply = tuple[int, str]


class Server:
    """What it refuses: ``conflict_from_ns`` on, lines of "other"; before ``oldest_ns``; ``broken`` ids."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.body_bytes_max = 10**6
        self.conflict_from_ns: int | None = None
        self.oldest_ns = 0
        self.broken: set[int] = set()
        self.mood = ""
        self.unheard: list[bool] = []  # answers that get lost; True: after the lines were stored
        self.points: dict[int, bytes] = {}
        self.requests = 0

    def fault(self, line: bytes) -> str:
        """Why a line is refused; empty if it is good. VictoriaMetrics never says so."""
        if self.dialect is Dialect.VICTORIAMETRICS:
            return ""
        point = parse(line)
        if int(point.fields["active_power"]) in self.broken:
            return "broken"
        conflicting = self.conflict_from_ns is not None and point.time_ns >= self.conflict_from_ns
        if point.measurement == "other" and conflicting:
            return "conflict"
        return "old" if point.time_ns < self.oldest_ns else ""

    def post(self, request: Lines) -> Answer:
        self.requests += 1
        lost = self.unheard.pop() if self.unheard else None
        if lost is False:
            return Answer(Outcome.UNKNOWN, "unreachable", "reset")
        status, body = self._reply(request)
        if lost:
            return Answer(Outcome.UNKNOWN, "unreachable", "timeout")
        return classify(self.dialect, status, CIMultiDict(), body.encode())

    def takes_a_good_line(self) -> bool:
        return not self.mood

    def _reply(self, request: Lines) -> Reply:
        if self.mood:
            return MOODS[self.dialect][self.mood]
        if len(request.body) > self.body_bytes_max:
            return 413, '{"error":"Request Entity Too Large"}'
        lines = [request.line(i) for i in range(len(request))]
        faults = [self.fault(line) for line in lines]
        answers: dict[Dialect, Callable[[list[bytes], list[str]], Reply]] = {
            Dialect.INFLUX1: self._one,
            Dialect.INFLUX2: self._two,
            Dialect.INFLUX3: self._three,
        }
        if any(faults):
            return answers[self.dialect](lines, faults)
        self._store(lines, faults)
        return 204, ""

    def _store(self, lines: list[bytes], faults: list[str]) -> None:
        for line, fault in zip(lines, faults, strict=True):
            if not fault:
                number = int(parse(line).fields["active_power"])
                assert self.points.get(number, line) == line, "the same reading in other bytes"
                self.points[number] = line

    def _one(self, lines: list[bytes], faults: list[str]) -> Reply:
        """1.6: the good lines are stored and one class of fault is named. Of conflicts only the first
        day's (each day is a shard) are counted, and parse errors not at all."""
        self._store(lines, faults)
        if "conflict" in faults:
            days = [_day(line) for line, fault in zip(lines, faults, strict=True) if fault == "conflict"]
            words = f"{CONFLICT} dropped={days.count(min(days))}"
        elif "old" in faults:
            words = f"partial write: points beyond retention policy dropped={faults.count('old')}"
        else:
            broken = lines[faults.index("broken")].decode()
            words = f"partial write: unable to parse '{broken}': invalid number dropped=0"
        return 400, json.dumps({"error": words})

    def _two(self, lines: list[bytes], faults: list[str]) -> Reply:
        """2.x: a parse error refuses the whole request (400), other faults their lines alone (422)."""
        if "broken" in faults:
            broken = lines[faults.index("broken")].decode()
            return 400, json.dumps(
                {"code": "invalid", "message": f"unable to parse '{broken}': invalid number"}
            )
        self._store(lines, faults)
        fault = "conflict" if "conflict" in faults else "old"
        reason = CONFLICT if fault == "conflict" else "partial write: points beyond retention policy"
        words = f"failure writing points to database: {reason} dropped={faults.count(fault)}"
        return 422, json.dumps({"code": "unprocessable entity", "message": words})

    def _three(self, lines: list[bytes], faults: list[str]) -> Reply:
        """3.x with accept_partial: at most 100 refused lines are named."""
        self._store(lines, faults)
        named: list[dict[str, Any]] = [
            {"original_line": line.decode(), "line_number": i + 1, "error_message": fault}
            for i, (line, fault) in enumerate(zip(lines, faults, strict=True))
            if fault
        ]
        return 400, json.dumps({"error": "partial write of line protocol occurred", "data": named[:100]})


class AnswerMachine(RuleBasedStateMachine):
    """The delivery code against one server whose limits and moods change between writes."""

    @initialize(dialect=st.sampled_from(Dialect))
    def begin(self, dialect: Dialect) -> None:
        self.server = Server(dialect)
        self.issued = 0
        self.refused: dict[int, str] = {}
        self.waiting: Lines | None = None

    @rule(limit=st.sampled_from([150, 1000, 10**6]))
    def limit_bodies(self, limit: int) -> None:
        self.server.body_bytes_max = limit

    @rule(days=st.integers(-1, 3))
    def change_the_type_of_a_field(self, days: int) -> None:
        self.server.conflict_from_ns = None if days < 0 else START_NS + days * DAY_NS

    @rule(days=st.integers(0, 3))
    def shorten_the_retention(self, days: int) -> None:
        self.server.oldest_ns = START_NS + days * DAY_NS

    @rule(data=st.data())
    def change_mood(self, data: st.DataObject) -> None:
        self.server.mood = data.draw(st.sampled_from(["", *MOODS[self.server.dialect]]))

    @rule(unheard=st.lists(st.booleans(), max_size=4))
    def lose_answers(self, unheard: list[bool]) -> None:
        self.server.unheard = unheard

    @rule(
        kinds=st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 9)), max_size=150),
        lines_max=st.sampled_from([1, 7, 5000]),
    )
    def write(self, kinds: list[tuple[bool, int, int]], lines_max: int) -> None:
        """(of the other measurement, day, 0: broken) each; what waits from before goes first, as it was."""
        if self.waiting is not None:
            self._deliver(self.waiting, lines_max)
            return
        numbered = list(enumerate(kinds, start=self.issued))
        self.issued += len(kinds)
        self.server.broken |= {number for number, (_, _, health) in numbered if health == 0}
        batches = [
            batch(
                spec,
                [[float(number)] for number, _ in own],
                time_ns=[START_NS + day * DAY_NS + number for number, (_, day, _) in own],
            )
            for spec, other in ((LAMP, False), (OTHER, True))
            if (own := [item for item in numbered if item[1][0] is other])
        ]
        self._deliver(LineWriter(FLEET).lines(batches), lines_max)

    @rule(lines_max=st.sampled_from([1, 7, 5000]))
    def try_again(self, lines_max: int) -> None:
        if self.waiting is not None:
            self._deliver(self.waiting, lines_max)

    def _deliver(self, lines: Lines, lines_max: int) -> None:
        server, before = self.server, self.server.requests
        healthy = not server.mood and not server.unheard
        delivery = Delivery(lines, FLEET, lines_max=lines_max, bytes_max=10**6)
        while (request := delivery.request) is not None:
            delivery.answered(server.post(request))
            if delivery.doubt is not None:
                delivery.request_is_good(server.takes_a_good_line())
        outcome = delivery.outcome
        if outcome.pause is not None:
            assert not healthy, f"paused by a server in good health: {outcome.pause}"
            assert (outcome.stored, outcome.rejects) == (0, ())
            self.waiting = lines
            return
        self.waiting = None
        # A line longer than the body limit is refused alone: nothing else could be done with it.
        guilty = {_number(line) for line in _all(lines) if server.fault(line) or self._too_long(line)}
        rejected = [_number(reject.payload) for reject in outcome.rejects]
        assert sorted(rejected) == sorted(guilty)
        assert outcome.stored == len(lines) - len(guilty)
        assert {_number(line) for line in _all(lines)} - guilty <= server.points.keys()
        self.refused |= {_number(r.payload): r.reason for r in outcome.rejects}
        halvings = math.log2(len(lines) + 1) + 2
        parts = 1 + len(lines) / lines_max + 2 * len(lines.body) / server.body_bytes_max
        assert server.requests - before <= 2 * (parts + len(guilty)) * halvings

    def _too_long(self, line: bytes) -> bool:
        return len(line) + 1 > self.server.body_bytes_max

    @invariant()
    def nothing_is_lost_or_in_two_places(self) -> None:
        if not hasattr(self, "server"):
            return
        waiting = set() if self.waiting is None else {_number(line) for line in _all(self.waiting)}
        settled = set(range(self.issued)) - waiting
        assert settled <= self.server.points.keys() | self.refused.keys()


def _all(lines: Lines) -> list[bytes]:
    return [lines.line(i) for i in range(len(lines))]


def _number(line: bytes) -> int:
    return int(parse(line).fields["active_power"])


def _day(line: bytes) -> int:
    return (parse(line).time_ns - START_NS) // DAY_NS


TestAnswers = AnswerMachine.TestCase
TestAnswers.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
