"""Numbers of practice that a district changes in ``[practice]``, and those that contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from district import LUMINAIRE, MINUTE, fleet, local
from district import batch as plain

from gateway.alarm.circuits import circuits_of
from gateway.alarm.evaluator import Evaluator
from gateway.alarm.expected import Expectation, Light
from gateway.alarm.lamp_memory import LampMemory, Sight
from gateway.alarm.options import AlarmOptions
from gateway.configuration import Sources, interpret
from gateway.decode.catalog import load_file
from gateway.errors import ConfigurationError
from gateway.fleet import Programme

ROOT = Path(__file__).parents[2]
CITY = ROOT / "examples" / "new-city"
SPEC = load_file(ROOT / "device_profiles" / "luminaire-controller" / "profile.toml").spec
NIGHT = local("2026-11-20 22:00")


@pytest.mark.parametrize(
    ("late_s", "judged"),
    [(1800.0, 1), (3600.0, 2)],
)
def test_the_late_limit_says_which_old_reading_is_still_judged(late_s: float, judged: int) -> None:
    district, options = fleet(), AlarmOptions(late_s=late_s)
    evaluator = Evaluator(district, [LUMINAIRE], Expectation(district), options)
    rows = [
        {"device": 1, "time": NIGHT, "supply_voltage": 230.0},
        {"device": 1, "time": NIGHT + MINUTE, "supply_voltage": 230.0, "skew": -50 * MINUTE},
    ]
    evaluator.judge(plain(rows))
    assert evaluator.judged == judged


def sight(**values: float) -> Sight:
    fields = [[values.get(field.name, np.nan)] for field in SPEC.numeric]
    one, true = np.ones(1), np.ones(1, dtype=np.bool_)
    first = np.zeros(1, dtype=np.int32)
    level = np.array([values["dimming_level"]])
    return Sight(
        first, first, np.array([NIGHT]), np.array(fields), true, True, true, true, level, level,
        100 * one, true,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "light", "margin"),
    [
        ({}, 100.0, 0.80 - 0.85),
        ({}, 30.0, np.nan),  # too little light to tell
        ({"power_factor_light_pct": 10.0}, 30.0, 0.80 - 0.725),  # halfway on the curve
        ({"power_factor_high": 0.75}, 100.0, 0.80 - 0.75),
    ],
)
def test_the_power_factor_curve_is_the_district_s(
    changes: dict[str, float], light: float, margin: float
) -> None:
    devices = np.zeros(1, dtype=np.int32)
    memory = LampMemory(SPEC, ("power_factor_margin",), devices, fleet(1), AlarmOptions(**changes))
    found = memory.derive(sight(dimming_level=light, power_factor=0.80, active_power=60.0))
    assert found == pytest.approx(np.array([[margin]]), nan_ok=True)


@pytest.mark.parametrize(("changes", "excess"), [({}, 0.0), ({"cycling_nights_min": 1}, 5.0)])
def test_how_many_bad_nights_make_a_cycling_lamp(changes: dict[str, int], excess: float) -> None:
    nobody = np.full(1, -1, dtype=np.int32)
    options = AlarmOptions(**changes)  # type: ignore[arg-type]
    memory = LampMemory(SPEC, ("starts_beyond_plan",), np.zeros(1, dtype=np.int32), fleet(1), options)
    memory.starts[0, :3] = (0, 5, 0)
    memory.review(7, nobody, nobody, circuits_of(fleet(1)))
    assert memory.excess[0] == excess


def test_a_photocell_may_do_either_as_long_as_the_district_says() -> None:
    district = fleet(1, Programme("cell", "photocell"))
    soon_after_sunset = np.array([local("2026-11-20 17:35")]), np.zeros(1, dtype=np.int32)

    def due(options: AlarmOptions) -> Any:
        return Expectation(district, options).at(soon_after_sunset[1], soon_after_sunset[0]).light_due[0]

    assert due(AlarmOptions()) == Light.EITHER
    assert due(AlarmOptions(photocell_sun_deg=1.0)) == Light.ON


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("cycling_nights = 9", "rules.toml:2: practice.cycling_nights: 9 nights are not kept"),
        ("cycling_nights_min = 4", "rules.toml:2: practice.cycling_nights_min: 4 of 3 nights can not be"),
        ("power_factor_low = 0.9", "rules.toml:2: practice.power_factor_low: is above power_factor_high"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused_with_their_line(written: str, complaint: str) -> None:
    profiles = {str(path): path.read_bytes() for path in (ROOT / "device_profiles").rglob("*.toml")}
    inventory = {path.name: path.read_bytes() for path in CITY.glob("*.csv")}
    inventory["rules.toml"] = f"[practice]\n{written}\n".encode()
    with pytest.raises(ConfigurationError) as refused:
        interpret(Sources(profiles, inventory, "Asia/Ho_Chi_Minh").pack(), "x")
    assert complaint in str(refused.value)
