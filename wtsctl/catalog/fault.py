"""What can be wrong with a catalog: the codes, how a path is written, what a misspelt name was meant to be."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LISTED = 20
Path = tuple[str | int, ...]
"""Keys and indices from the root of the document to a value."""


class Code(StrEnum):
    """The codes of `errors` in the JSON envelope; scripts key on them, so they do not change."""

    FILE = "catalog.file"
    YAML = "catalog.yaml"
    TYPE = "catalog.type"
    VALUE = "catalog.value"
    MISSING = "catalog.missing"
    UNKNOWN_KEY = "catalog.unknown-key"
    DUPLICATE = "catalog.duplicate"
    REFERENCE = "catalog.reference"
    NO_EFFECT = "catalog.no-effect"
    PROFILE = "catalog.profile"
    PATCH = "catalog.patch"


MEANING: dict[Code, str] = {
    Code.FILE: "The file cannot be read: it is missing, a folder, empty, too large, not UTF-8, or not to be opened.",
    Code.YAML: "The text is not YAML, or uses a part of YAML that a catalog must not: custom tags, aliases that "
    "contain themselves or expand without bound, several documents.",
    Code.TYPE: "A value is of another kind than its key takes, such as text where an integer belongs.",
    Code.VALUE: "A value is of the right kind but not allowed: out of range, not one of the words a key takes, "
    "not the form of a name, or contradicting another value.",
    Code.MISSING: "A key that has no default is not there.",
    Code.UNKNOWN_KEY: "A key that nothing reads; often a misspelling.",
    Code.DUPLICATE: "The same key twice in a mapping, or two entries that need different names and do not have them.",
    Code.REFERENCE: "A name that refers to an entry which is not there, or to one that cannot serve the purpose.",
    Code.NO_EFFECT: "A key that is known but changes nothing where it stands.",
    Code.PROFILE: "The profile asked for does not exist, or a profile cannot be merged.",
    Code.PATCH: "A patch that matches no rendered object, cannot be applied, or would make another object of it; found "
    "when manifests are rendered.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong at a path of the document; `locate` gives it a line.

    Attributes:
        path: the value it is about.
        text: what is wrong, without the path.
        at_key: the key is wrong, not its value.
    """

    code: Code
    path: Path
    text: str
    hint: str = ""
    at_key: bool = False


def format_path(path: Sequence[str | int]) -> str:
    """`("models", 2, "gpus")` as `models[2].gpus`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or nothing when no known word is near."""
    return _suggestion(word, tuple(known))


@lru_cache(maxsize=1024)
def _suggestion(word: str, known: tuple[str, ...]) -> str:
    def bare(text: str) -> str:
        return text.lower().replace("_", "").replace("-", "")

    # A difference in case or separators alone is the surest guess.
    same = [name for name in known if bare(name) == bare(word)]
    # difflib's time grows with the length of what it compares.
    near = same or get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def missing_name(word: str, known: Iterable[str], what: str) -> str:
    """A hint for a name that is not there: the nearest one, or all of them when they are few."""
    names = tuple(known)
    if near := suggestion(word, names):
        return near
    if not names:
        return f"there are no {what}"
    return f"known {what}: {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """The names, or as many of them as a message can hold."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
