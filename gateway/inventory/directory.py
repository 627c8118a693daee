"""An inventory from a directory. In: a path. Out: file contents, or the Fleet they describe.

The only part of this room that reads the disk; it looks at the known file names and at nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gateway.errors import ConfigurationError
from gateway.fleet import Fleet
from gateway.inventory.parser import parse
from gateway.inventory.schema import FILES, RULES


def read_directory(path: Path) -> dict[str, bytes]:
    """Contents of the inventory files in ``path`` by name; other files are left alone."""
    if not path.is_dir():
        raise ConfigurationError(str(path), "", "no such directory", "name the directory of the inventory")
    names = {name for table in FILES for name in (table.file, table.geojson) if name} | {RULES}
    contents = {}
    for name in sorted(names):
        file = path / name
        if file.is_file():
            try:
                contents[name] = file.read_bytes()
            except OSError as error:
                raise ConfigurationError(
                    str(file), "", error.strerror or "unreadable", "check its permissions"
                ) from error
    return contents


def load_directory(
    path: Path, *, profiles: Collection[str] | None = None, time_zone: str = "Asia/Ho_Chi_Minh"
) -> Fleet:
    """``parse`` over the files of ``path``; raises ConfigurationError or ConfigurationErrors."""
    return parse(read_directory(path), profiles=profiles, time_zone=time_zone)
