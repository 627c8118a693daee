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

from gateway import __version__
from gateway.cli_alarms import alarms_grammar
from gateway.errors import ConfigurationError, GatewayError
from gateway.grammar import add as _add
from gateway.grammar import as_json as _json
from gateway.grammar import asks as _asks
from gateway.grammar import config as _config
from gateway.grammar import duration as _duration
from gateway.grammar import group as _group
from gateway.grammar import positive as _positive

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
    alarms_grammar(commands)
    _operating(commands)
    _keeping(commands)
    _measuring(commands)
    return parser


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
    replay.add_argument("--faults", type=Path, metavar="FILE", help="write repair clocks here (JSON lines)")
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
    told = (waiting, message, replay, enrol, history, fleet, figures, reload)
    _asks(*told)
    _asks(top, json=False)


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


if __name__ == "__main__":
    sys.exit(main())
