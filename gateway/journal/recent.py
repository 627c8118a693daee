"""The newest durable records in memory, for followers that are at the head. In: records. Out: the same.

Bounded by bytes: the oldest give way. Never reads a file.
"""

from __future__ import annotations

from typing import Final

from gateway.journal.record import Record

RECORD_BYTES: Final = 256
"""What a record takes in memory beside its payload; without it a day of ticks would seem to weigh nothing."""


class Recent:
    """Records [first, next), at most ``bytes_max`` of them."""

    def __init__(self, next_sequence: int, bytes_max: int) -> None:
        self.first = self.next = next_sequence
        self._bytes_max = bytes_max
        self._bytes = 0
        self._records: dict[int, Record] = {}

    def extend(self, records: list[Record]) -> None:
        """Take the records that follow ``next``."""
        for record in records:
            self._records[record.sequence] = record
            self._bytes += RECORD_BYTES + len(record.payload)
        self.next += len(records)
        while self._bytes > self._bytes_max:
            oldest = self._records.pop(self.first)
            self._bytes -= RECORD_BYTES + len(oldest.payload)
            self.first += 1

    def read(self, sequence: int, bytes_max: int) -> list[Record]:
        """Records from ``sequence`` >= ``first`` on, about ``bytes_max`` of them or one."""
        records: list[Record] = []
        for at in range(sequence, self.next):
            record = self._records[at]
            bytes_max -= RECORD_BYTES + len(record.payload)
            if records and bytes_max < 0:
                break
            records.append(record)
        return records
