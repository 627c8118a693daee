"""What a lamp should draw by its type; an alarm is judged by that curve and not by a straight line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from district import LUMINAIRE, batch, fleet, local
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.curves import PowerCurves
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation
from gateway.fleet import Fleet, LuminaireType

TABLE = LuminaireType("t", "table", ((0.0, 0.5), (10.0, 20.0), (50.0, 60.0), (100.0, 100.0)))
DALI = LuminaireType("t", "dali")


def of(kind: LuminaireType, heads: int = 1) -> Fleet:
    plain = fleet(2)
    assets = tuple(replace(asset, luminaire_type="t", heads=heads) for asset in plain.assets)
    return replace(plain, assets=assets, luminaire_types=(kind,))


def power_w(kind: LuminaireType, level: float, hours: float | None = None, heads: int = 1) -> float:
    age = None if hours is None else np.array([hours])
    return float(PowerCurves(of(kind, heads)).power_w(np.zeros(1, dtype=np.int32), np.array([level]), age)[0])


@pytest.mark.parametrize(
    ("level", "expected"), [(0.0, 0.5), (10.0, 20.0), (30.0, 40.0), (75.5, 80.4), (100.0, 100.0)]
)
def test_a_table_is_followed_straight_between_its_points(level: float, expected: float) -> None:
    assert power_w(TABLE, level) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arc", "light_pct"), [(127.0, 3.12), (229.0, 50.5), (254.0, 100.0), (170.0, 10.1), (85.0, 0.99)]
)
def test_the_logarithmic_curve_is_that_of_dali(arc: float, light_pct: float) -> None:
    """IEC 62386-102: arc power level 127 is 3.1 % of the light, 229 is 50 %."""
    assert power_w(DALI, arc / 254.0 * 100.0) == pytest.approx(1.0 + 0.99 * light_pct, abs=0.15)


def test_virtual_output_limits_what_is_above_standby() -> None:
    assert power_w(replace(DALI, curve="linear", virtual_output=0.8), 100.0) == pytest.approx(
        1.0 + 0.8 * 99.0
    )


@pytest.mark.parametrize(("hours", "share"), [(0.0, 0.8), (30_000.0, 0.9), (1e6, 1.0), (None, 0.9)])
def test_constant_light_grows_with_the_operating_hours(hours: float | None, share: float) -> None:
    kind = LuminaireType("t", constant_light_start=0.8, constant_light_h=60_000.0)
    assert power_w(kind, 100.0, hours) == pytest.approx(1.0 + share * 99.0)


def test_two_heads_draw_twice_the_table() -> None:
    assert power_w(TABLE, 100.0, heads=2) == 200.0


@given(st.sampled_from([TABLE, DALI, LuminaireType("t")]), st.floats(0, 100), st.floats(0, 100))
def test_more_light_never_draws_less(kind: LuminaireType, a: float, b: float) -> None:
    assert power_w(kind, min(a, b)) <= power_w(kind, max(a, b)) + 1e-9


@pytest.mark.parametrize(("kind", "alarms"), [(LuminaireType("t"), 1), (TABLE, 0)])
def test_a_dimmed_lamp_is_judged_by_the_curve_of_its_type(kind: LuminaireType, alarms: int) -> None:
    """60 W at 50 % is too much for a straight line and just right for the table."""
    district = of(kind)
    evaluator = Evaluator(district, [LUMINAIRE], Expectation(district))
    at = local("2026-11-21 00:30")
    rows = [{"device": 1, "time": at, "dimming_level": 50.0, "active_power": 60.0}]
    found = evaluator.judge(batch(rows)).crossings
    assert [crossing.rule.type for crossing in found] == ["lampPowerTooHigh"] * alarms
