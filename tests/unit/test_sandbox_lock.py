"""One process at a time."""

from __future__ import annotations

import fcntl
import threading
import time
from typing import TYPE_CHECKING

from wtsctl.sandbox.lock import locked

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_holder_waits_and_says_so(tmp_path: Path) -> None:
    """It is told once that it waits, and goes on when the first is done."""
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path / "lock", "somebody is at it", said.append):
            order.append("second")

    with locked(tmp_path / "lock", "somebody is at it", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 5
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append("first")
    thread.join(timeout=5)
    assert order == ["first", "second"]
    assert said == ["somebody is at it: waiting for it"]


def test_a_removed_lock_is_taken_anew(tmp_path: Path) -> None:
    """`down --purge` removes the file: who waited must not hold a lock that nobody else can see."""
    path = tmp_path / "lock"
    kept_out: list[bool] = []
    said: list[str] = []

    def second() -> None:
        with locked(path, "", said.append), path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                kept_out.append(False)
            except BlockingIOError:
                kept_out.append(True)

    with locked(path, "", said.append):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 5
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        path.unlink()
    thread.join(timeout=5)
    assert kept_out == [True], "a third one that opens the path finds it locked"
