"""Write docs/reference/commands.md from the command line itself; `make docs` runs it, and a test compares."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from wtsctl.cli import app

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Commands

Written from the program by `make docs`. Data goes to standard output, everything else to standard error; without a
terminal there are no control codes and nothing is cut off. How each command can end: [exit codes](exit-codes.md).

"""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _rows(context: Any, command: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and parameter.name != "help":
            yield record


def commands(command: Any, path: tuple[str, ...], parent: Any = None) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Every command below `command` with the words that call it, groups before their members."""
    context = command.make_context(path[-1], [], parent=parent, resilient_parsing=True)
    yield path, context, command
    for name, member in getattr(command, "commands", {}).items():
        yield from commands(member, (*path, name), context)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for path, context, command in commands(typer.main.get_command(app), ("wtsctl",)):
        usage = " ".join(command.collect_usage_pieces(context))
        parts.append(f"## {' '.join(path)}\n\n```\n{' '.join(path)} {usage}\n```\n\n")
        help_text = re.sub(r"(?m)^\x08$", "", (command.help or "").replace("\f", "")).strip()
        parts.append(f"{help_text}\n\n" if help_text else "")
        rows = list(_rows(context, command))
        if rows:
            parts.append("| argument or option | meaning |\n| --- | --- |\n")
            parts.extend(f"| `{_cell(name)}` | {_cell(text)} |\n" for name, text in rows)
            parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
