"""Set-up for a bare machine. In: the hash-locked requirements beside this. Out: ``.venv``, the test servers.

Runs on the system's own python3 with the standard library alone. Installs Debian packages only when
root or with sudo that asks nothing; otherwise ends with one line that says what to install.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "citylight-setup.json"
LOCKS = {"run": ROOT / ".ci" / "requirements.lock", "dev": ROOT / ".ci" / "requirements-dev.lock"}
OLDEST, NEWEST = (3, 11), (3, 14)
LOCK_TOOL = "uv==0.13.9"
SERVERS = {  # program -> Debian package
    "mosquitto": "mosquitto",
    "influxd": "influxdb",
    "victoria-metrics": "victoria-metrics",
    "systemd-analyze": "systemd",
    "strace": "strace",
    "faketime": "faketime",
}
SERVER_UNITS = ("mosquitto", "influxdb", "victoria-metrics")
PROBE = """
import importlib.util as u, json, sys, sysconfig
print(json.dumps({"path": getattr(sys, "_base_executable", sys.executable), "version": sys.version_info[:2],
"suits": sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"),
**{name: bool(u.find_spec(name)) for name in ("venv", "ensurepip", "pip")}}))
"""


class SetupError(Exception):
    """Set-up can not go on; the message is one line with the remedy."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="Prepares a checkout; called by make.")
    parser.add_argument("step", choices=["run", "dev", "servers", "lock"])
    parser.add_argument("options", nargs=argparse.REMAINDER, help="passed to the lock tool")
    chosen = parser.parse_args(arguments)
    with Path(__file__).open("rb") as gate:  # two runs of make in one checkout take turns
        fcntl.flock(gate, fcntl.LOCK_EX)
        try:
            if chosen.step == "servers":
                install_servers()
            elif chosen.step == "lock":
                write_locks(chosen.options)
            else:
                prepare_environment(chosen.step)
        except SetupError as error:
            sys.stderr.write(f"setup: {error}\n")
            return 1
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"setup: '{error.cmd[0]}' failed, see above; then run again\n")
            return 1
    return 0


# --- the environment ------------------------------------------------------------------------


def prepare_environment(kind: str) -> None:
    """Bring ``.venv`` to the state that the lock files describe; does nothing when it is there."""
    stamp, interpreter = _read_stamp(), _interpreter()
    wanted = {
        "directory": str(ENVIRONMENT),  # a moved checkout has scripts that point to the old place
        "python": interpreter["version"],
        "locks": {name: _digest(path) for name, path in LOCKS.items()},
        "project": _digest(ROOT / "pyproject.toml"),
    }
    built = _probe(str(_python(ENVIRONMENT)))
    as_locked = all(stamp.get(key) == wanted[key] for key in ("directory", "python", "locks"))
    if as_locked and built.get("version") == interpreter["version"]:
        installed = stamp["installed"]
        if installed in (kind, "dev") and stamp["project"] == wanted["project"]:
            return
        installer = _installer(ENVIRONMENT, interpreter)
    else:
        installed = ""
        installer = _create(ENVIRONMENT, interpreter)
    STAMP.unlink(missing_ok=True)  # an interrupted run leaves none, so the next one starts afresh
    if installed not in (kind, "dev"):
        count = sum(1 for line in LOCKS[kind].read_text().splitlines() if line[:1].isalnum())
        _say(f"installing {count} packages (hash-locked)")
        locked = ["--only-binary", ":all:", "--require-hashes", "-r", str(LOCKS[kind])]
        _run([*installer, "install", *_loudness(), *locked])
        installed = kind
    _say("putting the project on the path")
    in_place = ["--no-index", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    _run([*installer, "install", "-q", *in_place])
    STAMP.write_text(json.dumps({**wanted, "installed": installed}))


def _create(directory: Path, interpreter: dict[str, Any]) -> list[str]:
    """Make an empty virtual environment; returns the pip command that installs into it."""
    if not interpreter["venv"] or not (interpreter["ensurepip"] or interpreter["pip"]):
        _add_venv_package(interpreter)
        interpreter = _probe(str(interpreter["path"]))
        if not interpreter.get("ensurepip"):
            raise SetupError(
                "python3-venv did not help; name another interpreter: make setup PYTHON=python3.12"
            )
    if directory.is_symlink() or directory.is_file():
        raise SetupError(f"{directory} is not a directory; remove it and run again")
    _say(f"creating {directory.name} with Python {_dotted(interpreter['version'])}")
    shutil.rmtree(directory, ignore_errors=True)
    bare = [] if interpreter["ensurepip"] else ["--without-pip"]
    _run([str(interpreter["path"]), "-I", "-m", "venv", *bare, str(directory)])
    return _installer(directory, interpreter)


def _installer(directory: Path, interpreter: dict[str, Any]) -> list[str]:
    """The pip of the environment or, where ensurepip could not put one there, the interpreter's own."""
    if _probe(str(_python(directory))).get("pip"):
        return [str(_python(directory)), "-I", "-m", "pip"]
    return [str(interpreter["path"]), "-m", "pip", "--python", str(_python(directory))]


def _add_venv_package(interpreter: dict[str, Any]) -> None:
    package = "python3-venv"
    if _probe("/usr/bin/python3").get("version") != interpreter["version"]:
        package = f"python{_dotted(interpreter['version'])}-venv"
    _install_packages([package], why=f"{interpreter['path']} can not make virtual environments")


def _interpreter() -> dict[str, Any]:
    """The interpreter for ``.venv``: the one that runs this file if it suits, else one found on PATH."""
    seen = []
    minors = range(NEWEST[1], OLDEST[1] - 1, -1)
    for name in [sys.executable, "/usr/bin/python3", *(f"python3.{minor}" for minor in minors)]:
        found = _probe(name)
        if _suits(found):
            return found
        if found:
            seen.append(f"{found['path']} is {_dotted(found['version'])}")
    raise SetupError(
        f"CPython {_dotted(OLDEST)} to {_dotted(NEWEST)} is needed ({', '.join(dict.fromkeys(seen))}); "
        "install one or name it: make setup PYTHON=/path/to/python3.12"
    )


def _probe(program: str) -> dict[str, Any]:
    """What a Python interpreter is and has; empty if it does not start."""
    try:
        answer = subprocess.run([program, "-I", "-c", PROBE], capture_output=True, check=True, timeout=60)
        found: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return found


def _suits(found: dict[str, Any]) -> bool:
    return bool(found.get("suits")) and list(OLDEST) <= found["version"] <= list(NEWEST)


def _python(directory: Path) -> Path:
    return directory / "bin" / "python"


def _read_stamp() -> dict[str, Any]:
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


# --- Debian packages --------------------------------------------------------------------------


def install_servers() -> None:
    """Install the servers that the tests start; nothing is left running that did not run before."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    missing = [program for program in SERVERS if not shutil.which(program, path=places)]
    if not missing:
        return
    packages = [SERVERS[program] for program in missing]
    _install_packages(packages, why=f"the tests need {', '.join(missing)}")
    _stop_services([unit for unit in SERVER_UNITS if unit in packages])


def _install_packages(packages: list[str], why: str) -> None:
    names, rights = " ".join(packages), _rights()
    if rights is None:
        raise SetupError(f"{why}; run 'sudo apt-get install --no-install-recommends {names}' and try again")
    _say(f"installing Debian packages: {names}")
    # RUNLEVEL=1 keeps invoke-rc.d from starting what it installs where no systemd runs.
    apt = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"]
    install = [*apt, "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        _run([*apt, "update"])  # no lists yet, or old ones
        _run(install)


def _rights() -> list[str] | None:
    """The prefix with which a command runs as root: nothing, ``sudo -n``, or None if there is no way."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if asked.returncode == 0 else None


def _stop_services(units: list[str]) -> None:
    rights = _rights() or []
    for unit in units:
        if Path("/run/systemd/system").is_dir():
            command = ["systemctl", "disable", "--quiet", "--now", unit]
        elif Path("/etc/init.d", unit).exists():
            command = [f"/etc/init.d/{unit}", "stop"]
        else:
            continue
        subprocess.run([*rights, *command], stdout=subprocess.DEVNULL, check=False)


# --- the lock files ------------------------------------------------------------------------------


def write_locks(options: list[str]) -> None:
    """Resolve pyproject.toml again; pins stay as they are unless ``options`` say ``--upgrade``."""
    tool = ROOT / "build" / "lock-tool"
    _run([*_create(tool, _interpreter()), "install", "-q", LOCK_TOOL])
    compile_ = [str(tool / "bin" / "uv"), "pip", "compile", "-q", "--universal", "--fork-strategy", "fewest"]
    compile_ += ["--python-version", _dotted(OLDEST), "--generate-hashes", "--no-header", "--no-annotate"]
    compile_ += ["--no-emit-index-url", "--no-emit-find-links", *options]
    for kind, more in {"run": [], "dev": ["--extra", "dev", "-c", str(LOCKS["run"])]}.items():
        _say(f"resolving {LOCKS[kind].name}")
        # hatchling builds the project itself, in place and without a download of its own
        _run([*compile_, *more, "pyproject.toml", "-", "-o", str(LOCKS[kind])], stdin="hatchling>=1.27\n")


# --- small things ----------------------------------------------------------------------------------


def _run(command: list[str], stdin: str = "") -> None:
    subprocess.run(command, cwd=ROOT, env=_clean_environ(), input=stdin.encode(), check=True)


def _clean_environ() -> dict[str, str]:
    """The caller's environment less what would lead pip and venv astray; proxies and mirrors stay."""
    astray = ("TARGET", "PREFIX", "ROOT", "REQUIRE_VIRTUALENV", "CONSTRAINT", "REQUIREMENT", "NO_BINARY")
    dropped = {f"PIP_{name}" for name in astray} | {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    if not kept.get("HOME"):
        kept.pop("HOME", None)
        kept["PIP_NO_CACHE_DIR"] = "1"
    return {**kept, "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _loudness() -> list[str]:
    return [] if sys.stderr.isatty() else ["-q"]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _dotted(version: object) -> str:
    return ".".join(map(str, version))  # type: ignore[call-overload]


def _say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
