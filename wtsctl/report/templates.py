"""`templates list`: a table on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wtsctl.report.terminal import Terminal


def show_templates(terminal: Terminal, found: Mapping[str, str]) -> None:
    """The templates by name, each with what it is for."""
    from rich.table import Table

    table = Table("TEMPLATE", "FOR", box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, text in found.items():
        table.add_row(name, text)
    terminal.print(table)
