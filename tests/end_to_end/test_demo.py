"""``citylight demo``: everything it sends comes to an end, alarms come and go, the report keeps its shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@pytest.mark.slow
def test_a_short_demo_accounts_for_every_message(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    arguments = ["demo", "--lamps", "1000", "--sensors", "60", "--for", "20s", "--report", str(file)]
    run = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(report, json.loads((SCHEMAS / "demo-report.schema.json").read_text(encoding="utf-8")))
    assert report["sent"] == report["received"] > 10_000
    assert report["received"] == report["stored"] + report["quarantined"] + report["pending"]
    assert report["pending"] == 0
    assert report["alarms"]["raised"] >= 1
    assert report["alarms"]["cleared"] >= 1
    assert "Traceback" not in run.stderr
    assert "metrics: http://127.0.0.1:" in run.stdout
    assert [name.name for name in tmp_path.iterdir()] == ["report.json"], "it leaves nothing else behind"
