"""What is committed installs the same everywhere: hash-locked, and with no address or path of one machine."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys

import pytest

LOCKS = (".ci/requirements.lock", ".ci/requirements-dev.lock")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; (.+?))?(?: \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
INDEX_HOSTS = tuple(
    f"{name}.{top}"
    for name, top in [("pypi", "org"), ("pythonhosted", "org"), ("deb.debian", "org"), ("npmjs", "org")]
)
PART_OF = {
    "pydantic_core": "pydantic",
    "urllib3": "influxdb-client",
}  # appear in that package's own interface
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:work|root|home|Users|private)/\w")


def _pins(text: str) -> dict[str, str]:
    return {match[1]: match[2] for line in text.splitlines() if (match := PIN.match(line))}


def _name(requirement: str) -> str:
    return re.sub(r"[._]", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower())  # type: ignore[index]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_pins_and_hashes_and_nothing_else(lock, texts):
    strange = [line for line in texts[lock].splitlines() if not (PIN.match(line) or HASH.match(line))]
    assert not strange
    for block in re.split(r"\n(?=[a-z])", texts[lock].strip()):
        assert "--hash=sha256:" in block, f"{block.splitlines()[0]} has no hash"


def test_lock_has_every_dependency(texts, pyproject):
    project = pyproject["project"]
    run, dev = (_pins(texts[lock]) for lock in LOCKS)
    missing = {_name(line) for line in project["dependencies"] + pyproject["build-system"]["requires"]} - set(
        run
    )
    assert not missing, f"run 'make lock': {LOCKS[0]} lacks {missing}"
    missing = {_name(line) for line in project["optional-dependencies"]["dev"]} - set(dev)
    assert not missing, f"run 'make lock': {LOCKS[1]} lacks {missing}"


def test_every_third_party_import_is_declared(modules, pyproject):
    """What arrives only because something else needs it may leave again."""
    imported = {
        name.split(".")[0]
        for module in modules
        for node in ast.walk(module.tree)
        for name in _imports(node)
        if name.split(".")[0] not in sys.stdlib_module_names | {"gateway", "simulators"}
    }
    packages = importlib.metadata.packages_distributions()
    provided = {name: {_name(d) for d in packages.get(name, ["missing"])} for name in imported}
    provided |= {name: {whole} for name, whole in PART_OF.items() if name in imported}
    declared = {_name(line) for line in pyproject["project"]["dependencies"]}
    undeclared = sorted(name for name, distributions in provided.items() if not distributions & declared)
    assert not undeclared


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_development_lock_holds_the_run_lock(texts):
    """``make test`` after ``make run`` adds packages and changes none."""
    run, dev = (_pins(texts[lock]) for lock in LOCKS)
    assert run.items() <= dev.items()


def test_no_committed_file_names_a_package_index(texts):
    found = [f"{name}: {host}" for name, text in texts.items() for host in INDEX_HOSTS if host in text]
    assert not found
    options = [name for name, text in texts.items() if re.search(r"--(?:extra-)?index-url[ =]\S*:/", text)]
    assert not options


def test_no_committed_file_names_a_path_of_one_machine(texts):
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts.items()
        if name not in LOCKS
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


def test_only_what_a_person_looks_for_is_at_the_top(root):
    expected = {
        "gateway",
        "device_profiles",
        "simulators",
        "tests",
        "docs",
        "examples",
        "benchmarks",
        "LICENSE",
    }
    expected |= {
        "pyproject.toml",
        "mosquitto.conf",
        "docker-compose.yml",
        "Makefile",
        "README.md",
        "README.vi.md",
    }
    expected |= {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"}
    made = {"build", "dist", "citylight-data", "secrets"}  # ignored by git
    found = {path.name for path in root.iterdir() if not path.name.startswith(".")} - made
    assert found <= expected, f"unexpected at the top level: {sorted(found - expected)}"
