"""Runs the rules over a catalog and the manifests made from it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wtsctl.catalog.fault import Path, format_path, suggestion
from wtsctl.catalog.load import LoadedCatalog
from wtsctl.catalog.tree import Mapping as Entries
from wtsctl.catalog.tree import Node, Position, Scalar
from wtsctl.catalog.tree import Sequence as Items
from wtsctl.errors import Problem
from wtsctl.plan.findings import comments, registry
from wtsctl.plan.findings.comments import Comment
from wtsctl.plan.findings.rule import Finding, Hit, Rule, Severity, Suppression
from wtsctl.plan.findings.subject import Rendered, Subject
from wtsctl.plan.modelconfig import Checkpoint
from wtsctl.printable import printable

PAGE = "docs/reference/findings.md"
_SCHEMA_PAGE = "docs/reference/models-yaml.md"
_TEMPLATE_PAGE = "docs/reference/templates.md"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A hit with its place: its position, and the lines on which the entries begin that hold it."""

    rule: Rule
    hit: Hit
    position: Position
    lines: frozenset[int]


def check(
    loaded: LoadedCatalog,
    text: str,
    objects: Sequence[Rendered],
    *,
    checkpoints: Mapping[str, Checkpoint] | None = None,
    ignored: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Every finding, those that do not count included, in file order.

    Args:
        loaded: the catalog.
        text: models.yaml as it was read, for its comments.
        objects: every object rendered from the catalog.
        checkpoints: what the `config` of a model says, by the model's name.
        ignored: codes that do not count, wherever they are found.
    """
    subject = Subject(loaded, text, tuple(objects), checkpoints or {})
    hits = ((rule, hit) for rule in registry.RULES if rule.check is not None for hit in rule.check(subject))
    placed = sorted((_place(loaded.document, rule, hit) for rule, hit in hits), key=lambda one: one.position)
    notes = comments.read(text)
    accepted, used = _accept(placed, notes)
    found = [_finding(loaded, one, accepted.get(at), ignored) for at, one in enumerate(placed)]
    about = [(registry.BY_CODE[registry.UNKNOWN], hit) for hit in _unknown(notes)]
    about += [(registry.BY_CODE[registry.UNUSED], hit) for hit in _unused(notes, used, loaded.profile)]
    found += [_finding(loaded, _place(loaded.document, rule, hit), None, ignored) for rule, hit in about]
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.column, finding.code, finding.message)))


def _place(root: Node, rule: Rule, hit: Hit) -> _Placed:
    if hit.at is not None:
        return _Placed(rule, hit, hit.at, frozenset((hit.at[0],)))
    return _Placed(rule, hit, *_trail(root, hit.path))


def _accept(
    placed: Sequence[_Placed], notes: Iterable[Comment]
) -> tuple[Mapping[int, Suppression], Collection[tuple[Position, str]]]:
    """Which findings a comment accepts, by their index; and which codes of which comments do so."""
    by_line: defaultdict[int, list[int]] = defaultdict(list)
    for at, one in enumerate(placed):
        for line in one.lines:
            by_line[line].append(at)
    positions = [one.position for one in placed]
    accepted: dict[int, Suppression] = {}
    used: set[tuple[Position, str]] = set()
    for note in notes:
        if note.line is None:
            continue
        inside = range(bisect_left(positions, (note.line, 0)), bisect_left(positions, note.until))
        for at in {*by_line.get(note.line, ()), *inside}:
            code = placed[at].rule.code
            if code in note.codes:
                used.add((note.at, code))
                accepted.setdefault(at, Suppression(note.at[0], note.reason))
    return accepted, used


def _unknown(notes: Iterable[Comment]) -> Iterator[Hit]:
    for note in notes:
        if not note.codes:
            yield Hit((), "this comment names no code", "write `# wtsctl: ignore WTS001 - the reason`", at=note.at)
        for code in note.codes:
            if code not in registry.BY_CODE:
                yield Hit((), f"there is no finding '{code}'", suggestion(code.upper(), registry.BY_CODE), at=note.at)


def _unused(notes: Iterable[Comment], used: Collection[tuple[Position, str]], profile: str | None) -> Iterator[Hit]:
    for note in notes:
        # What another profile changes may be just what the comment is about.
        if note.profile != profile:
            continue
        for code in dict.fromkeys(note.codes):
            if code in registry.BY_CODE and (note.at, code) not in used:
                yield Hit((), f"nothing is found here that {code} would be about", at=note.at)


def problems(given: Iterable[Problem]) -> tuple[Finding, ...]:
    """What the loader or a template refused, as findings."""
    return tuple(_problem(problem) for problem in given)


def _problem(problem: Problem) -> Finding:
    file, line, column = _split(problem.where)
    page = _TEMPLATE_PAGE if problem.code.startswith("template") else f"{_SCHEMA_PAGE}#errors"
    return Finding(problem.code, Severity.ERROR, problem.message, "", file, line, column, hint=problem.hint, docs=page)


def _split(where: str) -> tuple[str, int, int]:
    """File, line and column of `FILE:LINE:COLUMN`, `FILE:LINE` or `FILE`."""
    numbers: list[int] = []
    rest = where
    while len(numbers) < 2:  # noqa: PLR2004 - line and column
        head, colon, last = rest.rpartition(":")
        if not colon or not last.isdigit():
            break
        rest = head
        numbers.insert(0, int(last))
    line, column = [*numbers, 0, 0][:2]
    return rest, line, column


def _finding(loaded: LoadedCatalog, placed: _Placed, accepted: Suppression | None, ignored: Collection[str]) -> Finding:
    rule, hit = placed.rule, placed.hit
    if accepted is None and rule.code in ignored:
        accepted = Suppression(None)
    return Finding(
        code=rule.code,
        severity=rule.severity,
        # Names and arguments of the catalog may hold escape sequences, which must not reach a terminal.
        message=printable(hit.message),
        title=rule.title,
        file=loaded.filename,
        line=placed.position[0],
        column=placed.position[1],
        path=format_path(hit.path),
        about=printable(hit.about),
        hint=printable(hit.hint or rule.todo),
        docs=f"{PAGE}#{rule.code.lower()}",
        suppressed=accepted,
    )


def _trail(root: Node, path: Path) -> tuple[Position, frozenset[int]]:
    """Where a path stands, as `catalog.tree.locate` says, and the lines on which the entries begin that hold it."""
    node, position = root, root.at
    lines: set[int] = set()
    for step in path:
        if isinstance(step, str) and isinstance(node, Entries) and step in node.entries:
            position, node = node.entries[step]
        elif isinstance(step, int) and isinstance(node, Items) and step < len(node.items):
            node = node.items[step]
            position = node.at
        else:
            return position, frozenset(lines)
        lines.add(position[0])
    position = node.at if isinstance(node, Scalar) else position
    return position, frozenset((*lines, position[0]))
