"""One process at a time: a lock on a file, held by the process and gone with it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def locked(path: Path, waiting: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock on `path`, which is made when missing; say `waiting` once if somebody else has it.

    Whoever holds the lock may remove the file: who waits for it then takes the lock on a new one.
    """
    said = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    progress(f"{waiting}: waiting for it")
                    said = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):
                yield
                return


def _is_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
