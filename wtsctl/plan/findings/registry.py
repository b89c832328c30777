"""Every rule. The first digit of a code is its area; a code is never used for anything else again."""

from __future__ import annotations

from wtsctl.plan.findings import (
    agents,
    arguments,
    images,
    kserve,
    memory,
    network,
    prompts,
    scaling,
    security,
    services,
    stack,
    start,
    tokens,
    volumes,
)
from wtsctl.plan.findings.rule import Rule, Severity

UNKNOWN = "WTS091"
UNUSED = "WTS092"

AREAS: dict[str, str] = {
    "0": "The file and its images",
    "1": "GPUs and memory",
    "2": "Start, stop and update of pods",
    "3": "Weights and their volume",
    "4": "Services and the network",
    "5": "KServe and Llama Stack",
    "6": "Agents and safety",
    "7": "Smoke prompts and budgets",
    "8": "Arguments of the servers",
    "9": "Scaling, quotas and disruption",
}
"""What the codes of each first digit are about."""

_COMMENTS = (
    Rule(
        UNKNOWN,
        "comment-not-understood",
        Severity.WARNING,
        "Comment that accepts no finding that there is",
        "A misspelt code accepts nothing, while whoever reads the file believes that it does.",
        "Name codes of this page, with commas between them, and the reason behind a dash.",
        "",
        None,
    ),
    Rule(
        UNUSED,
        "comment-without-finding",
        Severity.WARNING,
        "Comment that accepts a finding which is not there",
        "What it was about has been mended or has moved. Left there, it hides the next finding of the kind.",
        "Take the comment away, or move it to what it is about. One in a profile counts when that profile is checked,"
        " one outside of them when no profile is.",
        "",
        None,
    ),
)

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *_COMMENTS,
            *images.RULES,
            *tokens.RULES,
            *memory.RULES,
            *start.RULES,
            *security.RULES,
            *volumes.RULES,
            *services.RULES,
            *network.RULES,
            *kserve.RULES,
            *stack.RULES,
            *agents.RULES,
            *prompts.RULES,
            *arguments.RULES,
            *scaling.RULES,
        ),
        key=lambda rule: rule.code,
    )
)

BY_CODE: dict[str, Rule] = {rule.code: rule for rule in RULES}
