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
from functools import lru_cache
from typing import Any

from wtsctl.render import yamltext

# From Unicode's private use area, so that no text has them by accident; one that does is parsed as it is.
_OPEN, _CLOSE = "\ue000", "\ue001"
_GAP = re.compile(r'"\\ue000([0-9]+)\\ue001"')
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
class _Keyed:
    """A mapping some of whose keys are slots."""

    pairs: tuple[tuple[str | yamltext.Gap, Any], ...]


class Unfit(Exception):  # noqa: N818 - not an error, the other way is taken
    """The text cannot be parsed without its values."""


def _marked(gap: yamltext.Gap) -> str:
    return f"{_OPEN}{gap.index}{_CLOSE}"


class _Shape:
    """A parsed document with gaps for its slots, and the pattern of its text."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._patterned = isinstance(document, dict) and not _has_keyed(document)
        # The document as JSON, which C code reads; at every odd index the number of a value.
        self._json: list[str] = []
        # Each part of the text: lines, or a place with the lines that values had there before. Most values are the
        # same in many documents.
        self._pattern: list[tuple[str, yamltext.Place | None, dict[str, str]]] = []

    def filled(self, values: Sequence[str]) -> Any:
        """The document with its values, given as JSON."""
        if not self._patterned:
            return _fill(self._document, values)
        if not self._json:
            self._json = _GAP.split(json.dumps(self._document, default=_marked))
        parts = self._json.copy()
        parts[1::2] = [values[int(index)] for index in parts[1::2]]
        document = json.loads("".join(parts))
        written = yamltext.Written(document)
        written.text = lambda: self._text(values)
        return written

    def _text(self, values: Sequence[str]) -> str:
        if not self._pattern:
            parts = yamltext.pattern(self._document)
            self._pattern = [(one, None, {}) if isinstance(one, str) else ("", one, {}) for one in parts]
        lines: list[str] = []
        for text, place, known in self._pattern:
            if place is None:
                lines.append(text)
                continue
            value = values[place.index]
            found = known.get(value)
            if found is None:
                found = known[value] = place.lines(json.loads(value))
            lines.append(found)
        return "\n".join(lines)


class Shapes:
    """Parsed texts by the text with its slots."""

    def __init__(self) -> None:
        self._parsed: dict[str, list[_Shape]] = {}

    def documents(self, text: str, slots: Slots) -> list[Any]:
        """The documents of `text` with the values in their slots.

        Raises:
            Unfit: the text has to be rendered with its values and parsed as it is.
        """
        shape = self._parsed.get(text)
        if shape is None:
            if text.count(_OPEN) != len(slots.values):
                raise Unfit
            shape = self._parsed[text] = [_Shape(_shape(document)) for document in yamltext.parse(text)]
        return [one.filled(slots.values) for one in shape]


def _shape(node: Any) -> Any:
    """A parsed document with its slots as objects."""
    if isinstance(node, str):
        return _slot(node)
    if isinstance(node, list):
        return [_shape(item) for item in node]
    if isinstance(node, dict):
        pairs = tuple((_slot(key), _shape(value)) for key, value in node.items())
        if any(isinstance(key, yamltext.Gap) for key, _ in pairs):
            return _Keyed(pairs)
        return dict(pairs)
    return node


def _slot(text: str) -> str | yamltext.Gap:
    if _OPEN not in text:
        return text
    match = _WHOLE_SLOT.fullmatch(text)
    if match is None:
        raise Unfit
    return yamltext.Gap(int(match[1]))


def _has_keyed(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_has_keyed(value) for value in node.values())
    return any(_has_keyed(item) for item in node) if isinstance(node, list) else isinstance(node, _Keyed)


def _value(text: str) -> Any:
    """What JSON stands for; a fresh one where it could be changed."""
    return json.loads(text) if text[0] in "{[" else _constant(text)


@lru_cache(maxsize=8192)
def _constant(text: str) -> Any:
    return json.loads(text)


def _fill(node: Any, values: Sequence[str]) -> Any:
    """A fresh copy of a shape with its values: no two documents share a part that one could change."""
    kind = type(node)
    if kind is dict:
        return {key: _fill(value, values) for key, value in node.items()}
    if kind is list:
        return [_fill(item, values) for item in node]
    if kind is yamltext.Gap:
        return _value(values[node.index])
    if kind is _Keyed:
        filled: dict[str, Any] = {}
        for slot, value in node.pairs:
            key = json.loads(values[slot.index]) if isinstance(slot, yamltext.Gap) else slot
            if not isinstance(key, str) or key in filled:
                raise Unfit
            filled[key] = _fill(value, values)
        return filled
    return node
