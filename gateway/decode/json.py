"""JSON payloads of one profile to columns: one typed decode a message, then NumPy.

In: payload bytes. Out: Samples and Refusals. A payload that the types do not fit goes the slow way alone
(``salvage``). Nothing in a payload makes it raise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Annotated, Any, Final

import msgspec
import numpy as np

from gateway.decode import salvage
from gateway.decode.level import ID, TIME, Key, Level
from gateway.decode.path import Path
from gateway.decode.profile import Profile
from gateway.decode.salvage import Row, Salvage
from gateway.decode.samples import Refusal, Refused, Samples
from gateway.decode.shape import Leaf
from gateway.model import TIME_ABSENT, Int32s, Quality

_UNTAKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class JsonDecoder:
    """A PayloadDecoder for one profile of payload kind "json"."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._salvage = Salvage(profile)
        self._record: Level | None = None
        if profile.records is None:
            self._message = Level(profile, of_message=False)
        else:
            self._record = Level(profile, of_message=False)
            path = Path(profile.records.text, profile.records.steps, of_message=True)
            bounded = Annotated[list[self._record.type], msgspec.Meta(max_length=profile.records_max)]  # type: ignore[name-defined]
            empty: Any = msgspec.field(default_factory=list)
            self._message = Level(profile, of_message=True, extra=Leaf(path, bounded, empty))
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(self._message.type).decode
        self._texts = [field.name for field in profile.texts]

    def decode(self, payloads: Sequence[bytes]) -> tuple[Samples, list[Refusal]]:
        """See PayloadDecoder."""
        refusals: dict[int, Refusal] = {}
        self._screen(payloads, refusals)
        structs: list[Any] = []
        at: list[int] = []
        slow: list[int] = []
        decode, take, mark = self._decode, structs.append, at.append
        for position, payload in enumerate(payloads):
            if position in refusals:
                continue
            try:
                take(decode(payload))
            except _UNTAKEN:
                slow.append(position)
            else:
                mark(position)
        samples = self._typed(structs, np.array(at, dtype=np.int32), refusals)
        if slow and len((salvaged := self._slow(payloads, slow, refusals)).message):
            samples = _merged(samples, salvaged)
        return samples, [refusals[position] for position in sorted(refusals)]

    def _screen(self, payloads: Sequence[bytes], refusals: dict[int, Refusal]) -> None:
        """What the typed decode passes over: bad UTF-8 and depth in keys nobody reads, keys given twice."""
        n = len(payloads)
        suspect = ~np.fromiter(map(bytes.isascii, payloads), np.bool_, n)
        suspect |= np.fromiter(map(len, payloads), np.int64, n) > salvage.SHALLOW_BYTES_MAX
        strict = self._profile.strict_keys
        for position in range(n) if strict else np.flatnonzero(suspect).tolist():
            try:
                if strict:
                    salvage.parse(payloads[position], unique_keys=True)
                else:
                    salvage.check_text(payloads[position])
            except Refused as refused:
                refusals[position] = Refusal(position, refused.reason, refused.detail)

    def _typed(self, structs: list[Any], at: Int32s, refusals: dict[int, Refusal]) -> Samples:
        found = self._message.columns(structs)
        sample = np.zeros(len(structs), dtype=np.int32)
        if self._record is not None and self._message.get_extra is not None:
            lists = list(map(self._message.get_extra, structs))
            counts = np.fromiter(map(len, lists), np.int64, len(lists))
            for position in at[counts == 0].tolist():
                detail = f"{self._profile.records} is no list with a record in it"
                refusals[position] = Refusal(position, "no_value", detail)
            found = {key: _repeated(column, counts) for key, column in found.items()}
            found |= self._record.columns(list(chain.from_iterable(lists)))
            sample = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)).astype(
                np.int32
            )
            at = np.repeat(at, counts)
        return self._samples(found, at, sample)

    def _samples(self, found: dict[Key, Any], at: Int32s, sample: Int32s) -> Samples:
        n = len(at)
        raw = np.empty((len(self._profile.spec.numeric), n), dtype=np.float64)
        for row in range(len(raw)):
            raw[row] = found[row]
        return Samples(
            message=at,
            sample=sample,
            time_ns=found[TIME] if TIME in found else np.full(n, TIME_ABSENT, dtype=np.int64),
            raw=raw,
            quality=np.where(np.isnan(raw), np.uint8(Quality.MISSING), np.uint8(Quality.VALID)),
            texts={name: found[name] for name in self._texts},
            ids=found[ID] if ID in found else [None] * n,
        )

    def _slow(self, payloads: Sequence[bytes], slow: list[int], refusals: dict[int, Refusal]) -> Samples:
        rows: list[Row] = []
        at: list[int] = []
        sample: list[int] = []
        for position in slow:
            try:
                found = self._salvage.rows(payloads[position])
            except Refused as refused:
                refusals[position] = Refusal(position, refused.reason, refused.detail)
                continue
            rows += found
            at += [position] * len(found)
            sample += range(len(found))
        fields = len(self._profile.spec.numeric)
        return Samples(
            message=np.array(at, dtype=np.int32),
            sample=np.array(sample, dtype=np.int32),
            time_ns=np.array([row.time_ns for row in rows], dtype=np.int64),
            raw=np.array([row.raw for row in rows], dtype=np.float64).reshape(-1, fields).T,
            quality=np.array([row.quality for row in rows], dtype=np.uint8).reshape(-1, fields).T,
            texts={name: [row.texts[k] for row in rows] for k, name in enumerate(self._texts)},
            ids=[row.id for row in rows],
        )


def _repeated(column: Any, counts: Any) -> Any:
    """One entry a message to one entry a record."""
    if isinstance(column, list):
        return [value for value, count in zip(column, counts.tolist(), strict=True) for _ in range(count)]
    return np.repeat(column, counts)


def _merged(a: Samples, b: Samples) -> Samples:
    """Both, in order of (message, sample); a message is in one of them only."""
    message = np.concatenate([a.message, b.message])
    order = np.argsort(message, kind="stable")
    places = order.tolist()
    ids = a.ids + b.ids
    texts = {name: a.texts[name] + b.texts[name] for name in a.texts}
    return Samples(
        message=message[order],
        sample=np.concatenate([a.sample, b.sample])[order],
        time_ns=np.concatenate([a.time_ns, b.time_ns])[order],
        raw=np.concatenate([a.raw, b.raw], axis=1)[:, order],
        quality=np.concatenate([a.quality, b.quality], axis=1)[:, order],
        texts={name: [column[k] for k in places] for name, column in texts.items()},
        ids=[ids[k] for k in places],
    )
