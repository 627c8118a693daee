"""One write on its way. In: lines, then an answer to each request. Out: the next request, or the outcome.

Narrows a refused request down to the guilty lines, so that the good ones are stored and only those are
handed back. Never does IO; sends only lines it was given, byte for byte.
"""

from __future__ import annotations

import numpy as np

from gateway.fleet import Fleet
from gateway.model import Bools, Reject
from gateway.store.answer import Answer, Outcome
from gateway.store.line_protocol import Lines
from gateway.store.outcome import WriteOutcome

PAUSES = frozenset({Outcome.REFUSED, Outcome.OVERLOADED, Outcome.UNKNOWN})


class Delivery:
    """``request`` is what to send now, None when all is said; ``answered`` takes the server's answer to it.

    A refusal the table does not know may be about a line or about the request: ``doubt`` is then True
    and the caller must say with ``request_is_good`` whether a line known to be good passes.
    """

    def __init__(self, lines: Lines, fleet: Fleet, *, lines_max: int, bytes_max: int) -> None:
        self._fleet = fleet
        self._rejects: list[Reject] = []
        self._pending = list(lines.parts(lines_max, bytes_max))[::-1]
        self._stored = 0
        self._pause: Answer | None = None
        self._good_request = False
        self.doubt: Answer | None = None

    def withhold(self, before_ns: int, answer: Answer) -> None:
        """Before the first request: hand back what is older, as if the server had said ``answer``."""
        pending, self._pending = self._pending, []
        for lines in pending:
            old = lines.time_ns < before_ns
            self._reject(lines, old, answer)
            if not old.all():
                self._pending.append(lines.where(~old) if old.any() else lines)

    @property
    def request(self) -> Lines | None:
        return None if self._pause or not self._pending else self._pending[-1]

    def answered(self, answer: Answer) -> None:
        """Take the answer to ``request``."""
        if answer.outcome in PAUSES:
            self._pause = answer
        elif answer.outcome is Outcome.WRITTEN:
            self._stored += len(self._pending.pop())
        elif answer.outcome is Outcome.MALFORMED and not self._good_request:
            self.doubt = answer
        else:
            self._narrow(self._pending.pop(), answer)

    def request_is_good(self, good: bool) -> None:
        """Settle ``doubt``: the lines are to blame (True), or everything would be refused (False)."""
        assert self.doubt is not None
        self._good_request = good
        if good:
            self._narrow(self._pending.pop(), self.doubt)
        else:
            self._pause = self.doubt
        self.doubt = None

    @property
    def pause(self) -> Answer | None:
        """The answer that stopped the delivery: nothing of it counts as taken."""
        return self._pause

    @property
    def outcome(self) -> WriteOutcome:
        if self._pause is not None:
            return WriteOutcome(pause=self._pause.words or self._pause.reason)
        return WriteOutcome(stored=self._stored, rejects=tuple(self._rejects))

    def _narrow(self, lines: Lines, answer: Answer) -> None:
        """Hand back the lines ``answer`` is about, or cut the request in two; send all others again."""
        if len(lines) == 1:
            self._reject(lines, np.ones(1, np.bool_), answer)
            return
        guilty = blame(lines, answer)
        if guilty is None:
            middle = len(lines) // 2
            self._pending += [lines.part(middle, len(lines)), lines.part(0, middle)]
            return
        self._reject(lines, guilty, answer)
        if not guilty.all():
            self._pending.append(lines.where(~guilty))

    def _reject(self, lines: Lines, guilty: Bools, answer: Answer) -> None:
        words = dict(answer.named)
        for i in np.flatnonzero(guilty).tolist():
            self._rejects.append(
                Reject(
                    sequence=int(lines.sequence[i]),
                    index=int(lines.index[i]),
                    received_ns=int(lines.received_ns[i]),
                    topic="",
                    payload=lines.line(i),
                    stage="store",
                    reason=answer.reason,
                    detail=words.get(i + 1, answer.words),
                    device=self._fleet.devices[lines.device[i]].id,
                    sample=int(lines.sample[i]),
                )
            )


def blame(lines: Lines, answer: Answer) -> Bools | None:
    """bool[n]: the lines an answer is surely about; None when it does not tell.

    Sure are lines it numbers; all lines, or the oldest, or those that hold the field in conflict, when there
    are as many of them as it dropped. So a mended profile costs two requests a block and not thousands.
    """
    n = len(lines)
    if answer.outcome in (Outcome.TOO_LARGE, Outcome.MALFORMED):
        return None
    if answer.named:
        guilty = np.zeros(n, np.bool_)
        guilty[[number - 1 for number, _ in answer.named if 1 <= number <= n]] = True
        return guilty if guilty.any() else None
    if not answer.dropped:
        return None
    if answer.dropped == n:
        return np.ones(n, np.bool_)
    if answer.outcome is Outcome.TOO_OLD:
        guilty = lines.time_ns <= np.sort(lines.time_ns)[min(answer.dropped, n) - 1]
    elif answer.conflict is not None:
        measurement, field = (name.encode() for name in answer.conflict)
        guilty = np.array([_holds(lines.line(i), measurement, field) for i in range(n)], np.bool_)
    else:
        return None
    return guilty if np.count_nonzero(guilty) == answer.dropped else None


def _holds(line: bytes, measurement: bytes, field: bytes) -> bool:
    """Whether a line may set ``field``; text that looks like it only makes the count differ."""
    return line.startswith(measurement + b",") and (
        b"," + field + b"=" in line or b" " + field + b"=" in line
    )
