"""Orders and questions about repairs. In: keyword arguments. Out: JSON values.

A ticket is an order like any other: a record in the journal, a line in the trail. Never stops a clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from gateway.alarm import repair
from gateway.alarms import Fault
from gateway.errors import OrderRefused
from gateway.orders import Order, Orders
from gateway.state import faults
from gateway.state.database import StateDatabase

LISTING_MAX: Final = 10_000
TICKETS_MAX: Final = 5000
_FACTS: Final = frozenset({"alarm", "number", "crew", "cause", "eta_ns", "closed_ns", "comment"})


class Repairs:
    """``handlers`` maps the names of the socket to what may be asked and ordered."""

    def __init__(self, database: StateDatabase, orders: Orders) -> None:
        self._database, self._orders = database, orders

    def handlers(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {"faults.list": self.listing, "faults.show": self.show, "faults.tickets": self.tickets}

    async def listing(self, *, all: bool = False, limit: int = 100) -> list[dict[str, Any]]:  # noqa: A002
        """Faults whose clock runs, or all that are kept, newest first."""
        bound = min(limit, LISTING_MAX)
        found = await self._database.transact(lambda c: faults.listing(c, running=not all, limit=bound))
        now_ns = self._orders.now_ns()
        return [_document(fault, now_ns) for fault in found]

    async def show(self, *, alarm: str) -> Sequence[dict[str, Any]]:
        """Every transition of one fault, in order."""
        history = await self._database.transact(lambda c: faults.history(c, alarm))
        if not history:
            raise OrderRefused(_unknown(alarm))
        return [fault.document() | {"event": fault.event} for fault in history]

    async def tickets(self, *, tickets: Sequence[dict[str, Any]], by: str) -> dict[str, Any]:
        """Facts of work orders; all are checked before the first is written down."""
        if not 0 < len(tickets) <= TICKETS_MAX:
            raise OrderRefused(f"at most {TICKETS_MAX} tickets at a time, and one at least")

        def work(connection: sqlite3.Connection) -> dict[str, Fault]:
            known = (faults.history(connection, str(ticket.get("alarm", ""))) for ticket in tickets)
            return {history[-1].id: history[-1] for history in known if history}

        present = await self._database.transact(work)
        orders = []
        for ticket in tickets:
            if strange := ticket.keys() - _FACTS:
                raise OrderRefused(f"a ticket has no {', '.join(sorted(strange))}")
            name = str(ticket.get("alarm", ""))
            if name not in present:
                raise OrderRefused(_unknown(name))
            repair.merged(present[name].ticket, ticket)
            facts = {key: value for key, value in ticket.items() if key != "comment" and value is not None}
            orders.append(Order(repair.TICKET, name, str(ticket.get("comment", "")), facts))
        await self._orders.give_all(orders, by)
        return {"tickets": len(orders), "by": by}


def _document(fault: Fault, now_ns: int) -> dict[str, Any]:
    """With the minutes so far, for people who wait."""
    running_min = None
    if fault.ended_ns is None:
        running_min = round(max(0, now_ns - fault.opened_ns) / 60e9, 1)
    return fault.document() | {"running_minutes": running_min}


def _unknown(name: str) -> str:
    return f"no fault has the id {name!r}; 'citylight alarms faults' shows them"
