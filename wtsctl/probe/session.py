"""One connection to one endpoint: requests one after another, every byte stamped when it came."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import httpx

from wtsctl import __version__
from wtsctl.latency.exchange import Chunk, Exchange, Opening
from wtsctl.latency.failure import FailureKind, ProbeFailure
from wtsctl.printable import printable
from wtsctl.probe.faults import failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from wtsctl.probe.target import Target

# An error message is read to here and no further.
_REFUSAL_BYTES = 65536
_SUCCESS = range(200, 300)


class Session:
    """A connection, kept open between requests where the way there allows it. Not for use by several threads.

    HTTP/1.1, because one request at a time gains nothing from HTTP/2 and its framing costs time; synchronous,
    because an event loop between the socket and the stamp adds its own delay (docs/adr/0008).
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        timeouts = target.timeouts
        self._way = ExitStack()
        self._blocked: ProbeFailure | None = None
        path: str | None = None
        if target.opened is not None:
            try:
                path = self._way.enter_context(target.opened())
            except ConnectionError as error:
                self._blocked = ProbeFailure(FailureKind.REFUSED, printable(str(error), 500))
        # For plain http a context that was never filled: httpx would read all root certificates for it.
        context = target.ssl_context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # A port-forward does not say when the server closes its end, so that a connection through one is used once.
        kept = 0 if path else 1
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=kept, keepalive_expiry=None)
        self._client = httpx.Client(
            verify=context,
            transport=httpx.HTTPTransport(verify=context, limits=limits, uds=path, trust_env=False) if path else None,
            timeout=httpx.Timeout(timeouts.total, connect=min(timeouts.connect, timeouts.total)),
            limits=limits,
            proxy=target.http_proxy,
            # The target says which proxy to take; the environment's netrc and certificates stay out of it.
            trust_env=False,
            # A redirect would carry our credentials to wherever it points.
            follow_redirects=False,
        )
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._client.close()
        self._way.close()

    def get(self, path: str, *, limit: int, within: float | None = None) -> Exchange:
        """GET a path below the base URL, reading at most `limit` bytes, in at most `within` seconds."""
        total = self._target.timeouts.total
        return self._exchange("GET", path, None, limit, total if within is None else min(within, total))

    def post(self, path: str, document: Mapping[str, Any], *, limit: int) -> Exchange:
        """POST a JSON document and read the answer as it streams, at most `limit` bytes of it."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return self._exchange("POST", path, body, limit, self._target.timeouts.total)

    def redacted(self, failure: ProbeFailure) -> ProbeFailure:
        """`failure` without our credentials, which some servers repeat in their error pages."""
        message = failure.message
        for value in self._target.headers().values():
            # Of "Bearer TOKEN" the token, which may stand alone.
            token = value.rpartition(" ")[2]
            message = _without(token, message) if token else message
        return replace(failure, message=message)

    def _exchange(self, method: str, path: str, body: bytes | None, limit: int, seconds: float) -> Exchange:
        if self._blocked:
            return Exchange(None, failure=self._blocked)
        headers = {
            "User-Agent": f"wtsctl/{__version__}",
            "Accept": "application/json" if body is None else "text/event-stream, application/json",
            # A compressed stream comes in blocks, which hides when each token came.
            "Accept-Encoding": "identity",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **self._target.headers(),
        }
        wire = _Wire()
        extensions: dict[str, Any] = {"trace": wire.trace}
        if self._target.server_name:
            extensions["sni_hostname"] = self._target.server_name
        wire.socket = self._socket
        watchdog = threading.Timer(seconds, wire.expire)
        watchdog.daemon = True
        watchdog.start()
        failure: ProbeFailure | None = None
        response: httpx.Response | None = None
        chunks: list[Chunk] = []
        try:
            request = self._client.build_request(
                method, self._target.base_url + path, content=body, headers=headers, extensions=extensions
            )
            response = self._client.send(request, stream=True)
            allowed = limit if response.status_code in _SUCCESS else min(limit, _REFUSAL_BYTES)
            size = 0
            stamp = time.perf_counter_ns
            for data in response.iter_raw():
                chunks.append(Chunk(stamp(), data))
                size += len(data)
                if size > allowed:
                    # Of an error, the beginning is enough.
                    if allowed == limit:
                        message = f"the answer is longer than {limit // 1024} KiB; reading was stopped there"
                        failure = ProbeFailure(FailureKind.TOO_LARGE, message, response.status_code)
                    break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = failure_of(error, self._target, response.status_code if response is not None else None)
        finally:
            watchdog.cancel()
            if response is not None:
                response.close()
            self._socket = wire.socket
        if wire.expired:
            what = "no complete answer" if chunks else "no answer"
            message = f"{what} within {seconds:g} s"
            failure = ProbeFailure(FailureKind.TIMEOUT, message, response.status_code if response is not None else None)
        return _exchange_of(wire, response, tuple(chunks), failure)


def _without(secret: str, message: str) -> str:
    message = message.replace(secret, "[hidden]")
    # A message that was cut, which "..." marks, may end in the middle of it.
    kept = message.removesuffix("...")
    begun = next((n for n in range(len(secret) - 1, 3, -1) if kept.endswith(secret[:n])), 0)
    return f"{kept[:-begun]}[hidden]..." if begun and kept != message else message


def _exchange_of(
    wire: _Wire, response: httpx.Response | None, chunks: tuple[Chunk, ...], failure: ProbeFailure | None
) -> Exchange:
    if response is None:
        return Exchange(wire.sent_ns, opening=wire.opening, failure=failure)
    return Exchange(
        sent_ns=wire.sent_ns,
        headers_ns=wire.headers_ns,
        opening=wire.opening,
        status=response.status_code,
        content_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        encoding=response.headers.get("content-encoding", "").strip().lower(),
        location=response.headers.get("location", "") if response.is_redirect else "",
        chunks=chunks,
        failure=failure,
    )


class _Wire:
    """The moments of one request that httpx does not return, taken from its trace extension.

    https://www.encode.io/httpcore/extensions/#trace lists the events.
    """

    def __init__(self) -> None:
        self.sent_ns: int | None = None
        self.headers_ns: int | None = None
        self.opening: Opening | None = None
        self.socket: socket.socket | None = None
        self.expired = False
        self._began_ns = 0

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        now = time.perf_counter_ns()
        step = event.partition(".")[2]
        if step == "send_request_headers.started":
            self.sent_ns = now
        elif step == "receive_response_headers.complete":
            self.headers_ns = now
        elif step == "connect_unix_socket.complete":
            # What the way behind it cost is not known here.
            self.socket = info["return_value"].get_extra_info("socket")
        elif step in {"connect_tcp.started", "start_tls.started"}:
            self._began_ns = now
        elif step in {"connect_tcp.complete", "start_tls.complete"}:
            seconds = (now - self._began_ns) / 1e9
            tcp = self.opening.tcp if self.opening and step == "start_tls.complete" else seconds
            self.opening = Opening(tcp=tcp, tls=seconds if step == "start_tls.complete" else None)
            self.socket = info["return_value"].get_extra_info("socket")
            if self.expired:
                # The time ran out before there was a socket to cut off, while the name was being resolved.
                self._cut()

    def expire(self) -> None:
        """Cut the connection off: httpx bounds each read, and a server that drips bytes would never reach that."""
        self.expired = True
        self._cut()

    def _cut(self) -> None:
        if self.socket is not None:
            try:
                # Not SSLSocket's own method, which drops the TLS state that the reading thread is using.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
            except OSError:
                return
