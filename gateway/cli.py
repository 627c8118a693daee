"""The command line. In: arguments and signals. Out: an exit code.

0 is well, 1 a failed check, 2 usage or configuration. Parses and dispatches only; each command is a
function in ``commands``. An error is one line on stderr; tracebacks only with ``--debug``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import argcomplete

from gateway import __version__, settings
from gateway.errors import ConfigurationError, GatewayError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXIT_FAILED, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``citylight``."""
    parser = build_parser()
    argcomplete.autocomplete(parser)
    options = parser.parse_args(arguments)
    if not hasattr(options, "command"):
        parser.print_help()
        return EXIT_USAGE
    # Blocks are small and the other core belongs to the broker: half the CPU of several threads.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    module, function = options.command.split(":")
    try:
        command = getattr(importlib.import_module(f"gateway.commands.{module}"), function)
        return int(command(options) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (GatewayError, OSError) as error:
        if options.debug:
            raise
        print(f"citylight: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar; ``options.command`` is ``module:function`` in ``gateway.commands``."""
    parser = argparse.ArgumentParser(
        prog="citylight",
        description="Street lights and city sensors over MQTT to a store and to the city's IOC.",
        epilog="Start with: citylight demo",
    )
    parser.add_argument("--version", action="version", version=f"citylight {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _running(commands)
    _simulating(commands)
    _profiles(commands)
    _operating(commands)
    _keeping(commands)
    _measuring(commands)
    return parser


def _add(commands: Commands, name: str, command: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def _group(commands: Commands, name: str, text: str) -> Commands:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _config(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("CITYLIGHT_CONFIG", "citylight.toml")
    parser.add_argument(
        "-c", "--config", type=Path, default=Path(default), metavar="FILE", help=f"({default})"
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _running(commands: Commands) -> None:
    demo = _add(commands, "demo", "demo:demo", "simulated district, embedded broker and store, live view")
    demo.add_argument("--lamps", type=_positive, default=1200, metavar="N", help="luminaires (1200)")
    demo.add_argument("--sensors", type=_positive, default=60, metavar="N", help="city sensors (60)")
    demo.add_argument(
        "--for", dest="duration_s", type=_duration, metavar="20s", help="end by itself after this"
    )
    demo.add_argument("--report", type=Path, metavar="FILE", help="write what was counted as JSON")
    demo.add_argument("--picture", type=Path, metavar="FILE", help="write the last frame as SVG")
    demo.add_argument("--pace", type=_positive, default=60, metavar="N", help="wall clock speed (60)")
    demo.add_argument("--seed", type=int, default=1, help="one seed gives one run (1)")
    demo.add_argument("--language", choices=("vi", "en"), default=None, help="of the view (from LANG)")
    demo.add_argument("--data", type=Path, metavar="DIR", help="keep the data here (a temporary directory)")
    run = _add(commands, "run", "run:run", "run the gateway")
    _config(run)
    check = _add(commands, "check", "check:check", "validate the file and reach broker, store and IOC")
    check.add_argument(
        "--capacity", action="store_true", help="what the bounds mean for this inventory, instead"
    )
    _config(check)
    _json(check)


def _simulating(commands: Commands) -> None:
    simulate = _add(commands, "simulate", "simulate:simulate", "a simulated fleet against any broker")
    _config(simulate)
    simulate.add_argument("--faults", type=Path, metavar="FILE", help="faults to inject (TOML)")
    simulate.add_argument("--truth", type=Path, metavar="FILE", help="write what was injected (JSON lines)")
    simulate.add_argument("--seed", type=int, help="one seed gives one run (1, or the scenario's)")
    simulate.add_argument("--for", dest="duration_s", type=_duration, metavar="1h", help="end after this")
    simulate.add_argument("--pace", type=_positive, default=1, metavar="N", help="wall clock speed (1)")
    simulate.add_argument("--interval", dest="interval_s", type=_duration, help="report this often")
    simulate.add_argument(
        "--per-device", action="store_true", help="one connection per device, with last will"
    )
    simulate.add_argument("--to-journal", type=Path, metavar="DIR", help="write a raw journal, use no broker")
    simulate.add_argument("--days", type=float, metavar="N", help="length of the journal (7)")
    simulate.add_argument("--start", metavar="TIME", help="UTC start of the journal (noon, 2 November 2026)")
    simulate.add_argument("--scenario", type=Path, metavar="FILE", help="a city with field practice (TOML)")
    simulate.add_argument("--honest", action="store_true", help="let the scenario's inventory be true")
    replay = _add(commands, "replay", "replay:replay", "alarms of a recorded journal, at full speed")
    replay.add_argument("--journal", type=Path, required=True, metavar="DIR", help="where its segments are")
    replay.add_argument(
        "--alarms", type=Path, required=True, metavar="FILE", help="write transitions here (JSON lines)"
    )
    replay.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="read it with this, not with what it names"
    )
    score = _add(commands, "score", "score:score", "precision, recall and delay of alarms against the truth")
    score.add_argument("--truth", type=Path, required=True, metavar="FILE", help="what was injected")
    score.add_argument("--alarms", type=Path, required=True, metavar="FILE", help="what was raised")
    _json(score)


def _profiles(commands: Commands) -> None:
    profile = _group(commands, "profile", "device profiles: list, check, decode one payload")
    listing = _add(profile, "list", "profile:list_profiles", "the profiles that are known")
    _json(listing)
    check = _add(profile, "check", "profile:check_profiles", "validate profiles and run their golden vectors")
    check.add_argument(
        "directories", nargs="*", type=Path, metavar="DIR", help="profile directories (the shipped)"
    )
    decode = _add(profile, "decode", "profile:decode_payload", "decode one payload to canonical JSON")
    decode.add_argument("profile", help="name of a profile")
    payload = decode.add_mutually_exclusive_group(required=True)
    payload.add_argument("--json", type=Path, metavar="FILE", help="payload file, - for standard input")
    payload.add_argument("--hex", metavar="H", help="payload in hex")
    for parser in (listing, decode):
        parser.add_argument(
            "--profiles", type=Path, metavar="DIR", help="directory of profiles (the shipped)"
        )


def _operating(commands: Commands) -> None:
    alarms = _group(commands, "alarms", "alarms: list, show, acknowledge, send a test")
    listing = _add(alarms, "list", "operate:alarms_list", "active alarms, newest first")
    listing.add_argument("--all", action="store_true", help="those that are over, too")
    listing.add_argument("--limit", type=_positive, default=100, metavar="N")
    show = _add(alarms, "show", "operate:alarms_show", "one alarm with its history")
    ack = _add(alarms, "ack", "operate:alarms_ack", "acknowledge an alarm")
    for parser in (show, ack):
        parser.add_argument("alarm", metavar="ID")
    ack.add_argument("--by", default=settings.user_name(), help="who ($USER)")
    ack.add_argument("--comment", default="", help="what is being done")
    test = _add(alarms, "test", "operate:alarms_test", "send a test alarm to every recipient")
    quarantine = _group(commands, "quarantine", "messages that could not be read: list, show, replay, enrol")
    waiting = _add(quarantine, "list", "operate:quarantine_list", "what is there, newest first")
    waiting.add_argument("--reason", help="only this reason")
    waiting.add_argument("--limit", type=_positive, default=100, metavar="N")
    message = _add(quarantine, "show", "operate:quarantine_show", "one message, whole")
    message.add_argument("key", metavar="SEQUENCE.INDEX")
    replay = _add(quarantine, "replay", "operate:quarantine_replay", "read messages again, at their own time")
    replay.add_argument("keys", nargs="*", metavar="SEQUENCE.INDEX", help="(all of --reason)")
    replay.add_argument("--reason", help="all messages of this reason")
    enrol = _add(quarantine, "enrol", "enrol:enrol", "take an unknown device into the inventory and replay")
    enrol.add_argument("device", help="id of the device, as 'quarantine list' shows it")
    enrol.add_argument("--profile", required=True, help="name of its profile")
    enrol.add_argument("--asset", required=True, help="light point, cabinet or sensor it serves")
    history = _add(commands, "history", "operate:history", "stored readings of one field of a device")
    history.add_argument("device")
    history.add_argument("field")
    history.add_argument("--last", dest="last_s", type=_duration, default=86400.0, metavar="24h")
    history.add_argument("--every", dest="every_s", type=_duration, metavar="15m", help="mean per window")
    fleet = _add(commands, "fleet", "operate:fleet", "the inventory in force")
    fleet.add_argument("asset", nargs="?", help="one light point, cabinet or sensor")
    figures = _add(commands, "figures", "operate:figures", "live figures of the running gateway")
    reload = _add(commands, "reload", "operate:reload", "read profiles and inventory again")
    top = _add(commands, "top", "operate:top", "live terminal view of the running gateway")
    told = (listing, show, ack, test, waiting, message, replay, enrol, history, fleet, figures, reload)
    _asks(*told)
    _asks(top, json=False)
    _putting_aside(commands, alarms)
    _explaining(commands)


def _asks(*parsers: argparse.ArgumentParser, json: bool = True) -> None:
    """What asks a gateway, or its files."""
    for parser in parsers:
        if json:
            _json(parser)
        _config(parser)
        parser.add_argument(
            "--data", type=Path, metavar="DIR", help="data directory (from the configuration)"
        )


def _putting_aside(commands: Commands, alarms: Commands) -> None:
    shelve = _add(
        alarms, "shelve", "quieting:shelve", "put an alarm aside for a time; it comes back by itself"
    )
    shelve.add_argument("--for", dest="duration_s", type=_duration, required=True, metavar="8h")
    unshelve = _add(alarms, "unshelve", "quieting:unshelve", "take an alarm back from the shelf")
    comment = _add(alarms, "comment", "quieting:comment", "write a comment on an alarm")
    for parser in (shelve, unshelve, comment):
        parser.add_argument("alarm", metavar="ID")
        parser.add_argument("--by", default=settings.user_name(), help="who ($USER)")
        parser.add_argument("--comment", default="", required=parser is not unshelve, help="why")
    stats = _add(alarms, "stats", "quieting:stats", "how many, how often, what stands: ISA-18.2 figures")
    stats.add_argument("--last", dest="last_s", type=_duration, default=7 * 86400.0, metavar="7d")
    audit = _add(alarms, "audit", "quieting:audit", "who did what, newest first")
    audit.add_argument("--limit", type=_positive, default=100, metavar="N")
    maintenance = _group(
        commands, "maintenance", "windows in which a place raises nothing: list, add, end, import"
    )
    calendar = _add(maintenance, "list", "quieting:windows", "windows to come or in force")
    window = _add(maintenance, "add", "quieting:add_window", "keep a place quiet for a time")
    window.add_argument("scope", help="area:X, cabinet:X, feeder:X, asset:X or city")
    window.add_argument(
        "--kind", choices=("maintenance", "grid_outage", "out_of_service"), default="maintenance"
    )
    window.add_argument("--from", dest="begins", metavar="TIME", help="RFC 3339 with offset (now)")
    window.add_argument("--to", dest="ends", metavar="TIME", help="RFC 3339 with offset")
    window.add_argument("--for", dest="duration_s", type=_duration, metavar="4h", help="instead of --to")
    window.add_argument("--comment", default="", required=True, help="why")
    close = _add(maintenance, "end", "quieting:end_window", "end a window now")
    close.add_argument("window", metavar="ID")
    outages = _add(
        maintenance,
        "import",
        "quieting:import_windows",
        "windows from a CSV file: scope,kind,from,to,comment",
    )
    outages.add_argument("file", type=Path)
    _asks(shelve, unshelve, comment, stats, audit, calendar, window, close, outages)
    for parser in (window, close, outages):
        parser.add_argument("--by", default=settings.user_name(), help="who ($USER)")


def _explaining(commands: Commands) -> None:
    rules = _group(commands, "rules", "rules: why one fired or not, what they would raise over a journal")
    explain = _add(rules, "explain", "rules:explain", "the rules of an asset: limits, state, and why")
    explain.add_argument("asset", help="light point, cabinet or sensor")
    dry_run = _add(
        rules, "check", "rules:check", "validate the rules; with a journal, say what they would raise"
    )
    dry_run.add_argument("--journal", type=Path, metavar="DIR", help="a journal's directory; it is only read")
    _json(dry_run)
    _config(dry_run)
    _asks(explain)


def _measuring(commands: Commands) -> None:
    bench = _group(commands, "bench", "figures: messages per second, CPU per message, latency, memory")
    number = {"type": _positive, "metavar": "N"}
    known: dict[str, dict[str, Any]] = {
        "--messages": number,
        "--devices": number,
        "--rates": {"type": _positive, "nargs": "+", "metavar": "N", "help": "messages per second"},
        "--rate": {**number, "help": "messages per second"},
        "--sizes": {"type": _positive, "nargs": "+", "metavar": "N", "help": "numbers of devices"},
        "--duration": {"dest": "duration_s", "type": _duration, "metavar": "1h", "help": "of each run"},
        "--store": {"choices": ("influxdb", "discard"), "help": "a real store, or writes discarded"},
        "--disturbed": {"action": "store_true", "help": "beside pages, history queries and a catch-up"},
        "--only": {"nargs": "+", "default": [], "metavar": "BENCH", "help": "these, the rest as kept"},
    }
    benches = {
        "all": ("every target, kept in benchmarks/results", "--only"),
        "pipeline": ("a replayed stream at full load, writes discarded", "--messages", "--devices"),
        "end-to-end": ("mosquitto to a store, CPU by process", "--messages", "--devices"),
        "latency": (
            "publish of a crossing to its event at the IOC",
            *("--rates", "--devices", "--duration", "--store", "--disturbed"),
        ),
        "memory": ("100,000 devices, 200 rules", "--devices", "--duration", "--rate"),
        "catch-up": ("a start with unread messages", "--messages", "--devices", "--rate"),
        "growth": ("1,000 to 1,000,000 devices", "--messages", "--sizes"),
        "simulator": ("messages per second of the simulated city", "--messages", "--devices"),
        "rules": ("40 rules in large and in small blocks", "--messages", "--devices"),
        "workers": ("two worker processes against one", "--messages", "--devices"),
        "peers": ("the same load into telegraf and node-red", "--messages", "--devices"),
        "guard": ("calls, allocations and bytes per message", "--messages"),
    }
    for name, (text, *options) in benches.items():
        parser = _add(bench, name, "bench:bench", text)
        parser.set_defaults(bench=name)
        for option in options:
            parser.add_argument(option, **known[option])
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")


def _keeping(commands: Commands) -> None:
    backup = _add(commands, "backup", "backup:backup", "state and journal of a gateway to one file")
    backup.add_argument("file", type=Path, metavar="FILE", help="new file, like monday.tar.zst")
    restore = _add(commands, "restore", "backup:restore", "an empty data directory from a backup")
    restore.add_argument("file", type=Path, metavar="FILE")
    for parser in (backup, restore):
        _config(parser)
        _json(parser)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _duration(text: str) -> float:
    """Seconds from ``20s``, ``15m``, ``24h``, ``7d`` or a bare number of seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError("write a duration like 20s, 15m, 24h or 7d")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
