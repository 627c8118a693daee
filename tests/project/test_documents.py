"""What the documents promise exists: links, settings, dependencies, the commands that README and CI name."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.settings import Settings

LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$", re.M)
CODE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.M)
DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/README.md",
)


def test_relative_links_resolve(texts, root):
    problems = []
    for name, text in texts.items():
        if not name.endswith(".md"):
            continue
        prose = CODE.sub("", text)
        for target in LINK.findall(prose) + REFERENCE.findall(prose):
            problem = _broken(root, root / name, target)
            if problem:
                problems.append(f"{name}: {target} {problem}")
    assert not problems, "\n" + "\n".join(problems)


def _broken(root: Path, source: Path, target: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return ""
    place, _, anchor = target.partition("#")
    path = (source.parent / place).resolve() if place else source
    if not path.exists():
        return "does not exist"
    if not path.is_relative_to(root):
        return "leads out of the project"
    if anchor and path.suffix == ".md" and anchor not in _anchors(path.read_text(encoding="utf-8")):
        return "names no heading there"
    return ""


def _anchors(text: str) -> set[str]:
    """Heading ids as code hosts make them: lower case, punctuation gone, spaces to hyphens."""
    found: set[str] = set()
    for heading in HEADING.findall(CODE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while (numbered := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(numbered)
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_there(name, texts):
    assert texts.get(name, "").startswith("# "), f"{name} is missing or has no title"


def test_docs_index_names_every_document(texts):
    index = texts["docs/README.md"]
    names = [n.removeprefix("docs/") for n in texts if re.fullmatch(r"docs/[^/]+\.md", n)]
    missing = [name for name in names if name != "README.md" and f"({name})" not in index]
    assert not missing, f"docs/README.md does not link {missing}"


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section:
            yield from _keys(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _section(annotation: object) -> type[BaseModel] | None:
    """The model behind ``Mqtt``, ``Mqtt | None`` or ``tuple[Webhook, ...]``."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_section, typing.get_args(annotation))), None)


def test_every_setting_is_documented(texts):
    documented = set(re.findall(r"`([a-z0-9_.]+)`", texts["docs/settings.md"]))
    keys = list(_keys(Settings))
    assert len(keys) > 30
    missing = [key for key in keys if key not in documented]
    assert not missing, f"docs/settings.md lacks {missing}"


def test_no_setting_is_documented_that_does_not_exist(texts):
    rows = re.findall(r"^\|\s*`([a-z0-9_]+(?:\.[a-z0-9_]+)+)`\s*\|", texts["docs/settings.md"], re.M)
    stale = sorted(set(rows) - set(_keys(Settings)))
    assert not stale, f"docs/settings.md documents {stale}, which gateway/settings.py does not know"


def _names(requirements: list[str]) -> list[str]:
    return [re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in requirements]  # type: ignore[index]


def test_each_dependency_is_explained(texts, pyproject):
    project = pyproject["project"]
    extras = [name for extra in project["optional-dependencies"].values() for name in _names(extra)]
    rows = re.findall(r"^\|\s*`([^`]+)`\s*\|", texts["docs/dependencies.md"], re.M)
    assert sorted(rows) == sorted(set(_names(project["dependencies"]) + extras))


def test_readme_shows_the_two_commands_first(texts):
    blocks = re.findall(r"^```\w*\n(.*?)^```", texts["README.md"], re.M | re.S)
    commands = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    made = [line for line in commands if line.startswith("make ")]
    assert made[:2] == ["make run", "make test"]


def test_ci_runs_the_checks_and_the_test_command_of_the_readme(texts):
    lines = texts[".ci/run"].splitlines()
    assert "make check" in lines
    assert "make test" in lines
    assert "set -euo pipefail" in lines


def test_make_check_runs_every_checker(texts):
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", texts["Makefile"], re.M)
    assert recipe
    for part in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest -q tests/project"):
        assert part in recipe[1]


def test_every_public_target_of_make_is_explained(texts):
    targets = set(re.findall(r"^([a-z]+):", texts["Makefile"], re.M)) - {"servers"}
    explained = set(re.findall(r"^([a-z]+):.*## \S", texts["Makefile"], re.M))
    assert targets == explained
