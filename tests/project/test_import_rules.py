"""The import contracts in pyproject.toml cover every module, and catch what they are there to catch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SPINE = {"gateway.pipeline", "gateway.followers"}  # the loop's own; hold no IO of theirs
COMPOSITION = {"gateway.app", "gateway.cli", "gateway.cli_alarms", "gateway.grammar", "gateway.settings"}


@pytest.fixture(scope="session")
def contracts(pyproject: dict[str, Any]) -> dict[str, Any]:
    return {contract["id"]: contract for contract in pyproject["tool"]["importlinter"]["contracts"]}


def test_every_module_is_marked_core_or_shell(modules, contracts):
    cores, shells = contracts["cores"]["source_modules"], contracts["shells"]["protected_modules"]
    unmarked, twice = [], []
    for module in modules:
        name = module.name.removesuffix(".py").replace("/", ".")
        if module.path.name == "__init__.py" or not name.startswith("gateway."):
            continue
        if name in SPINE | COMPOSITION or name.startswith("gateway.commands."):
            continue
        core = name in cores or f"{name.rpartition('.')[0]}.*" in cores
        shell = name in shells or f"{name.rpartition('.')[0]}.*" in shells
        if core and shell:
            twice.append(name)
        elif not core and not shell:
            unmarked.append(name)
    assert not unmarked, f"mark them core or shell in pyproject.toml, [tool.importlinter]: {unmarked}"
    assert not twice, f"core and shell at once: {twice}"


@pytest.mark.parametrize(
    ("importer", "imported", "broken"),
    [
        ("gateway.alarm.rule", "gateway.decode.units", "downward"),
        ("gateway.model", "gateway.fleet", "downward"),
        ("gateway.decode.units", "time", "cores"),
        ("gateway.fleet", "random", "cores"),
        ("gateway.store.answer", "aiohttp", "cores"),
        ("gateway.decode.units", "gateway.decode.catalog", "cores"),
        ("gateway.pipeline", "gateway.journal.segments", "shells"),
        ("gateway.followers", "gateway.store.embedded", "shells"),
        ("gateway.translation", "simulators.noise", "simulated"),
        ("simulators.noise", "gateway.decode.decoder", "simulators"),
        ("simulators.noise", "gateway.ingest.packets", "simulators"),
    ],
)
def test_a_violation_is_caught(root, contracts, tmp_path, importer, imported, broken):
    for folder in ("gateway", "simulators"):
        shutil.copytree(root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    with (tmp_path / importer.replace(".", "/")).with_suffix(".py").open("a") as source:
        source.write(f"\nimport {imported}\n")

    report = _lint(tmp_path, broken)

    assert f"{contracts[broken]['name']} BROKEN" in report, report
    assert re.search(rf"{re.escape(importer)} (->|is not allowed to import) {re.escape(imported)}", report), (
        report
    )


def _lint(folder: Path, contract: str) -> str:
    program = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(program), "--no-cache", "--no-logo", "--contract", contract],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return re.sub(r"\s+", " ", done.stdout + done.stderr)
