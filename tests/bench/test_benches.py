"""The benches run on real servers, say what they measured in the published shape, and judge it rightly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks import figures, plot, suite, targets
from benchmarks.end_to_end import STEADY
from benchmarks.figures import Report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "bench.schema.json").read_text(encoding="utf-8"))


def bench(tmp_path: Path, *arguments: str) -> Report:
    """One ``citylight bench`` and the file it writes."""
    file = tmp_path / "report.json"
    command = [sys.executable, "-m", "gateway.cli", "bench", *arguments, "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found: Report = json.loads(file.read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    return found


def test_latency_is_heard_at_the_iocs_end_for_every_crossing(tmp_path: Path) -> None:
    found = bench(tmp_path, "latency", "--rates", "40", "--devices", "200", "--duration", "2s")
    (run,) = found["runs"]
    assert run["figures"]["crossings"] == 40
    assert 0 < run["latency_ms"]["p50"] <= run["latency_ms"]["p99"] <= run["latency_ms"]["max"]
    assert set(found["cpu_us_per_message"]) == {"gateway", "broker", "store"}


def test_a_full_stream_comes_to_its_end_and_is_counted_by_the_kernel(tmp_path: Path) -> None:
    found = bench(tmp_path, "pipeline", "--messages", "20000", "--devices", "200")
    assert found["messages"] == 20_000
    assert found["cpu_us_per_message"]["gateway"] > 0
    assert found["rss_mb"] > 0


@pytest.mark.parametrize(
    "file", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda f: f.stem
)
def test_kept_results_follow_the_schema_and_name_their_commit(file: Path) -> None:
    reports = suite.read(file)
    assert reports
    for report in reports.values():
        jsonschema.validate(report, SCHEMA)
        assert report["commit"].rstrip("+") == file.stem.rstrip("+")


def test_the_picture_in_the_documents_shows_the_kept_results() -> None:
    """``python -m benchmarks.plot`` after new results."""
    assert plot.PICTURE.read_text(encoding="utf-8") == plot.picture(plot.kept())


def run(name: str, cpu_us: float) -> dict[str, Any]:
    return figures.run(name, messages=1000, devices=10, seconds=1.0, cpu_s={"gateway": cpu_us / 1000})


def test_a_target_is_met_missed_or_not_measured() -> None:
    reports = {
        "pipeline": figures.report("pipeline", [run("one", 6.0)]),
        "end-to-end": figures.report("end-to-end", [run("one", 1.0), run(STEADY, 8.01)]),
        "peers": figures.report("peers", [run("telegraf", 5.0)], absent=["telegraf"]),
    }
    reports["end-to-end"]["runs"].append(run(targets.FULL, 9.0))
    verdicts = {verdict["target"]: verdict for verdict in targets.verdicts(reports)}
    met = [verdicts[target.text]["met"] for target in targets.TARGETS]
    assert met[:4] == [True, False, None, None]
    assert set(met[4:]) == {None}


def test_every_target_names_a_bench_that_all_runs() -> None:
    assert {target.bench for target in targets.TARGETS} <= {name for name, _, _ in suite.ALL}
