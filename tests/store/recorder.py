"""Records how real servers answer writes into ``answers/*.json``: ``python tests/store/recorder.py``.

InfluxDB 2 and 3 are not here to be asked: their files are written from the vendor's documents and say so.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import InfluxDB, Server, VictoriaMetrics

ANSWERS = Path(__file__).parent / "answers"
KEPT = ("Content-Type", "X-Influxdb-Version", "Retry-After")

TOO_LARGE = b"26 MB are announced, none are sent: 1.6 resets the connection of who goes on sending"

INFLUX1: dict[str, tuple[str, bytes]] = {
    "written": ("db=city", b"m,t=a f=1,n=1i 1790000000000000000\n"),
    "type conflict": ("db=city", b"m,t=a f=1i 1790000000000000001\nm,t=a f=2 1790000000000000002\n"),
    "unable to parse": ("db=city", b"m,t=a f=what 1790000000000000003\nm,t=a f=2 1790000000000000004\n"),
    "time out of range": ("db=city", b"m,t=a f=1 17900000000000000000000\n"),
    "no such database": ("db=nowhere", b"m f=1\n"),
    "no such retention policy": ("db=city&rp=never", b"m f=1\n"),
    "beyond retention": ("db=city&rp=hour", b"m f=1 1000000000000000000\nm f=1\n"),
    "too large": ("db=city", TOO_LARGE),
}
VICTORIA: dict[str, tuple[str, bytes]] = {
    "written": ("db=city", b"m,t=a f=1 1790000000000000000\n"),
    "bad line, and still 204": ("db=city", b"m,t=a f=what 1790000000000000000\n"),
    "too long a line": ("db=city", b"m,t=a " + b",".join(b"field_%d=1" % i for i in range(40_000)) + b"\n"),
}


def post(server: Server, query: str, body: bytes) -> dict[str, Any]:
    """Status, headers that matter and body of the answer to a write."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    length = 26_000_000 if body is TOO_LARGE else len(body)
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(length)}
    try:
        connection.request("POST", f"/write?{query}", None if body is TOO_LARGE else body, headers)
        response = connection.getresponse()
        kept = {name: response.headers[name] for name in KEPT if name in response.headers}
        return {"status": response.status, "headers": kept, "body": response.read().decode()}
    finally:
        connection.close()


def record_influx1(directory: Path) -> dict[str, dict[str, Any]]:
    with InfluxDB(directory) as server:
        server.create("city")
        policy = urllib.parse.urlencode(
            {"q": "CREATE RETENTION POLICY hour ON city DURATION 1h REPLICATION 1"}
        )
        urllib.request.urlopen(f"{server.url}/query", policy.encode(), timeout=10).close()
        return {name: post(server, query, body) for name, (query, body) in INFLUX1.items()}


def record_victoriametrics(directory: Path) -> dict[str, dict[str, Any]]:
    with VictoriaMetrics(directory) as server:
        found = {name: post(server, query, body) for name, (query, body) in VICTORIA.items()}
    for answer in found.values():
        answer["body"] = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", answer["body"])
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for name, source, found in (
            ("influx1", "recorded from InfluxDB 1.6.7", record_influx1(Path(directory, "i"))),
            (
                "victoriametrics",
                "recorded from VictoriaMetrics 1.79.5",
                record_victoriametrics(Path(directory, "v")),
            ),
        ):
            file = ANSWERS / f"{name}.json"
            text = json.dumps({"source": source, "answers": found}, indent=1, ensure_ascii=False)
            file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
