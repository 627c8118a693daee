"""``citylight backup`` and ``restore``. In: a file. Out: state and journal of a gateway in it, or from it.

A running gateway writes the file itself, as its own user; those of a stopped one are copied under its lock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from gateway import backup as archive
from gateway import offline, settings
from gateway.control.client import ControlClient, GatewayNotRunning

ANSWER_S_MAX = 6 * 3600.0


def backup(options: argparse.Namespace) -> int:
    """0 when the file is whole and durable."""
    chosen = settings.read(options.config)
    arguments = {"file": str(options.file.absolute())}
    try:
        client = ControlClient(chosen.gateway.data_dir, ANSWER_S_MAX)
    except GatewayNotRunning:
        result = asyncio.run(offline.ask(chosen, "gateway.backup", arguments))
    else:
        with client:
            result = client.ask("gateway.backup", **arguments)
    first, until = result["journal"]
    return _say(options, result, f"{options.file}: {result['bytes']} bytes, records {first} to {until - 1}")


def restore(options: argparse.Namespace) -> int:
    """0 when the data directory of the configuration is filled."""
    directory = settings.read(options.config).gateway.data_dir
    manifest = archive.restore(options.file, directory)
    first, until = manifest["journal"]
    sentence = f"{directory} is as it was at {manifest['created']}: records {first} to {until - 1}"
    return _say(options, {"directory": str(directory), **manifest}, sentence)


def _say(options: argparse.Namespace, result: dict[str, Any], sentence: str) -> int:
    print(json.dumps(result) if options.json else sentence)
    return 0
