"""Queries and orders to several workers. In: keyword arguments, a way to ask each. Out: one answer.

What belongs to one worker goes to that one; what all have a part of is put together. Decides nothing that a
worker decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from gateway.alarm import acts
from gateway.alarm.hearing import pole_order
from gateway.alarm.statistics import figures
from gateway.alarms import Alarm
from gateway.clock import Clock
from gateway.configuration import Configuration
from gateway.errors import OrderRefused
from gateway.merging import added
from gateway.operations import asset_document, fleet_document
from gateway.quieting import check_scope

Ask = Callable[[int, str, dict[str, Any]], Awaitable[Any]]
"""(worker, name of a query or order, its arguments) to its answer; OrderRefused in the worker's words."""

Handler = Callable[..., Awaitable[Any]]
OF_ONE_ALARM: Final = (
    "alarms.show",
    "alarms.ack",
    "alarms.shelve",
    "alarms.unshelve",
    "alarms.comment",
    "alarms.reset",
    "faults.show",
)


class Switchboard:
    """``handlers`` are those of one gateway. ``shared``: every worker's readings are in one store."""

    def __init__(
        self,
        ask: Ask,
        workers: int,
        *,
        shared: bool,
        configuration: Callable[[], Configuration],
        clock: Clock,
    ) -> None:
        self._ask = ask
        self._workers = range(workers)
        self._shared = shared
        self._configuration = configuration
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        own: dict[str, Handler] = {
            "alarms.list": self.alarms_list,
            "alarms.test": self.alarms_test,
            "alarms.resync": self.alarms_resync,
            "alarms.told": self.alarms_told,
            "alarms.stats": self.alarms_stats,
            "alarms.audit": self.alarms_audit,
            "quarantine.list": self.quarantine_list,
            "quarantine.show": self.quarantine_show,
            "quarantine.replay": self.quarantine_replay,
            "history.read": self.history,
            "fleet.list": self.fleet_list,
            "fleet.show": self.fleet_show,
            "rules.explain": self.rules_explain,
            "rules.misplaced": self.rules_misplaced,
            "rules.radio": self.rules_radio,
            "faults.list": self.faults_list,
            "faults.tickets": self.tickets,
            "maintenance.add": self.add_windows,
            "maintenance.end": self.end_window,
            "maintenance.list": self.windows,
            "gateway.backup": self.backup,
        }
        return own | {name: self._of_one_alarm(name) for name in OF_ONE_ALARM}

    async def alarms_list(self, *, all: bool = False, limit: int = 100) -> list[dict[str, Any]]:  # noqa: A002
        """Newest first."""
        found = await self._all("alarms.list", all=all, limit=limit)
        alarms = [alarm for own in found for alarm in own]
        return sorted(alarms, key=lambda alarm: str(alarm["raised_at"]), reverse=True)[:limit]

    async def alarms_test(self, **arguments: Any) -> Any:
        """One worker's couriers reach every recipient."""
        return await self._ask(0, "alarms.test", arguments)

    async def alarms_resync(self, **arguments: Any) -> dict[str, Any]:
        """Every worker's own."""
        return added(await self._all("alarms.resync", **arguments))

    async def alarms_told(self, *, limit: int = 100, **arguments: Any) -> list[dict[str, Any]]:
        """Newest first."""
        found = await self._all("alarms.told", limit=limit, **arguments)
        rows = [row for own in found for row in own]
        return sorted(rows, key=lambda row: str(row["at"]), reverse=True)[:limit]

    async def alarms_stats(self, *, last_s: float) -> dict[str, Any]:
        """ISA-18.2 figures of the whole gateway."""
        to_ns = self._clock.wall_ns()
        from_ns = to_ns - round(last_s * 1e9)
        counted = [
            msgspec.convert(own, tuple[list[Alarm], list[Alarm]])
            for own in await self._all("alarms.counted", from_ns=from_ns)
        ]
        raised = sorted((a for own, _ in counted for a in own), key=lambda alarm: alarm.raised_ns)
        return figures(raised, [a for _, own in counted for a in own], from_ns, to_ns)

    async def faults_list(self, *, all: bool = False, limit: int = 100) -> list[dict[str, Any]]:  # noqa: A002
        """Newest first."""
        found = await self._all("faults.list", all=all, limit=limit)
        faults = [fault for own in found for fault in own]
        return sorted(faults, key=lambda fault: str(fault["opened_at"]), reverse=True)[:limit]

    async def tickets(self, *, tickets: Sequence[dict[str, Any]], by: str) -> dict[str, Any]:
        """Each to the worker that has its fault; a fault nobody has refuses all of them."""
        places: dict[int, list[dict[str, Any]]] = {}
        for ticket in tickets:
            worker = await self._that_shows("faults.show", str(ticket.get("alarm", "")))
            places.setdefault(worker, []).append(ticket)
        for worker, own in sorted(places.items()):
            await self._ask(worker, "faults.tickets", {"tickets": own, "by": by})
        return {"tickets": len(tickets), "by": by}

    async def alarms_audit(self, *, subject: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Newest first; what every worker was told stands there once."""
        entries = []
        for worker in self._workers:
            own = await self._ask(worker, "alarms.audit", {"subject": subject, "limit": limit})
            entries += [e for e in own if not worker or not _told_to_all(e["action"], e["subject"])]
        return sorted(entries, key=lambda entry: str(entry["at"]), reverse=True)[:limit]

    async def quarantine_list(self, *, reason: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first; a key says with which worker the message is, like ``1/12.0``."""
        rows: list[dict[str, Any]] = []
        for worker in self._workers:
            own = await self._ask(worker, "quarantine.list", {"reason": reason, "limit": limit})
            rows += [row | {"key": f"{worker}/{row['key']}"} for row in own]
        return sorted(rows, key=lambda row: str(row["received"]), reverse=True)[:limit]

    async def quarantine_show(self, *, key: str) -> dict[str, Any]:
        """One rejected message."""
        worker, own = self._place(key)
        row: dict[str, Any] = await self._ask(worker, "quarantine.show", {"key": own})
        return row | {"key": key}

    async def quarantine_replay(
        self, *, keys: list[str] | None = None, reason: str | None = None, by: str = ""
    ) -> dict[str, Any]:
        """Where the messages are; they go to wherever their devices belong now."""
        if not keys:
            return added(await self._all("quarantine.replay", reason=reason, by=by))
        places: dict[int, list[str]] = {}
        for worker, own in map(self._place, keys):
            places.setdefault(worker, []).append(own)
        return added(
            [await self._ask(w, "quarantine.replay", {"keys": own, "by": by}) for w, own in places.items()]
        )

    async def history(self, **arguments: Any) -> list[dict[str, Any]]:
        """In time order."""
        if self._shared:
            answer: list[dict[str, Any]] = await self._ask(0, "history.read", arguments)
            return answer
        found = await self._all("history.read", **arguments)
        return sorted((sample for own in found for sample in own), key=lambda sample: str(sample["time"]))

    async def fleet_list(self) -> dict[str, Any]:
        return fleet_document(self._configuration())

    async def fleet_show(self, *, asset: str) -> dict[str, Any]:
        return asset_document(self._configuration().fleet, asset)

    async def rules_radio(self) -> list[dict[str, Any]]:
        """In pole order."""
        return sorted((row for own in await self._all("rules.radio") for row in own), key=pole_order)

    async def rules_explain(self, *, asset: str) -> Any:
        return await self._first("rules.explain", asset=asset)

    async def rules_misplaced(self) -> list[dict[str, Any]]:
        found = await self._all("rules.misplaced")
        return sorted((one for own in found for one in own), key=lambda one: str(one["asset"]))

    async def add_windows(self, *, windows: Sequence[dict[str, Any]], by: str) -> dict[str, Any]:
        """Kept by every worker that has a part of the place; said again, one is still one."""
        for window in windows:
            place = f"{window['where']}: " if window.get("where") else ""
            check_scope(self._configuration().fleet, str(window.get("scope", "")), place)
        names: list[str] = []
        for window in windows:
            told = self._all if _told_to_all(acts.WINDOW, window["scope"]) else self._first
            done = await told("maintenance.add", windows=[window], by=by)
            names += (done[0] if isinstance(done, list) else done)["windows"]
        return {"windows": names, "by": by}

    async def end_window(self, **arguments: Any) -> Any:
        return (await self._all("maintenance.end", **arguments))[0]

    async def windows(self) -> list[dict[str, Any]]:
        """In order of beginning; one that several workers keep is one."""
        found = [window for own in await self._all("maintenance.list") for window in own]
        once = {window["id"]: window for window in found}
        return sorted(once.values(), key=lambda window: (window["from_ns"], window["id"]))

    async def backup(self, **_: Any) -> None:
        raise OrderRefused("with several workers: stop the gateway and copy its data_dir")

    def _of_one_alarm(self, name: str) -> Handler:
        shows = "faults.show" if name.startswith("faults.") else "alarms.show"

        async def handler(*, alarm: str, **arguments: Any) -> Any:
            worker = await self._that_shows(shows, alarm)
            return await self._ask(worker, name, {"alarm": alarm, **arguments})

        return handler

    async def _that_shows(self, shows: str, alarm: str) -> int:
        refused: list[OrderRefused] = []
        for worker in self._workers:
            try:
                await self._ask(worker, shows, {"alarm": alarm})
            except OrderRefused as error:
                refused.append(error)
            else:
                return worker
        raise refused[0]

    async def _all(self, name: str, **arguments: Any) -> list[Any]:
        return [await self._ask(worker, name, arguments) for worker in self._workers]

    async def _first(self, name: str, **arguments: Any) -> Any:
        """Of the first worker that does not refuse; OrderRefused, in the first one's words, if all do."""
        refused: list[OrderRefused] = []
        for worker in self._workers:
            try:
                return await self._ask(worker, name, arguments)
            except OrderRefused as error:
                refused.append(error)
        raise refused[0]

    def _place(self, key: str) -> tuple[int, str]:
        worker, _, own = key.partition("/")
        if not worker.isdigit() or int(worker) not in self._workers:
            raise OrderRefused(f"{key!r} is no key like 0/12.0; 'citylight quarantine list' shows them")
        return int(worker), own


def _told_to_all(act: str, subject: str) -> bool:
    """Areas lie across workers; which worker keeps a window is not known when it is ended."""
    if act == acts.WINDOW:
        return subject.partition(":")[0] in {"city", "area"}
    return act in {acts.WINDOW_END, "resync", "reload"}
