"""What a rule and a finding are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from wtsctl.catalog.fault import Path
from wtsctl.catalog.tree import Position

if TYPE_CHECKING:
    from wtsctl.plan.findings.subject import Subject


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


MEANING: dict[Severity, str] = {
    Severity.ERROR: "it will be refused, will not start, or will not do what models.yaml says",
    Severity.WARNING: "it works until something that is to be expected happens",
    Severity.INFO: "worth knowing; nothing has to change",
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule found what it looks for.

    Attributes:
        path: the part of the catalog to change, by keys and indices; a key left to its default has the position of
            the entry that would hold it.
        message: what is wrong, with the values that make it so; never a secret.
        hint: what to do here; empty: the rule's own `todo`.
        about: the rendered object that shows it, `NAMESPACE/KIND/NAME`; empty where the catalog itself does.
        at: a position in the file, for what is not a part of the merged catalog.
    """

    path: Path
    message: str
    hint: str = ""
    about: str = ""
    at: Position | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding. docs/reference/findings.md is made from these.

    Attributes:
        code: `WTS` and three digits; the first one is the area. It never changes and is never used again.
        name: two or more words with `-`, for people.
        title: what is wrong, in a few words.
        why: what happens if nothing is done.
        todo: what to do.
        source: where the fact comes from: a project and its file, issue or page; empty where the catalog's own
            definitions are the source.
        check: finds it; None for what is found while comments are read.
    """

    code: str
    name: str
    severity: Severity
    title: str
    why: str
    todo: str
    source: str
    check: Callable[[Subject], Iterable[Hit]] | None


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a finding does not count.

    Attributes:
        line: of the comment in the catalog; None: an option of the command line.
        reason: what the comment gives as its reason.
    """

    line: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at, and where.

    Attributes:
        code: of a rule, `WTS001`; or of the loader or a template, `catalog.type`.
        title: the rule's title; empty for the loader's problems, whose message says it all.
        file: as it was named on the command line, or the template's.
        line: from 1; 0 where the whole file is meant.
        column: from 1; 0 where the whole line is meant.
        path: the part of the catalog, `models[0].maxModelLen`.
        docs: page and anchor that explain the code, relative to the project.
        suppressed: why it does not count; None: it does.
    """

    code: str
    severity: Severity
    message: str
    title: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    about: str = ""
    hint: str = ""
    docs: str = ""
    suppressed: Suppression | None = None

    @property
    def where(self) -> str:
        """`FILE:LINE:COLUMN`, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)
