"""From a refused request to the guilty lines: exactly those are handed back, and all others are stored."""

import numpy as np
import pytest
from city import POWER, START_NS, batch, fleet, parse, profile
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Bools
from gateway.store.answer import Answer, Outcome
from gateway.store.delivery import Delivery, blame
from gateway.store.line_protocol import Lines, LineWriter

FLEET = fleet()
PLAIN = profile(numeric=(POWER,), texts=(), tags=())


def lines_of(n: int) -> Lines:
    readings = batch(PLAIN, [[float(i)] for i in range(n)], time_ns=[START_NS + n - i for i in range(n)])
    return LineWriter(FLEET).lines([readings])


class Server:
    """Refuses the lines whose power is in ``guilty``, in the words of the given kind."""

    def __init__(self, guilty: set[int], kind: str) -> None:
        self.guilty, self.kind = guilty, kind
        self.stored: list[int] = []
        self.requests = 0

    def answer(self, request: Lines) -> Answer:
        self.requests += 1
        numbers = [int(parse(request.line(i)).fields["active_power"]) for i in range(len(request))]
        bad = [i for i, number in enumerate(numbers) if number in self.guilty]
        if not bad:
            self.stored += numbers
            return Answer(Outcome.WRITTEN, "written")
        if self.kind != "all or nothing":
            self.stored += [number for number in numbers if number not in self.guilty]
        match self.kind:
            case "named":
                named = tuple((i + 1, f"line {i + 1}") for i in bad[:100])
                return Answer(Outcome.PARTLY_WRITTEN, "refused_line", "words", named=named)
            case "counted":
                return Answer(Outcome.PARTLY_WRITTEN, "type_conflict", "words", dropped=len(bad))
            case "lying":
                return Answer(Outcome.PARTLY_WRITTEN, "unparsable", "words", dropped=0)
            case "too old":
                return Answer(Outcome.TOO_OLD, "too_old", "words", dropped=len(bad))
            case _:
                return Answer(Outcome.MALFORMED, "refused_line", "words")


def deliver(lines: Lines, server: Server, lines_max: int = 5000) -> Delivery:
    delivery = Delivery(lines, FLEET, lines_max=lines_max, bytes_max=10**7)
    while (request := delivery.request) is not None:
        delivery.answered(server.answer(request))
        if delivery.doubt is not None:
            delivery.request_is_good(True)
    return delivery


@given(
    n=st.integers(1, 40),
    guilty=st.sets(st.integers(0, 39)),
    kind=st.sampled_from(["named", "counted", "lying", "too old", "all or nothing"]),
    lines_max=st.integers(1, 40),
)
def test_guilty_lines_and_only_those_are_handed_back(
    n: int, guilty: set[int], kind: str, lines_max: int
) -> None:
    server = Server(guilty, kind)
    if kind == "too old":
        server.guilty = set(range(n - len(guilty), n))  # times fall with the number: these are the oldest
    outcome = deliver(lines_of(n), server, lines_max).outcome

    assert outcome.pause is None
    assert {reject.index for reject in outcome.rejects} == server.guilty & set(range(n))
    assert set(server.stored) == set(range(n)) - server.guilty
    assert outcome.stored + len(outcome.rejects) == n


def test_a_reject_is_the_line_with_the_servers_words() -> None:
    (reject,) = deliver(lines_of(3), Server({1}, "named")).outcome.rejects

    assert (reject.stage, reject.reason, reject.detail) == ("store", "refused_line", "line 2")
    assert (reject.sequence, reject.index, reject.sample, reject.device) == (1, 1, 0, "L0")
    assert parse(reject.payload).fields["active_power"] == 1.0


@pytest.mark.parametrize(("kind", "requests"), [("named", 10), ("counted", 1), ("too old", 1)])
def test_a_block_refused_as_a_whole_costs_few_requests(kind: str, requests: int) -> None:
    server = Server(set(range(1000)), kind)
    assert len(deliver(lines_of(1000), server).outcome.rejects) == 1000
    assert server.requests <= requests


def test_lines_with_the_field_in_conflict_are_found_at_once() -> None:
    mixed = [batch(PLAIN, [[1.0]] * 3), batch(profile("x", (POWER,), (), (), "other"), [[1.0]] * 2)]
    lines = LineWriter(FLEET).lines(mixed)
    answer = Answer(Outcome.PARTLY_WRITTEN, "type_conflict", dropped=2, conflict=("other", "active_power"))

    guilty: Bools | None = blame(lines, answer)

    assert guilty is not None
    assert np.flatnonzero(guilty).tolist() == [3, 4]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.OVERLOADED, Outcome.UNKNOWN])
def test_a_pause_takes_nothing(outcome: Outcome) -> None:
    delivery = Delivery(lines_of(10), FLEET, lines_max=5, bytes_max=10**7)
    delivery.answered(Answer(Outcome.WRITTEN, "written"))
    delivery.answered(Answer(outcome, "why", "words"))

    assert delivery.request is None
    assert (delivery.outcome.stored, delivery.outcome.rejects, delivery.outcome.pause) == (0, (), "words")


def test_when_even_a_good_line_is_refused_no_line_is_blamed() -> None:
    delivery = Delivery(lines_of(10), FLEET, lines_max=5, bytes_max=10**7)
    delivery.answered(Answer(Outcome.MALFORMED, "refused_line", "what is this"))
    delivery.request_is_good(False)

    assert delivery.outcome.rejects == ()
    assert delivery.outcome.pause == "what is this"


def test_too_large_a_request_is_cut_until_it_passes() -> None:
    lines = lines_of(64)
    delivery = Delivery(lines, FLEET, lines_max=64, bytes_max=10**7)
    while (request := delivery.request) is not None:
        fits = len(request) <= 5
        delivery.answered(
            Answer(Outcome.WRITTEN if fits else Outcome.TOO_LARGE, "written" if fits else "too_large")
        )
    assert (delivery.outcome.stored, delivery.outcome.rejects) == (64, ())
