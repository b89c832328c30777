"""YAML text → a tree of values that know where they stand.

PyYAML parses (libyaml's parser when it is there) and its events are composed here rather than by PyYAML: its own
composer recurses in C and crashes the process on deep nesting, keeps the last of two equal keys silently, and reads
plain words by YAML 1.1, where `no` is false and `1:30` is ninety. Here plain words are read by the core schema of
YAML 1.2, as editors and Kubernetes-side tools do: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from wtsctl.catalog.fault import Code, format_path
from wtsctl.catalog.tree import Mapping, Node, Position, Scalar, Sequence
from wtsctl.errors import CatalogError, Problem
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

# Far above any real catalog (500 models are about 0.5 MB and 35,000 values), far below what would hurt.
MAX_CHARACTERS = 8_000_000
MAX_VALUES = 500_000
MAX_DEPTH = 64

_PARSERS: dict[str, type[Any]] = {"pure": yaml.SafeLoader}
if yaml.__with_libyaml__:
    _PARSERS["libyaml"] = yaml.CSafeLoader

# All but what YAML calls printable, https://yaml.org/spec/1.2.2/#51-character-set, and the three characters that are
# line breaks for YAML 1.1, which PyYAML reads, but not for 1.2 or an editor's line numbers.
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_OTHER_INTEGER = re.compile("0x[0-9a-fA-F]{1,32}|0o[0-7]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_STANDARD = "tag:yaml.org,2002:"

# What to look at, by what the parser was doing when it failed.
_CONTEXT = {
    "while scanning a quoted scalar": "the quote at line {line} is not closed",
    "while parsing a flow sequence": "check the list that [ opens at line {line}",
    "while parsing a flow mapping": "check the mapping that {{ opens at line {line}",
    "while parsing a block mapping": "check the indentation of the mapping that starts at line {line}",
    "while parsing a block collection": "check the indentation of the list that starts at line {line}",
    "while scanning a simple key": "is there a ':' missing at line {line}?",
}


def parse(text: str, *, filename: str, parser: str = "") -> tuple[Node | None, list[Problem]]:
    """Compose one YAML document.

    Args:
        text: the document.
        filename: what positions in messages start with.
        parser: `libyaml` or `pure`; empty takes libyaml where it is installed. What both accept has the same values;
            the pure one refuses a few rarities that libyaml takes, such as a tab between two words.

    Returns:
        The root, None for a document without content, and the problems that do not hinder reading on.

    Raises:
        CatalogError: the text is no YAML, or larger or deeper than any catalog.
    """
    if len(text) > MAX_CHARACTERS:
        raise _stop(f"{filename}:1:1", f"longer than {MAX_CHARACTERS:,} characters, which no catalog is")
    text = text.removeprefix("\ufeff")
    bad = _NOT_ALLOWED.search(text)
    if bad:
        line, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
        code = f"{ord(bad.group()):04X}"
        hint = f'is this a text file? In double quotes, "\\u{code}" stands for this character'
        raise _stop(f"{filename}:{line}:{column}", f"character U+{code} is not allowed", hint)
    loader = _PARSERS[parser or ("libyaml" if "libyaml" in _PARSERS else "pure")]
    composer = _Composer(filename)
    try:
        root = composer.compose(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text, filename) from error
    except yaml.YAMLError as error:
        raise _stop(filename, f"not valid YAML: {error}") from error
    return root, composer.problems


def _stop(where: str, message: str, hint: str = "") -> CatalogError:
    return CatalogError.of([Problem(Code.YAML, message, where, hint)])


def _syntax(error: yaml.MarkedYAMLError, text: str, filename: str) -> CatalogError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "syntax error"
    if mark is None:
        return _stop(filename, f"not valid YAML: {problem}")
    hint = ""
    lines = text.splitlines()
    # At the end of the file libyaml points below the last line.
    line, column = (mark.line, mark.column) if mark.line < len(lines) else (len(lines) - 1, len(lines[-1]))
    rest = lines[line][column:]
    if rest.startswith("\t"):
        hint = "indent with spaces; YAML allows no tabs there"
    elif rest[:1] in ("@", "`"):
        hint = f"put text that starts with {rest[0]} in quotes"
    elif problem.startswith("mapping values are not allowed"):
        hint = "check the indentation, and put text that holds ': ' in quotes"
    elif error.context_mark and error.context in _CONTEXT:
        hint = _CONTEXT[error.context].format(line=error.context_mark.line + 1)
    return _stop(f"{filename}:{line + 1}:{column + 1}", f"not valid YAML: {problem}", hint)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    at: Position
    anchor: str | None
    mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, tuple[Position, Node]] = field(default_factory=dict)
    merged: list[Mapping] = field(default_factory=list)
    key: tuple[Position, str | None] | None = None
    size: int = 1
    height: int = 1

    def step(self) -> str | int:
        """What leads from here to the value being read."""
        return ((self.key and self.key[1]) or "") if self.mapping else len(self.items)

    def close(self) -> Node:
        if not self.mapping:
            return Sequence(self.at, tuple(self.items), self.size, self.height + 1)
        entries = self.entries
        # Own keys win over merged ones, and an earlier merged mapping over a later one.
        for other in self.merged:
            entries = {**entries, **{key: value for key, value in other.entries.items() if key not in entries}}
        return Mapping(self.at, entries, self.size, self.height + 1)


class _Composer:
    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.documents = 0

    def compose(self, events: Iterator[Any]) -> Node | None:
        for event in events:
            mark = event.start_mark
            at = (mark.line + 1, mark.column + 1)
            if isinstance(event, yaml.ScalarEvent):
                self._put(at, self._scalar(at, event), event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                self._put(at, self._alias(at, event.anchor), None)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._start(at, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                ended = self.open.pop()
                self._put(ended.at, ended.close(), ended.anchor)
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise self._stop(at, "a second document starts here; a catalog is one document")
        # `key:` with nothing else, or only comments, is a document without content.
        return None if isinstance(self.root, Scalar) and self.root.value is None else self.root

    def _stop(self, at: Position, message: str, hint: str = "") -> CatalogError:
        return _stop(self._where(at), message, hint)

    def _where(self, at: Position) -> str:
        return f"{self.filename}:{at[0]}:{at[1]}"

    def _report(self, at: Position, code: Code, message: str, hint: str = "", *, inside: int = 1) -> None:
        path = format_path([frame.step() for frame in self.open[: len(self.open) - inside]])
        message = printable(f"{path}: {message}" if path else message)
        self.problems.append(Problem(code, message, self._where(at), printable(hint)))

    def _start(self, at: Position, event: Any) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _STANDARD + ("map" if mapping else "seq")):
            self._tag(at, event.tag)
        if len(self.open) >= MAX_DEPTH:
            raise self._stop(at, f"nested deeper than {MAX_DEPTH} levels, which no catalog is")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(at, event.anchor, mapping))

    def _tag(self, at: Position, tag: str) -> None:
        shown = tag.replace(_STANDARD, "!!")
        self._report(
            at,
            Code.YAML,
            f"the tag {shown} is not supported",
            "text, numbers, true, false, lists and mappings only",
            inside=0,
        )

    def _scalar(self, at: Position, event: Any) -> Scalar:
        text: str = event.value
        if event.tag in (None, "!"):
            plain_word = event.implicit[0] and event.tag is None
            return Scalar(at, _core_value(text) if plain_word else text, text)
        kind = event.tag.removeprefix(_STANDARD)
        value = text if kind == "str" else _core_value(text)
        names = {str: "str", bool: "bool", int: "int", float: "float", type(None): "null"}
        if names[type(value)] != kind:
            self._tag(at, event.tag)
        return Scalar(at, value, text)

    def _alias(self, at: Position, name: str | None) -> Node:
        if name is None or name not in self.anchors:
            raise self._stop(at, f"the alias *{name} refers to no anchor &{name} before it")
        node = self.anchors[name]
        if node is None:
            raise self._stop(at, f"the alias *{name} stands inside its own anchor &{name}")
        if len(self.open) + node.height > MAX_DEPTH:
            raise self._stop(at, f"aliases nest deeper than {MAX_DEPTH} levels, which no catalog does")
        return node

    def _put(self, at: Position, node: Node, anchor: str | None) -> None:
        """Hand a finished value to the collection it belongs to."""
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += node.size
        if node.height > parent.height:  # noqa: PLR1730 - a call of max() for every value takes its time
            parent.height = node.height
        if parent.size > MAX_VALUES:
            message = f"more than {MAX_VALUES:,} values with aliases expanded, which no catalog has"
            raise self._stop(at, message)
        if not parent.mapping:
            parent.items.append(node)
        elif parent.key is None:
            parent.key = (at, self._key(at, node))
        else:
            self._value(parent, node)
            parent.key = None

    def _key(self, at: Position, node: Node) -> str | None:
        """The text of a key; None, and a problem, where it is no text."""
        if isinstance(node, Scalar) and (isinstance(node.value, str) or node.text == "<<"):
            return node.text
        hint = f'put it in quotes: "{node.text}"' if isinstance(node, Scalar) and node.text else ""
        shown = node.text or "nothing" if isinstance(node, Scalar) else "a collection"
        self._report(at, Code.TYPE, f"expected text as a key, got {shown}", hint)
        return None

    def _value(self, parent: _Open, node: Node) -> None:
        assert parent.key is not None  # noqa: S101 - _put calls this for values only
        at, key = parent.key
        if key == "<<":
            merged = node.items if isinstance(node, Sequence) else (node,)
            maps = [item for item in merged if isinstance(item, Mapping)]
            if len(maps) != len(merged):
                self._report(at, Code.TYPE, "expected a mapping or a list of mappings after '<<'")
            parent.merged.extend(maps)
        elif key is None:
            return
        elif key in parent.entries:
            first = parent.entries[key][0]
            self._report(at, Code.DUPLICATE, f"duplicate key '{key}', first at line {first[0]}", "keep one of the two")
        else:
            parent.entries[key] = (at, node)


def _core_value(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789.+-":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_INTEGER.fullmatch(text):
        return int(text, 0)
    if len(text) <= 64 and _FLOAT.fullmatch(text):  # noqa: PLR2004 - longer than any double
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
