"""YAML as Kubernetes clients read it: text → documents, and documents → text that every YAML reader agrees on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import yaml

_BOOL = "tag:yaml.org,2002:bool"
_FLOAT = "tag:yaml.org,2002:float"
_INT = "tag:yaml.org,2002:int"
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"
_DIGITS = list("-+.0123456789")


class _Loader(yaml.CSafeLoader):
    """PyYAML's safe loader with Kubernetes' idea of plain scalars, and without silent duplicates.

    kubectl (sigs.k8s.io/yaml) has no dates and no base-60 numbers, and reads `1e3` as a number and `y` as true.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape
    bool_values: ClassVar[dict[str, bool]] = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            problem = ""
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key must be plain text"
            elif key.tag not in {_STR, _MERGE}:
                problem = f"the key {key.value} reads as a {key.tag.rpartition(':')[2]}; quote it"
            elif key.value in seen:
                problem = f"the key {key.value} stands twice"
            if problem:
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain(tag: str, pattern: str, first: list[str]) -> None:
    _Loader.add_implicit_resolver(tag, re.compile(rf"^(?:{pattern})$"), first)


_plain(_BOOL, "y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", list("yYnNtTfFoO"))
_plain(_NULL, "~|null|Null|NULL|", ["~", "n", "N", ""])
_plain(_INT, "[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*|0[0-7_]+)", _DIGITS)
_plain(_FLOAT, r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?", _DIGITS)
_plain(_FLOAT, r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", _DIGITS)
_plain(_MERGE, "<<", ["<"])


def parse(text: str) -> list[Any]:
    """Every document of a text that is not empty.

    Raises:
        yaml.YAMLError: the text is no YAML, or a mapping has a key twice or one that is no string.
    """
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


# Words that some reader takes for a truth value or for nothing.
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
# What no reader takes for anything but a string: a word, a path, a flag, an image, a quantity with its suffix.
_UNMISTAKABLE = re.compile(r"(?:--)?[A-Za-z/](?:[A-Za-z0-9_./@%+=,-]|:(?!$))*|[0-9]+(?:m|[KMGT]i)")
# What a literal block cannot hold: control characters, other line breaks, and what is no character at all.
_NOT_LITERAL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\n[ ]+(?:\n|$)")
# Characters that JSON leaves as they are and YAML does not read, or reads as a line break.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

# One encoder for all: json.dumps makes a new one for each call with options.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def to_json(value: Any) -> str:
    """One line of JSON that is also YAML and reads back as `value`, whatever characters are in it.

    Raises:
        TypeError: `value` is no plain data.
        ValueError: a number that is infinite or not a number, or half of a surrogate pair.
    """
    text = _encode(value)
    text.encode()  # a surrogate is no character: neither YAML nor UTF-8 can carry it
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


@lru_cache(maxsize=4096)
def _string(text: str) -> str:
    if _UNMISTAKABLE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return to_json(text)


def _scalar(value: Any) -> str:
    return _string(value) if isinstance(value, str) else to_json(value)


def _literal(text: str) -> bool:
    """Whether a string of several lines can stand as a literal block."""
    return "\n" in text[:-1] and text[0] not in " \n" and not text.endswith("\n\n") and not _NOT_LITERAL.search(text)


class Written(dict[str, Any]):
    """A document that knows its text, as `dump` would write it; anything made from it is a plain dict again.

    Attributes:
        text: gives the text, without a line break at its end.
    """

    __slots__ = ("text",)
    text: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Gap:
    """A value of a document that is not known yet.

    Attributes:
        index: which of the values that are to come.
    """

    index: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the value of a gap goes in the text.

    Attributes:
        index: which value.
        head: what its first line begins with: indentation, and a key or a dash.
        inner: the indentation of the lines below it.
        same: the indentation of a list below it.
    """

    index: int
    head: str
    inner: str
    same: str

    def lines(self, value: Any) -> str:
        """The lines of the value in this place."""
        out: list[Any] = []
        # An item of a list that holds something begins on the line of its dash.
        if self.head.endswith("-") and isinstance(value, (dict, list)) and value:
            _write(value, self.inner, f"{self.head} ", out)
        else:
            _write_entry(self.head, value, self.inner, self.same, out)
        return "\n".join(out)


def pattern(document: dict[str, Any]) -> list[str | Place]:
    """The text of a document with gaps: lines that are known, as few texts, and the places between them."""
    out: list[Any] = []
    _write(document, "", "", out)
    parts: list[str | Place] = []
    lines: list[str] = []
    for part in (*out, None):
        if isinstance(part, str):
            lines.append(part)
            continue
        if lines:
            parts.append("\n".join(lines))
            lines = []
        if part is not None:
            parts.append(part)
    return parts


def _write(value: Any, indent: str, head: str, out: list[Any]) -> None:
    """Append the lines of a mapping or sequence that is not empty; its first line begins with `head`."""
    if isinstance(value, dict):
        for key, item in value.items():
            _write_entry(f"{head}{_string(key)}:", item, indent + "  ", indent, out)
            head = indent
        return
    for item in value:
        if isinstance(item, (dict, list)) and item:
            _write(item, indent + "  ", head + "- ", out)
        else:
            _write_entry(head + "-", item, indent + "  ", indent, out)
        head = indent


def _write_entry(head: str, value: Any, inner: str, same: str, out: list[Any]) -> None:
    """Append one value after its key or dash; a sequence is not indented below its key."""
    if isinstance(value, Gap):
        out.append(Place(value.index, head, inner, same))
    elif isinstance(value, (dict, list)) and value:
        out.append(head)
        nested = inner if isinstance(value, dict) else same
        _write(value, nested, nested, out)
    elif isinstance(value, str) and _literal(value):
        out.append(f"{head} |" if value.endswith("\n") else f"{head} |-")
        out.extend(f"{inner}{line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        out.append(f"{head} {_scalar(value)}")


def dump(documents: Iterable[dict[str, Any]]) -> str:
    """Documents in block style, each but the first after `---`; keys keep their order.

    Written here because PyYAML's emitter takes four times as long and leaves strings such as `8e3` and `y` without
    quotes, which Go reads as a number and as true. A string is left without quotes only where no reader can take
    it for anything else; YAML 1.1 and 1.2 differ too much to decide closer.
    """
    out: list[str] = []
    for document in documents:
        if out:
            out.append("---")
        if isinstance(document, Written):
            out.append(document.text())
        else:
            _write(document, "", "", out)
    out.append("")
    return "\n".join(out)
