"""The control socket as the command line meets it."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.control.client import ControlClient, GatewayNotRunning
from gateway.control.protocol import SOCKET_NAME
from gateway.control.server import ControlServer
from gateway.errors import OrderRefused


async def _double(number: int) -> dict[str, int]:
    return {"double": 2 * number}


async def _refuse() -> None:
    raise OrderRefused("no alarm has the id 'x'")


@pytest.fixture
async def directory(tmp_path: Path) -> Any:
    server = ControlServer(tmp_path / SOCKET_NAME, {"number.double": _double, "alarms.ack": _refuse})
    await server.start()
    yield tmp_path
    await server.close()


async def _ask(directory: Path, name: str, **arguments: Any) -> Any:
    def blocking() -> Any:
        with ControlClient(directory) as client:
            return client.ask(name, **arguments)

    return await asyncio.to_thread(blocking)


async def test_an_answer_comes_back(directory: Path) -> None:
    assert await _ask(directory, "number.double", number=21) == {"double": 42}


async def test_only_the_owner_may_open_the_socket(directory: Path) -> None:
    assert stat.S_IMODE((directory / SOCKET_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("alarms.ack", {}, "no alarm has the id 'x'"),
        ("nothing.here", {}, "no such query or order: nothing.here"),
        ("number.double", {"wrong": 1}, "number.double"),
    ],
)
async def test_a_refusal_says_why(directory: Path, name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(OrderRefused, match=said):
        await _ask(directory, name, **arguments)


async def test_garbage_is_answered_and_the_connection_goes_on(directory: Path) -> None:
    def blocking() -> bytes:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(directory / SOCKET_NAME))
            raw.sendall(b'\xff{"name"\n{"name":"number.double","arguments":{"number":1}}\n')
            lines = raw.makefile("rb")
            return lines.readline() + lines.readline()

    assert b"not a request" in (answers := await asyncio.to_thread(blocking))
    assert b'{"double":2}' in answers


async def test_a_data_directory_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    server = ControlServer(deep / SOCKET_NAME, {"number.double": _double})
    await server.start()
    assert stat.S_IMODE((deep / SOCKET_NAME).stat().st_mode) == 0o600
    assert await _ask(deep, "number.double", number=4) == {"double": 8}
    await server.close()
    assert not (deep / SOCKET_NAME).exists()


async def test_without_a_gateway_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(GatewayNotRunning, match="citylight run"):
        ControlClient(tmp_path)
