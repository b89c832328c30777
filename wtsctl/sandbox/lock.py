"""One builder at a time: a lock on a file, held by the process and gone with it."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def locked(path: Path, waiting: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock on `path`, which is made when missing; say `waiting` once if somebody else has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"{waiting}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
