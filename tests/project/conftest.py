"""What the project tests look at. In: the checkout. Out: its text files, its modules as syntax trees."""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_OURS = {".venv", ".git", "build", "dist", "node_modules", "__pycache__", "citylight-data"}
CACHES = "_cache"
PACKAGES = ("gateway", "simulators")


@dataclass(frozen=True)
class Module:
    """A Python file of ``gateway`` or ``simulators``; ``name`` is its path from the root."""

    name: str
    path: Path
    text: str
    tree: ast.Module


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = [
            f for f in folders if f not in NOT_OURS and not f.endswith(CACHES) and f != ".hypothesis"
        ]
        yield from (Path(here, name) for name in sorted(names))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Every text file of the checkout by its path from the root."""
    found = {}
    for path in _files(ROOT):
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    assert "Makefile" in found
    return found


@pytest.fixture(scope="session")
def modules(texts: dict[str, str]) -> list[Module]:
    ours = {
        n: t for n, t in texts.items() if n.startswith(tuple(f"{p}/" for p in PACKAGES)) and n.endswith(".py")
    }
    assert len(ours) > 20
    return [Module(name, ROOT / name, text, ast.parse(text, name)) for name, text in sorted(ours.items())]


@pytest.fixture(scope="session")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
