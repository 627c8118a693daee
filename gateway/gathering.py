"""One look at the whole gateway. In: its running parts. Out: a frozen snapshot.

Reads what the parts say of themselves; asks no server and waits for nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.metrics import Figures, FollowerFigures

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.followers import AlarmFollower, StoreFollower


def gather(gateway: Gateway) -> Figures:
    """Figures of this instant."""
    settings, journal = gateway.settings, gateway.journal
    alarms, stored = gateway.alarms, gateway.stored
    ingest = gateway.intake.figures()
    counts, received = stored.counts, _received(alarms, stored)
    store_error, journal_error = _store_error(gateway), _journal_error(gateway)
    followers = {
        follower.name: FollowerFigures(
            follower.position,
            max(0, journal.next - follower.position),
            max(0, received - follower.counts.received),
        )
        for follower in (alarms, stored)
    }
    return Figures(
        gateway=settings.gateway.name,
        wall_ns=gateway.clock.wall_ns(),
        uptime_s=(gateway.clock.monotonic_ns() - gateway.began_ns) / 1e9,
        not_ready=not_ready(gateway),
        broker=asdict(ingest) | {"where": gateway.broker_url, "error": ingest.last_error},
        store={
            "connected": not store_error,
            "where": settings.store.url or "DuckDB",
            "error": store_error,
            "thrown_away": stored.thrown_away,
            "collisions": stored.collisions,
        },
        journal={
            "first": journal.first,
            "next": journal.next,
            "bytes": journal.bytes_used,
            "disk_free_bytes": journal.disk_free_bytes,
            "full": int(bool(journal_error)),
        },
        messages={
            "received": received,
            "stored": counts.received - counts.quarantined,
            "quarantined": counts.quarantined,
            "pending": received - counts.received,
            "redelivered": counts.redelivered,
            "retained": counts.retained,
            "status": counts.status,
            "readings": counts.readings,
            "clock": counts.clock,
        },
        followers=followers,
        recipients=dict(gateway.deliveries.figures),
        quarantine=dict(gateway.deliveries.quarantined),
        state=dict(gateway.deliveries.state),
        alarms=dict(gateway.deliveries.severities),
        lamps=gateway.lamps.count(gateway.clock.wall_ns()),
    )


def not_ready(gateway: Gateway) -> tuple[str, ...]:
    """What keeps the gateway from doing its work, a line each: asked often, so without counting lamps."""
    ingest = gateway.intake.figures()
    store_error, journal_error = _store_error(gateway), _journal_error(gateway)
    # Connected is not enough: until the subscription stands the broker keeps nothing for us.
    reasons = [] if ingest.state == "online" else [f"broker: {ingest.last_error or ingest.state}"]
    reasons += [f"store: {store_error}"] if store_error else []
    reasons += [f"state.db: {gateway.database.failure}"] if gateway.database.failure else []
    reasons += [f"journal: {journal_error}"] if journal_error else []
    return tuple(reasons)


def _store_error(gateway: Gateway) -> str:
    return gateway.store_error or gateway.stored.error


def _journal_error(gateway: Gateway) -> str:
    return gateway.journal.failure or gateway.journal.full


def _received(alarms: AlarmFollower, stored: StoreFollower) -> int:
    """As the follower says that stands further on, not the one that counted more.

    Records that one had read before they were damaged are no longer pending for the other: they are lost, and
    named so.
    """
    ahead = stored if stored.position >= alarms.position else alarms
    return max(ahead.counts.received, stored.counts.received)
