"""Golden vectors of a profile. In: the profile and its JSON lines. Out: what does not hold, a line each.

A vector is a payload (``payload`` text or ``payload_hex``), the receive time, and the canonical readings
or reject reasons expected. Never does IO.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from gateway.canonical import decode_payload
from gateway.decode.profile import Profile
from gateway.model import nanoseconds

VECTORS_FILE: Final = "vectors.jsonl"
KEYS: Final = frozenset({"title", "payload", "payload_hex", "received", "device", "readings", "rejects"})


def check(profile: Profile, text: str) -> Iterator[str]:
    """One sentence for each vector of ``text`` that does not come out as it says."""
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        yield "no vectors: a profile without is not trusted"
    for number, line in enumerate(lines, start=1):
        if line.strip():
            problem = _problem(profile, line)
            if problem:
                yield f"line {number}: {problem}"


def _problem(profile: Profile, line: str) -> str:
    try:
        vector: dict[str, Any] = json.loads(line)
        unknown = set(vector) - KEYS
        if unknown:
            return f"unknown key {sorted(unknown)[0]!r}"
        received_ns = nanoseconds(vector["received"])
        payload = (
            bytes.fromhex(vector["payload_hex"]) if "payload_hex" in vector else vector["payload"].encode()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"no vector: {type(error).__name__}: {error}"
    outcome = decode_payload(profile, payload, received_ns, vector.get("device", ""))
    title = vector.get("title", "")
    if outcome.readings != vector.get("readings", []):
        return f"{title}: expected {vector.get('readings', [])}, got {outcome.readings}"
    rejects = [{key: reject[key] for key in ("stage", "reason", "sample")} for reject in outcome.rejects]
    if rejects != vector.get("rejects", []):
        return f"{title}: expected rejects {vector.get('rejects', [])}, got {rejects}"
    return ""
