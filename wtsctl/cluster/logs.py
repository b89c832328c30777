"""Following the logs of servers that start, one stream for each, to know what they are doing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import POD
from wtsctl.errors import ClusterError
from wtsctl.health.steps import Step, step

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wtsctl.cluster.client import Client

# So many logs are followed at once; of further servers the pod's own status has to do.
_AT_ONCE = 16
# A server that compiles is silent for minutes.
_SILENT_SECONDS = 1800
_LINES = 500
# How often a log that ends is followed anew.
_TRIES = 5

Run = tuple[str, str, str, int]
"""Namespace, pod, container, and how often it has been restarted: one run of a server."""


class StartLogs:
    """The logs of servers that start, followed until the `with` block ends.

    A log that may not or cannot be read is left out: then nothing is known of that server.

    Args:
        client: the cluster.
        news: called from any thread when a server has gone a step further.
    """

    def __init__(self, client: Client, news: Callable[[], None]) -> None:
        self._client = client
        self._news = news
        self._lock = threading.Lock()
        self._steps: dict[Run, Step | None] = {}
        self._tries: dict[Run, int] = {}
        self._open: dict[Run, Any] = {}
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopped = True
            responses = list(self._open.values())
        for response in responses:
            response.shutdown()

    def of(self, run: Run) -> Step | None:
        """What a server is doing, as far as its log has said; follows the log from the first time on."""
        with self._lock:
            if run not in self._steps and len(self._open) < _AT_ONCE and not self._stopped:
                self._steps[run] = None
                self._tries[run] = self._tries.get(run, 0) + 1
                self._open[run] = _Unopened()
                threading.Thread(target=self._follow, args=(run,), daemon=True).start()
            return self._steps.get(run)

    def only(self, runs: Collection[Run]) -> None:
        """Stop following the others, which have started or are gone."""
        with self._lock:
            responses = [response for run, response in self._open.items() if run not in runs]
        for response in responses:
            response.shutdown()

    def _follow(self, run: Run) -> None:
        import urllib3

        namespace, pod, container, _ = run
        query: dict[str, str | int] = {"container": container, "follow": "true", "tailLines": _LINES}
        where = objects.label("Pod", namespace, f"{pod}/{container}")
        try:
            response = self._client.stream(
                f"{POD.path(namespace, pod)}/log",
                query=query,
                where=where,
                read_seconds=_SILENT_SECONDS,
                accept="text/plain, */*",
            )
            with self._lock:
                unwanted = self._stopped or self._open[run].closed
                self._open[run] = response
            for line in () if unwanted else response:
                self._take(run, line.decode(errors="replace"))
        except (ClusterError, urllib3.exceptions.HTTPError, OSError, ValueError):
            pass
        finally:
            with self._lock:
                response = self._open.pop(run)
                if not self._stopped and self._tries[run] < _TRIES:
                    # The API server restarted, or the kubelet began a new file: what it said may be out of date.
                    self._steps.pop(run)
            response.close()

    def _take(self, run: Run, line: str) -> None:
        said = step(line)
        with self._lock:
            if said is None or said == self._steps[run]:
                return
            self._steps[run] = said
        self._news()


class _Unopened:
    """Stands for a stream that is being opened."""

    def __init__(self) -> None:
        self.closed = False

    def shutdown(self) -> None:
        self.closed = True

    close = shutdown
