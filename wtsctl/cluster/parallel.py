"""Reading several things at once, in threads that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Found = TypeVar("Found")


def each(read: Callable[[Item], Found], items: Iterable[Item], at_once: int = 8) -> list[Found]:
    """What `read` returns for every item, in their order; the first error is raised.

    Only for what changes nothing: on an error or Ctrl-C requests that are under way are left behind.
    `concurrent.futures` would wait for them, half a minute where a server does not answer.
    """
    wanted = list(items)
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Found | None, BaseException | None]] = queue.SimpleQueue()
    over = threading.Event()
    for index in range(len(wanted)):
        todo.put(index)

    def work() -> None:
        while not over.is_set():
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, read(wanted[index]), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                done.put((index, None, error))

    found: dict[int, Found] = {}
    try:
        for _ in range(min(at_once, len(wanted))):
            threading.Thread(target=work, daemon=True).start()
        while len(found) < len(wanted):
            index, result, error = done.get()
            if error is not None:
                raise error
            found[index] = result  # type: ignore[assignment]
    finally:
        over.set()
    return [found[index] for index in range(len(wanted))]
