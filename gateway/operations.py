"""Queries and orders of an operator. In: keyword arguments. Out: JSON values.

The same for a running gateway and for one that is stopped, whose files are then held under the lock.
An order is a record in the journal: its effect comes from there. Never changes an alarm directly.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from gateway.alarm import acts
from gateway.alarm.trial import trial
from gateway.alarms import Alarm, AlarmState
from gateway.clock import Clock
from gateway.configuration import Configuration
from gateway.errors import JournalError, OrderRefused
from gateway.fleet import Fleet
from gateway.ingest.packets import encode_publish, parse_block
from gateway.journal.record import Journal, Kind, decode_arrival, encode_arrival
from gateway.model import Arrival, rfc3339
from gateway.orders import Order, Orders
from gateway.quieting import Quieting
from gateway.repairs import Repairs
from gateway.state import alarms, audit, outbox, quarantine
from gateway.state.database import StateDatabase
from gateway.store.outcome import Store
from gateway.telling import Teller

LISTING_MAX = 10_000
Handler = Callable[..., Awaitable[Any]]


class Operations:
    """What may be asked and ordered; ``handlers`` maps the names of the socket to them."""

    def __init__(
        self,
        database: StateDatabase,
        journal: Journal,
        store: Store,
        teller: Teller,
        configuration: Callable[[], Configuration],
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """``wake`` tells the couriers, where there are any, that the outbox has new rows."""
        self._database = database
        self._journal = journal
        self._store = store
        self._teller = teller
        self._configuration = configuration
        self._clock = clock
        self._wake = wake
        self._orders = Orders(database, journal, clock)

    def handlers(self) -> dict[str, Handler]:
        own: dict[str, Handler] = {
            "alarms.list": self.alarms_list,
            "alarms.show": self.alarms_show,
            "alarms.ack": self.alarms_ack,
            "alarms.test": self.alarms_test,
            "alarms.resync": self.alarms_resync,
            "alarms.told": self.alarms_told,
            "quarantine.list": self.quarantine_list,
            "quarantine.show": self.quarantine_show,
            "quarantine.replay": self.quarantine_replay,
            "history.read": self.history,
            "fleet.list": self.fleet_list,
            "fleet.show": self.fleet_show,
        }
        quieting = Quieting(self._database, self._orders, self._configuration)
        return own | quieting.handlers() | Repairs(self._database, self._orders).handlers()

    async def alarms_list(self, *, all: bool = False, limit: int = 100) -> list[dict[str, Any]]:  # noqa: A002
        """Contract alarms in their present state, newest first."""

        def work(connection: sqlite3.Connection) -> list[Alarm]:
            if all:
                return alarms.listing(connection, limit=min(limit, LISTING_MAX))
            return alarms.active(connection)[::-1][: min(limit, LISTING_MAX)]

        return [alarm.document() for alarm in await self._database.transact(work)]

    async def alarms_show(self, *, alarm: str) -> list[dict[str, Any]]:
        """Every transition of one alarm, in order."""
        return [a.document() | {"event": a.event} for a in await self._alarm(alarm)]

    async def alarms_ack(self, *, alarm: str, by: str, comment: str = "") -> dict[str, Any]:
        """Acknowledge; who did is written down. Refused where there is nothing to acknowledge."""
        present = (await self._alarm(alarm))[-1]
        if present.state not in {AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED}:
            raise OrderRefused(
                f"alarm {present.id} is {present.state.value}; there is nothing to acknowledge"
            )
        order = Order(acts.ACKNOWLEDGE, present.id, comment, {"alarm": present.id})
        await self._orders.give(order, by)
        return {"alarm": present.id, "by": by}

    async def alarms_test(self, *, by: str = "") -> dict[str, Any]:
        """A test alarm to every recipient, over before it begins; it is no alarm of any asset."""
        now_ns = self._clock.wall_ns()
        transitions = trial(self._configuration().fleet, now_ns, by)
        told = await self._database.transact(lambda c: self._teller.trial(c, transitions, now_ns))
        self._wake()
        return {"alarm": transitions[0].id, "recipients": told}

    async def alarms_resync(self, *, recipient: str = "", by: str = "") -> dict[str, int]:
        """Tell a recipient, or all, again what stands, for one that lost it. Messages by recipient."""
        now_ns = self._clock.wall_ns()

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            told = self._teller.resync(connection, recipient, now_ns)
            audit.append(connection, audit.Entry(now_ns, by, "resync", recipient or "all"))
            return told

        told = await self._database.transact(work)
        self._wake()
        return told

    async def alarms_told(
        self, *, alarm: str = "", recipient: str = "", limit: int = 100
    ) -> list[dict[str, Any]]:
        """What recipients were told word for word, newest first, and what became of each message."""
        bounded = min(limit, LISTING_MAX)
        rows = await self._database.transact(
            lambda c: outbox.listing(c, alarm_id=alarm, recipient=recipient, limit=bounded)
        )
        return [_told_document(row) for row in rows]

    async def quarantine_list(self, *, reason: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Rejected messages that were not replayed, newest first; payloads only as text, cut short."""
        rows = await self._database.transact(
            lambda connection: quarantine.listing(connection, reason=reason, limit=min(limit, LISTING_MAX))
        )
        return [_reject_document(row) for row in rows]

    async def quarantine_show(self, *, key: str) -> dict[str, Any]:
        """One rejected message; ``payload_base64`` is all of it that was kept."""
        row = await self._quarantined(key)
        payload = base64.b64encode(row.reject.payload).decode()
        return _reject_document(row) | {"payload_base64": payload}

    async def quarantine_replay(
        self, *, keys: list[str] | None = None, reason: str | None = None, by: str = ""
    ) -> dict[str, Any]:
        """Append messages to the journal again, at their own receive time; rules do not judge them (D7)."""
        if keys:
            rows = [await self._quarantined(key) for key in keys]
        elif reason:
            rows = await self._database.transact(
                lambda connection: quarantine.listing(connection, reason=reason, limit=LISTING_MAX)
            )
        else:
            raise OrderRefused("say which: keys like 12.0, or --reason")
        again: dict[tuple[int, int], bytes] = {}  # several samples of one message are replayed as one
        marked = []
        for row in rows:
            place = row.reject.sequence, row.reject.index
            arrival = again.get(place) or await asyncio.to_thread(self._arrival, row)
            if arrival is not None:
                again[place] = arrival
                marked.append(_key(row))
        if again:
            await self._journal.append(Kind.MESSAGES, list(again.values()))
        now_ns = self._clock.wall_ns()

        def work(connection: sqlite3.Connection) -> None:
            quarantine.mark_replayed(connection, marked, at_ns=now_ns)
            audit.append(connection, audit.Entry(now_ns, by, "replay", reason or ",".join(keys or ())))

        await self._database.transact(work)
        return {"replayed": len(again), "cut_short": len(rows) - len(marked)}

    def _arrival(self, row: quarantine.Quarantined) -> bytes | None:
        """The message as it came, to be appended again; None where nothing keeps all of it.

        The quarantine has it unless it was too long, or the store refused it: then it has the line. The
        journal has it for as long as it is kept.
        """
        reject = row.reject
        topic, payload = reject.topic, reject.payload
        if not topic or len(payload) < row.payload_bytes:
            try:
                record = self._journal.read(reject.sequence, bytes_max=1)[0]
            except JournalError:
                return None
            block = parse_block(decode_arrival(record.payload), reject.sequence)
            topic, payload = block.topics[reject.index], block.payloads[reject.index]
        if not topic:
            return None  # a packet that no parser takes
        packet = encode_publish(topic, payload)
        return encode_arrival(
            Arrival(packet, count=1, received_ns=reject.received_ns, epoch=0, replayed=True)
        )

    async def history(
        self, *, device: str, field: str, start_ns: int, end_ns: int, every_s: float | None = None
    ) -> list[dict[str, Any]]:
        """Stored readings of one field, in time order."""
        samples = await self._store.history(device, field, start_ns, end_ns, every_s)
        return [{"time": rfc3339(time_ns), "value": value} for time_ns, value in samples]

    async def fleet_list(self) -> dict[str, Any]:
        """How much of everything there is, and the configuration's name."""
        return fleet_document(self._configuration())

    async def fleet_show(self, *, asset: str) -> dict[str, Any]:
        """One asset and the devices that serve it."""
        return asset_document(self._configuration().fleet, asset)

    async def _alarm(self, identity: str) -> list[Alarm]:
        history = await self._database.transact(lambda connection: alarms.history(connection, identity))
        if not history:
            raise OrderRefused(f"no alarm has the id {identity!r}; 'citylight alarms list' shows them")
        return history

    async def _quarantined(self, key: str) -> quarantine.Quarantined:
        parts = key.split(".")
        if len(parts) not in {2, 3} or not all(part.lstrip("-").isdigit() for part in parts):
            raise OrderRefused(f"{key!r} is no key like 12.0; 'citylight quarantine list' shows them")
        sequence, index, *sample = (int(part) for part in parts)
        place = (sequence, index, sample[0] if sample else -1)
        row = await self._database.transact(lambda connection: quarantine.get(connection, place))
        if row is None:
            raise OrderRefused(f"nothing in quarantine has the key {key}")
        return row


def fleet_document(configuration: Configuration) -> dict[str, Any]:
    """How much of everything there is, and the configuration's name."""
    fleet = configuration.fleet
    kinds = Counter(fleet.asset_table.words("kind").tolist())
    return {
        "configuration": configuration.hash,
        "areas": [area.name for area in fleet.areas],
        "cabinets": len(fleet.cabinets),
        "feeders": len(fleet.feeders),
        "devices": len(fleet.devices),
        "assets": dict(sorted(kinds.items())),
        "profiles": [profile.name for profile in configuration.profiles],
    }


def asset_document(fleet: Fleet, asset: str) -> dict[str, Any]:
    """One asset and the devices that serve it; OrderRefused if the inventory has none of that name."""
    row = fleet.asset_row.get(asset)
    if row is None:
        raise OrderRefused(f"the inventory has no asset {asset!r}")
    return asdict(fleet.assets[row]) | {
        "devices": fleet.devices_of(asset),
    }


def _key(row: quarantine.Quarantined) -> quarantine.Key:
    return row.reject.sequence, row.reject.index, row.reject.sample


def _told_document(row: outbox.Told) -> dict[str, Any]:
    fate = "delivered" if row.delivered_ns is not None else "failed" if row.failed else "pending"
    return {
        "recipient": row.recipient,
        "key": row.key,
        "at": rfc3339(row.created_ns),
        "fate": fate,
        "delivered_at": None if row.delivered_ns is None else rfc3339(row.delivered_ns),
        "attempts": row.attempts,
        "reason": row.failed,
        "topic": row.topic or None,
        "content_type": row.content_type,
        "retained": bool(row.retain),
        "body": row.body.decode("utf-8", "backslashreplace"),
    }


def _reject_document(row: quarantine.Quarantined) -> dict[str, Any]:
    reject = row.reject
    key = f"{reject.sequence}.{reject.index}" + (f".{reject.sample}" if reject.sample >= 0 else "")
    return {
        "key": key,
        "received": rfc3339(reject.received_ns),
        "device": reject.device or None,
        "topic": reject.topic,
        "stage": reject.stage,
        "reason": reject.reason,
        "detail": reject.detail,
        "payload": reject.payload[:200].decode("utf-8", "backslashreplace"),
        "payload_bytes": row.payload_bytes,
    }
