"""Numbers of practice for groups, silence and sensors. In: nothing. Out: one frozen set with its defaults.

Sources: field notes 1 to 3. Every one is a figure from the field, to be confirmed in a pilot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmOptions:
    """Times in seconds, shares as fractions. Times of groups count while the gateway listens."""

    settle_s: float = 900.0  # boot delay 120, settling 180, LoRaWAN join 600
    lamp_settle_s: float = 480.0  # boot delay 300 and settling 180: self-tests are over then
    rejoin_s: float = 5400.0  # the last of 2,000 lamps of a radio gateway join so long after dusk
    dip_lamps_min: int = 2  # of a feeder are late at once beyond what radios lose: power went for a moment,
    dip_deviations: float = 2.0  # and so many standard deviations beyond
    silence_s_min: float = 1800.0  # no device is silent sooner, however often it reports
    often_silence_s_min: float = 3900.0  # nor who reports more often than lamps: a cell is out for an hour
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
    radio_lost_s: float = 5400.0  # also where devices report more often than lamps
    members_min: int = 3
    silent_share: float = 0.8
    evidence_min: float = 6.0  # -log10 of the chance that all these reports were lost by accident
    short_share: float = 0.7  # of the silent lamps' power is missing at the meter
    phase_samples_min: int = 12  # of a lamp's voltage, before they tell its phase
    phase_ratio: float = 2.0  # its own phase fits so many times better than another, as variances
    phase_told_v: float = 0.5  # and the others are off by that much, as standard deviation
    phase_apart_v: float = 20.0  # what is further apart is a fault and tells nothing
    storm_feeders_min: int = 3
    storm_cabinets_min: int = 2
    storm_s: float = 600.0
    photocell_share: float = 0.5  # of the photocell lamps around are lit by day: a dark sky
    learned_nights_min: int = 5  # of a circuit no cabinet tells of, before its hours are known
    learned_slack_s: float = 900.0  # around them nothing is said
    learned_samples_min: int = 3  # of a lamp's power, before it is judged against its own
    learned_spread: float = 0.1  # between them
    learned_tolerance: float = 0.15  # what is further off is a fault, and not learned
    heads_margin: float = 0.08  # above the share of the power that is left when one head of several is dead
    dimming_tolerance: float = 10.0  # points
    load_w_min: float = 500.0  # what a cabinet carries is told apart by no less
    unexpected_share: float = 0.2  # more than lamps draw and the plan allows
    unexpected_hold_s: float = 1800.0
    imbalance_share: float = 0.25  # of a phase's planned share
    imbalance_hold_s: float = 7200.0  # until then a dead circuit has an alarm of its own
    balance_coverage: float = 0.95  # of the lamps' power was told by lamps
    balance_hours_share: float = 0.8  # of the hours with power
    balance_nights_min: int = 5  # of losses, before one is called unusual
    balance_nights_over: int = 3  # of five
    balance_share: float = 0.1  # of the lamps' energy: less is not told apart from meters
    balance_spreads: float = 3.0
    balance_wh_min: float = 1500.0
    energy_saved_s: float = 3600.0  # a controller saves its register this often
    cycling_starts_min: int = 3  # beyond plan in a night,
    cycling_nights_min: int = 2  # in so many
    cycling_nights: int = 3  # of so many nights
    programme_guard_s: float = 600.0  # around a switching or step: neither light nor level is judged
    photocell_sun_deg: float = (
        6.0  # a photocell may do either while the sun stands between so far below and above
    )
    meter_guard_w: float = 5.0  # no power is told apart from the expected one that is closer,
    meter_steps: float = 3.0  # nor one that is so few steps of its meter away
    dark_margin_w: float = 2.0  # a lamp that draws so little more than standby is dark,
    lit_margin_w: float = 3.0  # and so much more, lit
    fade_s: float = 60.0  # after its gear last said it fades, a lamp is not judged by power or level
    type_share: float = 0.3  # of the lamps of a type that are off the same way: the inventory is wrong
    gear_dead_w: float = 0.5  # a closed relay, gear that does not answer and less than this: no supply to it
    power_factor_light_pct: float = 50.0  # from so much light,
    power_factor_w_min: float = 20.0  # and so much power on, a lamp's power factor is judged:
    power_factor_low_pct: float = 10.0  # at so much light
    power_factor_low: float = 0.60  # by this limit,
    power_factor_high_pct: float = 50.0  # from so much on
    power_factor_high: float = 0.85  # by this, and on a line between (TALQ has a curve)
    sensor_step_s: float = 60.0  # watches over hours are looked at this often
    coverage: float = 0.5  # of an hour's reports for a mean of it, and of a day's hours
    late_s: float = 1800.0  # a report older than this,
    late_intervals: float = 2.0  # and than so many intervals, was held back: not judged
    neighbours_min: int = 3
    neighbour_m: float = 3000.0
    live_leak_ma: float = 30.0  # a pole may be live: this much leaks
    live_clear_ma: float = 15.0
    live_flood_m: float = 0.10  # and so much water stands
    live_flood_clear_m: float = 0.05
    live_distance_m: float = 100.0  # so near
    live_fresh_s: float = 3600.0  # and both were said within this time


CYCLING_NIGHTS_MAX: Final = 7


def contradiction(options: AlarmOptions) -> tuple[str, str, str] | None:
    """(key, problem, remedy) of a number that can not be meant; None where all can."""
    nights = options.cycling_nights
    if not 1 <= nights <= CYCLING_NIGHTS_MAX:
        return "cycling_nights", f"{nights} nights are not kept", f"write 1 to {CYCLING_NIGHTS_MAX}"
    if not 1 <= options.cycling_nights_min <= nights:
        problem = f"{options.cycling_nights_min} of {nights} nights can not be"
        return "cycling_nights_min", problem, f"write 1 to {nights}"
    if options.power_factor_low_pct >= options.power_factor_high_pct:
        return "power_factor_low_pct", "is not below power_factor_high_pct", "let the curve rise"
    if options.power_factor_low > options.power_factor_high:
        return "power_factor_low", "is above power_factor_high", "let the curve rise"
    return None
