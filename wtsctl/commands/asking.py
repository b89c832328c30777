"""The question before something is changed that somebody may miss."""

from __future__ import annotations

import sys

import typer


def may_ask(*, yes: bool) -> bool:
    """Whether there is a person to be asked, who has not said yes beforehand."""
    return not yes and sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Whether the person at the terminal says yes; Ctrl-C and the end of input are a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        sys.stderr.write("\n")
        return False
