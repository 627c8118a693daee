"""One picture of several workers. In: the figures of each, and of ingest. Out: figures of the whole gateway.

Counts add up, what is wrong anywhere is wrong. Never asks a worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.ingest.options import IngestFigures
from gateway.metrics import Figures, FollowerFigures, RecipientFigures
from gateway.troubles import Facts


def whole(
    workers: Sequence[Figures], ingest: IngestFigures, *, broker: str, wall_ns: int, uptime_s: float
) -> Figures:
    """Figures of the gateway whose ``workers`` (at least one) these are."""
    online = ingest.state == "online"
    own = [] if online else [f"broker: {ingest.last_error or ingest.state}"]
    return Figures(
        gateway=workers[0].gateway,
        wall_ns=wall_ns,
        uptime_s=uptime_s,
        not_ready=(*own, *problems(workers)),
        broker=asdict(ingest) | {"where": broker, "error": ingest.last_error},
        store=workers[0].store
        | {
            "connected": all(w.store["connected"] for w in workers),
            "error": next((w.store["error"] for w in workers if w.store["error"]), ""),
            **added({key: w.store[key] for key in ("thrown_away", "collisions")} for w in workers),
        },
        journal=added(w.journal for w in workers)
        | {
            "disk_free_bytes": min(w.journal["disk_free_bytes"] for w in workers),
            "full": max(w.journal["full"] for w in workers),
        },
        messages=added(w.messages for w in workers),
        followers={
            name: FollowerFigures(**added(asdict(w.followers[name]) for w in workers))
            for name in workers[0].followers
        },
        recipients={
            name: _recipient([w.recipients[name] for w in workers if name in w.recipients])
            for name in sorted({name for w in workers for name in w.recipients})
        },
        quarantine=added(w.quarantine for w in workers),
        alarms=added(w.alarms for w in workers),
        lamps=added(w.lamps for w in workers),
        state=added(w.state for w in workers),
    )


def problems(workers: Sequence[Figures]) -> list[str]:
    """What keeps workers from being ready, each thing once; the broker is not theirs."""
    reasons = (reason for w in workers for reason in w.not_ready if not reason.startswith("broker:"))
    return list(dict.fromkeys(reasons))


def facts(figures: Figures, *, monotonic_ns: int) -> Facts:
    """What ``troubles`` are made of."""
    journal = next((reason for reason in figures.not_ready if reason.startswith("journal: ")), "")
    return Facts(
        wall_ns=figures.wall_ns,
        monotonic_ns=monotonic_ns,
        journal=journal.removeprefix("journal: "),
        store=str(figures.store["error"]),
        thrown_away=int(figures.store["thrown_away"]),
    )


def added(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums by key."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _recipient(figures: Sequence[RecipientFigures]) -> RecipientFigures:
    return RecipientFigures(
        pending=sum(f.pending for f in figures),
        delivered=sum(f.delivered for f in figures),
        failed=sum(f.failed for f in figures),
        error=next((f.error for f in figures if f.error), ""),
    )
