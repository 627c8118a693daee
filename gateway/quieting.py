"""Orders that put alarms aside, and the figures about alarms. In: keyword arguments. Out: JSON values.

Like ``operations``: an order is a record in the journal, with who and why in the audit trail. Never changes
an alarm directly.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from gateway.alarm import acts
from gateway.alarm.quiet import WindowKind
from gateway.alarm.statistics import figures
from gateway.alarms import Alarm, AlarmState
from gateway.clock import Clock
from gateway.configuration import Configuration
from gateway.errors import OrderRefused
from gateway.fleet import Fleet
from gateway.journal.record import Journal, Kind, encode_control
from gateway.model import Control, rfc3339
from gateway.state import alarms, audit
from gateway.state.database import StateDatabase

SHELF_S_MAX: Final = 30 * 86_400.0
COUNTED_MAX: Final = 100_000
LISTING_MAX: Final = 10_000
_ALIVE: Final = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED})


class Quieting:
    """``handlers`` maps the names of the socket to what may be asked and ordered."""

    def __init__(
        self,
        database: StateDatabase,
        journal: Journal,
        configuration: Callable[[], Configuration],
        clock: Clock,
    ) -> None:
        self._database, self._journal = database, journal
        self._configuration, self._clock = configuration, clock

    def handlers(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {
            "alarms.shelve": self.shelve,
            "alarms.unshelve": self.unshelve,
            "alarms.comment": self.comment,
            "alarms.stats": self.stats,
            "alarms.counted": self.counted,
            "alarms.audit": self.audit,
            "maintenance.add": self.add_window,
            "maintenance.end": self.end_window,
        }

    async def shelve(self, *, alarm: str, seconds: float, by: str, comment: str) -> dict[str, Any]:
        """Put an alarm aside; also if its condition comes back, until the time is over."""
        if not 0 < seconds <= SHELF_S_MAX:
            raise OrderRefused(f"the longest shelf is {SHELF_S_MAX / 86_400:.0f} days")
        present = await self._standing(alarm, _ALIVE)
        until_ns = self._clock.wall_ns() + round(seconds * 1e9)
        await self._order(acts.SHELVE, present.id, by, comment, alarm=present.id, until_ns=until_ns)
        return {"alarm": present.id, "until": rfc3339(until_ns), "by": by}

    async def unshelve(self, *, alarm: str, by: str, comment: str = "") -> dict[str, Any]:
        """Take an alarm back from the shelf."""
        present = await self._standing(alarm, frozenset({AlarmState.SHELVED}))
        await self._order(acts.UNSHELVE, present.id, by, comment, alarm=present.id)
        return {"alarm": present.id, "by": by}

    async def comment(self, *, alarm: str, by: str, comment: str) -> dict[str, Any]:
        """Write a comment on a standing alarm; its state stays."""
        if not comment:
            raise OrderRefused("say what: --comment TEXT")
        present = await self._standing(alarm, frozenset(AlarmState) - {AlarmState.NORMAL})
        await self._order(acts.COMMENT, present.id, by, comment, alarm=present.id)
        return {"alarm": present.id, "by": by}

    async def stats(self, *, last_s: float) -> dict[str, Any]:
        """ISA-18.2 figures of the last ``last_s`` seconds."""
        to_ns = self._clock.wall_ns()
        from_ns = to_ns - round(last_s * 1e9)
        raised, standing = await self._counted(from_ns)
        return figures(raised, standing, from_ns, to_ns)

    async def counted(self, *, from_ns: int) -> Any:
        """The alarms that figures since ``from_ns`` are made of, raised and standing, as JSON values."""
        return msgspec.to_builtins(await self._counted(from_ns))

    async def _counted(self, from_ns: int) -> tuple[list[Alarm], list[Alarm]]:
        def work(connection: sqlite3.Connection) -> tuple[list[Alarm], list[Alarm]]:
            raised = alarms.raised_since(connection, from_ns, limit=COUNTED_MAX)
            return raised, alarms.active(connection)

        return await self._database.transact(work)

    async def audit(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Who did what, newest first."""
        bound = min(limit, LISTING_MAX)
        entries = await self._database.transact(lambda connection: audit.listing(connection, limit=bound))
        return [
            {"at": rfc3339(e.at_ns), "who": e.who, "action": e.action, "subject": e.subject, "why": e.detail}
            for e in entries
        ]

    async def add_window(
        self, *, scope: str, kind: str, from_ns: int, to_ns: int, by: str, comment: str
    ) -> dict[str, Any]:
        """Keep a place quiet in [from_ns, to_ns); a window said twice is one."""
        check_scope(self._configuration().fleet, scope)
        if from_ns >= to_ns or to_ns <= self._clock.wall_ns():
            raise OrderRefused("the window ends before it begins, or is over already")
        if kind not in set(WindowKind):
            raise OrderRefused(f"{kind!r} is no kind of window; known are {', '.join(WindowKind)}")
        facts = {"scope": scope, "kind": kind, "from_ns": from_ns, "to_ns": to_ns}
        name = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=6).hexdigest()
        await self._order(acts.WINDOW, scope, by, comment, id=name, **facts)
        return {"window": name, "by": by}

    async def end_window(self, *, window: str, by: str) -> dict[str, Any]:
        """End a window now; what still stands there is told."""
        await self._order(acts.WINDOW_END, window, by, "", id=window)
        return {"window": window, "by": by}

    async def _standing(self, identity: str, states: frozenset[AlarmState]) -> Alarm:
        history = await self._database.transact(lambda connection: alarms.history(connection, identity))
        if not history:
            raise OrderRefused(f"no alarm has the id {identity!r}; 'citylight alarms list' shows them")
        if history[-1].state not in states:
            raise OrderRefused(f"alarm {identity} is {history[-1].state.value}; that can not be done now")
        return history[-1]

    async def _order(self, order: str, subject: str, by: str, comment: str, /, **facts: Any) -> None:
        if not by:
            raise OrderRefused("say who orders it: --by NAME")
        now_ns = self._clock.wall_ns()
        control = Control(order, now_ns, body={**facts, "by": by, "comment": comment})
        await self._journal.append(Kind.CONTROL, [encode_control(control)])
        entry = audit.Entry(now_ns, by, order, subject, comment)
        await self._database.transact(lambda connection: audit.append(connection, entry))


def check_scope(fleet: Fleet, scope: str) -> None:
    """OrderRefused for a scope that names nothing there is."""
    kind, _, name = scope.partition(":")
    known = {
        "area": fleet.area_by_code,
        "cabinet": {cabinet.id for cabinet in fleet.cabinets},
        "feeder": fleet.feeder_by_id,
        "asset": fleet.asset_row,
    }
    if scope != "city" and name not in known.get(kind, ()):
        raise OrderRefused(f"{scope!r} is no place; write area:X, cabinet:X, feeder:X, asset:X or city")
