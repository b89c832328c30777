"""Doing several things at once, in threads that nobody has to wait for.

`concurrent.futures` would wait for them at the end of the process, half a minute where a server does not answer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Found = TypeVar("Found")
# How often it is looked whether what was begun is done, once nobody counts any more.
_LOOK_SECONDS = 0.05


class Work(Generic[Item, Found]):
    """What is done for every item; it begins when `as_done` is first asked, so that Ctrl-C finds who waits for it.

    Args:
        do: called for each item, in a thread.
        items: in this order.
        at_once: for how many at the same time.
        last: whether nothing more is to be begun after what `do` returned.

    Attributes:
        results: by the item's number what `do` returned, or the error that it raised.
    """

    def __init__(
        self,
        do: Callable[[Item], Found],
        items: Iterable[Item],
        at_once: int = 8,
        *,
        last: Callable[[Found], bool] = lambda _: False,
    ) -> None:
        self._do, self._items, self._last, self._at_once = do, list(items), last, at_once
        self._lock = threading.Lock()
        self._begun = 0
        self._stopped = False
        self._news: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.results: dict[int, tuple[Found | None, BaseException | None]] = {}

    def as_done(self) -> Iterator[int]:
        """The number of each item as it is done; of what was stopped only what had begun. To be asked once."""
        for _ in range(min(self._at_once, len(self._items))):
            threading.Thread(target=self._work, daemon=True).start()
        told = 0
        while told < self._wanted():
            yield self._news.get()
            told += 1

    def stop(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._stopped = True

    def settle(self) -> None:
        """Stop, and wait for what has begun."""
        self.stop()
        while len(self.results) < self._wanted():
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=_LOOK_SECONDS)

    def begun(self, number: int) -> bool:
        """Whether an item was begun."""
        with self._lock:
            return number < self._begun

    def _wanted(self) -> int:
        with self._lock:
            return self._begun if self._stopped else len(self._items)

    def _work(self) -> None:
        while True:
            with self._lock:
                number = self._begun
                if self._stopped or number == len(self._items):
                    return
                self._begun += 1
            try:
                found = self._do(self._items[number])
                if self._last(found):
                    self.stop()
                self.results[number] = (found, None)
            except BaseException as error:  # noqa: BLE001 - for whoever waits for it
                self.results[number] = (None, error)
            self._news.put(number)


def each(read: Callable[[Item], Found], items: Iterable[Item], at_once: int = 8) -> list[Found]:
    """What `read` returns for every item, in their order; the first error is raised.

    Only for what changes nothing: on an error or Ctrl-C requests that are under way are left behind.
    """
    work = Work(read, items, at_once)
    try:
        for number in work.as_done():
            if (error := work.results[number][1]) is not None:
                raise error
    finally:
        work.stop()
    return [work.results[number][0] for number in sorted(work.results)]  # type: ignore[misc]
