"""The typed form of a profile's JSON: msgspec structs that hold just the values the profile reads.

In: leaves with their paths and types. Out: a struct type and where in it each leaf stands. Never parses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.decode.path import Path


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value to read: ``default`` stands where the payload has none."""

    path: Path
    type: Any
    default: Any = None


@dataclass(frozen=True, slots=True)
class Shape:
    """``attributes`` give for each leaf, in the order handed in, its dotted attribute in ``type``."""

    type: type[msgspec.Struct]
    attributes: tuple[str, ...]


def build(leaves: Sequence[Leaf], *, strict_keys: bool) -> Shape:
    """Leaves of one level must not conflict (``path.conflict``). Attributes keep the leaves' order."""
    tree: dict[str | int, Any] = {}
    for leaf in leaves:
        node = tree
        for step in leaf.path.steps[:-1]:
            node = node.setdefault(step, {})
        node[leaf.path.steps[-1]] = leaf
    names: dict[Path, str] = {}
    shape = _struct(tree, strict_keys, (), names)
    return Shape(shape, tuple(names[leaf.path] for leaf in leaves))


def _struct(
    node: dict[str | int, Any], strict_keys: bool, above: tuple[str, ...], names: dict[Path, str]
) -> type[msgspec.Struct]:
    is_list = any(isinstance(step, int) for step in node)
    steps: Sequence[str | int] = range(max(int(s) for s in node) + 1) if is_list else list(node)
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    for number, step in enumerate(steps):
        attribute = f"f{number}"
        child = node.get(step)
        if isinstance(child, Leaf):
            fields.append((attribute, child.type, child.default))
            names[child.path] = ".".join((*above, attribute))
        elif child is None:
            fields.append((attribute, msgspec.Raw, msgspec.Raw()))  # a list position nobody reads
        else:
            struct = _struct(child, strict_keys, (*above, attribute), names)
            fields.append((attribute, struct, struct()))
        if isinstance(step, str):
            rename[attribute] = step
    return msgspec.defstruct(
        "Payload",
        fields,
        frozen=True,
        gc=False,
        array_like=is_list,
        forbid_unknown_fields=strict_keys and not is_list,
        rename=rename or None,
    )
