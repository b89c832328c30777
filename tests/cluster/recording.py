"""A proxy in front of the real API server that writes down what was asked, as RBAC names it; watches included."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from wtsctl.cluster.config import Connection


class Right(NamedTuple):
    """What one request needs: a verb on a resource, which is `RESOURCE/SUBRESOURCE` for a part of one."""

    verb: str
    group: str
    resource: str
    namespace: str


@dataclass
class Recording:
    """What was asked so far.

    Attributes:
        url: of the proxy.
        used: the rights that were needed for what the API server allowed.
    """

    url: str = ""
    used: set[Right] = field(default_factory=set)


def right(method: str, path: str, query: str) -> Right | None:
    """What the API server makes of a request: k8s.io/apiserver, pkg/endpoints/request/requestinfo.go."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, parts = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, parts = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource = "/".join((parts[0], *parts[2:3]))
    if method == "GET" and len(parts) == 1:
        verb = "watch" if parse_qs(query).get("watch") else "list"
    else:
        verb = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
    return Right(verb, group, resource, namespace)


@contextlib.contextmanager
def recording(connection: Connection) -> Iterator[Recording]:
    """Pass everything on to the API server of `connection`, with the caller's own credentials."""
    import urllib3

    found = Recording()
    configuration = connection.configuration
    pool = urllib3.PoolManager(maxsize=32, ca_certs=configuration.ssl_ca_cert, retries=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {key: value for key, value in self.headers.items() if key.lower() not in {"host", "connection"}}
            answer = pool.request(
                self.command, connection.host + self.path, body=body or None, headers=headers, preload_content=False
            )
            self._note(answer.status)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                for chunk in answer.stream(65536, decode_content=False):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")
            # A watch that the client has left would hold its connection until the server ends it.
            answer.close()

        do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - the names that http.server calls

        def _note(self, status: int) -> None:
            url = urlsplit(self.path)
            needed = right(self.command, url.path, url.query)
            if needed is None or status == 403:
                return
            found.used.add(needed)
            if self.command == "PATCH" and status == 201:
                # A server-side apply of what is not there makes it, and needs the right to.
                found.used.add(needed._replace(verb="create"))

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that leaves a watch is none."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        pool.clear()
