"""Requests to the API server as plain dicts: one pool of connections, retries where safe, errors in our words."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from wtsctl.cluster.faults import broken, left_open, refused, unreachable
from wtsctl.cluster.patience import Attempts, Broken, Contact, wanted_pause
from wtsctl.errors import ClusterUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wtsctl.cluster.config import Connection

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
# What does no more when it is sent twice than when it is sent once.
_REPEATABLE = frozenset({"GET", "DELETE"})
APPLY_PATCH = "application/apply-patch+yaml"

Object = dict[str, Any]


class Client:
    """One API server; safe to use from several threads.

    What is sent again, and when, is `patience`'s to say: a server that is busy or restarts is waited for, and what may
    have been carried out is sent again only where that does no more (GET, server-side apply, DELETE).

    Args:
        connection: from `config.connect`.
        connections: how many requests run at once without waiting for each other.
        sleep: waits the given seconds; a test passes its own. None: until `hurry` is called.
        told: hears, from any thread, when the server is waited for and when it is back.
        read_seconds: how long the server may be silent before an answer.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        connections: int = 16,
        sleep: Callable[[float], None] | None = None,
        told: Callable[[str], None] = lambda _: None,
        read_seconds: float = READ_SECONDS,
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
        self._contact = Contact(connection.host, told)
        self._sleep = sleep or self._contact.sleep
        self._read_seconds = read_seconds
        self._agent = f"wtsctl/{__version__}"
        self._warnings: dict[str, None] = {}
        self._lock = threading.Lock()

    def hurry(self) -> None:
        """Send nothing again and wait for nothing any more, because someone wants to leave."""
        self._contact.hurry()

    @property
    def hurried(self) -> bool:
        """Whether `hurry` was called."""
        return self._contact.hurried

    def pause(self, seconds: float) -> None:
        """Wait between two looks at something, unless there is a hurry."""
        self._sleep(seconds)

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
        repeatable: bool | None = None,
    ) -> tuple[int, Object]:
        """Send one request and return the answer's HTTP status and object.

        Args:
            method: GET, POST, PUT, PATCH, DELETE.
            path: from the API server's root.
            query: URL parameters; empty ones are left out.
            body: sent as JSON, which is YAML too.
            content_type: of the body.
            accept: what the answer may be.
            where: the object or list asked for, for messages.
            repeatable: whether it may be sent again where it may have been carried out; None: by what it is.

        Raises:
            ClusterUnreachable, ClusterUnauthorized, ApiRefused: see `faults`.
        """
        response, data, doubt = self._answered(
            method, path, query, accept=accept, body=body, content_type=content_type, repeatable=repeatable
        )
        parsed = _parse(data)
        if not 200 <= response.status < 300:  # noqa: PLR2004
            raise refused(response.status, parsed, _text(data), where, self.connection, doubt=doubt)
        if parsed is None:
            raise self._not_an_api_server(data)
        return response.status, parsed

    def text(self, path: str, *, query: Mapping[str, str | int] | None = None, where: str = "") -> str:
        """Send a GET whose answer is text, such as a container's log."""
        return self.text_and_headers(path, query=query, where=where)[0]

    def text_and_headers(
        self, path: str, *, query: Mapping[str, str | int] | None = None, where: str = ""
    ) -> tuple[str, Mapping[str, str]]:
        """Send a GET whose answer is text; the text and the headers of the answer."""
        response, data, _ = self._answered("GET", path, query, accept="text/plain, */*")
        if response.status != 200:  # noqa: PLR2004
            raise refused(response.status, _parse(data), _text(data), where, self.connection)
        return _text(data), response.headers

    def stream(
        self,
        path: str,
        *,
        query: Mapping[str, str | int],
        where: str,
        read_seconds: float,
        accept: str = "application/json",
    ) -> Any:
        """Open a watch or a log: urllib3's response, to be read by lines, which `shutdown()` ends from any thread.

        A server that is gone is not waited for: who follows something goes on showing what was known.
        """
        response, data, _ = self._answered("GET", path, query, accept=accept, read_seconds=read_seconds, streamed=True)
        if response.status != 200:  # noqa: PLR2004
            raise refused(response.status, _parse(data), _text(data), where, self.connection)
        return response

    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        *,
        accept: str,
        read_seconds: float | None = None,
        body: Object | None = None,
        content_type: str = "",
        streamed: bool = False,
        repeatable: bool | None = None,
    ) -> tuple[Any, bytes, bool]:
        """The response once the server says something that stands, its body, and whether an earlier try may count.

        The body of a streamed 200 is left to be read.
        """
        import urllib3

        parameters = {key: value for key, value in (query or {}).items() if value != ""}
        url = f"{self.connection.host}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds or self._read_seconds)
        if repeatable is None:
            repeatable = method in _REPEATABLE or content_type == APPLY_PATCH
        attempts = Attempts(repeatable, self._contact.known and not streamed)
        while True:
            headers = {"Accept": accept, "User-Agent": self._agent, **self.connection.authorization()}
            if payload is not None:
                headers["Content-Type"] = content_type
            try:
                response = self._pool.request(
                    method, url, body=payload, headers=headers, timeout=timeout, preload_content=False, redirect=False
                )
                whole = not streamed or response.status != 200  # noqa: PLR2004
                data = response.read(decode_content=True) if whole else b""
            except urllib3.exceptions.HTTPError as error:
                pause = self._missed(attempts, error)
                if pause is None:
                    raise unreachable(error, self.connection, doubt=attempts.doubt) from error
            else:
                self._contact.answered()
                self._note_warnings(response)
                if whole:
                    response.release_conn()
                doubt = left_open(response.status, data)
                fresh, after = self._contact.fresh, wanted_pause(response.headers)
                pause = attempts.answered(response.status, after, doubt=doubt, fresh=fresh)
                if pause is None or self._contact.hurried:
                    return response, data, attempts.doubt
            self._sleep(pause)

    def _missed(self, attempts: Attempts, error: Exception) -> float | None:
        """Seconds until a request that got no answer is sent again; None: it is not."""
        how = broken(error)
        pause = attempts.failed(how) if how else None
        if how is not Broken.UNREACHED or not attempts.known:
            return None if self._contact.hurried else pause
        if pause is None or self._contact.hurried or not self._contact.known:
            # Whoever has waited has waited for all.
            self._contact.gave_up()
            return None
        self._contact.waits()
        return pause

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


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _parse(data: bytes) -> Object | None:
    try:
        parsed = json.loads(data)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
