"""How the sandbox says what it is doing; whoever calls it decides what to show."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told what happens, from any thread.

    `progress("text")` is a line to keep. With `doing`, the text is how far that step has come, and replaces
    what was said of it before; an empty text ends the step.
    """

    def __call__(self, text: str, *, doing: str = "") -> None:
        """Take one message."""
