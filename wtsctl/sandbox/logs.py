"""The end of a component's log, for an error message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LINES = 8
_BYTES = 16_384


def tail(log: Path, lines: int = LINES) -> str:
    """The last lines of a log, each on an indented line of its own; a note when there is none."""
    try:
        with log.open("rb") as handle:
            handle.seek(0, 2)
            handle.seek(max(0, handle.tell() - _BYTES))
            text = handle.read().decode(errors="replace")
    except OSError:
        text = ""
    found = [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
    return "".join(f"\n    {line}" for line in found) or " it wrote no log"
