"""Rows reach their recipient in order, survive its absence, and are refused only for good reasons."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
from post import (
    ACKNOWLEDGED,
    CLEARED,
    RAISED,
    RunningClock,
    SqliteOutbox,
    SteppedClock,
    rows_for,
    running,
    webhook_recipient,
)

from gateway.errors import DeliveryError
from gateway.notify.courier import UNNOTED_MAX, Courier, CourierOptions, Row

QUICK = CourierOptions(retry_s_min=0.001, retry_s_max=0.01)


class Receiver:
    """Takes rows unless it has an answer planned: an exception to raise for that attempt."""

    error = ""

    def __init__(self, *planned: DeliveryError | None) -> None:
        self.planned = list(planned)
        self.taken: list[str] = []
        self.tried: list[str] = []

    async def deliver(self, row: Row) -> None:
        self.tried.append(row.key)
        answer = self.planned.pop(0) if self.planned else None
        if answer is not None:
            raise answer
        self.taken.append(row.key)


AWAY = DeliveryError("connection refused", retryable=True)
NEVER = DeliveryError("HTTP 400", retryable=False)


def courier(outbox: SqliteOutbox, receiver: Receiver) -> Courier:
    return Courier("hook", outbox, receiver, RunningClock(), QUICK)


async def test_rows_of_an_alarm_arrive_once_and_in_order(outbox: SqliteOutbox) -> None:
    receiver = Receiver()
    for alarm in (RAISED, ACKNOWLEDGED, CLEARED):
        await outbox.add(rows_for(alarm, [webhook_recipient()]))
    async with running(courier(outbox, receiver).run):
        await outbox.emptied("hook")
    assert receiver.taken == [f"{RAISED.id}-{n}" for n in (1, 2, 3)]


async def test_a_row_added_later_is_announced_by_wake(outbox: SqliteOutbox) -> None:
    receiver = Receiver()
    job = courier(outbox, receiver)
    async with running(job.run):
        await outbox.emptied("hook")
        await outbox.add(rows_for(RAISED, [webhook_recipient()]))
        job.wake()
        async with asyncio.timeout(4):
            await outbox.emptied("hook")
    assert receiver.taken == [f"{RAISED.id}-1"]


async def test_an_absent_recipient_loses_nothing_and_is_mentioned_once(
    outbox: SqliteOutbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "citylight.notify")
    receiver = Receiver(*[AWAY] * 5)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]) + rows_for(CLEARED, [webhook_recipient()]))
    job = courier(outbox, receiver)
    async with running(job.run):
        await outbox.emptied("hook")
        figures = await job.figures()
    assert receiver.taken == [f"{RAISED.id}-1", f"{RAISED.id}-3"]
    assert (figures.delivered, figures.failed, figures.pending, figures.error) == (2, 0, 0, "")
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["hook does not take alarms: connection refused", "hook takes alarms again"]


async def test_while_it_is_away_the_figures_say_why_and_since_when(outbox: SqliteOutbox) -> None:
    receiver = Receiver(*[AWAY] * 10_000)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]))
    job = courier(outbox, receiver)
    async with running(job.run):
        async with asyncio.timeout(5):
            await outbox.changed.wait()
        figures = await job.figures()
    assert (figures.pending, figures.error) == (1, "connection refused")
    assert figures.oldest_age_s > 0


async def test_a_row_refused_for_good_makes_way_for_the_next(outbox: SqliteOutbox) -> None:
    receiver = Receiver(NEVER)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]) + rows_for(CLEARED, [webhook_recipient()]))
    job = courier(outbox, receiver)
    async with running(job.run):
        await outbox.emptied("hook")
        figures = await job.figures()
    assert receiver.taken == [f"{RAISED.id}-3"]
    assert (figures.delivered, figures.failed) == (1, 1)


async def test_a_row_that_always_fails_does_not_hold_up_other_alarms(outbox: SqliteOutbox) -> None:
    class Poisoned(Receiver):
        async def deliver(self, row: Row) -> None:
            if row.key.startswith(RAISED.id):
                raise AWAY
            await super().deliver(row)

    receiver = Poisoned()
    other = replace(RAISED, id="b" * 24)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]) + rows_for(other, [webhook_recipient()]))
    async with running(courier(outbox, receiver).run), asyncio.timeout(5):
        while not receiver.taken:
            outbox.changed.clear()
            await outbox.changed.wait()
    assert receiver.taken == [f"{other.id}-1"]


async def test_it_waits_as_long_as_the_recipient_asks_but_not_for_ever(outbox: SqliteOutbox) -> None:
    asked = DeliveryError("HTTP 429", retryable=True, retry_after_s=86_400.0)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]))
    clock = SteppedClock()
    options = CourierOptions(retry_s_min=0.01, retry_s_max=60.0)
    async with running(Courier("hook", outbox, Receiver(asked), clock, options).run):
        async with asyncio.timeout(5):
            await outbox.changed.wait()
    assert await outbox.due("hook", now_ns=clock.now_ns + 59_000_000_000, limit=9) == []
    assert len(await outbox.due("hook", now_ns=clock.now_ns + 61_000_000_000, limit=9)) == 1


async def test_in_a_flood_deliveries_are_noted_together(outbox: SqliteOutbox) -> None:
    """An alarm in a flood does not wait for one commit to the disk for each before it."""
    many = 5 * UNNOTED_MAX
    for n in range(many):
        await outbox.add(rows_for(replace(RAISED, id=f"{n:024d}"), [webhook_recipient()]))
    noted: list[int] = []

    class Counting(SqliteOutbox):
        async def delivered(self, ids: Sequence[int], *, at_ns: int) -> None:
            noted.append(len(ids))
            await outbox.delivered(ids, at_ns=at_ns)

    counting = Counting(outbox._database)
    receiver = Receiver()
    async with running(Courier("hook", counting, receiver, SteppedClock(), QUICK).run):
        await outbox.emptied("hook")
    assert len(receiver.taken) == len(set(receiver.taken)) == many
    assert noted == [UNNOTED_MAX] * 5


async def test_a_stop_between_two_deliveries_repeats_none(outbox: SqliteOutbox) -> None:
    class Slow(Receiver):
        async def deliver(self, row: Row) -> None:
            if self.taken:
                reached.set()
                await asyncio.Event().wait()
            await super().deliver(row)

    reached = asyncio.Event()
    other = replace(RAISED, id="b" * 24)
    await outbox.add(rows_for(RAISED, [webhook_recipient()]) + rows_for(other, [webhook_recipient()]))
    first, second = Slow(), Receiver()
    async with running(courier(outbox, first).run), asyncio.timeout(5):
        await reached.wait()
    async with running(courier(outbox, second).run):
        await outbox.emptied("hook")
    assert (first.taken, second.taken) == ([f"{RAISED.id}-1"], [f"{other.id}-1"])
