"""Alarms are a function of the journal alone: however it is cut, and wherever the engine is restarted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import settings as gateway_settings
from gateway import wiring
from gateway.alarm.engine import AlarmEngine, Transitions
from gateway.configuration import Configuration, Sources, interpret
from gateway.fleet import Fleet
from gateway.journal.record import Record
from gateway.model import nanoseconds
from gateway.translation import Translator
from simulators.fault import Fault, Targets
from simulators.recording import records
from simulators.scenario import City, Lies, Rates, Scenario
from simulators.staging import city_inventory, stage

FROM, HOURS = nanoseconds("2026-11-02T13:00:00Z"), 5  # 20:00 to 01:00 local
PRACTICE = gateway_settings.Settings()


@dataclass(frozen=True)
class Night:
    """A recorded night with a dead feeder, a lost phase, a cut, a silent lamp and an inventory that lies."""

    configuration: Configuration
    records: tuple[Record, ...]

    def translator(self) -> Translator:
        return Translator(wiring.translation(PRACTICE), lambda _: self.configuration, self.configuration)


def faults(fleet: Fleet) -> list[Fault]:
    at, minute = Targets(fleet), 60_000_000_000
    return [
        at.fault(kind, target, FROM + start * minute, FROM + end * minute, phase=phase)
        for kind, target, start, end, phase in (
            ("feeder_trip", "CB-01-F2", 45, 140, ""),
            ("phase_loss", "CB-01-F4", 60, 200, "B"),
            ("supply_loss", "CB-02", 100, 170, ""),
            ("silence", "LP-01-3-010", 20, 280, ""),
        )
    ]


@cache
def night() -> Night:
    scenario = Scenario(
        seed=77,
        start="2026-11-02T05:00:00Z",
        days=1.0,
        city=City(light_points=220, sensors=4, dropped_phase_share=0.2),
        rates=Rates(feeder_trip=0, grid_cut=0),
        lies=Lies(wrong_circuit=0.05),
    )
    sources = Sources(wiring.profiles(PRACTICE), city_inventory(scenario.city), "Asia/Ho_Chi_Minh")
    believed = interpret(sources.pack(), "night")
    profiles = {profile.name: profile for profile in believed.profiles}
    simulation = stage(scenario, believed.fleet, profiles, extra=faults(believed.fleet))
    simulation.messages(FROM)  # what was before is not recorded
    payloads = records(simulation, "night", FROM, FROM + HOURS * 3_600_000_000_000)
    return Night(
        believed, tuple(Record(n, kind, bytes(payload)) for n, (kind, payload) in enumerate(payloads))
    )


def followed(cuts: frozenset[int], restarts: frozenset[int]) -> bytes:
    """The alarm file of the night, cut before the records ``cuts``, restarted before ``restarts``."""
    recorded = night()
    translator, engine = recorded.translator(), recorded.configuration.engine()
    told: Transitions = []
    edges = sorted({0, len(recorded.records), *cuts, *restarts})
    for start, end in pairwise(edges):
        if start in restarts:
            engine = restarted(recorded.configuration, engine)
        told += engine.apply(translator.translate(recorded.records[start:end]))
    lines = (f"{sequence} {json.dumps(alarm.document(), ensure_ascii=False)}\n" for sequence, alarm in told)
    return "".join(lines).encode()


def restarted(configuration: Configuration, engine: AlarmEngine) -> AlarmEngine:
    kept = engine.snapshot()
    again = configuration.engine()
    again.restore(kept)
    assert again.snapshot() == kept
    return again


@cache
def in_one_piece() -> bytes:
    return followed(frozenset(), frozenset())


def test_the_night_has_groups_and_what_they_account_for() -> None:
    told = [json.loads(line.split(" ", 1)[1]) for line in in_one_piece().decode().splitlines()]
    assert {"feederOpen", "supplyLoss", "phaseLoss"} <= {alarm["type"] for alarm in told}
    assert {alarm["state"] for alarm in told} >= {"unacknowledged", "returned"}
    assert in_one_piece() == followed(frozenset(), frozenset())


@given(st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_cut_and_any_restart_give_the_same_bytes(data: st.DataObject) -> None:
    position = st.integers(1, len(night().records) - 1)
    cuts = data.draw(st.frozensets(position, max_size=40))
    restarts = data.draw(st.frozensets(position, max_size=12))
    assert followed(cuts, restarts) == in_one_piece()
