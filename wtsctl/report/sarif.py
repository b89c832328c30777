"""Findings as SARIF 2.1.0: docs.oasis-open.org/sarif/sarif/v2.1.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from wtsctl import __version__
from wtsctl.plan.findings.registry import RULES
from wtsctl.plan.findings.rule import Finding, Rule, Severity

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif_text(found: Sequence[Finding]) -> str:
    """The log of one run, findings that were accepted included."""
    return json.dumps(sarif(found), indent=2, ensure_ascii=False) + "\n"


def sarif(found: Sequence[Finding]) -> dict[str, Any]:
    """The log as a document."""
    # The loader's and the templates' codes have no rule of ours; each that occurs is listed.
    others = sorted({one.code for one in found} - {rule.code for rule in RULES})
    listed = [_rule(rule) for rule in RULES] + [_other(code) for code in others]
    places = {entry["id"]: at for at, entry in enumerate(listed)}
    run = {
        "tool": {"driver": {"name": "wtsctl", "semanticVersion": __version__, "rules": listed}},
        # As YAML's own positions are counted; SARIF's default is UTF-16.
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, places) for one in found],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    text = f"{rule.why}\n\n{rule.todo}" + (f"\n\nSource: {rule.source}" if rule.source else "")
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        # The whole explanation rather than a helpUri: that has to be an absolute address, and the pages are files of
        # the project, wherever it is hosted.
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"docs": f"docs/reference/findings.md#{rule.code.lower()}"},
    }


def _other(code: str) -> dict[str, Any]:
    return {"id": code, "defaultConfiguration": {"level": "error"}}


def _result(one: Finding, places: dict[str, int]) -> dict[str, Any]:
    subject = f"{one.path}: " if one.title and one.path and not one.message.startswith(one.path) else ""
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": places[one.code],
        "level": _LEVELS[one.severity],
        "message": {"text": f"{subject}{one.message}" + (f"\n{one.hint}" if one.hint else "")},
        "locations": [_location(one)],
    }
    if one.suppressed is not None:
        by = one.suppressed
        suppression: dict[str, Any] = {"kind": "external" if by.line is None else "inSource"}
        if by.reason:
            suppression["justification"] = by.reason
        result["suppressions"] = [suppression]
    return result


def _location(one: Finding) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(one.file)}}
    if one.line:
        physical["region"] = {"startLine": one.line} | ({"startColumn": one.column} if one.column else {})
    location: dict[str, Any] = {"physicalLocation": physical}
    if one.about:
        location["logicalLocations"] = [{"fullyQualifiedName": one.about, "kind": "object"}]
    return location


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
