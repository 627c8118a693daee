"""Numbers of practice for groups, silence and sensors. In: nothing. Out: one frozen set with its defaults.

Sources: field notes 1 to 3. Every one is a figure from the field, to be confirmed in a pilot.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmOptions:
    """Times in seconds, shares as fractions. Times of groups count while the gateway listens."""

    settle_s: float = 900.0  # boot delay 120, settling 180, LoRaWAN join 600
    lamp_settle_s: float = 480.0  # boot delay 300 and settling 180: self-tests are over then
    step_s: float = 10.0  # groups are looked at this often
    group_hold_s: float = 300.0  # a dip, a recloser, a late report
    voltage_hold_s: float = 60.0
    switching_guard_s: float = 900.0  # after the planned switching off, beyond the guard of the plan
    maintenance_s: float = 7200.0  # door open or selector on manual: a crew is at work
    split_s: float = 1800.0  # part of a group is back so long: the rest is a fault of its own
    members_min: int = 3
    silent_share: float = 0.8
    evidence_min: float = 6.0  # -log10 of the chance that all these reports were lost by accident
    short_share: float = 0.7  # of the silent lamps' power is missing at the meter
    storm_feeders_min: int = 3
    storm_cabinets_min: int = 2
    storm_s: float = 600.0
    sensor_step_s: float = 60.0  # watches over hours are looked at this often
    coverage: float = 0.5  # of an hour's reports for a mean of it, and of a day's hours
    late_s: float = 1800.0  # a report older than this, and than two intervals, was held back: not judged
    neighbours_min: int = 3
    neighbour_m: float = 3000.0
    live_leak_ma: float = 30.0  # a pole may be live: this much leaks
    live_clear_ma: float = 15.0
    live_flood_m: float = 0.10  # and so much water stands
    live_flood_clear_m: float = 0.05
    live_distance_m: float = 100.0  # so near
    live_fresh_s: float = 3600.0  # and both were said within this time
