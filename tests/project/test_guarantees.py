"""What guarantees.md and limits.md name exists: proofs of promises, settings, constants, metrics."""

from __future__ import annotations

import ast
import importlib
import re
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.metrics import Collector, Figures
from gateway.settings import Settings

PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
BOUND = re.compile(r"(_max|_min|_maximum|_rows|^keep_\w+|^segment_bytes|^retention_h|^session_expiry_s)$")
METRIC = re.compile(r'`citylight_(\w+?)(?:\{figure="(\w+)"\})?`')


@pytest.fixture(scope="module")
def guarantees(texts: dict[str, str]) -> str:
    return texts["docs/guarantees.md"]


@pytest.fixture(scope="module")
def limits(texts: dict[str, str]) -> str:
    return texts["docs/limits.md"]


def test_every_promise_names_a_proof(guarantees: str) -> None:
    promises = guarantees.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and "|---" not in line][1:]
    assert len(rows) > 15
    assert [row for row in rows if not PROOF.search(row)] == []


def test_every_proof_exists(guarantees: str, root: Path) -> None:
    proofs = PROOF.findall(guarantees)
    assert proofs
    missing = [f"{file}::{name}" for file, name in proofs if name not in functions_of(root / file)]
    assert missing == []


def functions_of(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_bound_among_the_settings_has_its_row(limits: str) -> None:
    keys = [
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
        if BOUND.search(key)
    ]
    assert len(keys) > 8
    assert [key for key in keys if f"`{key}`" not in limits] == []


def test_every_bound_named_is_a_setting_or_a_constant(limits: str) -> None:
    names = re.findall(r"`([a-z_0-9]+(?:\.\w+)+)`", limits)
    assert len(names) > 25
    assert [name for name in names if not (is_setting(name) or is_constant(name))] == []


def is_setting(name: str) -> bool:
    section, _, key = name.partition(".")
    field = Settings.model_fields.get(section)
    return field is not None and key in getattr(field.annotation, "model_fields", {})


def is_constant(name: str) -> bool:
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            module: Any = importlib.import_module(".".join(["gateway", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        return reduce(lambda found, part: getattr(found, part, None), parts[length:], module) is not None
    return False


def test_every_metric_named_is_measured(limits: str, texts: dict[str, str]) -> None:
    figures = Figures("g", 0, 0.0, (), {}, {}, {}, {}, {}, {}, {}, {})
    families = {family.name for family in Collector(lambda: figures).collect()}
    sources = "".join(texts[f"gateway/{name}.py"] for name in ("gathering", "deliveries", "ingest/options"))
    wanted = METRIC.findall(limits)
    assert len(wanted) > 12
    for family, figure in wanted:
        assert f"citylight_{family}" in families
        assert not figure or re.search(rf'"{figure}":|^    {figure}: ', sources, re.M), figure
