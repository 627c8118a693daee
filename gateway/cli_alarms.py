"""The command line about alarms, faults, windows and rules. In: the parser. Out: their grammar.

Dispatches nothing; each command is a function in ``commands``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.grammar import add, as_json, asks, config, duration, group, positive, signed

if TYPE_CHECKING:
    from gateway.grammar import Commands


def alarms_grammar(commands: Commands) -> None:
    """``alarms``, ``maintenance`` and ``rules``."""
    alarms = group(commands, "alarms", "alarms: list, show, acknowledge, shelve; faults and tickets; figures")
    _seeing(alarms)
    _acting(alarms)
    _repairing(alarms)
    _windows(commands)
    _rules(commands)


def _seeing(alarms: Commands) -> None:
    listing = add(alarms, "list", "operate:alarms_list", "active alarms, newest first")
    listing.add_argument("--all", action="store_true", help="those that are over, too")
    show = add(alarms, "show", "operate:alarms_show", "one alarm with its history")
    show.add_argument("alarm", metavar="ID", help="as 'alarms list' shows it")
    stats = add(alarms, "stats", "statistics:stats", "how many, how often, what stands: ISA-18.2 figures")
    stats.add_argument(
        "--last", dest="last_s", type=duration, default=7 * 86400.0, metavar="7d", help="of this time (7d)"
    )
    audit = add(alarms, "audit", "quieting:audit", "who did what and why, newest first")
    audit.add_argument("--about", default="", metavar="ID", help="only about this alarm, window or place")
    for parser in (listing, audit):
        parser.add_argument("--limit", type=positive, default=100, metavar="N", help="at most so many (100)")
    asks(listing, show, stats, audit)


def _acting(alarms: Commands) -> None:
    ack = add(alarms, "ack", "operate:alarms_ack", "acknowledge an alarm")
    shelve = add(
        alarms, "shelve", "quieting:shelve", "put an alarm aside for a time; it comes back by itself"
    )
    shelve.add_argument(
        "--for",
        dest="duration_s",
        type=duration,
        required=True,
        metavar="8h",
        help="for so long (30d at most)",
    )
    unshelve = add(alarms, "unshelve", "quieting:unshelve", "take an alarm back from the shelf")
    comment = add(alarms, "comment", "quieting:comment", "write a comment on an alarm")
    reset = add(alarms, "reset", "quieting:reset", "end a latched alarm: what endangered people is made safe")
    for parser in (ack, shelve, unshelve, comment, reset):
        parser.add_argument("alarm", metavar="ID", help="as 'alarms list' shows it")
        optional = parser in (ack, unshelve)
        parser.add_argument("--comment", default="", required=not optional, metavar="TEXT", help="why")
    signed(ack, shelve, unshelve, comment, reset)
    test = add(alarms, "test", "operate:alarms_test", "send a test alarm to every recipient")
    resync = add(alarms, "resync", "operate:alarms_resync", "tell recipients again what stands")
    resync.add_argument("to", nargs="?", default="", metavar="RECIPIENT", help="only this one")
    told = add(alarms, "told", "operate:alarms_told", "what recipients were told, word for word")
    told.add_argument("--alarm", default="", metavar="ID", help="only about this alarm")
    told.add_argument("--to", default="", metavar="RECIPIENT", help="only to this one")
    told.add_argument("--limit", type=positive, default=100, metavar="N")
    asks(ack, shelve, unshelve, comment, reset, test, resync, told)


def _repairing(alarms: Commands) -> None:
    faults = add(alarms, "faults", "repairs:faults", "equipment faults whose repair clock runs, newest first")
    faults.add_argument("--all", action="store_true", help="those that are over, too")
    faults.add_argument("--limit", type=positive, default=100, metavar="N", help="at most so many (100)")
    fault = add(alarms, "fault", "repairs:fault", "one fault with its tickets and its proof of repair")
    ticket = add(alarms, "ticket", "repairs:ticket", "what the work order says of a fault; stops no clock")
    for parser in (fault, ticket):
        parser.add_argument("alarm", metavar="ID", help="of the alarm, as 'alarms faults' shows it")
    ticket.add_argument("--number", default="", metavar="N", help="of the work order (the last one's)")
    ticket.add_argument("--crew", default="", metavar="NAME", help="who goes there")
    ticket.add_argument("--eta", default="", metavar="TIME", help="when: 2026-11-21T22:00:00+07:00")
    ticket.add_argument("--cause", default="", metavar="TEXT", help="what was found")
    ticket.add_argument("--closed", default="", metavar="TIME", help="when the work order was closed")
    ticket.add_argument("--comment", default="", metavar="TEXT", help="a remark")
    tickets = add(
        alarms, "tickets", "repairs:tickets", "import a CSV file: alarm,number,crew,eta,cause,closed_at"
    )
    tickets.add_argument("file", type=Path, metavar="FILE")
    signed(ticket, tickets)
    asks(faults, fault, ticket, tickets)


def _windows(commands: Commands) -> None:
    maintenance = group(
        commands, "maintenance", "windows in which a place raises nothing: list, add, end, import"
    )
    calendar = add(maintenance, "list", "quieting:windows", "windows to come or in force")
    window = add(maintenance, "add", "quieting:add_window", "keep a place quiet for a time")
    window.add_argument("scope", help="area:X, cabinet:X, feeder:X, asset:X or city")
    window.add_argument(
        "--kind", default="maintenance", choices=("maintenance", "grid_outage", "out_of_service")
    )
    window.add_argument("--from", dest="begins", metavar="TIME", help="(now)")
    window.add_argument("--to", dest="ends", metavar="TIME", help="like 2026-11-21T22:00:00+07:00")
    window.add_argument("--for", dest="duration_s", type=duration, metavar="4h", help="instead of --to")
    window.add_argument("--comment", default="", required=True, help="why")
    close = add(maintenance, "end", "quieting:end_window", "end a window now")
    close.add_argument("window", metavar="ID", help="as 'maintenance list' shows it")
    outages = add(
        maintenance,
        "import",
        "quieting:import_windows",
        "announced outages and windows from a CSV (scope,kind,from,to,comment) or TOML file",
    )
    outages.add_argument("file", type=Path, metavar="FILE")
    signed(window, close, outages)
    asks(calendar, window, close, outages)


def _rules(commands: Commands) -> None:
    rules = group(commands, "rules", "rules: why one fired or not, what they would raise over a journal")
    explain = add(rules, "explain", "rules:explain", "the rules of an asset: limits, state, and why")
    explain.add_argument("asset", help="light point, cabinet or sensor")
    misplaced = add(
        rules, "misplaced", "rules:misplaced", "devices that do not stand or hang where the inventory says"
    )
    radio = add(rules, "radio", "rules:radio", "weak radios, losing a fifth or more, and who is not heard")
    dry_run = add(
        rules, "check", "rules:check", "validate the rules; with a journal, say what they would raise"
    )
    dry_run.add_argument("--journal", type=Path, metavar="DIR", help="a journal's directory; it is only read")
    dry_run.add_argument(
        "--nights", type=positive, default=30, metavar="N", help="the last so many with alarms (30)"
    )
    as_json(dry_run)
    config(dry_run)
    asks(explain, misplaced, radio)
