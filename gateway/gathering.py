"""One look at the whole gateway. In: its running parts. Out: a frozen snapshot.

Reads what the parts say of themselves; asks no server and waits for nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.metrics import Figures, FollowerFigures

if TYPE_CHECKING:
    from gateway.app import Gateway


def gather(gateway: Gateway) -> Figures:
    """Figures of this instant."""
    settings, journal = gateway.settings, gateway.journal
    alarms, stored = gateway.alarms, gateway.stored
    ingest = gateway.intake.figures()
    received = max(alarms.counts.received, stored.counts.received)
    counts = stored.counts
    store_error = gateway.store_error or stored.error
    not_ready = [f"broker: {ingest.last_error or ingest.state}"] if not ingest.connected else []
    not_ready += [f"store: {store_error}"] if store_error else []
    not_ready += [f"journal: {journal.failure}"] if journal.failure else []
    followers = {
        follower.name: FollowerFigures(
            follower.position,
            max(0, journal.next - follower.position),
            received - follower.counts.received,
        )
        for follower in (alarms, stored)
    }
    return Figures(
        gateway=settings.gateway.name,
        wall_ns=gateway.clock.wall_ns(),
        uptime_s=(gateway.clock.monotonic_ns() - gateway.began_ns) / 1e9,
        not_ready=tuple(not_ready),
        broker=asdict(ingest) | {"where": gateway.broker_url, "error": ingest.last_error},
        store={
            "connected": not store_error,
            "where": settings.store.url or "DuckDB",
            "error": store_error,
        },
        journal={"first": journal.first, "next": journal.next, "bytes": journal.bytes_used},
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
        alarms=dict(gateway.deliveries.severities),
        lamps=gateway.lamps.count(gateway.clock.wall_ns()),
    )
