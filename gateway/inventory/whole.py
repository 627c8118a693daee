"""What only a whole inventory shows. In: a fleet, where its rows stand. Out: problems noted.

``where`` is the file and line of each assignment, or of each asset by id. Never mends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.fleet import Fleet, Programme
from gateway.inventory.problems import Problems


def refuse_overlaps(fleet: Fleet, where: Sequence[str], problems: Problems) -> None:
    """A device is in one place at a time; an asset may carry several devices."""
    table = fleet.assignment_table
    device, start, end = table.ids("device").texts, table.numbers("from_ns"), table.numbers("to_ns")
    order = np.lexsort((start, device))
    first, second = order[:-1], order[1:]
    overlaps = (device[first] == device[second]) & (start[second] < end[first])
    for before, after in zip(first[overlaps].tolist(), second[overlaps].tolist(), strict=True):
        there = f"already at {fleet.assignments[before].asset!r} then ({where[before]})"
        device_id = fleet.assignments[after].device
        problems.add(
            where[after], "from", f"{device_id!r} is {there}", "end the earlier assignment with 'to'"
        )


def refuse_two_switchings(fleet: Fleet, where: Mapping[str, str], problems: Problems) -> None:
    """A switched phase has one contactor: its lamps can not be due at different times."""
    switched = {feeder.id for feeder in fleet.feeders if feeder.group_switched}
    switching = {programme.id: _switching(programme) for programme in fleet.programmes}
    columns = (fleet.asset_table.words(name).tolist() for name in ("feeder", "phase", "programme"))
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for row, (feeder, phase, programme) in enumerate(zip(*columns, strict=True)):
        if feeder not in switched or programme not in switching:
            continue
        before, at = first.setdefault((feeder, phase), (switching[programme], row))
        if before != switching[programme]:
            other = fleet.assets[at].id
            problems.add(
                where[fleet.assets[row].id],
                "programme",
                f"phase {phase} of the switched feeder {feeder} has another one at {other!r}",
                "let all lamps of a switched phase have one switching, or mark the feeder as not switched",
            )


def _switching(programme: Programme) -> str:
    """When a contactor has to switch for it."""
    dark = [(minute, level == 0) for minute, level in programme.steps]
    edges = dark if any(off for _, off in dark) else []
    return f"{programme.switch} {programme.on_minute} {programme.off_minute} {edges}"
