"""How an order is given. In: what, about what, by whom, why. Out: an audit entry and a record of the journal.

The effect comes from the journal alone. The trail is written first, so nothing takes effect without a trace.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.clock import Clock
from gateway.errors import OrderRefused
from gateway.journal.record import Journal, Kind, encode_control
from gateway.model import Control
from gateway.state import audit
from gateway.state.database import StateDatabase


@dataclass(frozen=True, slots=True)
class Order:
    """``kind`` is of the control record, ``subject`` what the trail names, ``facts`` the record's body."""

    kind: str
    subject: str
    comment: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class Orders:
    """``now_ns`` is the instant an order given now would bear."""

    def __init__(self, database: StateDatabase, journal: Journal, clock: Clock) -> None:
        self._database, self._journal, self._clock = database, journal, clock

    def now_ns(self) -> int:
        return self._clock.wall_ns()

    async def give(self, order: Order, by: str) -> None:
        """One order; OrderRefused without a name."""
        await self.give_all([order], by)

    async def give_all(self, orders: Sequence[Order], by: str) -> None:
        """Several at one instant: all of them stand in the trail, and then in the journal, or none."""
        if not by:
            raise OrderRefused("say who orders it: --by NAME")
        now_ns = self.now_ns()
        controls, entries = [], []
        for order in orders:
            body = {**order.facts, "by": by, "comment": order.comment}
            controls.append(encode_control(Control(order.kind, now_ns, body=body)))
            said = json.dumps(order.facts, ensure_ascii=False, sort_keys=True) if order.facts else ""
            entries.append(audit.Entry(now_ns, by, order.kind, order.subject, order.comment, said))
        await self._database.transact(lambda connection: audit.append(connection, *entries))
        await self._journal.append(Kind.CONTROL, controls)
