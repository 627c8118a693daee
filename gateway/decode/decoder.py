"""Messages to columns. In: parsed PUBLISH packets in journal order. Out: columns, rejects, status changes.

Every message ends as samples, a reject, a status change, or counted as retained or redelivered. Nothing in a
message makes it raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import numpy as np

from gateway.decode.json import JsonDecoder
from gateway.decode.profile import Profile
from gateway.decode.routes import DEVICE_ID, UNROUTED, Routes
from gateway.decode.samples import DETAIL_CHARACTERS_MAX, PayloadDecoder, Refusal, Samples
from gateway.fleet import Fleet
from gateway.model import (
    WHOLE_MESSAGE,
    Bools,
    Columns,
    Counts,
    Int64s,
    Publishes,
    Reject,
    StatusChange,
)

PAYLOAD_BYTES_MAX: Final = 65_536
_PAYLOAD_DECODERS: Final = {"json": JsonDecoder}
_STATUS: Final = {b"online": True, b"offline": False}


@dataclass(frozen=True, slots=True)
class Decoded:
    """``counts.quarantined``: messages no sample of which got through; ``rejects`` may be of one sample."""

    columns: tuple[Columns, ...]
    rejects: tuple[Reject, ...]
    statuses: tuple[StatusChange, ...]
    counts: Counts


class Decoder:
    """Decodes for one configuration: a fleet, its profiles and the topic patterns."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        fleet: Fleet,
        routes: Routes,
        *,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
    ) -> None:
        self._fleet = fleet
        self._routes = routes
        self._payload_bytes_max = payload_bytes_max
        self._profiles = tuple(profiles.values())
        self._decoders: list[PayloadDecoder] = [_PAYLOAD_DECODERS[p.payload](p) for p in self._profiles]
        numbers = {profile.name: k for k, profile in enumerate(self._profiles)}
        profile = fleet.device_table.words("profile")
        self._profile_of = profile.spread((numbers.get(name, -1) for name in profile.words), np.int32)

    def decode(self, publishes: Publishes, redelivered: Bools) -> Decoded:
        """``redelivered`` bool[n] by Redelivery. Retained and redelivered telemetry is counted only."""
        n = len(publishes.topics)
        codes = self._routes.codes(publishes.topics)
        status = (codes != UNROUTED) & (codes & 1 == 1)
        retained = ~status & publishes.retained
        again = ~status & ~retained & redelivered
        fresh = ~status & ~retained & ~again
        oversize = np.fromiter(map(len, publishes.payloads), np.int64, n) > self._payload_bytes_max

        rejects = [
            self._unrouted(publishes, at) for at in np.flatnonzero(fresh & (codes == UNROUTED)).tolist()
        ]
        routed = fresh & (codes != UNROUTED)
        for at in np.flatnonzero(routed & oversize).tolist():
            detail = f"{len(publishes.payloads[at])} bytes, at most {self._payload_bytes_max}"
            rejects.append(self._reject(publishes, at, codes, "oversize", detail))
        quarantined = len(rejects)

        columns = []
        routed &= ~oversize
        profile_of = (
            np.where(routed, self._profile_of[codes >> 1], -1) if n and len(self._profile_of) else codes
        )
        for number in np.flatnonzero(np.bincount(profile_of[routed])).tolist():
            own = np.flatnonzero(profile_of == number)
            found, refused, lost = self._one_profile(number, publishes, own, codes)
            quarantined += lost
            rejects += refused
            if len(found.device):
                columns.append(found)
        statuses = [self._status(publishes, at, codes, redelivered) for at in np.flatnonzero(status).tolist()]
        rejects += [entry for entry in statuses if isinstance(entry, Reject)]
        return Decoded(
            columns=tuple(columns),
            rejects=tuple(sorted(rejects, key=lambda reject: (reject.sequence, reject.index, reject.sample))),
            statuses=tuple(entry for entry in statuses if isinstance(entry, StatusChange)),
            counts=Counts(
                received=int(fresh.sum()),
                quarantined=quarantined,
                redelivered=int(again.sum()),
                retained=int(retained.sum()),
                status=int(status.sum()),
                replayed=int((fresh & publishes.replayed).sum()),
            ),
        )

    def _one_profile(
        self, number: int, publishes: Publishes, at: Int64s, codes: Int64s
    ) -> tuple[Columns, list[Reject], int]:
        """(columns, rejects, messages lost whole) of the messages ``at`` of profile ``number``."""
        payloads = publishes.payloads
        if len(at) < len(payloads):
            payloads = [payloads[position] for position in at.tolist()]
        samples, refusals = self._decoders[number].decode(payloads)
        topic_row = codes[at] >> 1
        device, wrong = self._identify(number, samples, topic_row)
        keep = device >= 0
        if wrong:
            refusals = refusals + _whole_where_none_is_left(wrong, set(samples.message[keep].tolist()))
        kept: slice | Bools = slice(None) if keep.all() else keep
        message = at[samples.message[kept]]
        lost = len(at) - len(message[:1]) - int(np.count_nonzero(np.diff(message)))  # they are in order
        columns = Columns(
            profile=self._profiles[number].spec,
            sequence=publishes.sequence[message],
            index=publishes.index[message],
            sample=samples.sample[kept],
            device=device[kept].astype(np.int32),
            time_ns=samples.time_ns[kept],
            received_ns=publishes.received_ns[message],
            replayed=publishes.replayed[message],
            raw=samples.raw[:, kept],
            quality=samples.quality[:, kept],
            texts={name: list(compress(column, keep.tolist())) for name, column in samples.texts.items()},
        )
        rejects = [
            self._reject(publishes, int(at[r.message]), codes, r.reason, r.detail, sample=r.sample)
            for r in refusals
        ]
        return columns, rejects, lost

    def _identify(self, number: int, samples: Samples, topic_row: Int64s) -> tuple[Int64s, list[Refusal]]:
        """(device row a sample, -1 where refused; the refusals), as decision D6 has it."""
        profile = self._profiles[number]
        device = topic_row[samples.message]
        if profile.id_path is None:
            return device, []
        refusals = []
        for k, (named, row) in enumerate(zip(samples.ids, device.tolist(), strict=True)):
            if named is None and not profile.concentrator:
                continue
            reason, detail = "", ""
            if not profile.concentrator:
                if named != self._fleet.devices[row].id:
                    reason, detail = "id_mismatch", f"the payload says {named!r}"
            elif named is None or not DEVICE_ID.fullmatch(named):
                reason, detail = "bad_id", f"the payload says {named!r}"
            elif (found := self._fleet.device_row.get(named)) is None:
                reason, detail = "unknown_device", named
            elif self._profile_of[found] != number:
                reason, detail = "class_mismatch", f"{named} has another profile than its concentrator"
            else:
                device[k] = found
            if reason:
                device[k] = -1
                sample = int(samples.sample[k])
                refusals.append(
                    Refusal(int(samples.message[k]), reason, detail[:DETAIL_CHARACTERS_MAX], sample)
                )
        return device, refusals

    def _unrouted(self, publishes: Publishes, at: int) -> Reject:
        reason, detail, device = self._routes.explain(publishes.topics[at])
        return _reject(publishes, at, "topic", reason, detail, device)

    def _reject(
        self,
        publishes: Publishes,
        at: int,
        codes: Int64s,
        reason: str,
        detail: str,
        *,
        sample: int = WHOLE_MESSAGE,
    ) -> Reject:
        device = self._fleet.devices[int(codes[at]) >> 1].id
        return _reject(publishes, at, "decode", reason, detail, device, sample)

    def _status(
        self, publishes: Publishes, at: int, codes: Int64s, redelivered: Bools
    ) -> StatusChange | Reject | None:
        """None for what changes nothing: a redelivery, a replay, or the clearing of a retained status."""
        payload = publishes.payloads[at]
        if redelivered[at] or publishes.replayed[at] or not payload:
            return None
        online = _STATUS.get(payload)
        if online is None:
            return self._reject(publishes, at, codes, "bad_status", "neither online nor offline")
        return StatusChange(
            sequence=int(publishes.sequence[at]),
            index=int(publishes.index[at]),
            device=int(codes[at]) >> 1,
            online=online,
            received_ns=int(publishes.received_ns[at]),
            retained=bool(publishes.retained[at]),
        )


def _whole_where_none_is_left(refusals: list[Refusal], kept: set[int]) -> list[Refusal]:
    """Refused samples of a message in ``kept`` one by one; of any other message the first stands for all."""
    merged: dict[tuple[int, int], Refusal] = {}
    for refusal in refusals:
        whole = refusal.message not in kept
        key = (refusal.message, WHOLE_MESSAGE if whole else refusal.sample)
        merged.setdefault(key, replace(refusal, sample=WHOLE_MESSAGE) if whole else refusal)
    return list(merged.values())


def _reject(
    publishes: Publishes,
    at: int,
    stage: str,
    reason: str,
    detail: str,
    device: str,
    sample: int = WHOLE_MESSAGE,
) -> Reject:
    return Reject(
        sequence=int(publishes.sequence[at]),
        index=int(publishes.index[at]),
        received_ns=int(publishes.received_ns[at]),
        topic=publishes.topics[at],
        payload=publishes.payloads[at],
        stage=stage,
        reason=reason,
        detail=detail,
        device=device,
        sample=sample,
    )
