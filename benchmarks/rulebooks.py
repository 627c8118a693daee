"""Large rule sets. In: how many rules. Out: a district's rules.toml.

Limits beyond what the load says, so that nothing is raised and only the judging costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from benchmarks.figures import ROOT

FIELDS = {  # numeric fields by profile, with a limit the load stays below
    "luminaire-controller": (
        ("supply_voltage", 490),
        ("supply_current", 19),
        ("active_power", 1900),
        ("controller_temperature", 120),
        ("gear_temperature", 140),
        ("frequency", 69),
    ),
    "feeder-cabinet": (("phase1_voltage", 490), ("phase2_voltage", 490), ("phase3_voltage", 490)),
    "air-quality": (("temperature", 55),),
    "noise": (("noise_level", 120),),
    "weather": (("temperature", 55),),
}
WHENS = ("always", "light_due_on", "light_due_off")


def rules(each: int, profiles: Sequence[str] = tuple(FIELDS)) -> str:
    """So many rules on each of ``profiles``, those they come with included."""
    return "\n".join(table for profile in profiles for table in _tables(profile, each - _shipped(profile)))


def _shipped(profile: str) -> int:
    text = (ROOT / "device_profiles" / profile / "profile.toml").read_text(encoding="utf-8")
    return text.count("[[rule]]")


def _tables(profile: str, count: int) -> Iterator[str]:
    for number, (field, limit) in enumerate(islice(cycle(FIELDS[profile]), count), 1):
        yield (
            f'[[rule]]\nprofile = "{profile}"\ntype = "bench{number}"\nfield = "{field}"\nseverity = "info"\n'
            f"raise_above = {limit}\nclear_below = {limit - 1}\nhold_s = {60 * (number % 3)}\n"
            f'samples_min = {1 + number % 2}\nwhen = "{WHENS[number % 3]}"\n'
        )
