"""What was seen on the wire for one request: bytes and when they came. The input of everything in this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wtsctl.latency.failure import ProbeFailure


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as one read gave them, and the monotonic clock in nanoseconds when it returned."""

    at_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening the connection cost, in seconds; `tls` is None for plain http."""

    tcp: float
    tls: float | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its raw answer. All times are `time.perf_counter_ns`.

    Attributes:
        sent_ns: right before the request's first byte was sent, on an open connection; None if it never was.
        headers_ns: when the response headers had been read; None if they never came.
        opening: what connecting cost, if this request opened the connection; not part of any other time.
        status: the HTTP status; None without response headers.
        content_type: the media type, lower case, without parameters.
        encoding: the content encoding; empty, since none is asked for, unless the server sends one all the same.
        location: where a redirect points.
        chunks: the body as it came.
        failure: what kept the exchange from being completed; None when the body came to its end.
    """

    sent_ns: int | None
    headers_ns: int | None = None
    opening: Opening | None = None
    status: int | None = None
    content_type: str = ""
    encoding: str = ""
    location: str = ""
    chunks: tuple[Chunk, ...] = ()
    failure: ProbeFailure | None = None

    @property
    def body(self) -> bytes:
        """The body's bytes, as far as they came."""
        return b"".join(chunk.data for chunk in self.chunks)
