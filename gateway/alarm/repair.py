"""The repair clock. In: transitions of alarms, tickets. Out: transitions of faults, each numbered.

It runs from the instant people were told of an equipment fault to the first healthy sample. A ticket adds
facts and never stops it. A function of the journal alone, like the alarms it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.alarms import Alarm, Fault, FaultState, Ticket
from gateway.errors import OrderRefused
from gateway.model import Control
from gateway.vocabulary.kinds import EQUIPMENT

TICKET: Final = "ticket"
"""Kind of the control record that brings a ticket."""

ENDED_MAX: Final = 10_000
ENDED_KEEP_NS: Final = 30 * 86_400 * 1_000_000_000
"""A ticket is often closed the morning after the lamp is lit: for so long it still finds its fault."""


class Repairs:
    """``running`` are the faults that stand, by alarm id; ``ended`` the latest that do not, oldest first."""

    def __init__(self) -> None:
        self.running: dict[str, Fault] = {}  # bounded: by the alarms that stand
        self.ended: dict[str, Fault] = {}  # bounded: ENDED_MAX, ENDED_KEEP_NS

    def follow(self, alarms: Iterable[Alarm], now_ns: int | None) -> list[Fault]:
        """What alarms after a transition mean for repairs; ``now_ns`` is None among readings."""
        return [fault for alarm in alarms for fault in self._after(alarm, now_ns)]

    def _after(self, alarm: Alarm, now_ns: int | None) -> list[Fault]:
        fault = self.running.get(alarm.id)
        if alarm.event == "cleared":
            return [] if fault is None else [self._end(fault, alarm)]
        if alarm.cleared_ns is not None:
            return []
        if fault is None:
            return [self._open(alarm, now_ns)] if alarm.type in EQUIPMENT and not alarm.quiet else []
        if alarm.severity is fault.severity:
            return []
        words = {"severity": alarm.severity, "text_vi": alarm.text_vi, "text_en": alarm.text_en}
        return [self._keep(_next(fault, "updated", **words, by="", comment=""))]

    def _open(self, alarm: Alarm, now_ns: int | None) -> Fault:
        told_ns = alarm.raised_ns if alarm.event == "raised" or now_ns is None else now_ns
        return self._keep(
            Fault(
                id=alarm.id,
                type=alarm.type,
                asset=alarm.asset,
                area=alarm.area,
                feeder=alarm.feeder,
                severity=alarm.severity,
                state=FaultState.OPEN,
                onset_ns=alarm.onset_ns,
                opened_ns=told_ns,
                text_vi=alarm.text_vi,
                text_en=alarm.text_en,
                transition=1,
                event="opened",
            )
        )

    def _end(self, fault: Fault, alarm: Alarm) -> Fault:
        """Proved by a healthy sample, or over without proof."""
        proved = alarm.proof is not None
        ended = _next(
            fault,
            "verified" if proved else "updated",
            state=FaultState.VERIFIED if proved else FaultState.WITHDRAWN,
            ended_ns=alarm.cleared_ns,
            proof=alarm.proof,
            text_vi=alarm.text_vi,
            text_en=alarm.text_en,
            by="",
            comment=alarm.comment if not proved else "",
        )
        del self.running[fault.id]
        self.ended[fault.id] = ended
        self._forget(ended.ended_ns or 0)
        return ended

    def take(self, control: Control) -> Fault:
        """A ticket came, or more of it. OrderRefused for a fault that is not known, or no longer."""
        body = control.body
        name = str(body.get("alarm", ""))
        fault = self.running.get(name) or self.ended.get(name)
        if fault is None:
            raise OrderRefused(f"no fault {name} is open or was lately")
        ticket = merged(fault.ticket, body)
        state = fault.state
        if state in {FaultState.OPEN, FaultState.CLAIMED}:
            state = FaultState.OPEN if ticket.closed_ns is None else FaultState.CLAIMED
        who = {"by": str(body.get("by", "")), "comment": str(body.get("comment", ""))}
        return self._keep(_next(fault, "updated", state=state, ticket=ticket, **who))

    def restore(self, running: Iterable[Fault], ended: Iterable[Fault]) -> None:
        """Take up what a snapshot kept."""
        self.running = {fault.id: fault for fault in running}
        self.ended = {fault.id: fault for fault in ended}

    def _keep(self, fault: Fault) -> Fault:
        (self.ended if fault.id in self.ended else self.running)[fault.id] = fault
        return fault

    def _forget(self, now_ns: int) -> None:
        for name in list(self.ended):
            old = (self.ended[name].ended_ns or 0) < now_ns - ENDED_KEEP_NS
            if not old and len(self.ended) <= ENDED_MAX:
                break
            del self.ended[name]


def merged(known: Ticket | None, body: Mapping[str, Any]) -> Ticket:
    """``known`` with what ``body`` says; another number is another ticket. OrderRefused for no sense."""
    number = str(body.get("number") or (known.number if known else ""))
    if not number:
        raise OrderRefused("a ticket has a number")
    before = known if known is not None and known.number == number else Ticket(number)
    return replace(
        before,
        crew=str(body.get("crew") or before.crew),
        cause=str(body.get("cause") or before.cause),
        eta_ns=_instant(body, "eta_ns", before.eta_ns),
        closed_ns=_instant(body, "closed_ns", before.closed_ns),
    )


def _instant(body: Mapping[str, Any], key: str, before: int | None) -> int | None:
    value = body.get(key)
    if value is None:
        return before
    if not isinstance(value, int) or isinstance(value, bool):
        raise OrderRefused(f"{key} is no time")
    return value


def _next(fault: Fault, event: str, **changes: Any) -> Fault:
    return replace(fault, event=event, transition=fault.transition + 1, **changes)
