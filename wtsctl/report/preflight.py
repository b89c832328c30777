"""What the checks before a deploy found: grouped as linkerd does, a line each, as JSON, or as problems of a deploy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from wtsctl.errors import Problem
from wtsctl.plan.preflight.record import Outcome
from wtsctl.plan.wording import few
from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wtsctl.plan.preflight.record import Record
    from wtsctl.report.terminal import Terminal

_STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.ERROR: "bold red", Outcome.SKIPPED: "dim"}


def problems(records: Iterable[Record]) -> list[Problem]:
    """The errors, as a command ends with them."""
    return [
        Problem(f"preflight.{one.check.name}", one.message, one.where, _hint(one))
        for one in records
        if one.outcome is Outcome.ERROR
    ]


def warnings(records: Iterable[Record]) -> list[str]:
    """The warnings, as a command says them."""
    return [
        f"warning: {Problem('', one.message, one.where, _hint(one))}"
        for one in _alike(records)
        if one.outcome is Outcome.WARNING
    ]


def _alike(records: Iterable[Record]) -> list[Record]:
    """Records that say the same of several objects as one, with the first of their names."""
    found: dict[Record, list[str]] = {}
    for one in records:
        found.setdefault(replace(one, where=""), []).append(one.where)
    return [replace(one, where=few([where for where in found[one] if where])) for one in found]


def _hint(one: Record) -> str:
    return f"{one.hint}; see {one.check.docs}" if one.hint else f"see {one.check.docs}"


def records_data(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Each record in JSON; docs/reference/status-fields.md describes the fields."""
    return [
        {
            "category": one.check.category,
            "check": one.check.name,
            "outcome": one.outcome.value,
            "message": one.message,
            "where": one.where,
            "hint": one.hint,
            "docs": one.check.docs,
        }
        for one in records
    ]


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """What all checks found."""

    records: Sequence[Record]

    def data(self) -> dict[str, Any]:
        """The `data` of `deploy --preflight-only -o json`."""
        counted = Counter(one.outcome for one in self.records)
        return {"checks": records_data(self.records), "summary": {one.value: counted[one] for one in Outcome}}

    @property
    def failed(self) -> bool:
        """Whether a deploy would end before it applies anything."""
        return any(one.outcome is Outcome.ERROR for one in self.records)

    @property
    def summary(self) -> str:
        """One line: how many of what."""
        counted = Counter(one.outcome for one in self.records)
        words = (
            (Outcome.ERROR, "error"),
            (Outcome.WARNING, "warning"),
            (Outcome.OK, "ok"),
            (Outcome.SKIPPED, "skipped"),
        )
        plural = {Outcome.ERROR, Outcome.WARNING}
        parts = [
            f"{counted[one]} {word}{'s' * (one in plural and counted[one] != 1)}" for one, word in words if counted[one]
        ]
        return f"preflight: {', '.join(parts)}"

    def show(self, terminal: Terminal) -> None:
        """Every record below its category, with what was seen and what to do."""
        from rich.text import Text

        lines = Text()
        for category, group in groupby(_alike(self.records), key=lambda one: one.check.category):
            lines.append(f"{category}\n", style="bold")
            for one in group:
                lines.append(f"  {one.outcome.value:<8}", style=_STYLES[one.outcome])
                lines.append(
                    f" {one.check.title}: {_seen(one)}\n" if one.outcome is Outcome.OK else f" {_named(one)}\n"
                )
                if one.counts:
                    for text in (f"hint: {printable(one.hint)}" if one.hint else "", f"see {one.check.docs}"):
                        lines.append(f"{'':<11}{text}\n" if text else "", style="dim")
        lines.right_crop(1)
        terminal.print(lines)
        terminal.note(self.summary)

    def show_short(self, terminal: Terminal) -> None:
        """A line for each record that is not well: warnings, errors, and what could not be looked at."""
        for one in _alike(self.records):
            if one.counts or (one.outcome is Outcome.SKIPPED and not one.idle):
                terminal.write(f"{one.outcome.value} {_named(one)} ({one.check.docs})\n")
        terminal.note(self.summary)


def _named(one: Record) -> str:
    return f"{one.check.name}: {_seen(one)}"


def _seen(one: Record) -> str:
    return printable(f"{one.where}: {one.message}" if one.where else one.message)
