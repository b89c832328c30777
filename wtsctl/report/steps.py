"""Long work as it goes on, on stderr: a live line a step on a screen, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wtsctl.printable import printable
from wtsctl.report.models import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wtsctl.report.terminal import Terminal

# Seconds between two looks at a screen, and between two lines of a step where there is none.
_REDRAW, _LINE = 1.0, 30.0


class Steps:
    """Shows what is being done; called from any thread.

    `steps("text")` writes a line that stays. With `doing` the text says how far that step has come; an empty
    text ends it.

    Args:
        terminal: where.
        live: the rich Live to draw on, or None to write lines.
        clock: seconds, monotonic.
    """

    def __init__(self, terminal: Terminal, live: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._live = live
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, tuple[float, str]] = {}
        self._said: dict[str, float] = {}

    def __call__(self, text: str, *, doing: str = "") -> None:
        """Take one message."""
        with self._lock:
            if not doing:
                self._keep(text)
            elif not text:
                self._end(doing)
            else:
                self._go_on(doing, text)

    def tick(self) -> None:
        """Show how long the steps have taken by now; called once in a while."""
        with self._lock:
            if self._live is not None:
                self._draw()
                return
            now = self._clock()
            for doing, (began, text) in self._running.items():
                if now - self._said[doing] >= _LINE:
                    self._said[doing] = now
                    self._terminal.note(f"{doing}: {text} ({span(now - began)})")

    def _go_on(self, doing: str, text: str) -> None:
        now = self._clock()
        known = self._running.get(doing)
        self._running[doing] = (now if known is None else known[0], printable(text))
        if self._live is not None:
            if known is None or known[1] != text:
                self._draw()
        elif known is None:
            self._said[doing] = now
            self._terminal.note(doing)

    def _end(self, doing: str) -> None:
        known = self._running.pop(doing, None)
        if known is not None:
            self._keep(f"{doing}: done in {self._clock() - known[0]:.1f} s")

    def _keep(self, text: str) -> None:
        if self._live is None:
            self._terminal.note(text)
        else:
            self._live.console.print(text)
            self._draw()

    def _draw(self) -> None:
        from rich.text import Text

        now = self._clock()
        lines = [f"{doing}: {text} ({span(now - began)})" for doing, (began, text) in self._running.items()]
        self._live.update(Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)


@contextmanager
def steps(terminal: Terminal) -> Iterator[Steps]:
    """Show steps while the body runs."""
    with terminal.drawing() as live:
        shown = Steps(terminal, live)
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(_REDRAW):
                shown.tick()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield shown
        finally:
            ended.set()
            thread.join()
