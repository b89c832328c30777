"""Reading rendered objects, which may hold anything: what is not there, or is of another kind, is empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from wtsctl.catalog.quantity import parse_quantity


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """The mapping under `keys`; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: Any, *keys: str) -> tuple[Mapping[str, Any], ...]:
    """The mappings in the list under `keys`."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return tuple(item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def words(value: Any, *keys: str) -> frozenset[str]:
    """The texts in the list under `keys`."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return frozenset(item for item in found if isinstance(item, str)) if isinstance(found, list) else frozenset()


def quantity(value: Any) -> Fraction | None:
    """A quantity of a manifest; None where it is none."""
    try:
        return parse_quantity(str(value))
    except ValueError:
        return None


def split_words(arguments: Iterable[str]) -> tuple[str, ...]:
    """A command line with `--key=value` as two words."""
    split: list[str] = []
    for word in arguments:
        name, equals, value = word.partition("=")
        split += [name, value] if equals and name.startswith("--") else [word]
    return tuple(split)


def last_option(line: Sequence[str], *names: str) -> str | None:
    """What stands behind the last of these options; empty where nothing does, None where none of them stands."""
    value = None
    for at, word in enumerate(line):
        if word in names:
            value = line[at + 1] if at + 1 < len(line) else ""
    return value


def number(value: Any, default: float) -> float:
    """A number of a manifest; the default of Kubernetes where there is none."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
