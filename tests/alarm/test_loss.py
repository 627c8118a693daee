"""Missed reports before silence: the table of the field notes, and each device by its own record."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.alarm.loss import REPORTS_A_NIGHT, LossRecord, missed_allowed


@pytest.mark.parametrize(
    ("loss", "missed"), [(0.001, 3), (0.01, 4), (0.04, 5), (0.10, 7), (0.20, 10), (0.30, 13), (0.9, 44)]
)
def test_the_table_of_the_field_notes(loss: float, missed: int) -> None:
    assert missed_allowed(np.ones((1, 1)), np.array([loss]), 1e-5).tolist() == [missed]


def test_a_device_is_judged_by_its_own_record_once_it_has_one() -> None:
    """One good radio, one that loses a report in five: as many reports as make a night, then fourteen."""
    record = LossRecord(2)
    devices, first = np.array([0, 1], dtype=np.int32), np.array([5, 5], dtype=np.int32)
    chance = np.random.default_rng(3)
    for _ in range(14 * REPORTS_A_NIGHT):
        owed = np.array([1, 1 + (chance.random() < 0.25)])  # a quarter of those heard follow a lost one
        record.heard(devices, owed)
    good, bad = record.allowed(first).tolist()
    assert good == 4
    assert 9 <= bad <= 12


def test_who_reports_often_may_miss_more_as_a_burst_hides_several_at_once() -> None:
    """Every 15 minutes, every 5, every minute, and every hour; all of them have lost the same share."""
    record = LossRecord(4, np.array([900.0, 300.0, 60.0, 3600.0]))
    devices, first = np.arange(4, dtype=np.int32), np.zeros(4, dtype=np.int32)
    for number in range(600):
        record.heard(devices, np.full(4, 1 + (number % 20 == 0)))
    quarter, five, minute, hour = record.allowed(first).tolist()
    assert quarter == hour == 6
    assert five == quarter + 720 // 300
    assert minute >= quarter + 720 // 60


def test_a_loss_between_two_is_not_taken_for_the_lesser_one() -> None:
    """18 % of 600 reports: nine in a row are lost once in 20,000 nights, and not in 500,000."""
    record = LossRecord(1)
    for number in range(500):
        record.heard(np.array([0], dtype=np.int32), np.array([1 + (number % 9 < 2)]))
    assert record.allowed(np.zeros(1, dtype=np.int32)).tolist() == [11]


def test_the_record_forgets() -> None:
    record = LossRecord(1)
    device = np.array([0], dtype=np.int32)
    for owed in [*[3] * 300, *[1] * 3000]:
        record.heard(device, np.array([owed]))
    assert record.rate()[0] < 0.02
