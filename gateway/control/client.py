"""The asking end of the control socket. In: a data directory and a request. Out: the gateway's answer.

Blocking and short: for the command line. Never touches the gateway's files other than the socket.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from gateway.control.address import reachable
from gateway.control.protocol import LINE_BYTES_MAX, SOCKET_NAME, Request, decode_answer, encode
from gateway.errors import GatewayError, OrderRefused


class GatewayNotRunning(GatewayError):
    """Nothing listens on the control socket of that data directory."""


class ControlClient:
    """One connection to a running gateway; a context manager."""

    def __init__(self, data_dir: Path, timeout_s: float = 60.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            with reachable(data_dir / SOCKET_NAME) as address:
                self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise GatewayNotRunning(
                f"no gateway runs on {data_dir}; start it with 'citylight run'"
            ) from error
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, name: str, **arguments: Any) -> Any:
        """The result of query or order ``name``; OrderRefused with the gateway's words otherwise."""
        try:
            self._socket.sendall(encode(Request(name, arguments)))
            line = self._file.readline(LINE_BYTES_MAX)
        except OSError as error:
            raise GatewayNotRunning(f"the gateway stopped answering: {error}") from error
        if not line:
            raise GatewayNotRunning("the gateway closed the connection")
        answer = decode_answer(line)
        if answer.error:
            raise OrderRefused(answer.error)
        return answer.result
