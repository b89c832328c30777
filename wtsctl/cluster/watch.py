"""Following objects: one list, then one watch, for each kind and namespace; no object is asked for by itself.

Protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from wtsctl.cluster import objects
from wtsctl.cluster.faults import ApiRefused
from wtsctl.errors import ClusterError, ClusterUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wtsctl.cluster.client import Client, Object
    from wtsctl.cluster.discovery import Kind

# The server ends a watch after this; it bounds how long a connection that died silently goes unnoticed.
_WATCH_SECONDS = 60
_REOPEN_SECONDS = 0.1
# For how long news is gathered before it is looked at.
_GATHER_SECONDS = 0.1
# A watch that ends before this and said nothing new is no watch; after so many of them the objects are listed, since
# something on the way, such as a gateway that holds answers back, may never let an event through.
_SHORT_SECONDS, _SHORT_ONES = 1.0, 3
# For how long the threads are waited for at the end; one in the middle of a request is left behind.
_JOIN_SECONDS = 1.0
_FORBIDDEN, _NOT_FOUND, _GONE, _TOO_MANY = 403, 404, 410, 429
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0

Key = tuple[str, str, str]


def key(item: Mapping[str, Any]) -> Key:
    """What identifies an object within a cluster: kind, namespace, name."""
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to follow: one kind, in one namespace or in all (empty), by label and field selector."""

    kind: Kind
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    optional: bool = False
    """Whether a kind that the cluster does not serve counts as having no objects."""
    dispensable: bool = False
    """Whether to go on without them where they may not be seen."""


@dataclass(slots=True)
class _Followed:
    """The objects of one selection as last heard."""

    items: dict[Key, Object] = field(default_factory=dict)
    listed: bool = False


@dataclass(slots=True)
class _Progress:
    """How far one selection was followed.

    Attributes:
        version: to watch from; empty: it has to be listed.
        pause: seconds until it is asked again.
    """

    version: str = ""
    pause: float = 0.0
    _delay: float = _FIRST_DELAY
    _short: int = 0

    def ended(self, *, short: bool) -> None:
        """A watch ended, or broke off; `short`: at once, and nothing new was heard."""
        if not short:
            self.pause, self._delay, self._short = _REOPEN_SECONDS, _FIRST_DELAY, 0
            return
        self._short += 1
        # A server that ends every watch at once must not make us ask without pause.
        self.refused(gone=self._short % _SHORT_ONES == 0)

    def refused(self, *, gone: bool = False) -> None:
        """There was no watch; `gone`: it cannot go on from where it stopped."""
        if gone:
            self.version = ""
        self.pause, self._delay = self._delay, min(self._delay * 2, _LONGEST_DELAY)


class Follower:
    """Objects kept up to date by watches, each in a thread of its own, until the `with` block ends.

    A watch that breaks is opened again where it stopped, and listed anew where the server has forgotten that
    point (410), or where watches tell nothing. While the API server cannot be reached the last known objects stay,
    and `trouble` says so.
    """

    def __init__(self, client: Client, selections: Iterable[Selection]) -> None:
        self._client = client
        self._followed = {selection: _Followed() for selection in selections}
        self._lock = threading.Lock()
        self._changes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._open: dict[Selection, Any] = {}
        self._trouble: dict[Selection, ClusterError] = {}
        self._fatal: ClusterError | None = None
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for selection in self._followed:
            thread = threading.Thread(target=self._follow, args=(selection,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._lock:
            for response in self._open.values():
                response.shutdown()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    @property
    def client(self) -> Client:
        """What it asks by."""
        return self._client

    @property
    def trouble(self) -> ClusterError | None:
        """Why the objects may be out of date, or None."""
        with self._lock:
            return next(iter(self._trouble.values()), None)

    def objects(self) -> list[Object] | None:
        """All objects as last heard, or None while a list is still outstanding.

        Raises:
            ClusterError: following cannot go on: a right is missing, or the credentials are no longer accepted.
        """
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            if not all(followed.listed for followed in self._followed.values()):
                return None
            return [item for followed in self._followed.values() for item in followed.items.values()]

    def wait(self, seconds: float) -> None:
        """Return when something changed, and after `seconds` at the latest."""
        try:
            self._changes.get(timeout=max(0.0, seconds))
            # A thousand pods that start change dozens of times a second; looking at all of them each time would leave
            # no time to hear of it.
            self._stop.wait(min(_GATHER_SECONDS, max(0.0, seconds)))
            while True:
                self._changes.get_nowait()
        except queue.Empty:
            return

    def wake(self) -> None:
        """Make `wait` return, from any thread."""
        self._changes.put(None)

    def _follow(self, selection: Selection) -> None:
        at = _Progress()
        while not self._stop.is_set():
            try:
                if not at.version:
                    at.version = self._list(selection)
                began, before = time.monotonic(), at.version
                at.version = self._watch(selection, at.version)
                at.ended(short=at.version == before and time.monotonic() - began < _SHORT_SECONDS)
            except ApiRefused as error:
                if not self._goes_on(selection, error):
                    return
                at.refused(gone=error.status == _GONE)
            except ClusterUnreachable as error:
                self._note(selection, error)
                at.refused()
            except ClusterError as error:
                self._end(error)
                return
            self._stop.wait(at.pause)

    def _goes_on(self, selection: Selection, error: ApiRefused) -> bool:
        """Whether to ask again after a refusal."""
        if error.status == _GONE:
            return True
        if selection.dispensable and error.status == _FORBIDDEN:
            self._spare(selection)
            return False
        if self._passing(selection, error):
            self._note(selection, error)
            return True
        if selection.optional and error.status == _NOT_FOUND:
            self._set(selection, {})
        else:
            self._end(error)
        return False

    def _spare(self, selection: Selection) -> None:
        """Go on with what is known of it."""
        with self._lock:
            self._followed[selection].listed = True
        self._changes.put(None)

    def _passing(self, selection: Selection, error: ApiRefused) -> bool:
        """Whether a refusal may be gone when asked again.

        An API server that has just started forbids what it allows a moment later, until it has read its roles:
        who was allowed once asks again.
        """
        if error.status == _FORBIDDEN:
            return self._followed[selection].listed
        return error.status >= 500 or error.status == _TOO_MANY  # noqa: PLR2004

    def _list(self, selection: Selection) -> str:
        items, version = objects.list_all(
            self._client, selection.kind, selection.namespace, labels=selection.labels, fields=selection.fields
        )
        self._set(selection, {key(item): item for item in items})
        return version

    def _watch(self, selection: Selection, version: str) -> str:
        """Take in events until the server ends the watch; returns the version to go on from."""
        import urllib3

        query: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": _WATCH_SECONDS,
            "labelSelector": selection.labels,
            "fieldSelector": selection.fields,
        }
        where = objects.label(selection.kind.plural, selection.namespace, "*")
        response = self._client.stream(
            selection.kind.path(selection.namespace), query=query, where=where, read_seconds=_WATCH_SECONDS + 15
        )
        with self._lock:
            self._open[selection] = response
            self._trouble.pop(selection, None)
        try:
            for line in response if not self._stop.is_set() else ():
                version = self._take(selection, line, version, where)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._stop.is_set():
                # Broken in the middle: go on from the last version heard.
                self._note(selection, ClusterUnreachable(f"a watch broke: {error}", where=where))
        finally:
            with self._lock:
                self._open.pop(selection, None)
            response.close()
        return version

    def _take(self, selection: Selection, line: bytes, version: str, where: str) -> str:
        event = json.loads(line)
        kind, item = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
        if not isinstance(item, dict):
            raise _no_event(line)
        if kind == "ERROR":
            code = item.get("code")
            status = code if isinstance(code, int) else 500
            raise ApiRefused(status, str(item.get("reason", "")), str(item.get("message", "")), where=where)
        metadata = item.get("metadata")
        if not isinstance(metadata, dict) or not (metadata.get("name") or kind == "BOOKMARK"):
            raise _no_event(line)
        version = str(metadata.get("resourceVersion") or version)
        if kind == "BOOKMARK":
            return version
        item.setdefault("apiVersion", selection.kind.api_version)
        item.setdefault("kind", selection.kind.kind)
        with self._lock:
            items = self._followed[selection].items
            if kind == "DELETED":
                items.pop(key(item), None)
            else:
                items[key(item)] = item
        self._changes.put(None)
        return version

    def _set(self, selection: Selection, items: dict[Key, Object]) -> None:
        with self._lock:
            followed = self._followed[selection]
            followed.items, followed.listed = items, True
        self._changes.put(None)

    def _note(self, selection: Selection, error: ClusterError) -> None:
        with self._lock:
            self._trouble[selection] = error
        self._changes.put(None)

    def _end(self, error: ClusterError) -> None:
        with self._lock:
            self._fatal = error
        self._changes.put(None)


def _no_event(line: bytes) -> ValueError:
    return ValueError(f"it said what is no event: {line[:80].decode(errors='replace')}")
