"""What `validate` says: a line for each finding, JSON, SARIF, or annotations for GitHub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wtsctl.plan.findings.rule import Finding, Severity
from wtsctl.report.terminal import Terminal

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def findings_data(found: Sequence[Finding]) -> dict[str, Any]:
    """The data of `-o json`: what counts, what was accepted, and how many of each severity count."""
    counted = [one for one in found if one.suppressed is None]
    severities = Counter(one.severity for one in counted)
    return {
        "findings": [_entry(one) for one in counted],
        "suppressed": [_entry(one) | {"suppressedBy": _by(one)} for one in found if one.suppressed is not None],
        "summary": {severity.value: severities[severity] for severity in Severity},
    }


def _entry(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": one.severity.value,
        "title": one.title,
        "message": one.message,
        "hint": one.hint,
        "file": one.file,
        "line": one.line or None,
        "column": one.column or None,
        "path": one.path,
        "object": one.about,
        "docs": one.docs,
    }


def _by(one: Finding) -> dict[str, Any] | None:
    by = one.suppressed
    return None if by is None else {"line": by.line, "reason": by.reason}


def show_findings(terminal: Terminal, found: Sequence[Finding], output: str) -> None:
    """Write the findings in the form asked for.

    Args:
        terminal: where to.
        found: every finding, in file order.
        output: `table`, `sarif` or `github`.
    """
    if output == "sarif":
        from wtsctl.report.sarif import sarif_text

        terminal.write(sarif_text(found))
    elif output == "github":
        from wtsctl.report.github import workflow_commands

        terminal.write(workflow_commands(found))
    else:
        _show_lines(terminal, found)


def _show_lines(terminal: Terminal, found: Sequence[Finding]) -> None:
    from rich.text import Text

    lines = Text()
    for one in (one for one in found if one.suppressed is None):
        lines.append(f"{one.where or one.file}: ", style="bold")
        lines.append(one.severity.value, style=_STYLES[one.severity])
        lines.append(f" {one.code}", style="bold")
        lines.append(f" {_subject(one)}{one.message}\n")
        if one.hint:
            lines.append("  hint: ", style="dim")
            lines.append(f"{one.hint}\n")
    if lines:
        lines.right_crop(1)
        terminal.print(lines)
    terminal.note(summary(found))


def _subject(one: Finding) -> str:
    """What a finding is about. The loader's messages say it themselves."""
    return f"{one.path}: " if one.title and one.path and not one.message.startswith(one.path) else ""


def summary(found: Sequence[Finding]) -> str:
    """One line: how many of what."""
    severities = Counter(one.severity for one in found if one.suppressed is None)
    plural = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.INFO: "notes"}
    single = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    counts = [f"{count} {(single if count == 1 else plural)[one]}" for one in Severity if (count := severities[one])]
    accepted = sum(1 for one in found if one.suppressed is not None)
    return (", ".join(counts) or "nothing found") + (f"; {accepted} accepted" if accepted else "")
