"""Placeholder."""

from __future__ import annotations

from wtsctl.plan.findings.rule import Rule

RULES: tuple[Rule, ...] = ()
