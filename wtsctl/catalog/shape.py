"""Does a document have the shape of a catalog? pydantic's findings as faults, in the words of models.yaml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import ValidationError

from wtsctl.catalog.entry import Entry, keys
from wtsctl.catalog.fault import Code, Fault, Path, listed, one_of, suggestion
from wtsctl.catalog.forms import FORMS
from wtsctl.catalog.tree import Mapping, Node, Scalar, Sequence, locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

E = TypeVar("E", bound=Entry)

_SHOWN = 60

# pydantic's error types: https://docs.pydantic.dev/latest/errors/validation_errors/
_KINDS = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
}
_HINTS = {
    "tuple_type": "start each entry on a line of its own with '- '",
    "model_type": "write its keys below it, indented by two spaces",
    "dict_type": "write its keys below it, indented by two spaces",
}


def check(entry: type[E], data: Any) -> tuple[E | None, list[ErrorDetails]]:
    """Validate plain data: the entry, or pydantic's error details."""
    try:
        return entry.model_validate(data, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)


def faults(errors: list[ErrorDetails], entry: type[Entry], node: Node) -> list[Fault]:
    """What pydantic found in the plain data of `node`, with paths from `node`."""
    # pydantic counts the entries that it could read, so a list of nothing but wrong ones is "too short" as well.
    found = [_fault(error, entry, node) for error in errors if error["type"] != "too_short" or _empty(error, node)]
    # A misspelt key is one mistake, not also a missing one.
    meant = {(*fault.path[:-1], fault.hint) for fault in found if fault.code is Code.UNKNOWN_KEY}
    return [fault for fault in found if (*fault.path, _meaning(fault.text)) not in meant]


def _meaning(text: str) -> str:
    """The hint of an unknown key that would be the one missing by `text`."""
    key = text.removeprefix("missing key '").removesuffix("'")
    return f"did you mean {key}?" if key != text else ""


def _empty(error: ErrorDetails, root: Node) -> bool:
    _, node = locate(root, error["loc"])
    return isinstance(node, Sequence) and not node.items


def _fault(error: ErrorDetails, entry: type[Entry], root: Node) -> Fault:
    kind, context = error["type"], error.get("ctx", {})
    # A key of `tasks` that has not the form of one is reported at KEY, "[key]".
    at_key = bool(error["loc"]) and error["loc"][-1] == "[key]"
    path: Path = error["loc"][:-1] if at_key else error["loc"]
    _, node = locate(root, path)
    got = f"'{path[-1]}'" if at_key else describe(node)
    if kind == "missing":
        return _missing(entry, path, node)
    if kind == "extra_forbidden":
        return _unknown(entry, path)
    if kind in _KINDS:
        hint = _HINTS.get(kind, "")
        if kind == "string_type" and isinstance(node, Scalar) and node.value is not None:
            hint = f'put it in quotes: "{node.text}"'
        return Fault(Code.TYPE, path, f"expected {_KINDS[kind]}, got {got}", hint)
    if kind in {"enum", "literal_error"}:
        # Texts are in quotes there, numbers are not.
        words = [word.strip("'") for word in re.findall(r"'[^']*'|[0-9]+", context["expected"])]
        hint = suggestion(node.text, words) if isinstance(node, Scalar) else ""
        return Fault(Code.VALUE, path, f"expected {one_of(words)}, got {got}", hint)
    hint = "to take away all that was deployed: `wtsctl delete`" if path == ("models",) and kind == "too_short" else ""
    return Fault(Code.VALUE, path, _value(kind, context, error["msg"], got), hint, at_key=at_key)


# What a value should have been, from the error's context.
_EXPECTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "string_pattern_mismatch": lambda context: FORMS[context["pattern"]][1],
    "greater_than": lambda context: f"more than {context['gt']}",
    "greater_than_equal": lambda context: f"at least {context['ge']}",
    "less_than_equal": lambda context: f"at most {context['le']}",
    "string_too_short": lambda _: "some text",
    "string_too_long": lambda context: f"at most {context['max_length']} characters",
    "too_short": lambda _: "at least one entry",
}


def _value(kind: str, context: dict[str, Any], message: str, got: str) -> str:
    if kind == "value_error":
        return str(context["error"])
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind](context)}, got {got}"
    return message[:1].lower() + message[1:]


def describe(node: Node | None) -> str:
    """What stands there, as written, for the end of a message."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list" if node.items else "an empty list"
    if node is None or node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= _SHOWN else f"{node.text[:_SHOWN]}…"
    return f"'{text}'" if isinstance(node.value, str) else text


def _missing(entry: type[Entry], path: Path, node: Node | None) -> Fault:
    key = str(path[-1])
    parent = entry_at(entry, path[:-1])
    hint = f"{key}: {keys(parent)[key]}" if parent else ""
    if node is not None:
        return Fault(Code.MISSING, path, "expected a value, got nothing", hint)
    return Fault(Code.MISSING, path[:-1], f"missing key '{key}'", hint)


def _unknown(entry: type[Entry], path: Path) -> Fault:
    key = str(path[-1])
    parent = entry_at(entry, path[:-1])
    known = keys(parent) if parent else ()
    hint = suggestion(key, known) or f"known keys: {listed(tuple(known))}"
    return Fault(Code.UNKNOWN_KEY, path, f"unknown key '{key}'", hint, at_key=True)


def entry_at(entry: type[Entry], path: Path) -> type[Entry] | None:
    """The class of the entry at a path below `entry`, or None where it is no entry."""
    current: type[Entry] | None = entry
    for step in path:
        if isinstance(step, int):
            continue
        fields = current.model_fields.values() if current else ()
        annotation = next((field.annotation for field in fields if field.alias == step), None)
        current = _entry_in(annotation)
    return current


def _entry_in(annotation: Any) -> type[Entry] | None:
    if isinstance(annotation, type) and issubclass(annotation, Entry):
        return annotation
    return next((found for part in get_args(annotation) if (found := _entry_in(part))), None)
