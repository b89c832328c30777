"""The checks that there are, and what one of them came to. docs/reference/preflight.md is made from these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PAGE = "docs/reference/preflight.md"


class Outcome(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


MEANING: dict[Outcome, str] = {
    Outcome.OK: "it was looked at, and nothing stands in the way",
    Outcome.WARNING: "it may go wrong, or somebody else can still put it right; the deploy goes on",
    Outcome.ERROR: "it will go wrong; nothing is applied, and `deploy` ends with exit code 4",
    Outcome.SKIPPED: "it was not looked at, and why: it may not be read, or nothing that changes needs it",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Attributes:
        name: stable; what `--ignore-preflight-errors` takes, and the anchor of its explanation.
        category: what it is grouped under.
        title: what holds where it is well.
        looks: what is looked at, and what is asked for it.
        finds: what is an error, and what a warning.
        todo: what to do.
        source: where the facts come from; empty where wtsctl's own are the source.
    """

    name: str
    category: str
    title: str
    looks: str
    finds: str
    todo: str
    source: str = ""

    @property
    def docs(self) -> str:
        """Page and anchor that explain it, relative to the project."""
        return f"{PAGE}#{self.name}"


@dataclass(frozen=True, slots=True)
class Record:
    """What one check came to, of one object or of all.

    Attributes:
        check: which.
        outcome: how it stands.
        message: what was seen; of what was skipped, why.
        where: the object that it is about; empty where it is about the cluster, or about all of them.
        hint: what to do here.
        idle: of what was skipped, that nothing needs it.
    """

    check: Check
    outcome: Outcome
    message: str
    where: str = ""
    hint: str = ""
    idle: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is worth a word where all else is well."""
        return self.outcome in {Outcome.WARNING, Outcome.ERROR}


def ok(check: Check, message: str, where: str = "") -> Record:
    """It was looked at, and is well."""
    return Record(check, Outcome.OK, message, where)


def skipped(check: Check, why: str, where: str = "") -> Record:
    """It could not be looked at."""
    return Record(check, Outcome.SKIPPED, why, where)


def idle(check: Check, why: str) -> Record:
    """It was not looked at, since nothing needs it."""
    return Record(check, Outcome.SKIPPED, why, idle=True)


def warning(check: Check, message: str, where: str = "", hint: str = "") -> Record:
    """It may go wrong."""
    return Record(check, Outcome.WARNING, message, where, hint)


def error(check: Check, message: str, where: str = "", hint: str = "") -> Record:
    """It will go wrong."""
    return Record(check, Outcome.ERROR, message, where, hint)
