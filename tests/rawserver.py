"""A server that does on the wire exactly what a test tells it to, and stamps its own writes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

RESET = "reset"
"""Step: end the connection with a TCP reset."""

# Bytes are written at once, a number is a pause in seconds; the connection is closed unless the answer says
# how long it is.
Step = bytes | float | str

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def answer(body: bytes, status: str = "200 OK", content_type: str = "application/json", *more: str) -> bytes:
    """A whole response of known length."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass
class RawServer:
    """Answers the n-th request with the n-th script, and any further request with the last one.

    Attributes:
        scripts: a sequence of steps for each request.
        tls: makes it an https server.
        port: where it listens; 0: any.
        requests: what was asked, head and body, in order.
        writes: for each answer, when each of its writes began (`time.perf_counter_ns`).
        connections: how many were accepted.
    """

    scripts: Sequence[Sequence[Step]]
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    writes: list[list[int]] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for one in (self._listener, *self._open):
            # close alone would leave a thread waiting in accept or recv.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @property
    def url(self) -> str:
        """Base URL, ending in /v1."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            if self._ended.is_set():
                # Too late for __exit__ to see it.
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
            closing.callback(client.close)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
                closing.callback(client.close)
                self._open.append(client)
            pending = b""
            while True:
                head, found, pending = pending.partition(b"\r\n\r\n")
                if not found:
                    more = client.recv(65536)
                    if not more:
                        return
                    pending = head + more
                    continue
                fields = head.decode("latin-1")
                length = next(
                    (int(line[15:]) for line in fields.split("\r\n") if line.lower().startswith("content-length:")), 0
                )
                while len(pending) < length:
                    pending += client.recv(65536)
                body, pending = pending[:length], pending[length:]
                self.requests.append((fields, body))
                if not self._play(client, self.scripts[min(len(self.requests), len(self.scripts)) - 1]):
                    return

    def _play(self, client: socket.socket, script: Sequence[Step]) -> bool:
        """Carry out the steps; whether the connection stays open for the next request."""
        stamps: list[int] = []
        self.writes.append(stamps)
        for step in script:
            if step == RESET:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                return False
            if isinstance(step, bytes):
                stamps.append(time.perf_counter_ns())
                client.sendall(step)
            elif isinstance(step, float) and self._ended.wait(step):
                return False
        whole = b"".join(step for step in script if isinstance(step, bytes))
        if b"Content-Length" in whole or whole.endswith(LAST_CHUNK):
            return True
        client.shutdown(socket.SHUT_RDWR)
        client.close()
        return False
