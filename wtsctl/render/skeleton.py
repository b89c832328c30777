"""Rendered text → documents, parsing each shape of text once.

Reading YAML is by far the slowest step of rendering, and the texts of one template differ only in the values
that `tojson` wrote. So values are left out of the text: in their place stand numbered slots, the text with its
slots is parsed once, and the values are put into the result. Values never become YAML, whatever is in them.
Where a template does anything with the output of `tojson` but write it, its text is parsed as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wtsctl.render import yamltext

# From Unicode's private use area, so that no text has them by accident; one that does is parsed as it is.
_OPEN, _CLOSE = "\ue000", "\ue001"
_WHOLE_SLOT = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


class Json(str):
    """The output of `tojson`: any other operation on it gives a plain string, so what is still Json is unchanged."""

    __slots__ = ()


class Slots:
    """The values that one rendering left out of its text, as JSON, in the order of their slots."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[str] = []

    def add(self, value: Json) -> str:
        """Keep a value; the text that stands for it."""
        self.values.append(value)
        return f'"{_OPEN}{len(self.values) - 1}{_CLOSE}"'


@dataclass(frozen=True, slots=True)
class _Slot:
    index: int


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A mapping some of whose keys are slots."""

    pairs: tuple[tuple[str | _Slot, Any], ...]


class Unfit(Exception):  # noqa: N818 - not an error, the other way is taken
    """The text cannot be parsed without its values."""


class Shapes:
    """Parsed texts by the text with its slots."""

    def __init__(self) -> None:
        self._parsed: dict[str, list[Any]] = {}

    def documents(self, text: str, slots: Slots) -> list[Any]:
        """The documents of `text` with the values in their slots.

        Raises:
            Unfit: the text has to be rendered with its values and parsed as it is.
        """
        shape = self._parsed.get(text)
        if shape is None:
            if text.count(_OPEN) != len(slots.values):
                raise Unfit
            shape = self._parsed[text] = [_shape(document) for document in yamltext.parse(text)]
        return [_fill(document, slots.values) for document in shape]


def _shape(node: Any) -> Any:
    """A parsed document with its slots as objects."""
    if isinstance(node, str):
        return _slot(node)
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if isinstance(node, dict):
        pairs = tuple((_slot(key), _shape(value)) for key, value in node.items())
        if any(isinstance(key, _Slot) for key, _ in pairs):
            return _Keyed(pairs)
        return dict(pairs)
    return node


def _slot(text: str) -> str | _Slot:
    if _OPEN not in text:
        return text
    match = _WHOLE_SLOT.fullmatch(text)
    if match is None:
        raise Unfit
    return _Slot(int(match[1]))


def _fill(node: Any, values: Sequence[str]) -> Any:
    """A fresh copy of a shape with its values: no two documents share a part that one could change."""
    kind = type(node)
    if kind is dict:
        return {key: _fill(value, values) for key, value in node.items()}
    if kind is list:
        return [_fill(item, values) for item in node]
    if kind is _Slot:
        return json.loads(values[node.index])
    if kind is _Keyed:
        filled: dict[str, Any] = {}
        for slot, value in node.pairs:
            key = json.loads(values[slot.index]) if isinstance(slot, _Slot) else slot
            if not isinstance(key, str) or key in filled:
                raise Unfit
            filled[key] = _fill(value, values)
        return filled
    return node
