"""Write docs/reference/findings.md from the registry of rules; `make docs` runs it, and a test compares."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from wtsctl.plan.findings.registry import AREAS, RULES
from wtsctl.plan.findings.rule import MEANING, Rule

PAGE = Path(__file__).parent / "findings.md"
HEAD = """# Findings

Written from the program by `make docs`. `wtsctl validate` looks for these in the catalog and in everything that is
rendered from it, templates, patches and `extra` of your own included. What the catalog's own format forbids has
[codes of its own](models-yaml.md). How to use it in CI, and how to accept a finding:
[validate in CI](../how-to/validate-in-ci.md).

"""


def _areas() -> Iterator[str]:
    for digit, title in AREAS.items():
        rules = [rule for rule in RULES if rule.code[3] == digit]
        if rules:
            yield f"\n## {title}\n\n" + "\n".join(_section(rule) for rule in rules)


def _section(rule: Rule) -> str:
    source = [f"Source: {rule.source}."] if rule.source else []
    head = f"**{rule.title}** · {rule.severity.value} · `{rule.name}`"
    texts = [textwrap.fill(text, 118, break_on_hyphens=False) for text in (head, rule.why, rule.todo, *source)]
    return "\n\n".join([f"### {rule.code}", *texts]) + "\n"


def page() -> str:
    """The whole page."""
    severities = [f"| {severity.value} | {meaning} |" for severity, meaning in MEANING.items()]
    rows = [f"| [{rule.code}](#{rule.code.lower()}) | {rule.severity.value} | {rule.title} |" for rule in RULES]
    parts = [
        HEAD,
        "\n".join(["| severity | meaning |", "| --- | --- |", *severities]),
        "\n\n",
        "\n".join(["| code | severity | what is found |", "| --- | --- | --- |", *rows]),
        "\n",
        *_areas(),
    ]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
