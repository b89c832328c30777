"""The process's standard streams: opened where they were closed, and given up where nothing can be written."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO

# What a shell shows for a program that SIGPIPE ended. Python ignores that signal, so the code is ours to give.
READER_GONE = 141


def repair() -> None:
    """Make stdin, stdout and stderr usable, whatever the process was started with.

    Python has None for a stream that was closed, and the next file or socket would get its number. It is opened on
    /dev/null; stdout for reading alone, so that data which nobody can get is an error, as it is for `cat >&-`.
    Both outputs are UTF-8 in every locale, as YAML and JSON are. Half a character, from a file name that is no
    UTF-8, is written as an escape that JSON reads.
    """
    # In the order of their numbers: the system gives the lowest that is free.
    sys.stdin = sys.stdin or _opened(os.O_RDONLY, "r")
    sys.stdout = sys.stdout or _opened(os.O_RDONLY, "w")
    sys.stderr = sys.stderr or _opened(os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _opened(flags: int, mode: str) -> TextIO:
    return open(os.open(os.devnull, flags), mode, encoding="utf-8")  # type: ignore[return-value]  # noqa: PTH123


def discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: Python would fail on it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
