"""What systemd is told. In: the state of the service. Out: datagrams on the notify socket, if there is one.

Speaks the sd_notify protocol; without an address it does nothing. Never waits for an answer.
"""

from __future__ import annotations

import socket


class Supervisor:
    """``READY=1``, ``STATUS=…``, ``WATCHDOG=1`` and ``STOPPING=1``."""

    def __init__(self, address: str, watchdog_us: str) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = int(watchdog_us) / 2e6 if watchdog_us.isdigit() else 0.0
        """How often to call ``alive``: half of what systemd allows; 0 when it does not watch."""

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), self._address)
