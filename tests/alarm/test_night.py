"""A whole simulated night with the shipped profiles: the simulators' physics, the journal's own framing."""

from __future__ import annotations

from pathlib import Path

from gateway.alarms import Alarm
from gateway.configuration import Sources, interpret
from gateway.ingest.packets import encode_publish
from gateway.journal.record import Kind, Record, encode_arrival, encode_tick
from gateway.model import Arrival, Tick, nanoseconds
from gateway.settings import shipped
from gateway.translation import TranslationOptions, Translator
from simulators.city import inventory
from simulators.fault import parse_faults
from simulators.simulation import Simulation

START_NS = nanoseconds("2026-11-21T09:00:00Z")  # 16:00 in Vietnam
MINUTE_NS = 60_000_000_000
TOPIC = "city/<area>/<class>/<device>"


def night(hours: int, faults: str = "") -> list[Alarm]:
    """What is said over a city of 120 lamps, looked at once a minute."""
    profiles: dict[str, bytes] = {
        str(file): Path(file).read_bytes() for file in sorted(shipped("device_profiles").rglob("*.toml"))
    }
    texts = {name: text.encode() for name, text in inventory(120, 14, seed=3).items()}
    configuration = interpret(Sources(profiles, texts, "Asia/Ho_Chi_Minh").pack(), "x")
    fleet = configuration.fleet
    parsed = parse_faults(faults, "faults.toml", fleet, START_NS)
    simulation = Simulation(fleet, {p.name: p for p in configuration.profiles}, parsed, 1, START_NS)
    options = TranslationOptions(f"{TOPIC}/up", f"{TOPIC}/status", 65_536, 512)
    translator, engine = Translator(options, lambda _: configuration, configuration), configuration.engine()
    alarms: list[Alarm] = []
    sequence = 1
    for minute in range(1, hours * 60 + 1):
        now_ns = START_NS + minute * MINUTE_NS
        messages = [m for m in simulation.messages(now_ns) if not m.status]
        tick = encode_tick(Tick(now_ns, now_ns, bytes(16), connected=True, drained=True))
        records = [Record(sequence + 1, Kind.TICK, tick)]
        if messages:
            packets = b"".join(encode_publish(m.topic, m.payload) for m in messages)
            arrival = Arrival(packets, len(messages), now_ns, 1)
            records.insert(0, Record(sequence, Kind.MESSAGES, encode_arrival(arrival)))
        alarms += [alarm for _, alarm in engine.apply(translator.translate(records))]
        sequence += 2
    return alarms


def test_dusk_night_and_dawn_of_a_healthy_city_bring_no_alarm() -> None:
    assert night(16) == []


def test_a_feeder_out_of_radio_is_one_alarm_a_dark_lamp_another() -> None:
    alarms = night(
        10,
        """
        [[fault]]
        kind = "silence"
        feeder = "CB-01-F1"
        from = "+4h"
        to = "+6h"
        [[fault]]
        kind = "lamp_failure"
        asset = "LP-01-2-003"
        from = "+5h"
        to = "+12h"
        """,
    )
    told = {(a.asset, a.type, a.event) for a in alarms if not a.quiet}
    assert told == {
        ("CB-01-F1", "communicationFailure", "raised"),
        ("CB-01-F1", "communicationFailure", "cleared"),
        ("LP-01-2-003", "lampFailure", "raised"),
    }
