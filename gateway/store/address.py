"""How a server is addressed. In: settings. Out: path and query of a write, the header that says who we are.

Never does IO.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.store.answer import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxSettings:
    """Where the server is and how to speak to it.

    ``database`` is the bucket of 2.x; VictoriaMetrics makes it a label ``db``. With ``username`` the secret
    is its password, else a token; it is asked for again after each 401 or 403, so a new one needs no restart.
    ``retention_h`` 0: what the server says, where it says it.
    """

    dialect: Dialect
    url: str
    database: str = "citylight"
    organisation: str = ""
    retention_policy: str = ""
    username: str = ""
    secret: Callable[[], str] = field(default=str, repr=False)
    ca_file: Path | None = None
    timeout_s: float = 30.0
    lines_max: int = 5000
    bytes_max: int = 4 * 1024 * 1024
    loss_check_s: float = 10.0
    retention_h: float = 0.0


def authorization(settings: InfluxSettings) -> dict[str, str]:
    """The header that says who we are, as each dialect wants it; none without a secret."""
    secret = settings.secret()
    if not secret:
        return {}
    if settings.username:
        pair = base64.b64encode(f"{settings.username}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    word = "Token" if settings.dialect is Dialect.INFLUX2 else "Bearer"
    return {"Authorization": f"{word} {secret}"}


def write_address(settings: InfluxSettings) -> tuple[str, dict[str, str]]:
    """Path and query of a write, each dialect's own word for nanoseconds in it."""
    match settings.dialect:
        case Dialect.INFLUX2:
            return "api/v2/write", {
                "org": settings.organisation,
                "bucket": settings.database,
                "precision": "ns",
            }
        case Dialect.INFLUX3:
            return "api/v3/write_lp", {
                "db": settings.database,
                "precision": "nanosecond",
                "accept_partial": "true",
                "no_sync": "false",
            }
        case _:
            policy = {"rp": settings.retention_policy} if settings.retention_policy else {}
            return "write", {"db": settings.database, "precision": "ns", **policy}
