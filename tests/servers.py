"""Real servers for tests. In: options, a directory. Out: running mosquitto, InfluxDB 1.6, VictoriaMetrics.

Each listens on a free loopback port, keeps its files below its own directory and can be stopped,
killed and started again on the same port with the same files. Never skips: a missing binary fails.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

CERTIFICATES = Path(__file__).parent / "certificates"
START_S_MAX = 30.0
STOP_S_MAX = 15.0
VISIBLE_S_MAX = 15.0
LOG_TAIL_CHARACTERS = 4000


def free_port() -> int:
    """A loopback port nobody listens on, below the range the kernel takes outgoing ports from.

    Inside that range a client that reconnects while its server is down can reach itself.
    """
    for port in random.sample(range(15_000, 32_000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free loopback port between 15000 and 32000")


class Server(ABC):
    """One server process; ``with`` starts it and kills it."""

    running: ClassVar[set[Server]] = set()
    binary: ClassVar[str]
    package: ClassVar[str]
    scheme: ClassVar[str] = "http"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.log_file = directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """The last part of what the server wrote to its output."""
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.binary} is not running"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def command(self, binary: str) -> list[str]:
        """The command line; also the place to write configuration files."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server answers now."""

    def start(self) -> None:
        """Start and return when the server answers; fails with its log otherwise."""
        assert not self.alive, f"{self.binary} is already running"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(find(self.binary, self.package)), cwd=self.directory, stdout=log, stderr=log
            )
        Server.running.add(self)
        deadline = time.monotonic() + START_S_MAX
        while not self.ready():
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.binary} did not start; its log:\n{self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Orderly end (SIGTERM): the server may write its state."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: the server writes nothing more."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: the port still accepts, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, with_signal: signal.Signals) -> None:
        Server.running.discard(self)
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.binary} ignored {with_signal.name}:\n{self.log}") from None
        finally:
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Mosquitto(Server):
    """A mosquitto broker that knows every option the tests need.

    ``users`` maps user name to password and forbids anonymous clients; ``acl`` is the text of an ACL file;
    ``tls`` serves the certificate in ``tests/certificates``; ``client_certificates`` also demands one and
    takes its common name as the user. ``settings`` are further global lines, ``max_inflight_messages 5`` say.
    """

    binary = "mosquitto"
    package = "mosquitto"
    scheme = "mqtt"

    def __init__(
        self,
        directory: Path,
        *,
        users: Mapping[str, str] | None = None,
        acl: str = "",
        tls: bool = False,
        client_certificates: bool = False,
        persistence: bool = True,
        settings: tuple[str, ...] = (),
    ) -> None:
        super().__init__(directory)
        self.users, self.acl, self.persistence, self.settings = users, acl, persistence, settings
        self.tls, self.client_certificates = tls or client_certificates, client_certificates

    @property
    def ca_file(self) -> Path:
        return CERTIFICATES / "ca.pem"

    def configuration(self) -> str:
        """Text of mosquitto.conf for these options."""
        lines = ["log_dest stderr", "log_type error", "log_type warning", "log_type notice", "sys_interval 1"]
        if os.geteuid() == 0:
            lines.append("user root")  # otherwise it becomes a user who can not read the test's directory
        if self.persistence:
            lines += ["persistence true", f"persistence_location {self.directory}/", "autosave_interval 1"]
        lines += ["max_queued_messages 200000", *self.settings, f"listener {self.port} {self.host}"]
        if self.tls:
            lines += [f"certfile {CERTIFICATES}/server.pem", f"keyfile {CERTIFICATES}/server.key"]
        if self.client_certificates:
            lines += [f"cafile {self.ca_file}", "require_certificate true", "use_identity_as_username true"]
        if self.users is not None:
            lines.append(f"password_file {password_file(self.directory, self.users)}")
        lines.append(f"allow_anonymous {'true' if self.users is None else 'false'}")
        if self.acl:
            (self.directory / "acl").write_text(self.acl)
            lines.append(f"acl_file {self.directory}/acl")
        return "\n".join(lines) + "\n"

    def command(self, binary: str) -> list[str]:
        file = self.directory / "mosquitto.conf"
        file.write_text(self.configuration())
        return [binary, "-c", str(file)]

    def ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


class InfluxDB(Server):
    """InfluxDB 1.6: ``/write`` and ``/query`` only; ``database`` is the one made last by ``create``."""

    binary = "influxd"
    package = "influxdb"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.rpc_port = free_port()
        self.database = ""

    def command(self, binary: str) -> list[str]:
        file = self.directory / "influxdb.conf"
        file.write_text(
            "reporting-enabled = false\n"
            f'bind-address = "127.0.0.1:{self.rpc_port}"\n'
            f'[meta]\ndir = "{self.directory}/meta"\n'
            f'[data]\ndir = "{self.directory}/data"\nwal-dir = "{self.directory}/wal"\n'
            "query-log-enabled = false\n"
            "[monitor]\nstore-enabled = false\n"
            f'[http]\nbind-address = "{self.host}:{self.port}"\nlog-enabled = false\n'
            "[ifql]\nenabled = false\n"
        )
        return [binary, "run", "-config", str(file)]

    def ready(self) -> bool:
        return answers(f"{self.url}/ping")

    def create(self, database: str) -> None:
        """Create a database and make it the object's ``database``."""
        body = urllib.parse.urlencode({"q": f'CREATE DATABASE "{database}"'}).encode()
        with urllib.request.urlopen(f"{self.url}/query", body, timeout=10) as response:
            assert b"error" not in response.read()
        self.database = database


class VictoriaMetrics(Server):
    """VictoriaMetrics 1.79, single node: line protocol in, Prometheus queries out."""

    binary = "victoria-metrics"
    package = "victoria-metrics"

    def command(self, binary: str) -> list[str]:
        return [
            binary,
            f"-storageDataPath={self.directory}/data",
            f"-httpListenAddr={self.host}:{self.port}",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-search.disableCache",
            "-memory.allowedBytes=64MB",
        ]

    def ready(self) -> bool:
        return answers(f"{self.url}/health")

    def export(self, match: str, *, samples_min: int) -> list[dict[str, Any]]:
        """Series that match ``match``, each ``{"metric", "values", "timestamps" (ms)}``.

        A 204 says only that the write was read; this asks until ``samples_min`` samples are visible.
        """
        query = urllib.parse.urlencode({"match[]": match})
        deadline = time.monotonic() + VISIBLE_S_MAX
        while True:
            get(f"{self.url}/internal/force_flush")
            series = [json.loads(line) for line in get(f"{self.url}/api/v1/export?{query}").splitlines()]
            samples = sum(len(one["values"]) for one in series)
            if samples >= samples_min:
                return series
            assert time.monotonic() < deadline, f"{match}: {samples} of {samples_min} samples visible"
            time.sleep(0.05)


def get(url: str) -> bytes:
    """Body of a GET that must succeed."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return bytes(response.read())


def answers(url: str) -> bool:
    """Whether a GET of ``url`` succeeds now."""
    try:
        get(url)
    except OSError:
        return False
    return True


def find(binary: str, package: str) -> str:
    """Path of a server's binary, also where the daemons' directory is not on PATH."""
    path = shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
    assert path is not None, f"{binary} is missing: apt-get install {package}"
    return path


def password_file(directory: Path, users: Mapping[str, str]) -> Path:
    """A mosquitto password file ($7$ = PBKDF2 with SHA-512) for ``users``."""
    file, rounds = directory / "passwords", 101
    lines = []
    for user, password in users.items():
        salt = os.urandom(12)
        key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
        lines.append(
            f"{user}:$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n"
        )
    file.write_text("".join(lines))
    file.chmod(0o600)
    return file
