"""What `delete` says: which objects go, which stay and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtsctl.cluster.remove import Fate
from wtsctl.printable import printable
from wtsctl.report.models import plain_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wtsctl.cluster.remove import Target
    from wtsctl.report.terminal import Terminal

_STYLES = {Fate.DELETED: "green", Fate.KEPT: "yellow", Fate.FAILED: "bold red", Fate.PENDING: "yellow"}


def intention(targets: Sequence[Target]) -> Iterator[str]:
    """What is about to be deleted, line by line; volumes are named aloud, since their data goes with them."""
    yield "this will be deleted:"
    for one in targets:
        if one.fate is Fate.PENDING:
            data = " and the data on its volume" if one.kind.kind == "PersistentVolumeClaim" else ""
            everything = " and everything in it" if one.kind.kind == "Namespace" else ""
            yield f"  {one.identity}{data}{everything}"
    for one in targets:
        if one.fate is Fate.KEPT:
            yield f"kept: {one.identity}: {one.note}"


def delete_data(targets: Sequence[Target], left: Sequence[str]) -> dict[str, Any]:
    """The `data` of `delete -o json`; docs/reference/status-fields.md describes the fields."""
    return {
        "objects": [{"identity": one.identity, "outcome": one.fate.value, "note": one.note} for one in targets],
        "left": list(left),
    }


def show_delete(terminal: Terminal, targets: Sequence[Target]) -> None:
    """Write a row an object on stdout."""
    from rich.text import Text

    table = plain_table()
    for name in ("OBJECT", "OUTCOME", "NOTE"):
        table.add_column(name, overflow="fold")
    for one in targets:
        table.add_row(one.identity, Text(one.fate.value, style=_STYLES[one.fate]), printable(one.note))
    if targets:
        terminal.print(table)
