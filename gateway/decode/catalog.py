"""Loads the profiles of one or more directories. In: paths. Out: Profile by name. Alone here reads files.

A directory holds ``<name>/profile.toml``, the folder named like the profile. Raises ConfigurationError.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.decode import profile
from gateway.decode.profile import Profile
from gateway.errors import ConfigurationError

PROFILE_FILE: Final = "profile.toml"


def load_directories(directories: Sequence[Path]) -> dict[str, Profile]:
    """All profiles, by name in order of name. A name found twice, or a directory without any, is an error."""
    found: dict[str, tuple[Profile, Path]] = {}
    for directory in directories:
        files = sorted(directory.glob(f"*/{PROFILE_FILE}"))
        if not files:
            raise ConfigurationError(
                str(directory),
                "",
                "holds no profile",
                f"point to a directory with <name>/{PROFILE_FILE} in it",
            )
        for file in files:
            loaded = load_file(file)
            if loaded.name in found:
                raise ConfigurationError(
                    str(file),
                    "name",
                    f"is also that of {found[loaded.name][1]}",
                    "rename or remove one of them",
                )
            found[loaded.name] = loaded, file
    return {name: found[name][0] for name in sorted(found)}


def load_file(file: Path) -> Profile:
    """One profile; its folder must bear its name."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(file), "", f"is not UTF-8: {error}", "save it as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(
            str(file), "", f"can not be read: {error.strerror}", "check the path"
        ) from None
    loaded = profile.load(text, str(file))
    if loaded.name != file.parent.name:
        raise ConfigurationError(
            str(file),
            "name",
            f"{loaded.name!r} is not its folder's name",
            f"rename the folder to {loaded.name}",
        )
    return loaded
