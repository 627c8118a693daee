"""What the broker threw away because a queue was full. In: its own count. Out: how many while we were away.

mosquitto drops what finds a queue full and still tells the device "success"; its count is the only trace. The
count is of all its clients, so what was dropped while we read is taken for somebody else's.
"""

from __future__ import annotations


class Drops:
    """``known``: the count when it was last looked at (state.db), None if there never was a look."""

    def __init__(self, known: int | None) -> None:
        self.known = known
        self._looked = False  # since the backlog of this connection has come

    def opened(self) -> None:
        """A new connection: until its backlog has come and been counted, a drop may have been ours."""
        self._looked = False

    def came(self, payload: bytes, *, drained: bool, retained: bool) -> int | None:
        """Messages dropped since the last look that may have been ours; None if the count says nothing.

        A count smaller than the known one is that of a broker that began anew. A retained copy may be older
        than the last drops, so only a live one that comes after the backlog closes the absence.
        """
        try:
            count = int(payload)
        except ValueError:
            return None
        if count < 0:
            return None
        before, self.known = self.known, count
        away = not self._looked
        self._looked |= drained and not retained
        if before is None or not away:
            return 0
        return count - before if count >= before else count
