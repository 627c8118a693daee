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
    rejoin_s: float = 5400.0  # the last of 2,000 lamps of a radio gateway join so long after dusk
    silence_s_min: float = 1800.0  # no device is silent sooner, however often it reports
    step_s: float = 10.0  # groups are looked at this often
    group_hold_s: float = 300.0  # a dip, a recloser, a late report
    voltage_hold_s: float = 60.0
    stray_hold_s: float = 1200.0  # lamps of one circuit are heard out of hours: the rest of it may follow
    switching_guard_s: float = 900.0  # after the planned switching off, beyond the guard of the plan
    stray_lamps_share: float = 0.3  # of a circuit's lamps are heard although it is planned off
    maintenance_s: float = 7200.0  # door open or selector on manual: a crew is at work
    back_share: float = 0.3  # of a dark circuit's silent lamps are heard: it is back
    split_s: float = 1800.0  # part of a group is back so long: the rest is a fault of its own
    radio_lost_reports: int = 6  # a radio gateway that is back sooner is nothing to be told of
    members_min: int = 3
    silent_share: float = 0.8
    evidence_min: float = 6.0  # -log10 of the chance that all these reports were lost by accident
    short_share: float = 0.7  # of the silent lamps' power is missing at the meter
    phase_samples_min: int = 12  # of a lamp's voltage, before they tell its phase
    phase_ratio: float = 2.0  # its own phase fits so many times better than another, as variances
    phase_apart_v: float = 20.0  # what is further apart is a fault and tells nothing
    storm_feeders_min: int = 3
    storm_cabinets_min: int = 2
    storm_s: float = 600.0
    photocell_share: float = 0.5  # of the photocell lamps around are lit by day: a dark sky
    learned_samples_min: int = 3  # of a lamp's power, before it is judged against its own
    learned_spread: float = 0.1  # between them
    learned_tolerance: float = 0.15  # what is further off is a fault, and not learned
    heads_margin: float = 0.08  # above the share of the power that is left when one head of several is dead
    dimming_tolerance: float = 10.0  # points
    energy_saved_s: float = 3600.0  # a controller saves its register this often
    cycling_starts_min: int = 3  # beyond plan in a night
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
