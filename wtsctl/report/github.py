"""Findings as workflow commands, which GitHub shows at the line of a pull request.

Form and escaping: docs.github.com/actions/reference/workflows-and-actions/workflow-commands, and
github.com/actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

from collections.abc import Sequence

from wtsctl.plan.findings.rule import Finding, Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def workflow_commands(found: Sequence[Finding]) -> str:
    """One line for each finding that counts."""
    return "".join(_annotation(one) for one in found if one.suppressed is None)


def _annotation(one: Finding) -> str:
    title = f"{one.code} {one.title}".rstrip()
    given = {"file": one.file, "line": one.line, "col": one.column, "title": title}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given.items() if value)
    subject = f"{one.path}: " if one.title and one.path and not one.message.startswith(one.path) else ""
    message = f"{subject}{one.message}" + (f"\n{one.hint}" if one.hint else "")
    return f"::{_COMMANDS[one.severity]} {properties}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
