"""Tables where nobody looks at a screen: aligned text, which rich takes 0.4 ms a row to lay out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

_GAP = (0, 2, 0, 0)


def aligned(renderable: RenderableType, width: int) -> str | None:
    """A table of `models.plain_table` as rich writes it without colours, or None for what rich has to lay out itself.

    Args:
        renderable: what is to be written; only tables of plain ASCII text without line breaks are taken.
        width: of the console.
    """
    from rich.table import Table

    if not isinstance(renderable, Table):
        return None
    table = renderable
    if table.box or table.title or table.caption or table.pad_edge or table.padding != _GAP or not table.show_header:
        return None
    columns: list[list[str]] = []
    for column in table.columns:
        texts = _texts((column.header, *column.cells))
        if texts is None or column.justify != "left":
            return None
        size = max(map(len, texts))
        columns.append([f"{text:<{size}}" for text in texts])
    if not columns or sum(len(column[0]) + 2 for column in columns) > width:
        return None
    return "".join("  ".join(cells).rstrip(" ") + "\n" for cells in zip(*columns, strict=True))


def _texts(cells: Iterable[Any]) -> list[str] | None:
    """What the cells say; None where one is more than a line of ASCII."""
    from rich.text import Text

    texts = [cell.plain if isinstance(cell, Text) else cell for cell in cells]
    # What is empty but for its column's own edge, rich gives a width of its own.
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts) or not any(texts):
        return None
    return texts
