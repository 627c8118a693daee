"""Parts of the command line's grammar. In: a parser. Out: what every command of it shares.

Never parses an argument list itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add(commands: Commands, name: str, command: str, text: str) -> argparse.ArgumentParser:
    """A command; ``command`` is ``module:function`` in ``gateway.commands``."""
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def group(commands: Commands, name: str, text: str) -> Commands:
    """A word with commands of its own."""
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def config(parser: argparse.ArgumentParser) -> None:
    """``-c FILE``."""
    default = settings.default_file()
    parser.add_argument("-c", "--config", type=Path, default=default, metavar="FILE", help=f"({default})")


def as_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def asks(*parsers: argparse.ArgumentParser, json: bool = True) -> None:
    """What asks a gateway, or its files."""
    for parser in parsers:
        if json:
            as_json(parser)
        config(parser)
        parser.add_argument(
            "--data", type=Path, metavar="DIR", help="data directory (from the configuration)"
        )


def positive(text: str) -> int:
    """A number of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def duration(text: str) -> float:
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


def signed(*parsers: argparse.ArgumentParser) -> None:
    """``--by NAME``: whose order it is."""
    for parser in parsers:
        parser.add_argument("--by", default=settings.user_name(), metavar="NAME", help="who ($USER)")
