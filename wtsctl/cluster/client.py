"""Requests to the API server as plain dicts: one pool of connections, retries where safe, errors in our words."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from wtsctl.cluster.faults import refused, unreachable
from wtsctl.errors import ClusterUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.cluster.config import Connection

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
# How long one request may wait in all for a server that says "later".
PATIENCE_SECONDS = 30.0
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 8.0
_LATER = frozenset({429, 502, 503, 504})

Object = dict[str, Any]


class Client:
    """One API server; safe to use from several threads.

    Every request that this package sends is idempotent (GET, server-side apply, DELETE), so an answer that says
    "later" and a connection that breaks are tried again; a refusal is not.

    Args:
        connection: from `config.connect`.
        connections: how many requests run at once without waiting for each other.
        sleep: waits the given seconds; a test passes its own.
    """

    def __init__(
        self, connection: Connection, *, connections: int = 16, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        from kubernetes.client.rest import RESTClientObject

        from wtsctl import __version__

        self.connection = connection
        connection.configuration.connection_pool_maxsize = connections
        # Retrying is ours: urllib3 knows neither Retry-After budgets nor which of our requests are idempotent.
        connection.configuration.retries = False
        connection.configuration.keep_alive = True
        rest: Any = RESTClientObject(connection.configuration)
        self._pool = rest.pool_manager
        if connection.tls is not None:
            # One context for all connections, already filled. Left to itself urllib3 would load the CA and the
            # certificate into it again for each connection, while other threads use it, which crashes OpenSSL.
            filled = ("ca_certs", "ca_cert_data", "cert_file", "key_file")
            self._pool.connection_pool_kw |= dict.fromkeys(filled) | {"ssl_context": connection.tls}
        self._sleep = sleep
        self._agent = f"wtsctl/{__version__}"
        self._warnings: dict[str, None] = {}
        self._lock = threading.Lock()

    def take_warnings(self) -> list[str]:
        """What the API server warned about since the last call, such as Pod Security or deprecated versions."""
        with self._lock:
            warnings = list(self._warnings)
            self._warnings.clear()
        return warnings

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Object | None = None,
        accept: str = "application/json",
        where: str = "",
    ) -> Object:
        """Send one request and return the answer's object; see `exchange`."""
        return self.exchange(method, path, query=query, body=body, accept=accept, where=where)[1]

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        where: str = "",
        read_seconds: float = READ_SECONDS,
    ) -> tuple[int, Object]:
        """Send one request and return the answer's HTTP status and object.

        Args:
            method: GET, PATCH, DELETE.
            path: from the API server's root.
            query: URL parameters; empty ones are left out.
            body: sent as JSON, which is YAML too.
            content_type: of the body.
            accept: what the answer may be.
            where: the object or list asked for, for messages.
            read_seconds: how long the server may be silent.

        Raises:
            ClusterUnreachable, ClusterUnauthorized, ApiRefused: see `faults`.
        """
        response = self._answered(
            method, path, query, accept=accept, read_seconds=read_seconds, body=body, content_type=content_type
        )
        data = self._whole(response)
        parsed = _parse(data)
        if not 200 <= response.status < 300:  # noqa: PLR2004
            raise refused(response.status, parsed, data.decode(errors="replace"), where, self.connection)
        if parsed is None:
            raise self._not_an_api_server(data)
        return response.status, parsed

    def text(self, path: str, *, query: Mapping[str, str | int] | None = None, where: str = "") -> str:
        """Send a GET whose answer is text, such as a container's log."""
        response = self._answered("GET", path, query, accept="text/plain, */*", read_seconds=READ_SECONDS)
        data = self._whole(response)
        if response.status != 200:  # noqa: PLR2004
            raise refused(response.status, _parse(data), data.decode(errors="replace"), where, self.connection)
        return data.decode(errors="replace")

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str | int],
        where: str,
        read_seconds: float,
        accept: str = "application/json",
    ) -> Any:
        """Open a watch or a log: urllib3's response, to be read by lines, which `shutdown()` ends from any thread."""
        response = self._answered("GET", path, query, accept=accept, read_seconds=read_seconds)
        if response.status != 200:  # noqa: PLR2004
            data = self._whole(response)
            raise refused(response.status, _parse(data), data.decode(errors="replace"), where, self.connection)
        return response

    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        *,
        accept: str,
        read_seconds: float,
        body: Object | None = None,
        content_type: str = "",
    ) -> Any:
        """The response, its body still unread, once the server says something else than "later"."""
        import urllib3

        parameters = {key: value for key, value in (query or {}).items() if value != ""}
        url = f"{self.connection.host}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds)
        waited, delay = 0.0, _FIRST_DELAY
        while True:
            headers = {"Accept": accept, "User-Agent": self._agent, **self.connection.authorization()}
            if payload is not None:
                headers["Content-Type"] = content_type
            retry_after = None
            try:
                response = self._pool.request(
                    method, url, body=payload, headers=headers, timeout=timeout, preload_content=False, redirect=False
                )
            except urllib3.exceptions.HTTPError as error:
                # A connection that the server closed under us, as it does when it restarts. A refused or
                # untrusted one, a timeout and a wrong name will not get better.
                broke = isinstance(error, urllib3.exceptions.ProtocolError)
                if not broke or waited + delay > PATIENCE_SECONDS / 3:
                    raise unreachable(error, self.connection) from error
            else:
                self._note_warnings(response)
                retry_after = _seconds(response.headers.get("Retry-After"))
                later = response.status in _LATER or (response.status == 500 and retry_after is not None)  # noqa: PLR2004
                wait = max(delay, retry_after or 0.0)
                if not later or waited + wait > PATIENCE_SECONDS:
                    return response
                response.drain_conn()
            # Spread out, so that the requests of one stage do not come back all at once.
            pause = max(delay * random.uniform(0.75, 1.25), retry_after or 0.0)  # noqa: S311
            self._sleep(pause)
            waited, delay = waited + pause, min(delay * 2, _LONGEST_DELAY)

    def _whole(self, response: Any) -> bytes:
        import urllib3

        try:
            data: bytes = response.read(decode_content=True)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(error, self.connection) from error
        response.release_conn()
        return data

    def _note_warnings(self, response: Any) -> None:
        # `299 - "text"`: https://datatracker.ietf.org/doc/html/rfc7234#section-5.5
        for header in response.headers.getlist("Warning"):
            text = header.partition('"')[2].rpartition('"')[0].replace('\\"', '"')
            with self._lock:
                self._warnings[text or header] = None

    def _not_an_api_server(self, data: bytes) -> ClusterUnreachable:
        shown = " ".join(data[:200].decode(errors="replace").split()) or "nothing"
        return ClusterUnreachable(
            f"{self.connection.host} does not answer like an API server: {shown}", where=self.connection.source
        )


def _parse(data: bytes) -> Object | None:
    try:
        parsed = json.loads(data)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not one that API servers send."""
    return float(header) if header is not None and header.isdigit() else None
