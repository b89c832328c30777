"""Write docs/reference/preflight.md from the checks themselves; `make docs` runs it, and a test compares."""

from __future__ import annotations

import textwrap
from pathlib import Path

from wtsctl.plan.preflight.check import CHECKS
from wtsctl.plan.preflight.record import MEANING, Check

PAGE = Path(__file__).parent / "preflight.md"
HEAD = """# Checks before a deploy

Written from the program by `make docs`. `wtsctl deploy` and `rollback` make these checks before they apply anything,
and `wtsctl deploy --preflight-only` does nothing else. How to use them:
[check a cluster before deploying](../how-to/check-before-deploying.md). The fields in JSON:
[status-fields.md](status-fields.md#data-of-deploy---preflight-only).

"""


def _section(check: Check) -> str:
    source = [f"Source: {check.source}."] if check.source else []
    looks, finds = f"Looked at: {check.looks[:1].lower()}{check.looks[1:]}", check.finds
    if check.looks.startswith(("GET", "One Self", "ResourceQuotas", "StorageClasses", "LimitRanges")):
        looks = f"Looked at: {check.looks}"
    texts = [textwrap.fill(text, 118, break_on_hyphens=False) for text in (looks, finds, check.todo, *source)]
    return "\n\n".join([f"### {check.name}", f"Where all is well, {check.title}.", *texts]) + "\n"


def page() -> str:
    """The whole page."""
    outcomes = [f"| `{outcome.value}` | {meaning} |" for outcome, meaning in MEANING.items()]
    rows = [f"| {one.category} | [{one.name}](#{one.name}) | {one.title} |" for one in CHECKS]
    categories = dict.fromkeys(one.category for one in CHECKS)
    return (
        HEAD
        + "\n".join(["| outcome | meaning |", "| --- | --- |", *outcomes])
        + "\n\n"
        + "\n".join(["| category | check | where all is well |", "| --- | --- | --- |", *rows])
        + "\n"
        + "".join(
            f"\n## {category}\n\n" + "\n".join(_section(one) for one in CHECKS if one.category == category)
            for category in categories
        )
    )


if __name__ == "__main__":
    PAGE.write_text(page())
