"""What a connection means for the data. In: what happened and when. Out: ``SessionEvent``s.

Decides epochs, data gaps and "drained", the same for every transport. Never sees a byte of MQTT.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ingest.drops import Drops
from gateway.model import SessionEvent, Tick

QUIET_REFUSED_S = 2.0
"""Without a marker: so long without a message counts as drained."""

QUIET_S = 10.0
"""The same where the broker took the marker and does not bring it back."""

UNKNOWN_AGE_S = 1e9
"""Age of a contact before a boot after which the wall clock says less: no broker has been up for so long."""

UPTIME_RESOLUTION_S = 1.0
"""Brokers count whole seconds; a restart that is missed costs more than one that was none."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on both clocks (``gateway.clock``); durations use only the monotonic one."""

    wall_ns: int
    monotonic_ns: int


class PastContact:
    """What the journal's tail says of the last contact: ticks and session events in order, then ``age_s``.

    A connection that ended before the broker's uptime was judged leaves the contact before it in doubt.
    """

    def __init__(self) -> None:
        self._last: Tick | None = None
        self._doubtful: Tick | None = None
        self._in_doubt = False

    def take(self, part: Tick | SessionEvent) -> None:
        if isinstance(part, Tick):
            if part.connected:
                self._last = part
                self._doubtful = self._doubtful or part
        elif part.event == "uptime":
            self._in_doubt = False
        elif part.event == "connected" and not self._in_doubt:
            self._in_doubt, self._doubtful = True, self._last

    def age_s(self, *, wall_ns: int, elapsed_ns: int, boot_id: bytes) -> float | None:
        """None without a contact. Across a boot only the wall clock can tell, or it can not."""
        tick = self._doubtful if self._in_doubt else self._last
        if tick is None:
            return None
        if tick.boot_id == boot_id and tick.elapsed_ns <= elapsed_ns:
            return (elapsed_ns - tick.elapsed_ns) / 1e9
        if wall_ns < tick.wall_ns:
            return UNKNOWN_AGE_S
        return (wall_ns - tick.wall_ns) / 1e9


class Contact:
    """Epochs, gaps and drainage over all connections of one client id.

    ``epoch`` is the first one to use (the last in the journal + 1). ``session_expected``: the broker held a
    session of ours before this start. ``contact_age_s``: how long before ``now`` the last contact was.
    ``dropped``: the broker's count of dropped messages at the last look.
    """

    def __init__(
        self,
        *,
        epoch: int,
        session_expected: bool,
        contact_age_s: float | None,
        now: Moment,
        dropped: int | None = None,
    ) -> None:
        self.epoch = epoch - 1
        self.connected = False
        self.drained = False
        self.gaps = 0
        self._drops = Drops(dropped)
        self._expected = session_expected
        self._contact_ns = None if contact_age_s is None else now.monotonic_ns - int(contact_age_s * 1e9)
        self._contact_before_ns: int | None = None
        self._uptime_judged = False
        self._marker = b""
        self._quiet_s = QUIET_S
        self._message_ns = 0

    def opened(self, *, session_present: bool, now: Moment, detail: str = "") -> list[SessionEvent]:
        """The broker accepted the connection."""
        self.epoch += 1
        self.connected, self.drained = True, False
        if self._uptime_judged or self._contact_before_ns is None:
            self._contact_before_ns = self._contact_ns  # else the doubt of the last connection goes on
        self._uptime_judged = False
        self._drops.opened()
        self._quiet_s = QUIET_S
        self._message_ns = now.monotonic_ns
        events = [self._event("connected", now, session_present=session_present, detail=detail)]
        if self._expected and not session_present:
            self.gaps += 1
            # First: a process that ends between the two would find a session and nothing to tell.
            events.insert(0, self._event("gap", now, gap="session_lost", detail="the broker has no session"))
        self._expected = True
        self.heard(now)
        return events

    def heard(self, now: Moment) -> None:
        """Bytes came from the broker: it was alive. Before ``opened`` they say nothing of the session."""
        if self.connected:
            self._contact_ns = now.monotonic_ns

    def message_came(self, now: Moment) -> None:
        self._message_ns = now.monotonic_ns

    def subscribed(self, now: Moment) -> bytes:
        """The broker granted the subscription; returns the payload of the marker to publish now."""
        self._message_ns = now.monotonic_ns
        self._marker = f"{self.epoch}:{now.wall_ns}".encode()
        return self._marker

    def marker_refused(self) -> None:
        self._quiet_s = QUIET_REFUSED_S

    def marker_came(self, payload: bytes, now: Moment) -> list[SessionEvent]:
        """All that was queued before the marker has come; a marker of an earlier connection says nothing."""
        if payload != self._marker or self.drained:
            return []
        return self._drain(now, "marker")

    def quiet(self, now: Moment) -> list[SessionEvent]:
        """To be called now and then while subscribed and nothing waits for its acknowledgement."""
        silent_s = (now.monotonic_ns - self._message_ns) / 1e9
        if self.drained or silent_s < self._quiet_s:
            return []
        return self._drain(now, f"no message for {self._quiet_s:.0f} s")

    def uptime_came(self, payload: bytes, now: Moment, *, retained: bool) -> list[SessionEvent]:
        """The broker's ``$SYS`` uptime ("123 seconds"), good to a second, older if it is a retained copy.

        A broker younger than our last contact was restarted since; one that was killed restores an old
        session and says that it is present. An orderly restart can not be told apart and is named too.
        The event "uptime" says that this was judged, so it comes last.
        """
        try:
            uptime_s = float(payload.split()[0])
        except (ValueError, IndexError):
            return []
        if self._uptime_judged or not 0 <= uptime_s < float("inf"):
            return []
        away_s = 0.0
        if self._contact_before_ns is not None:
            away_s = (now.monotonic_ns - self._contact_before_ns) / 1e9
        restarted = self._contact_before_ns is not None and away_s > uptime_s - UPTIME_RESOLUTION_S
        if restarted and retained:
            return []  # perhaps only an old copy: the next one decides
        self._uptime_judged = True
        events = [self._event("uptime", now, uptime_s=uptime_s)]
        if restarted:
            self.gaps += 1
            detail = f"up for {uptime_s:.0f} s, last contact {away_s:.0f} s ago"
            events.insert(
                0, self._event("gap", now, gap="broker_restarted", uptime_s=uptime_s, detail=detail)
            )
        return events

    def dropped_came(self, payload: bytes, now: Moment, *, retained: bool) -> list[SessionEvent]:
        """The broker's ``$SYS`` count of messages dropped for full queues; of whose queue it does not say.

        The event "dropped" carries the count as its detail and comes last, as "uptime" does.
        """
        known = self._drops.known
        lost = self._drops.came(payload, drained=self.drained, retained=retained)
        if lost is None or self._drops.known == known:
            return []
        events = [self._event("dropped", now, detail=str(self._drops.known))]
        if lost:
            self.gaps += 1
            detail = f"{lost} messages, for all its clients, since it was last asked"
            events.insert(0, self._event("gap", now, gap="broker_dropped", detail=detail))
        return events

    def lost(self, detail: str, now: Moment) -> list[SessionEvent]:
        """The connection is gone; nothing if there was none."""
        if not self.connected:
            return []
        self.connected = self.drained = False
        return [self._event("disconnected", now, detail=detail)]

    def _drain(self, now: Moment, detail: str) -> list[SessionEvent]:
        self.drained = True
        return [self._event("drained", now, detail=detail)]

    def _event(
        self,
        event: str,
        now: Moment,
        *,
        session_present: bool = False,
        uptime_s: float | None = None,
        gap: str = "",
        detail: str = "",
    ) -> SessionEvent:
        return SessionEvent(
            epoch=self.epoch,
            event=event,
            wall_ns=now.wall_ns,
            session_present=session_present,
            broker_uptime_s=uptime_s,
            gap=gap,
            detail=detail,
        )
