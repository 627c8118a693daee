"""JSON payloads of one profile to columns: one typed decode a message, then NumPy.

In: payload bytes. Out: Samples and Refusals. A payload that the types do not fit goes the slow way alone
(``salvage``). Nothing in a payload makes it raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import length_hint
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
        at = np.arange(len(payloads), dtype=np.int32)
        if refusals:
            at = np.delete(at, list(refusals))
            payloads = [payloads[position] for position in at.tolist()]
        slow: list[int] = []
        samples = self._typed(payloads, at, slow, refusals)
        if slow and len((salvaged := self._slow(payloads, slow, at, refusals)).message):
            samples = _merged(samples, salvaged)
        return samples, [refusals[position] for position in sorted(refusals)]

    def _screen(self, payloads: Sequence[bytes], refusals: dict[int, Refusal]) -> None:
        """What the typed decode passes over: bad UTF-8 and depth in keys nobody reads, keys given twice."""
        n = len(payloads)
        strict = self._profile.strict_keys
        suspects: Iterable[int] = range(n)
        if not strict:
            deep = np.fromiter(map(len, payloads), np.int64, n) > salvage.SHALLOW_BYTES_MAX
            if not all(map(bytes.isascii, payloads)):
                deep |= ~np.fromiter(map(bytes.isascii, payloads), np.bool_, n)
            suspects = np.flatnonzero(deep).tolist()
        for position in suspects:
            try:
                if strict:
                    salvage.parse(payloads[position], unique_keys=True)
                else:
                    salvage.check_text(payloads[position])
            except Refused as refused:
                refusals[position] = Refusal(position, refused.reason, refused.detail)

    def _structs(self, payloads: Sequence[bytes], slow: list[int]) -> Iterator[Any]:
        """The structs of those that fit the types, in order; the positions of the others go to ``slow``."""
        rest = iter(payloads)
        structs = map(self._decode, rest)
        while True:
            try:
                yield from structs
                return
            except _UNTAKEN:
                slow.append(len(payloads) - 1 - length_hint(rest))

    def _typed(
        self, payloads: Sequence[bytes], at: Int32s, slow: list[int], refusals: dict[int, Refusal]
    ) -> Samples:
        """Samples of the ``payloads`` that fit the types; ``at`` is where each stands in the block."""
        structs = self._structs(payloads, slow)
        if self._record is None or self._message.get_extra is None:
            found = self._message.columns(structs)
            at = np.delete(at, slow) if slow else at
            return self._samples(found, at, np.zeros(len(at), dtype=np.int32))
        kept = list(structs)
        at = np.delete(at, slow) if slow else at
        lists = list(map(self._message.get_extra, kept))
        counts = np.fromiter(map(len, lists), np.int64, len(lists))
        for position in at[counts == 0].tolist():
            detail = f"{self._profile.records} is no list with a record in it"
            refusals[position] = Refusal(position, "no_value", detail)
        found = {key: _repeated(column, counts) for key, column in self._message.columns(kept).items()}
        found |= self._record.columns(chain.from_iterable(lists))
        sample = (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.int32)
        return self._samples(found, np.repeat(at, counts), sample)

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
            quality=np.isnan(raw) * np.uint8(Quality.MISSING),  # else VALID, which is 0
            texts={name: found[name] for name in self._texts},
            ids=found[ID] if ID in found else [None] * n,
        )

    def _slow(
        self, payloads: Sequence[bytes], slow: list[int], places: Int32s, refusals: dict[int, Refusal]
    ) -> Samples:
        rows: list[Row] = []
        at: list[int] = []
        sample: list[int] = []
        for position, payload in zip(places[slow].tolist(), map(payloads.__getitem__, slow), strict=True):
            try:
                found = self._salvage.rows(payload)
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
