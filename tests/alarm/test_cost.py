"""What judging costs, counted in calls and not in seconds: the machine these run on is no yardstick."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from district import MINUTE, batch, fleet, local

from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation
from gateway.decode.catalog import load_file
from gateway.model import ReadingBatch, Severity

PROFILE = load_file(
    Path(__file__).parents[2] / "device_profiles" / "luminaire-controller" / "profile.toml"
).spec
HIGHER = (Severity.MAJOR, Severity.CRITICAL)
RULES = (*PROFILE.rules, *(replace(rule, severity=s) for s in HIGHER for rule in PROFILE.rules))[:40]
SPEC = replace(PROFILE, rules=RULES)
CALLS_MAX = 300
"""Calls into Python and NumPy for a block of healthy readings, whatever its size."""


def block(minute: int, lamps: int) -> ReadingBatch:
    at = local("2026-11-20 20:00") + minute * MINUTE
    sound = {
        "dimming_level": 100.0, "supply_voltage": 228.0, "supply_current": 0.45, "active_power": 100.0,
        "power_factor": 0.95, "active_energy": 1e5 + minute * 100 / 60, "frequency": 50.0,
        "switch_on_counter": 9.0, "lamp_operating_hours": 500.0, "controller_temperature": 45.0,
        "gear_temperature": 50.0, "lamp_failure": 0.0,
    }  # fmt: skip
    one = batch([{"device": 0, "time": at, **sound}], SPEC)
    many = one.take(np.zeros(lamps, dtype=np.int64))
    device = np.arange(lamps, dtype=np.int32)
    return replace(many, device=device, sequence=np.full(lamps, minute), index=device)


def calls(evaluator: Evaluator, made: ReadingBatch) -> int:
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        found = evaluator.judge(made)
    finally:
        sys.setprofile(None)
    assert found.crossings == []
    return count


def test_forty_rules_cost_the_same_calls_for_79_readings_as_for_2000() -> None:
    counted = []
    for lamps in (79, 2000):
        district = fleet(lamps)
        evaluator = Evaluator(district, [SPEC], Expectation(district))
        for minute in (0, 15):
            evaluator.judge(block(minute, lamps))
        counted.append(calls(evaluator, block(30, lamps)))
    assert max(counted) <= CALLS_MAX
    assert max(counted) <= min(counted) + 60  # counting what was noted, now and then


def test_forty_rules_on_a_lamp_take_less_than_a_kilobyte() -> None:
    lamps = 500
    district = fleet(lamps)
    evaluator = Evaluator(district, [SPEC], Expectation(district))
    evaluator.judge(block(0, lamps))
    state, memory = evaluator.states[SPEC.name], evaluator.memories[SPEC.name]
    held = [state.since, state.own, state.count, state.raised, state.asset, evaluator.seen[SPEC.name]]
    held += [
        memory.last,
        memory.factor,
        memory.weight,
        memory.ratios,
        memory.starts,
        memory.excess,
        memory.kept,
    ]
    assert sum(array.nbytes for array in held) / lamps <= 1000
