"""A proxy in front of the real API server that passes everything on, watches included, but for the faults it is told.

A fault is chosen by what is asked, never by chance or by time, so that the same run meets the same faults again.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml

from wtsctl.cluster.config import Connection

_RESET = struct.pack("ii", 1, 0)
# What makes two requests for the same thing look different.
_PASSING = frozenset({"resourceVersion", "timeoutSeconds", "continue"})
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        number: of all requests, from 1.
        method: GET, PATCH and so on.
        path: without its query.
        query: the rest.
        again: how often the same was asked before.
        at: when (`time.monotonic`).
    """

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    again: int
    at: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What is asked, without what is another in each try."""
        left = {key: value for key, value in self.query.items() if key not in _PASSING}
        return self.method, self.path, urlencode(sorted(left.items()))

    @property
    def watches(self) -> bool:
        """Whether it is a watch."""
        return self.query.get("watch") == "true"

    @property
    def writes(self) -> bool:
        """Whether the API server is to change something."""
        return self.method != "GET" and "dryRun" not in self.query


class Cut(Enum):
    """Where a connection ends: with a reset, as where a server is killed."""

    BEFORE = auto()
    """The API server never hears of the request."""
    UNANSWERED = auto()
    """It did what was asked, and nobody hears of it."""
    HALF = auto()
    """In the middle of the answer, or of a watch after its first event."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not the API server's, which never hears of the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a watch says instead of the API server's events before it ends."""

    lines: tuple[bytes, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Late:
    """The API server's answer, so many seconds later; the request itself is passed on at once."""

    seconds: float


Fault = Cut | Answer | Lines | Late


@dataclass
class FaultProxy:
    """What was asked, and what happens to it.

    Attributes:
        url: of the proxy.
        connection: to the API server.
        fault: says of each request what goes wrong with it; None: nothing.
        asked: everything so far.
        faulty: of these, what something went wrong with.
    """

    connection: Connection
    fault: Callable[[Asked], Fault | None] = lambda _: None
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    faulty: list[tuple[Asked, Fault]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def take(self, method: str, target: str) -> tuple[Asked, Fault | None]:
        """Write down a request, and say what becomes of it."""
        url = urlsplit(target)
        with self.lock:
            one = Asked(len(self.asked) + 1, method, url.path, dict(parse_qsl(url.query)), 0, time.monotonic())
            one = Asked(one.number, method, url.path, one.query, self.seen[one.key], one.at)
            self.seen[one.key] += 1
            self.asked.append(one)
        fault = self.fault(one)
        if fault is not None:
            with self.lock:
                self.faulty.append((one, fault))
        return one, fault

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads to the proxy, which has the rights."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": self.url}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }
        path.write_text(yaml.safe_dump(document))
        return path


@dataclass(frozen=True, slots=True)
class Storm:
    """Faults for a share of all requests, the same in each run; never more than so many for one thing in a row.

    Attributes:
        seed: of the choice.
        faults: what is chosen from.
        share: of the requests that something goes wrong with.
        in_a_row: how often at most the same request meets a fault.
        space: a name that is another in each run, and so is left out of the choice.
    """

    seed: int
    faults: tuple[Fault, ...]
    share: float = 0.5
    in_a_row: int = 2
    space: str = ""

    def __call__(self, one: Asked) -> Fault | None:
        """What goes wrong with a request."""
        if one.again % (self.in_a_row + 1) == self.in_a_row:
            return None
        what = re.sub(re.escape(self.space) or "$^", "SPACE", " ".join((*one.key, str(one.again))))
        chance = random.Random(f"{self.seed} {what}")  # noqa: S311 - the same in each run
        fault = chance.choice(self.faults) if chance.random() < self.share else None
        return None if isinstance(fault, Lines) and not one.watches else fault


@contextlib.contextmanager
def fault_proxy(connection: Connection) -> Iterator[FaultProxy]:
    """A proxy in front of the API server of `connection`, with its rights, until the block ends."""
    from kubernetes.client.rest import RESTClientObject

    proxy = FaultProxy(connection)
    connection.configuration.connection_pool_maxsize = 32
    pool: Any = RESTClientObject(connection.configuration).pool_manager
    # One context for all connections, already filled; see `Client`.
    filled = ("ca_certs", "ca_cert_data", "cert_file", "key_file")
    pool.connection_pool_kw |= dict.fromkeys(filled) | {"ssl_context": connection.tls}

    class Handler(_Handler):
        owner = proxy
        upstream = pool

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        pool.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that was killed, or that leaves a watch, is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: FaultProxy
    upstream: Any

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        one, fault = self.owner.take(self.command, self.path)
        if fault is Cut.BEFORE:
            self._reset()
        elif isinstance(fault, Answer):
            self._say(fault.status, fault.body, fault.headers)
        elif isinstance(fault, Lines):
            self._chunks([line + b"\n" for line in fault.lines], 200)
            time.sleep(fault.seconds)
            self._reset()
        elif one.watches:
            self._watch(fault)
        else:
            answer = self._forward(body)
            if isinstance(fault, Late):
                time.sleep(fault.seconds)
            if fault is Cut.UNANSWERED:
                self._reset()
            elif fault is Cut.HALF:
                self._say(answer.status, answer.data, {}, half=True)
            else:
                self._say(answer.status, answer.data, _kept(answer.headers))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - the names that http.server calls

    def _forward(self, body: bytes | None, **more: Any) -> Any:
        import urllib3

        headers = {key: self.headers[key] for key in ("Accept", "Content-Type") if key in self.headers}
        headers |= self.owner.connection.authorization()
        url = self.owner.connection.host + self.path
        timeout = urllib3.Timeout(connect=5.0, read=_SECONDS)
        return self.upstream.request(
            self.command, url, body=body or None, headers=headers, retries=2, timeout=timeout, **more
        )

    def _watch(self, fault: Fault | None) -> None:
        answer = self._forward(None, preload_content=False)
        if fault is Cut.UNANSWERED:
            answer.close()
            self._reset()
            return
        try:
            self._chunks(answer.stream(65536), answer.status, only=1 if fault is Cut.HALF else None)
        finally:
            # A watch that the client has left would hold its connection until the server ends it.
            answer.close()
        if fault is Cut.HALF:
            self._reset()

    def _say(self, status: int, body: bytes, headers: Mapping[str, str], *, half: bool = False) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()
        if half:
            self._reset()

    def _chunks(self, chunks: Any, status: int, only: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for number, chunk in enumerate(chunks, 1):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
            if number == only:
                return
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _reset(self) -> None:
        """End the connection as the kernel does for a process that was killed."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {key: headers[key] for key in ("Content-Type", "Retry-After", "Warning") if key in headers}
