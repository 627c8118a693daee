"""What the user may set. In: citylight.toml and ``CITYLIGHT_*`` variables. Out: one frozen ``Settings``.

The only reader of the environment; resolves paths against the file. Never connects to anything and never
prints a secret. Every key is documented in docs/settings.md (a test walks both).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails

from gateway.errors import ConfigurationError
from gateway.sections import Settings

ENVIRONMENT_PREFIX = "CITYLIGHT_"


def read(file: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of ``file`` with ``CITYLIGHT_SECTION__KEY`` variables on top.

    Raises ConfigurationError: one line with file, key and remedy.
    """
    environment = os.environ if environment is None else environment
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigurationError(str(file), "", problem, "name a readable file with -c") from error
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8"
        raise ConfigurationError(str(file), "", problem, "save it as UTF-8") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(str(file), "", f"not TOML: {error}", "mend that line") from error
    return build(document, str(file), file.parent, environment)


def build(document: dict[str, Any], source: str, base: Path, environment: Mapping[str, str]) -> Settings:
    """Checked settings from a TOML document; relative paths are taken from ``base``."""
    _overlay(document, environment)
    try:
        raw = Settings.model_validate(document)
    except ValidationError as error:
        raise _one_line(source, error.errors()[0]) from error
    resolved = _resolve(raw.model_dump(), base, environment, (source, ""))
    return Settings.model_validate(resolved)


def _overlay(document: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put ``CITYLIGHT_MQTT__URL=…`` at ``mqtt.url``; a wrong name is an error like any unknown key.

    ``CITYLIGHT_IOC__WEBHOOK__DUTY__SECRET`` is for the webhook named ``duty``.
    """
    for name, value in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or "__" not in name:
            continue
        *sections, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        place: Any = document
        for section in sections:
            if isinstance(place, list):
                place = _named(place, section)
            elif isinstance(place, dict):
                place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise ConfigurationError(name, sections[-1], "is no section", "see docs/settings.md for the keys")
        place[key] = value


def _named(tables: list[Any], name: str) -> dict[str, Any] | None:
    """The table of a list that has this ``name``, as far as a variable's name can spell it."""
    for table in tables:
        if isinstance(table, dict) and re.sub(r"[^a-z0-9]", "_", str(table.get("name", "")).lower()) == name:
            return table
    return None


def _one_line(source: str, detail: ErrorDetails) -> ConfigurationError:
    key = ".".join(str(part) for part in detail["loc"])
    problem = detail["msg"].removeprefix("Value error, ")
    remedy = "see docs/settings.md for the values it takes"
    if detail["type"] == "extra_forbidden":
        problem = "is no setting"
        close = difflib.get_close_matches(str(detail["loc"][-1]), _keys(Settings, detail["loc"][:-1]), 1)
        remedy = f"did you mean {close[0]!r}?" if close else "see docs/settings.md for the keys"
    elif detail["type"] == "missing":
        problem, remedy = "is missing", "add it"
    return ConfigurationError(source, key, problem, remedy)


def _keys(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at ``path``; used only to suggest a spelling."""
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _resolve(
    tree: dict[str, Any], base: Path, environment: Mapping[str, str], where: tuple[str, str]
) -> dict[str, Any]:
    """Paths made absolute (``$CREDENTIALS_DIRECTORY`` is systemd's), secret files read into their secrets."""
    source, prefix = where
    for key, value in list(tree.items()):
        inside = (source, f"{prefix}{key}.")
        if isinstance(value, dict):
            tree[key] = _resolve(value, base, environment, inside)
        elif isinstance(value, Path):
            tree[key] = _absolute(value, base, environment)
        elif isinstance(value, tuple) and value and isinstance(value[0], Path):
            tree[key] = [_absolute(item, base, environment) for item in value]
        elif isinstance(value, tuple) and value and isinstance(value[0], dict):
            tree[key] = [_resolve(item, base, environment, inside) for item in value]
    for key in ("password", "token", "secret"):
        file = tree.get(f"{key}_file")
        if file is not None:
            tree[key] = SecretStr(_secret(file, source, f"{prefix}{key}_file"))
    return tree


def _absolute(path: Path, base: Path, environment: Mapping[str, str]) -> Path:
    credentials = environment.get("CREDENTIALS_DIRECTORY", "")
    text = str(path).replace("$CREDENTIALS_DIRECTORY", credentials or "$CREDENTIALS_DIRECTORY")
    return Path(os.path.normpath(base.absolute() / Path(text).expanduser()))


def _secret(file: Path, source: str, key: str) -> str:
    try:
        mode = file.stat().st_mode
        content = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "make the file readable to this user"
        raise ConfigurationError(source, key, f"{file} can not be read", remedy) from error
    if mode & 0o007:
        raise ConfigurationError(source, key, f"{file} is open to everyone", f"chmod 600 {file.name}")
    return content


def shipped(name: str) -> Path:
    """Files that come with the project: ``device_profiles`` or ``new-city``; from the wheel or the clone."""
    packed = Path(__file__).parent / "_data" / name
    if packed.is_dir():
        return packed
    clone = Path(__file__).parent.parent
    return clone / name if name == "device_profiles" else clone / "examples" / name


def service_environment() -> tuple[str, str]:
    """systemd's ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``; empty where it does not supervise."""
    return os.environ.get("NOTIFY_SOCKET", ""), os.environ.get("WATCHDOG_USEC", "")


def failpoint() -> str:
    """Where the torture harness wants this process to die, ``name:pass``; empty in every other run."""
    return os.environ.get("CITYLIGHT_FAILPOINT", "")


def default_file() -> Path:
    """The configuration file when none is named."""
    return Path(os.environ.get("CITYLIGHT_CONFIG", "citylight.toml"))


def user_name() -> str:
    """Who is at the keyboard, for the audit trail."""
    return os.environ.get("USER", "")


def user_language() -> Literal["vi", "en"]:
    """Language of the terminal: Vietnamese where the locale says so, English otherwise."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "vi" if locale.startswith("vi") else "en"
