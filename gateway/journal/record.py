"""What a journal is made of. In: values of ``model``. Out: framed bytes, and records parsed back from them.

Also the ``Journal`` protocol the followers read from. Never touches a file, a clock or a
loop; what it can not read it says by a typed error or a ``Stretch`` that names where and why it stopped.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from threading import local
from typing import Any, Final, Protocol, TypeVar
from zlib import crc32

import msgspec
import zstandard

from gateway.errors import RecordUnreadable, StateFormatTooNew
from gateway.model import Arrival, Control, SessionEvent, Tick

PACKETS_BYTES_MAX: Final = 32 << 20
"""Packets of one message block before compression: the bound of memory for reading any record."""

PAYLOAD_BYTES_MAX: Final = PACKETS_BYTES_MAX + (1 << 20)
"""Payload of a record; a longer length in a file is damage, not a reason to allocate."""


class Kind(IntEnum):
    """The four kinds of record (decision D1)."""

    MESSAGES = 1
    SESSION = 2
    TICK = 3
    CONTROL = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the journal; ``payload`` is what the codec of its kind made."""

    sequence: int
    kind: Kind
    payload: bytes


# --- framing ------------------------------------------------------------------------------------

_MARK: Final = b"\xc1\x7eJR"
_CHECKED = struct.Struct("<4sI")  # mark, CRC32 of everything after it
_KINDS: Final = {kind.value: kind for kind in Kind}
_REST = struct.Struct("<IQB")  # length of the payload, sequence, kind
FRAME_BYTES: Final = _CHECKED.size + _REST.size
"""What a frame adds to its payload."""


def frame(sequence: int, kind: Kind, payload: bytes, *, seed: int = 0) -> bytes:
    """One record as it stands in a segment: mark, CRC32, length, sequence, kind, payload (little-endian).

    ``seed`` starts the CRC: a segment's own number, so that a frame forged inside a device's payload
    can not pass for a record when a damaged segment is searched for the next whole one.
    ValueError if the payload is longer than PAYLOAD_BYTES_MAX.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"payload of {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} fit in a record")
    rest = _REST.pack(len(payload), sequence, kind)
    return b"".join((_CHECKED.pack(_MARK, crc32(payload, crc32(rest, seed))), rest, payload))


class Stop(StrEnum):
    """Why a parse ended where it did."""

    END = "end"  # at the end of the buffer, or of what was asked for
    TORN = "torn"  # the buffer ends within a frame
    CORRUPT = "corrupt"  # the bytes at ``Stretch.end`` are not the record due there


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole records in a row, and the offset behind the last of them."""

    records: list[Record]
    end: int
    stop: Stop
    problem: str = ""


def parse(buffer: bytes, offset: int, sequence: int, *, seed: int = 0, before: int | None = None) -> Stretch:
    """Records ``sequence``, ``sequence + 1``, … from ``offset`` on, up to but not including ``before``.

    Raises StateFormatTooNew for a whole record of a kind this version does not know; nothing else.
    """
    records: list[Record] = []
    while offset < len(buffer) and (before is None or sequence < before):
        found = _frame_at(buffer, offset, seed)
        if isinstance(found, Stretch):
            return Stretch(records, offset, found.stop, found.problem)
        record, end = found
        if record.sequence != sequence:
            return Stretch(records, offset, Stop.CORRUPT, f"record {record.sequence} stands in its place")
        records.append(record)
        offset, sequence = end, sequence + 1
    return Stretch(records, offset, Stop.END)


def find_record(buffer: bytes, offset: int, above: int, *, seed: int = 0) -> tuple[int, int] | None:
    """(offset, sequence) of the first whole record at or after ``offset`` with a sequence > ``above``."""
    while (offset := buffer.find(_MARK, offset)) >= 0:
        found = _frame_at(buffer, offset, seed)
        if not isinstance(found, Stretch) and found[0].sequence > above:
            return offset, found[0].sequence
        offset += 1
    return None


def _frame_at(buffer: bytes, offset: int, seed: int) -> tuple[Record, int] | Stretch:
    """The record at ``offset`` and the offset behind it, or an empty Stretch that says why there is none."""
    if offset + FRAME_BYTES > len(buffer):
        return Stretch([], offset, Stop.TORN, "the bytes end within the head of a record")
    mark, checksum = _CHECKED.unpack_from(buffer, offset)
    length, sequence, kind = _REST.unpack_from(buffer, offset + _CHECKED.size)
    if mark != _MARK or length > PAYLOAD_BYTES_MAX:
        return Stretch([], offset, Stop.CORRUPT, "no record begins here")
    start, end = offset + FRAME_BYTES, offset + FRAME_BYTES + length
    if end > len(buffer):
        return Stretch([], offset, Stop.TORN, "the bytes end within a record")
    payload = buffer[start:end]
    if crc32(payload, crc32(buffer[offset + _CHECKED.size : start], seed)) != checksum:
        return Stretch([], offset, Stop.CORRUPT, "checksum does not match")
    if kind not in _KINDS:
        raise StateFormatTooNew(f"journal record {sequence} is of kind {kind}, unknown to this version")
    return Record(sequence, _KINDS[kind], payload), end


# --- payloads: the first byte is the version of the layout, per kind ------------------------------

_VERSION: Final = 1
_ARRIVAL = struct.Struct("<BBIqQ")  # version, flags, count, receive time ns, epoch
_TICK = struct.Struct("<BBqq16s")  # version, flags, wall ns, elapsed ns, boot id
_REPLAYED = 1
_CONNECTED, _DRAINED = 1, 2

_Document = TypeVar("_Document", SessionEvent, Control)


class _Zstd(local):
    """A context of each thread's own: making one costs more than a small block, sharing one is forbidden."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_ZSTD = _Zstd()


def encode_arrival(arrival: Arrival) -> bytes:
    """Payload of a MESSAGES record: a head, then the packets as one zstd frame (level 1).

    ValueError if the packets are longer than PACKETS_BYTES_MAX; the epoch is a uint64, the count a uint32.
    """
    if len(arrival.packets) > PACKETS_BYTES_MAX:
        raise ValueError(
            f"block of {len(arrival.packets)} bytes; at most {PACKETS_BYTES_MAX} fit in a record"
        )
    flags = _REPLAYED if arrival.replayed else 0
    head = _ARRIVAL.pack(_VERSION, flags, arrival.count, arrival.received_ns, arrival.epoch)
    return head + _ZSTD.compressor.compress(arrival.packets)


def decode_arrival(payload: bytes) -> Arrival:
    """The reverse. RecordUnreadable if it is none or would grow past PACKETS_BYTES_MAX."""
    flags, count, received_ns, epoch = _head(_ARRIVAL, payload, "message block")
    body = memoryview(payload)[_ARRIVAL.size :]
    try:
        # The size stated in the frame is what the decompressor allocates, whatever bound it is given.
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= PACKETS_BYTES_MAX:
            raise RecordUnreadable(f"message block states {size} bytes; at most {PACKETS_BYTES_MAX} are read")
        packets = _ZSTD.decompressor.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RecordUnreadable(f"message block: {error}") from error
    return Arrival(packets, count, received_ns, epoch, bool(flags & _REPLAYED))


def encode_session(event: SessionEvent) -> bytes:
    """Payload of a SESSION record: version byte and JSON."""
    return bytes([_VERSION]) + msgspec.json.encode(event)


def decode_session(payload: bytes) -> SessionEvent:
    """The reverse; RecordUnreadable if it is none."""
    return _document(payload, SessionEvent, "session event")


def encode_control(control: Control) -> bytes:
    """Payload of a CONTROL record: version byte and JSON. The body must be JSON values."""
    return bytes([_VERSION]) + msgspec.json.encode(control)


def decode_control(payload: bytes) -> Control:
    """The reverse; RecordUnreadable if it is none."""
    return _document(payload, Control, "control record")


def encode_tick(tick: Tick) -> bytes:
    """Payload of a TICK record, 34 bytes. ValueError unless the boot id has 16 bytes."""
    if len(tick.boot_id) != 16:
        raise ValueError(f"boot id of {len(tick.boot_id)} bytes; it has 16")
    flags = (_CONNECTED if tick.connected else 0) | (_DRAINED if tick.drained else 0)
    return _TICK.pack(_VERSION, flags, tick.wall_ns, tick.elapsed_ns, tick.boot_id)


def decode_tick(payload: bytes) -> Tick:
    """The reverse; RecordUnreadable if it is none."""
    flags, wall_ns, elapsed_ns, boot_id = _head(_TICK, payload, "tick")
    if len(payload) != _TICK.size:
        raise RecordUnreadable(f"tick of {len(payload)} bytes; it has {_TICK.size}")
    return Tick(wall_ns, elapsed_ns, boot_id, bool(flags & _CONNECTED), bool(flags & _DRAINED))


def _head(layout: struct.Struct, payload: bytes, what: str) -> tuple[Any, ...]:
    """The fixed fields of a payload after its version."""
    _check_version(payload, what)
    if len(payload) < layout.size:
        raise RecordUnreadable(f"{what} of {len(payload)} bytes ends within its head")
    fields: tuple[Any, ...] = layout.unpack_from(payload)
    return fields[1:]


def _document(payload: bytes, shape: type[_Document], what: str) -> _Document:
    _check_version(payload, what)
    try:
        return msgspec.json.decode(memoryview(payload)[1:], type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordUnreadable(f"{what}: {error}") from error


def _check_version(payload: bytes, what: str) -> None:
    version = payload[0] if payload else 0
    if version > _VERSION:
        raise StateFormatTooNew(f"{what} of layout {version}; this version reads up to {_VERSION}")
    if version == 0:
        raise RecordUnreadable(f"{what} without a layout version")


# --- what a journal promises ----------------------------------------------------------------------


class Journal(Protocol):
    """Records in one gap-free sequence. Segment files on one machine; partitions of a log on many."""

    @property
    def first(self) -> int:
        """Oldest sequence kept."""
        ...

    @property
    def next(self) -> int:
        """The sequence after the last durable record."""
        ...

    async def append(self, kind: Kind, payloads: Sequence[bytes]) -> int:
        """Write records and return the sequence of the last *after it is durable*; JournalError otherwise."""
        ...

    def read(self, sequence: int, *, bytes_max: int) -> list[Record]:
        """Durable records from ``sequence`` on, none at the end only; JournalCorrupt names a loss."""
        ...

    async def wait(self, sequence: int) -> None:
        """Return when the record ``sequence`` or a later one is durable."""
        ...

    def trim(self, *, keep_from: int) -> int:
        """Give up old records below ``keep_from`` as far as the limits ask; bytes freed."""
        ...

    async def close(self) -> None:
        """Write what is pending and end."""
        ...
