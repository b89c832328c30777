"""A port of a pod on a Unix socket of this machine, by way of the API server: what `kubectl port-forward` does.

The API server's service proxy is shorter, but cannot carry a server's own API key: the API server takes the
Authorization header for itself and passes none on (k8s.io/apiserver, pkg/endpoints/filters/authentication.go). A
Unix socket, because a port of loopback is open to every user of the machine.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from wtsctl.cluster import objects
from wtsctl.cluster.discovery import ENDPOINT_SLICE, POD
from wtsctl.health.endpoints import SERVICE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wtsctl.cluster.client import Client
    from wtsctl.cluster.config import Connection

# The one form of port-forwarding over WebSocket that every supported API server has.
_PROTOCOL = "v4.channel.k8s.io"
_CHUNK = 65536
# How long an unused connection is trusted: llama.cpp's server closes one after five seconds.
_FRESH_SECONDS = 2.0


class ForwardError(ConnectionError):
    """There is no way to a pod; the message says why."""


@contextlib.contextmanager
def forward(client: Client, namespace: str, service: str, within: float) -> Iterator[str]:
    """The path of a Unix socket behind which one ready pod of a Service answers, until the block ends.

    Each connection to it is a port-forward of its own; the first is made at once, so that what is wrong with it is
    known before anything is sent.

    Args:
        client: the cluster.
        namespace: of the Service.
        service: its name.
        within: seconds that connecting to the API server may take.

    Raises:
        ForwardError: the Service has no ready pod, or the API server does not let us.
        ClusterError: the cluster cannot be spoken to, or does not show the Service's pods.
    """
    pod, port = _ready_pod(client, namespace, service)
    path = f"{POD.path(namespace, pod)}/portforward?ports={port}"
    bridge = _Bridge(client.connection, path, port, within)
    with tempfile.TemporaryDirectory(prefix="wtsctl-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen()
        threading.Thread(target=bridge.serve, args=(listener,), daemon=True).start()
        try:
            yield f"{folder}/socket"
        finally:
            # Wakes the thread that waits for connections.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            bridge.close()


def _ready_pod(client: Client, namespace: str, service: str) -> tuple[str, int]:
    """Name and port of a pod that the Service sends requests to; the first by name, so that it stays the same."""
    slices = objects.list_all(client, ENDPOINT_SLICE, namespace, labels=f"{SERVICE_LABEL}={quote(service)}")[0]
    ready = sorted(
        (str(target["name"]), int(ports[0]["port"]))
        for one in slices
        for endpoint in one.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True) is not False
        for target, ports in [(endpoint.get("targetRef") or {}, one.get("ports") or [])]
        if target.get("kind") == "Pod" and ports
    )
    if not ready:
        raise ForwardError(f"Service {namespace}/{service} has no ready pod")
    return ready[0]


class _Bridge:
    """Hands every connection to a socket on to a port-forward of its own.

    One is always ready, so that opening it is in no request's time: the next is opened when a connection has ended.
    A server closes a connection on which nothing comes, and nobody hears of it here, so that it is not kept long.
    """

    def __init__(self, connection: Connection, path: str, port: int, within: float) -> None:
        self._connection = connection
        self._path = path
        self._port = port
        self._within = within
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        self._closed = False
        self._spare: tuple[float, Any] | None = None
        self._refill()

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                local, _ = listener.accept()
            except OSError:
                return
            try:
                remote = self._ready()
            except ForwardError:
                # Whoever asked sees the connection close.
                local.close()
                continue
            with self._lock:
                self._open.add(local)
            threading.Thread(target=self._carry, args=(local, remote), daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            self._closed = True
            left = list(self._open)
        for one in left:
            _end(one)

    def _carry(self, local: Any, remote: Any) -> None:
        back = threading.Thread(target=_pump, args=(remote, local), daemon=True)
        back.start()
        _pump(local, remote)
        back.join()
        with self._lock:
            self._open -= {local, remote}
        # Where this fails, the next connection says so.
        with contextlib.suppress(ForwardError):
            self._refill()

    def _refill(self) -> None:
        if self._closed:
            return
        remote = self._remote()
        with self._lock:
            if not self._closed and self._spare is None:
                self._spare = (time.monotonic(), remote)
                self._open.add(remote)
                return
        _end(remote)

    def _ready(self) -> Any:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is None:
            return self._remote()
        since, remote = spare
        if time.monotonic() - since < _FRESH_SECONDS:
            return remote
        with self._lock:
            self._open.discard(remote)
        _end(remote)
        return self._remote()

    def _remote(self) -> Any:
        """The socket of a new port-forward."""
        from kubernetes.stream import ws_client

        port_forward: Any = ws_client.PortForward
        return port_forward(_websocket(self._connection, self._path, self._within), [self._port]).socket(self._port)


def _websocket(connection: Connection, path: str, within: float) -> Any:
    """A WebSocket to the API server, with the TLS context and the proxy of every other connection to it.

    Raises:
        ForwardError: it was refused, or there is no connection.
    """
    import websocket
    from kubernetes.client.rest import should_bypass_proxies

    configuration, host = connection.configuration, connection.host
    proxy = urlsplit(configuration.proxy or "")
    options: dict[str, Any] = {"http_no_proxy": ["*"]}
    if proxy.hostname and not should_bypass_proxies(host, configuration.no_proxy or ""):
        options = {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
        if proxy.username:
            options["http_proxy_auth"] = (proxy.username, proxy.password or "")
    tls = {"context": connection.tls, "server_hostname": connection.sni_hostname}
    made: Any = websocket.WebSocket(
        sslopt={key: value for key, value in tls.items() if value}, skip_utf8_validation=True
    )
    headers = [f"{name}: {value}" for name, value in connection.authorization().items()]
    try:
        made.connect(
            host.replace("http", "ws", 1) + path,
            header=headers,
            subprotocols=[_PROTOCOL],
            suppress_origin=True,
            timeout=within,
            **options,
        )
    except websocket.WebSocketBadStatusException as error:
        raise ForwardError(f"the API server does not forward a port of this pod: {_said(error)}") from error
    except (websocket.WebSocketException, OSError) as error:
        raise ForwardError(f"no port-forward through {urlsplit(host).netloc}: {error}") from error
    made.settimeout(None)
    return made


def _said(error: Any) -> str:
    """What an API server's Status says; else the HTTP status."""
    import json

    try:
        return str(json.loads(error.resp_body or b"")["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.status_code}"


def _pump(source: Any, sink: Any) -> None:
    """Copy until one side ends; then both do."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(one: Any) -> None:
    # A shutdown first: closing alone does not wake a thread that waits in recv.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
