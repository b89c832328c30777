"""Tables in pipes: written without rich, and the same."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wtsctl.report.columns import aligned
from wtsctl.report.models import plain_table


def by_rich(table: Table) -> str:
    """What rich writes for a pipe, each line without the blanks at its end."""
    stream = io.StringIO()
    Console(file=stream, width=10_000, highlight=False, markup=False, emoji=False, soft_wrap=True).print(table)
    return "".join(f"{line.rstrip(' ')}\n" for line in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (
            ("OBJECT", "OUTCOME", "NOTE"),
            [("llm/Service/a", "created", ""), ("llm/Deployment/bb", "failed", "why: x y")],
        ),
        (("A", ""), [("", "one"), ("two", "")]),
        (("A", "B"), []),
        (("A",), [("[bold]x[/]",), (":smile:",), ("  two  ",)]),
    ],
)
def test_as_rich(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A plain table is written as rich writes it, whatever its cells say."""
    table = plain_table()
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style="red") if at else cell for at, cell in enumerate(row)))
    assert aligned(table, 10_000) == by_rich(table)


@pytest.mark.parametrize("cell", ["two\nlines", "größer", "日本", "tab\t"])
def test_left_to_rich(cell: str) -> None:
    """What is not one line of ASCII is for rich, which knows how wide it is."""
    table = plain_table()
    table.add_column("A")
    table.add_row(cell)
    assert aligned(table, 10_000) is None
    assert aligned(Text("no table"), 10_000) is None
