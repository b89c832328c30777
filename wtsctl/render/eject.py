"""Copies of built-in templates: the first line by which a copy knows which text it was made from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

_HEAD = re.compile(r"\{# Copied from wtsctl (?P<version>\S+): (?P<name>\S+), sha256 (?P<digest>[0-9a-f]{64})\. #\}\n")


def digest(text: str) -> str:
    """What tells two texts of a template apart: SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def copy(name: str, text: str, version: str) -> str:
    """A built-in template as a file to change: its text below a line that says where it is from."""
    return f"{{# Copied from wtsctl {version}: {name}, sha256 {digest(text)}. #}}\n{text}"


def outdated(builtin: Mapping[str, str], overlay: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The copies whose original is another one now, each with the version of wtsctl that it was made by.

    What was not made by `copy` says nothing about where it is from, and is not among them.
    """
    for name, text in overlay.items():
        head = _HEAD.match(text)
        if head and name in builtin and head["digest"] != digest(builtin[name]):
            yield name, head["version"]
