"""Who is told now, who later, who in a list. In: recorded transitions, rounds of the clock. Out: outbox rows.

The first telling of an alarm to a recipient is decided here; who was told singly is told all that follows. A
function of state.db and ``now``, so a restart repeats nothing. Never waits and never sends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.alarms import Alarm, AlarmState, Fault
from gateway.errors import OrderRefused
from gateway.notify import digest
from gateway.notify.cap import Sent
from gateway.notify.dispatch import Occasion, OutboxRow, event_row, fault_rows, rows_for, state_row
from gateway.notify.places import Places
from gateway.notify.recipient import Manner, Recipient
from gateway.state import alarms, facts, notices, outbox
from gateway.state.notices import Notice

FIRST_DIGEST_NS: Final = 60 * 1_000_000_000
"""So long after a flood began its first digest leaves: enough to see what it is about."""
OVER_KEPT_NS: Final = 3_600 * 1_000_000_000
"""Notices of alarms that are over still count in the flood's window."""
RAISED_MAX: Final = 10_000
LATELY_NS: Final = 7 * 86_400 * 1_000_000_000
"""So far back a resync takes down retained states of alarms that are over."""
FLOOD, DIGEST, MORNING, DROPPED = "flood", "digest", "morning", "dropped"
"""Facts, each with a recipient: when a flood began, its last digest, the last morning list, the last time
messages were dropped and not made good (wall ns)."""
DROPPED_TOTAL = "dropped total"
"""Fact, with a recipient: messages dropped since the file began."""


@dataclass(frozen=True, slots=True)
class FloodOptions:
    """ISA-18.2's flood: begins with more than ``begins`` alarms in ``window_s``, ends below ``ends``."""

    begins: int = 10
    ends: int = 5
    window_s: float = 600.0
    digest_s: float = 900.0

    @property
    def window_ns(self) -> int:
        return round(self.window_s * 1e9)


class Teller:
    """``places`` gives those of the configuration in force."""

    def __init__(
        self,
        recipients: Sequence[Recipient],
        places: Callable[[], Places],
        flood: FloodOptions | None = None,
        pending_max: int = 100_000,
    ) -> None:
        self.recipients = tuple(recipients)
        self._places = places
        self._flood = flood or FloodOptions()
        self._pending_max = pending_max

    def around(self, area: str) -> tuple[str, ...]:
        """The area and those it lies in, by the inventory in force."""
        return self._places().around(area)

    def tell(self, connection: sqlite3.Connection, new: Sequence[Alarm | Fault], now_ns: int) -> int:
        """Rows for transitions that were recorded just now, in their order. Returns how many are new."""
        if not new:
            return 0
        occasion = Occasion(now_ns, self._places())
        around = occasion.places.around
        floods = {one.name: _Flood(connection, one, self._flood, now_ns) for one in self.recipients}
        rows: list[OutboxRow] = []
        for one in new:
            if isinstance(one, Fault):
                rows += fault_rows(one, self.recipients, around)
                continue
            for recipient in self.recipients:
                if recipient.plain:
                    rows += rows_for(one, [recipient], occasion)
                elif not one.quiet and recipient.wants(one, around):
                    rows += self._follow(connection, one, recipient, occasion, floods[recipient.name])
        return outbox.add(connection, rows, created_ns=now_ns) if rows else 0

    def trial(self, connection: sqlite3.Connection, transitions: Sequence[Alarm], now_ns: int) -> list[str]:
        """A test alarm to everybody at once, whatever they filter by. Returns their names."""
        earlier: tuple[Sent, ...] = ()
        rows: list[OutboxRow] = []
        for alarm in transitions:
            done = alarm.cleared_ns is not None and alarm.event != "cleared"  # CAP ends with the Cancel
            listening = [one for one in self.recipients if not (done and one.format == "cap")]
            told = rows_for(alarm, listening, Occasion(now_ns, self._places(), earlier))
            rows += told
            earlier = earlier or tuple(Sent(row.key, now_ns) for row in told[:1])
        outbox.add(connection, rows, created_ns=now_ns)
        return sorted({row.recipient for row in rows})

    def resync(self, connection: sqlite3.Connection, name: str, now_ns: int) -> dict[str, int]:
        """Tell again what stands, to one recipient or (``name`` empty) to all. Messages by recipient."""
        chosen = [recipient for recipient in self.recipients if name in ("", recipient.name)]
        if not chosen:
            known = ", ".join(recipient.name for recipient in self.recipients)
            raise OrderRefused(f"no recipient is called {name!r}; there are {known or 'none'}")
        standing = [alarm for alarm in alarms.active(connection) if not alarm.quiet]
        over = _over_lately(connection, standing, now_ns)
        found = {}
        for recipient in chosen:
            again = [*standing, *over] if recipient.kind == "mqtt" else standing
            rows = [row for alarm in again for row in self._again(connection, alarm, recipient, now_ns)]
            found[recipient.name] = outbox.add(connection, rows, created_ns=now_ns) if rows else 0
        return found

    def round(self, connection: sqlite3.Connection, now_ns: int) -> int:
        """What falls due by the clock: escalations, digests, morning lists. Returns how many messages."""
        rows: list[OutboxRow] = []
        patient = [recipient for recipient in self.recipients if not recipient.plain]
        for recipient in patient:
            if recipient.after_s:
                rows += self._escalated(connection, recipient, now_ns)
            if recipient.digest:
                rows += self._digested(connection, recipient, now_ns)
            if recipient.morning_minute is not None:
                rows += self._listed(connection, recipient, now_ns)
        notices.forget(connection, [r.name for r in patient], before_ns=now_ns - OVER_KEPT_NS)
        added = outbox.add(connection, rows, created_ns=now_ns) if rows else 0
        return added + sum(self._bounded(connection, one, now_ns) for one in self.recipients)

    def _bounded(self, connection: sqlite3.Connection, recipient: Recipient, now_ns: int) -> int:
        """Drop what is too much for a recipient that is away; once it is back, tell it again what stands."""
        fact = f"{DROPPED} {recipient.name}"
        if dropped := outbox.bound(connection, recipient.name, self._pending_max):
            facts.put(connection, fact, now_ns)
            total = f"{DROPPED_TOTAL} {recipient.name}"
            facts.put(connection, total, (facts.get(connection, total) or 0) + dropped)
        elif facts.get(connection, fact) and not outbox.backlog(connection, recipient.name).pending:
            facts.put(connection, fact, 0)
            return self.resync(connection, recipient.name, now_ns)[recipient.name]
        return 0

    def dropped(self, connection: sqlite3.Connection) -> dict[str, int]:
        """Recipient -> messages given up because too many waited, since the file began."""
        return {
            one.name: facts.get(connection, f"{DROPPED_TOTAL} {one.name}") or 0 for one in self.recipients
        }

    def _follow(
        self,
        connection: sqlite3.Connection,
        alarm: Alarm,
        recipient: Recipient,
        occasion: Occasion,
        flood: _Flood,
    ) -> list[OutboxRow]:
        """One transition to one recipient, by what it was told before."""
        over, ended = alarm.state is AlarmState.NORMAL, alarm.cleared_ns is not None
        notice = notices.get(connection, recipient.name, alarm.id)
        if notice is not None and notice.manner == Manner.DIGEST:
            waiting = notice.waiting or alarm.event == "cleared"
            notices.put(connection, replace(notice, waiting=waiting, over=over))
            return []
        if recipient.format == "cap" and ended and (notice is None or alarm.event != "cleared"):
            if notice is not None:  # a Cancel was its last message
                notices.put(connection, replace(notice, over=over))
            return []
        if notice is None:
            if recipient.manner(alarm) is not Manner.AT_ONCE:
                return []
            held = recipient.digest and not ended and flood.holds(alarm)
            manner = Manner.DIGEST if held else Manner.AT_ONCE
            notice = Notice(recipient.name, alarm.id, manner.value, occasion.now_ns, waiting=held)
            if held:
                notices.put(connection, notice)
                return []
            flood.count += not ended
        return [self._singly(connection, alarm, recipient, occasion, notice)]

    def _singly(
        self,
        connection: sqlite3.Connection,
        alarm: Alarm,
        recipient: Recipient,
        occasion: Occasion,
        notice: Notice,
    ) -> OutboxRow:
        """The transition in a message of its own, which the notice remembers."""
        earlier = tuple(Sent(*one) for one in dict.fromkeys((notice.first, notice.last)) if one)
        row = event_row(alarm, recipient, replace(occasion, earlier=earlier))
        sent = row.key, occasion.now_ns
        over = alarm.state is AlarmState.NORMAL
        notices.put(connection, replace(notice, first=notice.first or sent, last=sent, over=over))
        return row

    def _again(
        self, connection: sqlite3.Connection, alarm: Alarm, recipient: Recipient, now_ns: int
    ) -> Iterator[OutboxRow]:
        places = self._places()
        if not recipient.wants(alarm, places.around):
            return
        notice = notices.get(connection, recipient.name, alarm.id)
        if recipient.kind == "mqtt":
            yield replace(state_row(alarm, recipient), key=f"{alarm.id}-{alarm.transition}-state-{now_ns}")
        elif recipient.plain:
            yield event_row(alarm, recipient, Occasion(now_ns, places, again="-again"))
        elif notice is not None and notice.manner == Manner.AT_ONCE:
            yield self._singly(connection, alarm, recipient, Occasion(now_ns, places, again="-again"), notice)

    def _escalated(
        self, connection: sqlite3.Connection, recipient: Recipient, now_ns: int
    ) -> Iterator[OutboxRow]:
        """What nobody has acknowledged in time; counted from when the first was told of it."""
        occasion = Occasion(now_ns, self._places())
        first = notices.first_told(connection)
        for alarm in alarms.active(connection):
            if alarm.quiet or alarm.state is not AlarmState.UNACKNOWLEDGED:
                continue
            if first.get(alarm.id, alarm.raised_ns) + round(recipient.after_s * 1e9) > now_ns:
                continue
            late = recipient.wants(alarm, occasion.places.around) and recipient.manner(alarm) is Manner.LATER
            if late and notices.get(connection, recipient.name, alarm.id) is None:
                notice = Notice(recipient.name, alarm.id, Manner.AT_ONCE.value, now_ns)
                yield self._singly(connection, alarm, recipient, occasion, notice)

    def _digested(
        self, connection: sqlite3.Connection, recipient: Recipient, now_ns: int
    ) -> Iterator[OutboxRow]:
        flood = _Flood(connection, recipient, self._flood, now_ns)
        waiting = notices.waiting(connection, recipient.name)
        ended = bool(flood.began_ns) and flood.count < self._flood.ends
        fact = f"{DIGEST} {recipient.name}"
        last_ns = facts.get(connection, fact) or 0
        due_ns = last_ns + round(self._flood.digest_s * 1e9)
        if flood.began_ns > last_ns:  # its first
            due_ns = flood.began_ns + FIRST_DIGEST_NS
        if waiting and (ended or not last_ns <= now_ns < due_ns):
            standing, over = _parted(_latest(connection, waiting))
            since_ns = max(last_ns, flood.began_ns) or now_ns
            told = digest.Digest("flood", since_ns, now_ns, standing, over)
            yield digest.row(told, recipient, Occasion(now_ns, self._places()))
            notices.told(connection, recipient.name)
            facts.put(connection, fact, now_ns)
        if ended:
            flood.end()

    def _listed(
        self, connection: sqlite3.Connection, recipient: Recipient, now_ns: int
    ) -> Iterator[OutboxRow]:
        """Once a day: all that stands and waits for the day, and what came and went since the last list."""
        places, fact = self._places(), f"{MORNING} {recipient.name}"
        last_ns = facts.get(connection, fact)
        if last_ns is None or last_ns > now_ns:  # the first day, or the clock was set back
            facts.put(connection, fact, now_ns)
            return
        if morning_ns(now_ns, recipient.morning_minute or 0, places) <= last_ns:
            return
        facts.put(connection, fact, now_ns)

        def belongs(alarm: Alarm) -> bool:
            wanted = not alarm.quiet and recipient.wants(alarm, places.around)
            return wanted and recipient.manner(alarm) is Manner.MORNING

        standing, _ = _parted([alarm for alarm in alarms.active(connection) if belongs(alarm)])
        recent = alarms.raised_since(connection, last_ns, limit=RAISED_MAX)
        _, over = _parted([alarm for alarm in recent if belongs(alarm)])
        if standing or over:
            told = digest.Digest("morning", last_ns, now_ns, standing, over)
            yield digest.row(told, recipient, Occasion(now_ns, places))


class _Flood:
    """Whether so many alarms come to a recipient that the next ones go into a digest."""

    def __init__(
        self, connection: sqlite3.Connection, recipient: Recipient, options: FloodOptions, now_ns: int
    ) -> None:
        self._connection, self._recipient, self._options, self._now_ns = (
            connection,
            recipient,
            options,
            now_ns,
        )
        self._fact = f"{FLOOD} {recipient.name}"
        self.began_ns, self.count = 0, 0
        if recipient.digest:
            self.began_ns = facts.get(connection, self._fact) or 0
            self.count = notices.count_since(connection, recipient.name, now_ns - options.window_ns)

    def holds(self, alarm: Alarm) -> bool:
        """Whether this alarm, the next one, is held for the digest."""
        if self.count >= self._options.begins and not self.began_ns:
            self.began_ns = self._now_ns
            facts.put(self._connection, self._fact, self._now_ns)
        through = self._recipient.policy.breaks_through(alarm.type)
        held = bool(self.began_ns) and not through
        self.count += held
        return held

    def end(self) -> None:
        self.began_ns = 0
        facts.put(self._connection, self._fact, 0)


def morning_ns(now_ns: int, minute: int, places: Places) -> int:
    """The last instant at or before ``now_ns`` at which local clocks showed ``minute`` of the day."""
    local = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(places.zone)
    at = local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
    if at > local:
        at = (local - timedelta(days=1)).replace(
            hour=minute // 60, minute=minute % 60, second=0, microsecond=0
        )
    return int(at.timestamp()) * 1_000_000_000


def _over_lately(connection: sqlite3.Connection, standing: Sequence[Alarm], now_ns: int) -> list[Alarm]:
    """The last alarm of each place and type where none stands: a broker set back may still show it."""
    stand = {(alarm.asset, alarm.type) for alarm in standing}
    recent = alarms.raised_since(connection, now_ns - LATELY_NS, limit=RAISED_MAX)
    over = {(alarm.asset, alarm.type): alarm for alarm in recent if not alarm.quiet}
    return [alarm for key, alarm in over.items() if key not in stand]


def _latest(connection: sqlite3.Connection, ids: Sequence[str]) -> list[Alarm]:
    return [history[-1] for history in (alarms.history(connection, one) for one in ids) if history]


def _parted(found: Sequence[Alarm]) -> tuple[list[Alarm], list[Alarm]]:
    """(standing, over) of alarms in their present state."""
    over = [alarm for alarm in found if alarm.cleared_ns is not None]
    return [alarm for alarm in found if alarm.cleared_ns is None], over
