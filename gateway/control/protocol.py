"""Requests and answers of the control socket. In: bytes of one line. Out: values, and back.

One JSON object a line, bounded in size; a line that is none is answered with the reason. Never does IO.
"""

from __future__ import annotations

from typing import Any

import msgspec

LINE_BYTES_MAX = 64 * 1024 * 1024
REQUEST_BYTES_MAX = 1024 * 1024
SOCKET_NAME = "control.sock"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``name`` is ``<subject>.<verb>``, e.g. ``alarms.list``; ``arguments`` are the handler's keywords."""

    name: str
    arguments: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``error`` empty: ``result`` is the answer; else why there is none."""

    result: Any = None
    error: str = ""


_requests = msgspec.json.Decoder(Request)
_answers = msgspec.json.Decoder(Answer)


def encode(message: Request | Answer) -> bytes:
    """One line, newline included."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """ValueError says what is wrong with the line."""
    return _requests.decode(line)


def decode_answer(line: bytes) -> Answer:
    """ValueError says what is wrong with the line."""
    return _answers.decode(line)
