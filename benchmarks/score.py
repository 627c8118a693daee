"""The quality of alarms on simulated cities (``make score``). In: a seed. Out: build/score.json and a table.

DENSE and QUIET, each with a true and with a lying inventory: simulate, replay and score by the commands of
users, two runs at a time. ``--full`` runs the numbers a proof needs: an estimated 100 minutes of CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SCENARIOS = ROOT / "examples" / "scenarios"
RUNS = [(suite, honest) for suite in ("dense", "quiet") for honest in (True, False)]
WORKERS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the alarms on simulated cities.")
    parser.add_argument("--seed", type=int, help="of all runs (each scenario's own)")
    parser.add_argument("--full", action="store_true", help="the full numbers instead of the quick ones")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "score.json")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="citylight-score-") as directory,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        futures = [
            pool.submit(run, Path(directory), suite, honest, options.seed, options.full)
            for suite, honest in RUNS
        ]
        found = dict(zip(RUNS, (future.result() for future in futures), strict=True))
    report = {
        "seeds": {suite: found[suite, True]["seed"] for suite in ("dense", "quiet")},
        "dense": found["dense", True]["figures"],
        "quiet": found["quiet", True]["figures"],
        "with_inventory_lies": {suite: found[suite, False]["figures"] for suite in ("dense", "quiet")},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for (suite, honest), one in found.items():
        print(f"\n{suite}, {'true' if honest else 'lying'} inventory, seed {one['seed']}")
        print(table(one["figures"]))
    print(f"\nwritten: {options.json}")


def run(directory: Path, suite: str, honest: bool, seed: int | None, full: bool) -> dict[str, Any]:
    """One city from simulation to score; RuntimeError with the command's words if one fails."""
    scenario = SCENARIOS / f"{suite}{'-full' if full else ''}.toml"
    place = directory / f"{suite}-{'true' if honest else 'lying'}"
    journal, truth, alarms = place, place.with_suffix(".truth"), place.with_suffix(".alarms")
    simulate = ["simulate", "--scenario", str(scenario), "--to-journal", str(journal), "--truth", str(truth)]
    simulate += ["--honest"] * honest + (["--seed", str(seed)] if seed is not None else [])
    made = json.loads(citylight(*simulate))
    citylight("replay", "--journal", str(journal), "--alarms", str(alarms))
    scored = json.loads(citylight("score", "--truth", str(truth), "--alarms", str(alarms), "--json"))
    for file in journal.iterdir():
        file.unlink()
    figures = scored if suite == "dense" else quiet(scored, made["lamp_nights"])
    return {"seed": made["seed"], "figures": figures}


def quiet(scored: dict[str, Any], lamp_nights: int) -> dict[str, Any]:
    """What an ordinary week is judged by."""
    rate = 1000.0 * scored["false"] / lamp_nights
    false = {name: figures["false"] for name, figures in scored["types"].items() if figures["false"]}
    return {"lamp_nights": lamp_nights, "false_per_1000_lamp_nights": round(rate, 4), "false": false}


def citylight(*arguments: str) -> str:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def table(figures: dict[str, Any]) -> str:
    if "types" not in figures:
        return json.dumps(figures)
    lines = [f"{'type':24}{'injected':>9}{'found':>7}{'false':>7}{'precision':>11}{'recall':>8}{'delay':>9}"]
    for name, one in figures["types"].items():
        cells = ["-" if one[key] is None else one[key] for key in ("precision", "recall", "delay_s_max")]
        lines.append(
            f"{name:24}{one['injected']:>9}{one['found']:>7}{one['false']:>7}"
            f"{cells[0]:>11}{cells[1]:>8}{cells[2]:>9}"
        )
    for name, one in figures["look_alikes"].items():
        lines.append(f"{name + ' (look-alike)':24}{one['injected']:>9}{'':7}{one['alarms']:>7}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
