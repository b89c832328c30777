"""A document as a tree of values that know where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from wtsctl.catalog.fault import Path

Position = tuple[int, int]
"""Line and column, both counted from 1."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One plain value: what it means and how it is written."""

    at: Position
    value: str | int | float | bool | None
    text: str
    size: ClassVar[int] = 1
    height: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list. `size` counts the values in it with aliases expanded, `height` its levels."""

    at: Position
    items: tuple[Node, ...]
    size: int
    height: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys, in order, each with the position of the key itself and its value."""

    at: Position
    entries: dict[str, tuple[Position, Node]]
    size: int
    height: int

    def get(self, key: str) -> Node | None:
        """The value under `key`, if there is one."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The node as dicts, lists and plain values."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, (_, value) in node.entries.items()}


def locate(root: Node, path: Path, *, at_key: bool = False) -> tuple[Position, Node | None]:
    """Where a path stands, and what stands there.

    A plain value is found at the value, anything else (or with `at_key`) at its key. For a path that is not there,
    the position is that of its nearest parent and the node is None.
    """
    node, position = root, root.at
    for step in path:
        if isinstance(step, str) and isinstance(node, Mapping) and step in node.entries:
            position, node = node.entries[step]
        elif isinstance(step, int) and isinstance(node, Sequence) and step < len(node.items):
            node = node.items[step]
            position = node.at
        else:
            return position, None
    return (node.at if isinstance(node, Scalar) and not at_key else position), node
