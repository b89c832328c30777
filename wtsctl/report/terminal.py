"""The two streams of a command: data on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable
from wtsctl.report.columns import aligned
from wtsctl.streams import discard

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Wide enough that rich never truncates or wraps a cell when nobody looks at a screen.
_NO_TTY_WIDTH = 10_000


class Terminal:
    """Where a command writes, and how.

    Args:
        color: False turns colours off; NO_COLOR in the environment does too.
        quiet: drop progress and notes (never warnings or errors).
        verbosity: how many times `-v` was given.
    """

    def __init__(self, *, color: bool = True, quiet: bool = False, verbosity: int = 0) -> None:
        self.color = color and not os.environ.get("NO_COLOR")
        self.quiet = quiet
        self.verbosity = verbosity

    @property
    def live(self) -> bool:
        """Whether stderr is a screen that can be redrawn."""
        return sys.stderr.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    def note(self, text: str) -> None:
        """A message for the person who runs the command; dropped by `--quiet`."""
        if not self.quiet:
            self.warn(text)

    def detail(self, text: str) -> None:
        """A message that only `-v` shows."""
        if self.verbosity:
            self.note(text)

    def warn(self, text: str) -> None:
        """A message that is shown even with `--quiet`, its lines without control characters."""
        shown = "\n".join(printable(line) for line in text.split("\n"))
        try:
            sys.stderr.write(f"{shown}\n")
            sys.stderr.flush()
        except OSError:
            # A message that nobody can get must not end the work that it is about.
            discard(sys.stderr)

    def write(self, text: str) -> None:
        """Data, as it is, on stdout."""
        sys.stdout.write(text)

    def console(self, *, stderr: bool = False) -> Console:
        """A rich console for one stream; without a TTY it does not truncate, and colours only if FORCE_COLOR asks."""
        from rich.console import Console

        tty = (sys.stderr if stderr else sys.stdout).isatty()
        return Console(
            stderr=stderr,
            no_color=not self.color,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=not tty,
            width=None if tty else _NO_TTY_WIDTH,
            legacy_windows=False,
        )

    def print(self, renderable: RenderableType) -> None:
        """A table or text on stdout."""
        console = self.console()
        if (
            not sys.stdout.isatty()
            and console.color_system is None
            and (lines := aligned(renderable, console.width)) is not None
        ):
            self.write(lines)
            return
        # rich itself would end the process when the reader of stdout has gone.
        with console.capture() as captured:
            console.print(renderable)
        text = captured.get()
        # rich fills each cell up to its column's width, the last one too.
        self.write(text if sys.stdout.isatty() else "\n".join(line.rstrip(" ") for line in text.split("\n")))

    @contextmanager
    def drawing(self) -> Iterator[Any]:
        """A `rich.live.Live` on stderr while something is in progress, or None where nothing can be redrawn."""
        if not self.live:
            yield None
            return
        from rich.live import Live

        with Live(console=self.console(stderr=True), auto_refresh=False, transient=True) as live:
            yield live
