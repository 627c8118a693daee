"""Orders that put alarms aside, and the figures about alarms. In: keyword arguments. Out: JSON values.

Like ``operations``: an order is a record in the journal, with who and why in the audit trail. Never changes
an alarm directly.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from gateway.alarm import acts
from gateway.alarm.quiet import WindowKind
from gateway.alarm.statistics import figures
from gateway.alarms import Alarm, AlarmState
from gateway.configuration import Configuration
from gateway.errors import OrderRefused
from gateway.fleet import Fleet
from gateway.model import rfc3339
from gateway.orders import Order, Orders
from gateway.state import alarms, audit
from gateway.state.database import StateDatabase

SHELF_S_MAX: Final = 30 * 86_400.0
COUNTED_MAX: Final = 100_000
LISTING_MAX: Final = 10_000
IMPORT_MAX: Final = 5000
_ALIVE: Final = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED})


class Quieting:
    """``handlers`` maps the names of the socket to what may be asked and ordered."""

    def __init__(
        self,
        database: StateDatabase,
        orders: Orders,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._database, self._orders, self._configuration = database, orders, configuration

    def handlers(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {
            "alarms.shelve": self.shelve,
            "alarms.unshelve": self.unshelve,
            "alarms.comment": self.comment,
            "alarms.reset": self.reset,
            "alarms.stats": self.stats,
            "alarms.counted": self.counted,
            "alarms.audit": self.audit,
            "maintenance.add": self.add_windows,
            "maintenance.end": self.end_window,
        }

    async def shelve(self, *, alarm: str, seconds: float, by: str, comment: str) -> dict[str, Any]:
        """Put an alarm aside; also if its condition comes back, until the time is over."""
        if not 0 < seconds <= SHELF_S_MAX:
            raise OrderRefused(f"the longest shelf is {SHELF_S_MAX / 86_400:.0f} days")
        present = await self._standing(alarm, _ALIVE)
        until_ns = self._orders.now_ns() + round(seconds * 1e9)
        facts = {"alarm": present.id, "until_ns": until_ns}
        await self._orders.give(Order(acts.SHELVE, present.id, comment, facts), by)
        return {"alarm": present.id, "until": rfc3339(until_ns), "by": by}

    async def unshelve(self, *, alarm: str, by: str, comment: str = "") -> dict[str, Any]:
        """Take an alarm back from the shelf."""
        present = await self._standing(alarm, frozenset({AlarmState.SHELVED}))
        await self._orders.give(Order(acts.UNSHELVE, present.id, comment, {"alarm": present.id}), by)
        return {"alarm": present.id, "by": by}

    async def comment(self, *, alarm: str, by: str, comment: str) -> dict[str, Any]:
        """Write a comment on a standing alarm; its state stays."""
        if not comment:
            raise OrderRefused("say what: --comment TEXT")
        present = await self._standing(alarm, frozenset(AlarmState) - {AlarmState.NORMAL})
        await self._orders.give(Order(acts.COMMENT, present.id, comment, {"alarm": present.id}), by)
        return {"alarm": present.id, "by": by}

    async def reset(self, *, alarm: str, by: str, comment: str) -> dict[str, Any]:
        """End a latched alarm: whoever was there says that it is safe, and why."""
        if not comment:
            raise OrderRefused("say what was made safe: --comment TEXT")
        present = await self._standing(alarm, frozenset({AlarmState.LATCHED}))
        await self._orders.give(Order(acts.RESET, present.id, comment, {"alarm": present.id}), by)
        return {"alarm": present.id, "by": by}

    async def stats(self, *, last_s: float) -> dict[str, Any]:
        """ISA-18.2 figures of the last ``last_s`` seconds."""
        to_ns = self._orders.now_ns()
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

    async def audit(self, *, subject: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Who did what, newest first; to one ``subject``, or at all."""
        bound = min(limit, LISTING_MAX)
        entries = await self._database.transact(
            lambda connection: audit.listing(connection, subject=subject, limit=bound)
        )
        return [
            {
                "at": rfc3339(entry.at_ns),
                "who": entry.who,
                "action": entry.action,
                "subject": entry.subject,
                "why": entry.detail,
                "facts": json.loads(entry.facts or "{}"),
            }
            for entry in entries
        ]

    async def add_windows(self, *, windows: Sequence[dict[str, Any]], by: str) -> dict[str, Any]:
        """Keep places quiet in [from_ns, to_ns): all windows or none; one said twice is one."""
        if not 0 < len(windows) <= IMPORT_MAX:
            raise OrderRefused(f"at most {IMPORT_MAX} windows at a time, and one at least")
        orders = [self._window(**window) for window in windows]
        await self._orders.give_all(orders, by)
        return {"windows": [order.facts["id"] for order in orders], "by": by}

    def _window(
        self, *, scope: str, kind: str, from_ns: int, to_ns: int, comment: str = "", where: str = ""
    ) -> Order:
        """``where`` is the line of a file, for the refusal."""
        place = f"{where}: " if where else ""
        check_scope(self._configuration().fleet, scope, place)
        if from_ns >= to_ns or to_ns <= self._orders.now_ns():
            raise OrderRefused(f"{place}the window ends before it begins, or is over already")
        if kind not in set(WindowKind):
            raise OrderRefused(f"{place}{kind!r} is no kind of window; known are {', '.join(WindowKind)}")
        facts = {"scope": scope, "kind": kind, "from_ns": from_ns, "to_ns": to_ns}
        name = hashlib.blake2b(repr(sorted(facts.items())).encode(), digest_size=6).hexdigest()
        return Order(acts.WINDOW, scope, comment, {"id": name, **facts})

    async def end_window(self, *, window: str, by: str) -> dict[str, Any]:
        """End a window now; what still stands there is told."""
        await self._orders.give(Order(acts.WINDOW_END, window, "", {"id": window}), by)
        return {"window": window, "by": by}

    async def _standing(self, identity: str, states: frozenset[AlarmState]) -> Alarm:
        history = await self._database.transact(lambda connection: alarms.history(connection, identity))
        if not history:
            raise OrderRefused(f"no alarm has the id {identity!r}; 'citylight alarms list' shows them")
        if history[-1].state not in states:
            raise OrderRefused(f"alarm {identity} is {history[-1].state.value}; that can not be done now")
        return history[-1]


def check_scope(fleet: Fleet, scope: str, place: str = "") -> None:
    """OrderRefused for a scope that names nothing there is; ``place`` begins the refusal."""
    kind, _, name = scope.partition(":")
    known = {
        "area": fleet.area_by_code,
        "cabinet": {cabinet.id for cabinet in fleet.cabinets},
        "feeder": fleet.feeder_by_id,
        "asset": fleet.asset_row,
    }
    if scope != "city" and name not in known.get(kind, ()):
        raise OrderRefused(
            f"{place}{scope!r} is no place; write area:X, cabinet:X, feeder:X, asset:X or city"
        )
