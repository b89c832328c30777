"""`smoke-test --list`: what would be asked, without asking it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wtsctl.catalog.model import Model
    from wtsctl.report.terminal import Terminal


def list_data(models: Sequence[Model]) -> dict[str, Any]:
    """The prompts and budgets as they stand in the catalog."""
    keys = {"name", "smoke", "budgets"}
    return {
        "models": [model.model_dump(mode="json", by_alias=True, include=keys, exclude_none=True) for model in models]
    }


def show_list(terminal: Terminal, models: Sequence[Model]) -> None:
    """A table of prompts on stdout; a model without any is listed too."""
    from rich.table import Table

    table = Table("MODEL", "PROMPT", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("MAX TOKENS", justify="right")
    for name in ("ASSERT", "BUDGETS", "TEXT"):
        table.add_column(name)
    for model in models:
        budgets = "; ".join(f"{budget.metric} {budget.stat} <= {budget.max}" for budget in model.budgets) or "-"
        if not model.smoke:
            table.add_row(model.name, "(no prompts)", "-", "-", budgets, "-")
        for prompt in model.smoke:
            wanted = [
                f"{key}: {value}"
                for assertion in prompt.assertions
                for key, value in assertion.model_dump(by_alias=True, exclude_none=True).items()
            ]
            checks = printable("; ".join(wanted))
            table.add_row(model.name, prompt.name, str(prompt.max_tokens), checks, budgets, printable(prompt.prompt))
    terminal.print(table)
