"""``citylight profile``. In: profile directories, payloads. Out: lists, verdicts, canonical readings as JSON.

Needs no gateway, no broker and no inventory.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gateway import canonical, vectors
from gateway.decode.catalog import load_directories
from gateway.decode.profile import Profile
from gateway.errors import ConfigurationError
from gateway.settings import shipped
from gateway.system_clock import SystemClock


def list_profiles(options: argparse.Namespace) -> int:
    """One line a profile: name, device class, fields."""
    profiles = _profiles(options.profiles)
    if options.json:
        rows = [
            {"name": p.name, "device_class": p.device_class, "fields": [f.canonical.name for f in p.fields]}
            for p in profiles.values()
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    for p in profiles.values():
        print(f"{p.name:24} {len(p.fields):3} fields  {p.title_en} / {p.title_vi}")
    return 0


def check_profiles(options: argparse.Namespace) -> int:
    """Validate every profile and run its golden vectors; 1 if one does not hold."""
    failures = 0
    for directory in options.directories or [shipped("device_profiles")]:
        for name, profile in load_directories([directory]).items():
            file = directory / name / vectors.VECTORS_FILE
            if not file.is_file():
                print(f"{name}: no {vectors.VECTORS_FILE}: a profile without golden vectors is not trusted")
                failures += 1
                continue
            text = file.read_text(encoding="utf-8")
            problems = list(vectors.check(profile, text))
            for problem in problems:
                print(f"{file}: {problem}")
            failures += len(problems)
            print(f"{name}: {'FAILED' if problems else 'ok'}, {len(text.splitlines())} vectors")
    return 1 if failures else 0


def decode_payload(options: argparse.Namespace) -> int:
    """Canonical JSON, one line per sample; 1 with the reason if the payload would be quarantined."""
    profiles = _profiles(options.profiles)
    if options.profile not in profiles:
        raise ConfigurationError("profile", options.profile, "is not known", f"one of: {', '.join(profiles)}")
    outcome = canonical.decode_payload(profiles[options.profile], _payload(options), SystemClock().wall_ns())
    for reading in outcome.readings:
        print(json.dumps(reading, ensure_ascii=False))
    for reject in outcome.rejects:
        print(f"citylight: {reject['stage']}: {reject['reason']}: {reject['detail']}", file=sys.stderr)
    return 1 if outcome.rejects else 0


def _payload(options: argparse.Namespace) -> bytes:
    if options.hex is not None:
        try:
            return bytes.fromhex(options.hex)
        except ValueError as error:
            raise ConfigurationError("--hex", "", str(error), "two hex digits a byte") from error
    return sys.stdin.buffer.read() if str(options.json) == "-" else Path(options.json).read_bytes()


def _profiles(directory: Path | None) -> dict[str, Profile]:
    return load_directories([directory or shipped("device_profiles")])
