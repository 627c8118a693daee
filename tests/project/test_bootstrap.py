"""Set-up on machines that lack something: one line says what, and half an environment is never trusted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SUITABLE = {
    "path": sys.executable,
    "version": [3, 11],
    "suits": True,
    "venv": True,
    "ensurepip": True,
    "pip": True,
}


@pytest.fixture
def bootstrap(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up program with a checkout of its own, in a path with a space."""
    spec = importlib.util.spec_from_file_location("bootstrap", root / ".ci" / "bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clone = tmp_path / "a clone"
    clone.mkdir()
    for name in ("run", "dev"):
        (clone / f"{name}.lock").write_text(f"one==1 \\\n    --hash=sha256:{'0' * 64}\n")
    (clone / "pyproject.toml").write_text("")
    monkeypatch.setattr(module, "ROOT", clone)
    monkeypatch.setattr(module, "ENVIRONMENT", clone / ".venv")
    monkeypatch.setattr(module, "STAMP", clone / ".venv" / "citylight-setup.json")
    monkeypatch.setattr(module, "LOCKS", {name: clone / f"{name}.lock" for name in ("run", "dev")})
    return module


@pytest.fixture
def commands(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What set-up would run. Making an environment leaves a Python behind, installing leaves nothing."""
    ran: list[list[str]] = []

    def run(command: list[str], stdin: str = "") -> None:
        ran.append(command)
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)

    monkeypatch.setattr(bootstrap, "_run", run)
    monkeypatch.setattr(
        bootstrap, "_interpreter", lambda: {**SUITABLE, "version": list(sys.version_info[:2])}
    )
    return ran


def _installs(commands: list[list[str]]) -> list[str]:
    """The lock files installed, in order."""
    return [Path(command[-1]).name for command in commands if "--require-hashes" in command]


def test_second_run_does_nothing(bootstrap, commands):
    bootstrap.prepare_environment("dev")
    done = len(commands)
    assert _installs(commands) == ["dev.lock"]

    bootstrap.prepare_environment("dev")
    bootstrap.prepare_environment("run")

    assert len(commands) == done


def test_run_then_dev_keeps_the_environment_and_adds_to_it(bootstrap, commands):
    bootstrap.prepare_environment("run")
    bootstrap.prepare_environment("dev")

    assert _installs(commands) == ["run.lock", "dev.lock"]
    assert sum("venv" in command for command in commands) == 1


@pytest.mark.parametrize("change", ["lock", "interpreter", "moved", "interrupted", "torn stamp"])
def test_environment_is_made_afresh_when_it_can_not_be_trusted(bootstrap, commands, monkeypatch, change):
    bootstrap.prepare_environment("dev")
    stamp = json.loads(bootstrap.STAMP.read_text())
    if change == "lock":
        bootstrap.LOCKS["run"].write_text("two==2\n")
    elif change == "interpreter":
        bootstrap.STAMP.write_text(json.dumps({**stamp, "python": [3, 10]}))
    elif change == "moved":
        bootstrap.STAMP.write_text(json.dumps({**stamp, "directory": "elsewhere"}))
    elif change == "interrupted":
        bootstrap.STAMP.unlink()
    else:
        bootstrap.STAMP.write_text('{"direct')

    bootstrap.prepare_environment("dev")

    assert sum("venv" in command for command in commands) == 2
    assert _installs(commands) == ["dev.lock", "dev.lock"]


def test_failed_installation_leaves_no_stamp(bootstrap, commands, monkeypatch):
    def fail(command: list[str], stdin: str = "") -> None:
        if "--require-hashes" in command:
            raise subprocess.CalledProcessError(1, command)

    bootstrap.prepare_environment("run")
    monkeypatch.setattr(bootstrap, "_run", fail)

    with pytest.raises(subprocess.CalledProcessError):
        bootstrap.prepare_environment("dev")

    assert not bootstrap.STAMP.exists()


def test_without_ensurepip_the_systems_pip_installs(bootstrap, commands, monkeypatch):
    here = {**SUITABLE, "version": list(sys.version_info[:2]), "ensurepip": False}
    monkeypatch.setattr(bootstrap, "_interpreter", lambda: here)
    monkeypatch.setattr(bootstrap, "_probe", lambda program: {**here, "pip": program == here["path"]})

    bootstrap.prepare_environment("run")

    assert "--without-pip" in commands[0]
    assert commands[1][:4] == [here["path"], "-m", "pip", "--python"]


def test_without_rights_one_line_names_the_package(bootstrap, monkeypatch, capsys):
    bare = {**SUITABLE, "version": list(sys.version_info[:2]), "ensurepip": False, "pip": False}
    monkeypatch.setattr(bootstrap, "_interpreter", lambda: bare)
    monkeypatch.setattr(bootstrap, "_rights", lambda: None)

    assert bootstrap.main(["dev"]) == 1

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "-venv" in error
    assert "apt-get install" in error


def test_missing_servers_without_rights_are_named_in_one_line(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "_rights", lambda: None)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program, path=None: None)

    assert bootstrap.main(["servers"]) == 1

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for package in ("mosquitto", "influxdb", "victoria-metrics", "systemd"):
        assert package in error


@pytest.mark.parametrize("facts", [{"version": [3, 10]}, {"version": [3, 15]}, {"suits": False}])
def test_unsuitable_interpreters_are_named(bootstrap, monkeypatch, capsys, facts: dict[str, Any]):
    monkeypatch.setattr(bootstrap, "_probe", lambda program: {**SUITABLE, **facts})

    assert bootstrap.main(["dev"]) == 1

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "3.11 to 3.14" in error
    assert "PYTHON=" in error


def test_a_suitable_interpreter_is_found_beside_an_old_one(bootstrap, monkeypatch):
    def probe(program: str) -> dict[str, Any]:
        return {**SUITABLE, "version": [3, 12] if program == "python3.12" else [3, 9], "path": program}

    monkeypatch.setattr(bootstrap, "_probe", probe)

    assert bootstrap._interpreter()["path"] == "python3.12"


def test_an_environment_that_would_lead_pip_astray_is_cleaned(bootstrap, monkeypatch):
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_INDEX_URL", "a mirror")
    monkeypatch.setenv("HOME", "")

    environment = bootstrap._clean_environ()

    assert not {"PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME"} & set(
        environment
    )
    assert environment["PIP_INDEX_URL"] == "a mirror"
    assert "HOME" not in environment


def test_make_without_python_says_so(root):
    done = subprocess.run(
        ["make", "--no-print-directory", "setup", "PYTHON=no-such-python"],
        cwd=root,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "install python3" in done.stderr


def test_make_alone_lists_the_targets(root):
    done = subprocess.run(["make"], cwd=root, capture_output=True, text=True, timeout=60, check=True)
    for target in ("run", "test", "check", "setup", "lock"):
        assert f"make {target} " in done.stdout
