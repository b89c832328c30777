"""Comments in models.yaml that accept a finding: `# wtsctl: ignore WTS001 - the registry has no other tag`.

A comment after a value or key is about the line that it stands on; one on a line of its own is about the next line
that is no comment. There it covers what begins on that line: a key with all that is under it, or an item of a list
with all that is in it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from wtsctl.catalog.profile import PROFILES
from wtsctl.catalog.tree import Position

_MARK = re.compile(r"(?:^|(?<=\s))#\s*wtsctl:\s*ignore\b(?P<rest>[^\n\r]*)", re.MULTILINE)
_CODES = re.compile(
    r"\s*(?P<codes>[A-Za-z0-9_.]+(?:[\s,]+[A-Za-z0-9_.]+)*)?\s*(?:(?:-|--|:|\u2013|\u2014)\s*(?P<reason>.*))?$"
)


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment that accepts findings.

    Attributes:
        at: of its `#`.
        codes: what it names, as written.
        reason: what stands behind the dash.
        line: the line that it is about; None where no line follows.
        until: where what begins on that line ends: the first position that is no longer part of it.
        profile: the profile that it stands in, if any.
    """

    at: Position
    codes: tuple[str, ...]
    reason: str
    line: int | None
    until: Position
    profile: str | None


def read(text: str) -> tuple[Comment, ...]:
    """The comments of a catalog that the loader has accepted, in file order."""
    text = text.removeprefix("\ufeff")
    found = list(_MARK.finditer(text))
    if not found:
        return ()
    starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
    lines = text.splitlines()
    marks: dict[Position, str] = {}
    at = 0
    for match in found:
        while at + 1 < len(starts) and starts[at + 1] <= match.start():
            at += 1
        marks[at + 1, match.start() - starts[at] + 1] = match["rest"]
    targets = {position: _target(lines, position) for position in marks}
    structure = _Structure(list(marks), frozenset(line for line in targets.values() if line is not None))
    structure.walk(text)
    return tuple(
        _comment(position, rest, targets[position], structure)
        for position, rest in marks.items()
        if position not in structure.inside
    )


def _comment(position: Position, rest: str, line: int | None, structure: _Structure) -> Comment:
    match = _CODES.fullmatch(rest.rstrip())
    codes = tuple(re.split(r"[\s,]+", match["codes"])) if match and match["codes"] else ()
    reason = (match["reason"] or "") if match else ""
    until = structure.ends.get(line, (line + 1, 0)) if line is not None else (0, 0)
    return Comment(position, codes, reason.strip(), line, until, structure.profile(line or position[0]))


def _target(lines: list[str], position: Position) -> int | None:
    """The line that a comment is about."""
    line, column = position
    if lines[line - 1][: column - 1].strip():
        return line
    for number in range(line, len(lines)):
        content = lines[number].strip()
        if not content:
            return None
        if not content.startswith("#"):
            return number + 1
    return None


@dataclass(slots=True)
class _Frame:
    """A collection whose end has not been read yet."""

    at: Position
    mapping: bool
    key: tuple[Position, str] | None = None


@dataclass(slots=True)
class _Structure:
    """What the comments have to know about the document.

    Attributes:
        marks: where something looks like one of our comments, in file order.
        wanted: the lines that they are about.
        ends: where what begins on such a line ends.
        inside: the marks that are part of a text, where `#` is an ordinary character.
        sections: the line of each key at the top and of each profile, with the name of the profile.
    """

    marks: list[Position]
    wanted: frozenset[int]
    ends: dict[int, Position] = field(default_factory=dict)
    inside: set[Position] = field(default_factory=set)
    sections: list[tuple[int, str | None]] = field(default_factory=list)
    open: list[_Frame] = field(default_factory=list)

    def walk(self, text: str) -> None:
        loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
        events: Iterator[Any] = yaml.parse(text, Loader=loader)
        for event in events:
            at = (event.start_mark.line + 1, event.start_mark.column + 1)
            end = (event.end_mark.line + 1, event.end_mark.column + 1)
            if isinstance(event, yaml.ScalarEvent):
                # What stands behind the | or > of a block is a comment, not text.
                start = (at[0] + 1, 0) if event.style in ("|", ">") else at
                self.inside.update(self.marks[bisect_left(self.marks, start) : bisect_left(self.marks, end)])
                self._value(at, end, event.value)
            elif isinstance(event, yaml.AliasEvent):
                self._value(at, end, "")
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self.open.append(_Frame(at, isinstance(event, yaml.MappingStartEvent)))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._value(self.open.pop().at, end, "")

    def _value(self, at: Position, end: Position, text: str) -> None:
        """A finished value: a key, the value of one, or an item of a list."""
        if not self.open:
            return
        frame = self.open[-1]
        if not frame.mapping:
            self._entry(at, end)
        elif frame.key is None:
            frame.key = (at, text)
            self._section(at[0], text)
        else:
            self._entry(frame.key[0], end)
            frame.key = None

    def _entry(self, start: Position, end: Position) -> None:
        line = start[0]
        if line in self.wanted:
            self.ends[line] = max(self.ends.get(line, (0, 0)), end)

    def _section(self, line: int, key: str) -> None:
        keys = [frame.key[1] for frame in self.open[:-1] if frame.key]
        if not keys:
            self.sections.append((line, None))
        elif keys == [PROFILES]:
            self.sections.append((line, key))

    def profile(self, line: int) -> str | None:
        """The profile that a line belongs to."""
        name = None
        for start, section in self.sections:
            if start > line:
                break
            name = section
        return name
